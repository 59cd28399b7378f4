//! A refusal as an answer: one exhaustive match gives each its status and type. The body has fal's shape, so that fal's
//! clients show it, and is JSON on every path (protocol 7.1).

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::relay::{Refusal, Reply, ReplyBody};

/// Marks an answer as the relay's own error.
const X_RELAY_ERROR: HeaderName = HeaderName::from_static("x-relay-error");
/// Tells both official clients that a 504 must not be sent again (protocol 7.5).
const X_FAL_REQUEST_TIMEOUT_TYPE: HeaderName = HeaderName::from_static("x-fal-request-timeout-type");

/// Ends an HTTP/1 connection with the answer; hyper leaves it out of answers over HTTP/2.
pub(super) const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Status and type of a refusal.
fn class(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::Malformed(_) | Refusal::MalformedPath(_) => (StatusCode::BAD_REQUEST, "bad_request"),
        Refusal::BodyBroken => (StatusCode::BAD_REQUEST, "body_broken"),
        // Not 408, which Python's client answers by sending again.
        Refusal::BodyStalled => (StatusCode::BAD_REQUEST, "body_stalled"),
        Refusal::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        Refusal::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
        Refusal::UnknownRequest => (StatusCode::NOT_FOUND, "request_not_found"),
        Refusal::UnknownRoute => (StatusCode::NOT_FOUND, "route_not_found"),
        Refusal::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        Refusal::AccountUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "account_unavailable"),
        Refusal::Unreachable(_) => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
        Refusal::Resting(_) => (StatusCode::SERVICE_UNAVAILABLE, "upstream_resting"),
        Refusal::NoAnswer(_) => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
        Refusal::BadAnswer(_) => (StatusCode::BAD_GATEWAY, "upstream_bad_answer"),
        // Not 500, which says less, nor a plain 502 or 504, which JavaScript's client answers by sending again.
        Refusal::OutcomeUnknown(_) => (StatusCode::GATEWAY_TIMEOUT, "outcome_unknown"),
        Refusal::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable"),
        Refusal::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
    }
}

/// The type of a refusal, for the log line.
pub(super) fn kind(refusal: &Refusal) -> &'static str {
    class(refusal).1
}

/// The answer that tells a client of a refusal.
pub(super) fn answer(refusal: &Refusal) -> Reply {
    let (status, kind) = class(refusal);
    let mut response = json_answer(status, &body(refusal, kind));
    let headers = response.headers_mut();
    match refusal {
        // Like fal's own answer to an unknown id in everything, so it is not marked as ours either.
        Refusal::UnknownRequest => return response,
        // Whoever stands before us may have read it in another way, and what follows it too.
        Refusal::Malformed(_) | Refusal::MalformedPath(_) => {
            headers.insert(header::CONNECTION, CLOSE);
        }
        Refusal::Unauthorized => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Refusal::Method { allow } => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        Refusal::OutcomeUnknown(_) => {
            headers.insert(X_FAL_REQUEST_TIMEOUT_TYPE, HeaderValue::from_static("user"));
        }
        Refusal::Resting(_) => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Refusal::AccountUnavailable | Refusal::Store(_) => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        _ => {}
    }
    headers.insert(X_RELAY_ERROR, HeaderValue::from_static(kind));
    response
}

fn body(refusal: &Refusal, kind: &str) -> serde_json::Value {
    match refusal {
        Refusal::UnknownRequest => json!({"status": "NOT_FOUND"}),
        Refusal::BodyTooLarge { max_bytes } => {
            json!({"detail": refusal.to_string(), "error_type": kind, "max_bytes": max_bytes})
        }
        _ => json!({"detail": refusal.to_string(), "error_type": kind}),
    }
}

/// A small JSON answer of the relay's own.
pub(super) fn json_answer(status: StatusCode, body: &serde_json::Value) -> Reply {
    let body = Bytes::from(body.to_string());
    let mut response = Response::new(ReplyBody::Whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
