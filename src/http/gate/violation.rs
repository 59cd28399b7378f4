//! What is refused at the door, before any router sees it: a closed list with status, type and sentence, and the bytes
//! that say it. The answer is written here and not by hyper, whose own refusals are empty and speak no JSON.

use http::StatusCode;
use serde_json::json;

/// A request that is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::http) enum Violation {
    /// Not HTTP as RFC 9112 has it, or HTTP that two servers may read in two ways.
    #[error("{0}")]
    Malformed(&'static str),
    /// A body without a length, from a client that speaks HTTP/1.0.
    #[error("Send a `Content-Length`: over HTTP/1.0 the end of a body cannot be told otherwise.")]
    LengthRequired,
    /// `server.max_target_bytes`.
    #[error("The request target is longer than this relay takes.")]
    TargetTooLong,
    /// `server.max_head_bytes`.
    #[error("The request head is larger than this relay takes.")]
    HeadTooLarge,
    /// `server.max_headers`.
    #[error("The request has more header fields than this relay takes.")]
    TooManyFields,
    /// `server.head_timeout_seconds`.
    #[error("The request head did not come in time. Nothing was done; send it again.")]
    SlowHead,
    /// More frames that carry nothing than a client at work sends.
    #[error("Too many HTTP/2 frames that carry nothing.")]
    FrameFlood,
}

impl Violation {
    /// Its status and type.
    pub(in crate::http) fn class(self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::LengthRequired => (StatusCode::LENGTH_REQUIRED, "length_required"),
            Self::TargetTooLong => (StatusCode::URI_TOO_LONG, "target_too_long"),
            Self::HeadTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large"),
            Self::TooManyFields => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too_many_headers"),
            // Clients send again on 408, and may: nothing of this request has been read.
            Self::SlowHead => (StatusCode::REQUEST_TIMEOUT, "head_timeout"),
            Self::FrameFlood => (StatusCode::TOO_MANY_REQUESTS, "frame_flood"),
        }
    }

    /// The body of the answer, in fal's shape.
    pub(in crate::http) fn json(self) -> serde_json::Value {
        json!({"detail": self.to_string(), "error_type": self.class().1})
    }

    /// The whole answer as HTTP/1.1 has it, the last on its connection. Where pages may call at all, any may read it: it says
    /// nothing of any key, and whose page it is stands in a head that was not read.
    pub(super) fn answer(self, pages_may_read: bool) -> Vec<u8> {
        let (status, kind) = self.class();
        let body = self.json().to_string();
        let reason = status.canonical_reason().unwrap_or_default();
        let for_pages = match pages_may_read {
            true => "access-control-allow-origin: *\r\naccess-control-expose-headers: x-relay-error\r\n",
            false => "",
        };
        format!(
            "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\
             x-content-type-options: nosniff\r\nx-relay-error: {kind}\r\n{for_pages}\r\n{body}",
            status.as_u16(),
            body.len()
        )
        .into_bytes()
    }
}
