//! Who calls, and what for: fal's gate. Every key with an id and a secret is known, and is an account of its own; the
//! key ids `unknown` and `locked` are what they say.

use std::time::Duration;

use axum::extract::Request;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::read_body;
use super::reply::Reply;
use crate::sandbox::Fal;
use crate::sandbox::answer;
use crate::sandbox::endpoint::Endpoint;
use crate::sandbox::fal::{Call, NotTaken};
use crate::sandbox::faults::Faults;
use crate::sandbox::job::Account;
use crate::sandbox::tags::Tags;

/// The largest input, with room for files in it as `data:` addresses.
const MAX_INPUT_BYTES: usize = 128 << 20;

/// The account of the key in `headers`; `place` is what a call without a key is told it cannot access.
pub(super) fn account(headers: &HeaderMap, place: &str) -> Result<Account, Reply> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        let detail = format!("Cannot access application \"{place}\". Authentication is required.");
        return Err(Reply::detail(StatusCode::UNAUTHORIZED, &detail));
    };
    let key = value.to_str().ok().and_then(key_of).ok_or_else(|| {
        let detail = "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'.";
        Reply::detail(StatusCode::UNAUTHORIZED, detail)
    })?;
    match key {
        ("unknown", _) => Err(Reply::detail(StatusCode::UNAUTHORIZED, "No user found for Key ID and Secret")),
        ("locked", _) => Err(locked()),
        (id, secret) => Ok(Account::new(format!("{id}:{secret}"))),
    }
}

fn key_of(value: &str) -> Option<(&str, &str)> {
    let (scheme, key) = value.split_once(' ')?;
    let (id, secret) = key.trim().split_once(':')?;
    (scheme.eq_ignore_ascii_case("key") && !id.is_empty() && !secret.is_empty()).then_some((id, secret))
}

fn locked() -> Reply {
    let detail =
        "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.";
    Reply::detail(StatusCode::FORBIDDEN, detail)
}

/// The endpoint at `path`.
pub(super) fn endpoint(path: &str) -> Result<Endpoint, Reply> {
    Endpoint::parse(path).ok_or_else(|| no_app(path.rsplit('/').next().unwrap_or_default()))
}

fn no_app(alias: &str) -> Reply {
    Reply::detail(StatusCode::NOT_FOUND, &format!("Application \"{alias}\" not found"))
}

/// Reads the call for the model at `endpoint`; a call that asked to be refused is refused here.
pub(super) async fn call(fal: &Fal, endpoint: Endpoint, request: Request) -> Result<Call, Reply> {
    let account = account(request.headers(), endpoint.app())?;
    let start_timeout = start_timeout(request.headers());
    let tags = Tags::read(request.headers());
    let headers = header_values(request.headers());
    let body = read_body(fal, request, MAX_INPUT_BYTES).await?;
    let input = answer::parse(&body);
    let prompt = input.as_ref().ok().and_then(|input| input.get("prompt")?.as_str()).unwrap_or_default();
    let faults = Faults::read(endpoint.id(), prompt);
    match gate(&faults, &endpoint) {
        Some(refusal) => Err(refusal),
        None => Ok(Call { account, endpoint, input, faults, start_timeout, tags, headers }),
    }
}

pub(super) fn gate(faults: &Faults, endpoint: &Endpoint) -> Option<Reply> {
    if faults.locked {
        return Some(locked());
    }
    if faults.no_app {
        return Some(no_app(endpoint.alias()));
    }
    let status = faults.refuse?;
    let (detail, error_type) = match status {
        StatusCode::TOO_MANY_REQUESTS => ("Too many concurrent requests", "concurrent_requests_limit"),
        StatusCode::SERVICE_UNAVAILABLE => ("No runner is available", "runner_scheduling_failure"),
        StatusCode::GATEWAY_TIMEOUT => ("Request timed out", "request_timeout"),
        _ if status.is_client_error() => ("Bad request", "bad_request"),
        _ => ("Internal Server Error", "internal_error"),
    };
    Some(Reply::typed(status, detail, error_type).with("x-fal-needs-retry", "1"))
}

/// How long the caller lets the request wait; the newer of two names wins, and values fal refuses are no limit.
fn start_timeout(headers: &HeaderMap) -> Option<Duration> {
    const SHORTEST: Duration = Duration::from_millis(100);
    let names = ["x-fal-request-start-timeout", "x-fal-request-timeout"];
    let text = names.iter().find_map(|name| headers.get(*name))?.to_str().ok()?;
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok().filter(|limit| *limit > SHORTEST)
}

/// The headers of a call as a model would tell them; of the credentials only that they were there.
fn header_values(headers: &HeaderMap) -> Value {
    let value = |name: &http::HeaderName, value: &http::HeaderValue| {
        let hidden = *name == header::AUTHORIZATION || *name == header::COOKIE;
        let text = if hidden { "****" } else { value.to_str().unwrap_or("****") };
        (name.as_str().to_owned(), Value::from(text))
    };
    Value::Object(headers.iter().map(|(name, text)| value(name, text)).collect::<Map<_, _>>())
}

/// Why the queue or a runner did not take a call.
pub(super) fn not_taken(reason: NotTaken) -> Reply {
    match reason {
        NotTaken::Full => {
            let detail = "The sandbox keeps no more unfinished requests";
            Reply::typed(StatusCode::TOO_MANY_REQUESTS, detail, "concurrent_requests_limit")
                .with("x-fal-needs-retry", "1")
        }
        NotTaken::NoId => {
            Reply::typed(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error", "internal_error")
        }
    }
}
