//! A refusal as an answer: one exhaustive match gives each its status and type. The body has fal's shape, so that fal's
//! clients show it, and is JSON on every path (protocol 7.1).

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::holder::Shape;
use crate::limits::retry_after_seconds;
use crate::relay::{Refusal, Reply, ReplyBody, tell_standing};
use crate::store::Spent;

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
        Refusal::BadTarget => (StatusCode::BAD_REQUEST, "bad_target"),
        Refusal::Parameter { .. } => (StatusCode::BAD_REQUEST, "bad_parameter"),
        Refusal::BodyBroken => (StatusCode::BAD_REQUEST, "body_broken"),
        // Not 408, which Python's client answers by sending again.
        Refusal::BodyStalled => (StatusCode::BAD_REQUEST, "body_stalled"),
        Refusal::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        Refusal::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
        Refusal::SourceNotAllowed => (StatusCode::FORBIDDEN, "source_not_allowed"),
        Refusal::OriginNotAllowed => (StatusCode::FORBIDDEN, "origin_not_allowed"),
        Refusal::KeyNeeded => (StatusCode::FORBIDDEN, "key_needed"),
        Refusal::EndpointNotAllowed(_) => (StatusCode::FORBIDDEN, "endpoint_not_allowed"),
        Refusal::PriceUnknown(_) => (StatusCode::FORBIDDEN, "price_unknown"),
        Refusal::Limited(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
        Refusal::TooManyTokens { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_tokens"),
        Refusal::TooManyListeners { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_listeners"),
        // Not 429, which both official clients answer by sending again.
        Refusal::OverBudget(_) => (StatusCode::PAYMENT_REQUIRED, "budget_exceeded"),
        Refusal::TooDear { .. } => (StatusCode::PAYMENT_REQUIRED, "request_price_limit"),
        Refusal::WebhookTarget(_) => (StatusCode::BAD_REQUEST, "webhook_target"),
        Refusal::UploadTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "upload_too_large"),
        // Not 404: fal's media host answers so to a file that is not there.
        Refusal::UploadAddress => (StatusCode::FORBIDDEN, "upload_not_found"),
        Refusal::UnknownRequest => (StatusCode::NOT_FOUND, "request_not_found"),
        Refusal::UnknownToken => (StatusCode::NOT_FOUND, "token_not_found"),
        Refusal::Unverified => (StatusCode::UNAUTHORIZED, "webhook_not_verified"),
        Refusal::NoKeys => (StatusCode::SERVICE_UNAVAILABLE, "webhook_keys_unavailable"),
        Refusal::UnknownRoute => (StatusCode::NOT_FOUND, "route_not_found"),
        Refusal::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        Refusal::UpgradeRequired(_) => (StatusCode::UPGRADE_REQUIRED, "upgrade_required"),
        Refusal::AccountUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "account_unavailable"),
        Refusal::Unreachable(_) => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
        Refusal::Resting(_) => (StatusCode::SERVICE_UNAVAILABLE, "upstream_resting"),
        Refusal::NoAnswer(_) => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
        Refusal::BadAnswer(_) => (StatusCode::BAD_GATEWAY, "upstream_bad_answer"),
        // Not 500, which says less, nor a plain 502 or 504, which JavaScript's client answers by sending again.
        Refusal::OutcomeUnknown(_) => (StatusCode::GATEWAY_TIMEOUT, "outcome_unknown"),
        Refusal::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable"),
        Refusal::Limits(_) => (StatusCode::SERVICE_UNAVAILABLE, "limits_unavailable"),
        Refusal::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
    }
}

/// The type of a refusal, for the log line.
pub(super) fn kind(refusal: &Refusal) -> &'static str {
    class(refusal).1
}

/// The answer that tells a client of a refusal.
pub(super) fn answer(refusal: &Refusal, shape: Shape) -> Reply {
    let (status, kind) = class(refusal);
    let body = match shape {
        Shape::Gateway => body(refusal, kind),
        Shape::Proxy => stock_words(refusal).map_or_else(|| body(refusal, kind), Into::into),
        Shape::Platform => {
            json!({"error": {"type": platform_type(status), "message": refusal.to_string()}})
        }
    };
    let mut response = json_answer(status, &body);
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
        Refusal::UpgradeRequired(_) => {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade, close"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
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
        Refusal::Limited(limited) => {
            headers.insert(header::RETRY_AFTER, retry_after_seconds(limited.retry_after).into());
            tell_standing(headers, limited.standing);
        }
        Refusal::TooManyTokens { .. } | Refusal::TooManyListeners { .. } => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        Refusal::AccountUnavailable | Refusal::Store(_) | Refusal::Limits(_) | Refusal::NoKeys => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        _ => {}
    }
    headers.insert(X_RELAY_ERROR, HeaderValue::from_static(kind));
    response
}

/// What fal's Platform API calls an error of this status (protocol 8).
fn platform_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "authorization_error",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::TOO_MANY_REQUESTS => "rate_limited",
        status if status.is_client_error() => "validation_error",
        _ => "server_error",
    }
}

/// What fal's own proxy says, as a bare text (protocol 11): its clients' users look for these words.
fn stock_words(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::BadTarget => Some("Invalid request"),
        Refusal::Unauthorized => Some("Unauthorized"),
        _ => None,
    }
}

fn body(refusal: &Refusal, kind: &str) -> serde_json::Value {
    match refusal {
        Refusal::UnknownRequest => json!({"status": "NOT_FOUND"}),
        Refusal::BodyTooLarge { max_bytes } | Refusal::UploadTooLarge { max_bytes } => {
            json!({"detail": refusal.to_string(), "error_type": kind, "max_bytes": max_bytes})
        }
        Refusal::Parameter { name, .. } => {
            json!({"detail": refusal.to_string(), "error_type": kind, "field": name})
        }
        Refusal::OverBudget(spent) => json!({
            "detail": refusal.to_string(),
            "error_type": kind,
            "scope": scope(spent),
            "period": spent.period,
            "limit_usd": spent.limit,
            "remaining_usd": spent.left,
            "resets_at": spent.resets_at.map(|at| at.to_string()),
        }),
        Refusal::TooDear { estimate, limit } => json!({
            "detail": refusal.to_string(), "error_type": kind, "estimate_usd": estimate, "limit_usd": limit,
        }),
        Refusal::Limited(limited) => json!({
            "detail": refusal.to_string(),
            "error_type": kind,
            "scope": limited.standing.bound.owner.kind(),
            "limited": limited.standing.bound.what.as_str(),
            "limit": limited.standing.bound.limit,
        }),
        _ => json!({"detail": refusal.to_string(), "error_type": kind}),
    }
}

/// Whose budget has not enough left.
fn scope(spent: &Spent) -> &'static str {
    match (spent.token_id, spent.payer.key_id) {
        (Some(_), _) => "token",
        (None, Some(_)) => "key",
        (None, None) => "tenant",
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
