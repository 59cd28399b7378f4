//! HTTP over the simulated fal: one listener, and a face for each of fal's hosts.

mod api;
mod caller;
mod cdn;
mod control;
mod events;
mod queue;
mod reply;
mod rest;
mod run;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};

use super::Fal;
use reply::Reply;

/// The longest wait for the whole body of a call.
const BODY_TIMEOUT: Duration = Duration::from_secs(300);

/// One of fal's hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    /// `queue.fal.run`
    Queue,
    /// `fal.run`
    Run,
    /// `ws.fal.run`
    Ws,
    /// `rest.fal.ai`
    Rest,
    /// `v3.fal.media`
    Cdn,
    /// `api.fal.ai`
    Api,
    /// No host of fal: what tests set and count.
    Control,
}

impl Face {
    /// The face that answers to a host name.
    fn of_host(host: &str) -> Option<Self> {
        match host {
            "queue.fal.run" | "queue.falrun.com" => Some(Self::Queue),
            "fal.run" | "falrun.com" => Some(Self::Run),
            "ws.fal.run" => Some(Self::Ws),
            "rest.fal.ai" | "rest.alpha.fal.ai" => Some(Self::Rest),
            "v3.fal.media" | "v3b.fal.media" => Some(Self::Cdn),
            "api.fal.ai" => Some(Self::Api),
            _ => None,
        }
    }

    /// The face that answers below a path prefix.
    fn of_prefix(prefix: &str) -> Option<Self> {
        match prefix {
            "queue" => Some(Self::Queue),
            "run" => Some(Self::Run),
            "ws" => Some(Self::Ws),
            "rest" => Some(Self::Rest),
            "cdn" => Some(Self::Cdn),
            "api" => Some(Self::Api),
            "sandbox" => Some(Self::Control),
            _ => None,
        }
    }
}

/// All faces of `fal`: by host name when the host is one of fal's, else by the first segment of the path (`/queue`,
/// `/run`, `/rest`, `/cdn`, `/api`, and `/sandbox` for what tests set and count).
pub fn router(fal: Arc<Fal>) -> Router {
    Router::new().fallback(serve).with_state(fal)
}

async fn serve(State(fal): State<Arc<Fal>>, request: Request) -> Response {
    let Some((face, path)) = face_and_path(&request) else {
        return Reply::detail(StatusCode::NOT_FOUND, "Not Found").into_response();
    };
    let answer = match face {
        Face::Queue => queue::serve(&fal, &path, request).await,
        Face::Run if socket::is_wanted(&request) => socket::realtime(&fal, &path, request),
        Face::Run => run::serve(&fal, &path, request).await,
        Face::Ws => socket::runs(&fal, &path, request),
        Face::Rest => rest::serve(&fal, &path, request).await,
        Face::Cdn => Ok(cdn::serve(&fal, &path, request).await),
        Face::Api => api::serve(&fal, &path, request).await,
        Face::Control => control::serve(&fal, &path, request).await,
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// The face, and the path on its host without slashes at either end.
fn face_and_path(request: &Request) -> Option<(Face, String)> {
    let path = request.uri().path().trim_matches('/');
    if let Some(face) = host(request).and_then(|host| Face::of_host(&host)) {
        return Some((face, path.to_owned()));
    }
    let (prefix, rest) = path.split_once('/').unwrap_or((path, ""));
    Some((Face::of_prefix(prefix)?, rest.to_owned()))
}

/// The host name that was asked for, without a port. HTTP/2 has it in the address, HTTP/1.1 in a header.
fn host(request: &Request) -> Option<String> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    Some(authority.split(':').next()?.to_ascii_lowercase())
}

/// The whole body, within `max_bytes` and [`BODY_TIMEOUT`].
async fn read_body(fal: &Fal, request: Request, max_bytes: usize) -> Result<Bytes, Reply> {
    let read = Limited::new(request.into_body(), max_bytes).collect();
    tokio::select! {
        body = read => match body {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Reply::detail(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"))
            }
            Err(_) => Err(Reply::detail(StatusCode::BAD_REQUEST, "Request body could not be read")),
        },
        () = fal.clock().sleep(BODY_TIMEOUT) => {
            Err(Reply::detail(StatusCode::REQUEST_TIMEOUT, "Request body did not arrive"))
        }
    }
}

/// The value of `name` in the query, decoded; the first one counts.
fn query(uri: &Uri, name: &str) -> Option<String> {
    let query = uri.query()?;
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// A method that a path does not know.
fn wrong_method(allow: &'static str) -> Reply {
    Reply::detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").with("allow", allow)
}
