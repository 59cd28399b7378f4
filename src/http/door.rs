//! What holds for every request, by whichever version it came: looked at before any route is. HTTP/1 was read strictly at
//! the gate already; HTTP/2 has no text to read strictly, and these are the things that its framing leaves open.

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, header};

use super::gate::Violation;
use super::refusal;
use super::settings::Settings;
use crate::relay::Reply;

const X_RELAY_ERROR: HeaderName = HeaderName::from_static("x-relay-error");

/// Whether a request may be looked at.
pub(super) fn check<B>(request: &Request<B>, settings: &Settings) -> Result<(), Violation> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Violation::Malformed("This relay opens no tunnels and echoes no requests."));
    }
    if request.headers().len() > settings.max_headers {
        return Err(Violation::TooManyFields);
    }
    let target = request.uri().path_and_query().map_or(0, |target: &PathAndQuery| target.as_str().len());
    if target > settings.max_target_bytes {
        return Err(Violation::TargetTooLong);
    }
    check_host(request)
}

/// A request that names its host twice must name one: else whoever stands before us and we may each take another.
fn check_host<B>(request: &Request<B>) -> Result<(), Violation> {
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    let differs = |host: &HeaderValue| !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
    match request.headers().get_all(header::HOST).iter().any(differs) {
        true => {
            Err(Violation::Malformed("The `Host` header and the request's address name different hosts."))
        }
        false => Ok(()),
    }
}

/// The answer to a request that may not be.
pub(super) fn answer(violation: Violation) -> Reply {
    let (status, kind) = violation.class();
    let mut reply = refusal::json_answer(status, &violation.json());
    reply.headers_mut().insert(X_RELAY_ERROR, HeaderValue::from_static(kind));
    reply.headers_mut().insert(header::CONNECTION, refusal::CLOSE);
    reply
}
