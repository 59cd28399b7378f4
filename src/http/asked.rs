//! What a request's method and path ask for, in the relay's words.

use http::request;

use crate::fal::{self, Call, FollowUp, Role, RouteError, Upload};
use crate::metrics::Route;
use crate::relay::{Refusal, check_handshake};
use crate::websocket;

/// Whether it opens a socket that is carried.
pub(super) fn is_realtime(call: &Result<Call, RouteError>) -> bool {
    matches!(call, Ok(Call::Realtime { .. }))
}

/// What a request asks for. A handshake for a place that is a socket must be a sound one; at any other place it is passed
/// over.
pub(super) fn parse(
    role: Role,
    path: &str,
    parts: &request::Parts,
) -> Result<Result<Call, RouteError>, Refusal> {
    match websocket::asks(&parts.method, &parts.headers).then(|| fal::parse_socket(role, path)).flatten() {
        Some(call) => check_handshake(parts).map(|()| call),
        None => Ok(fal::parse(role, &parts.method, path)),
    }
}

/// A path or method that is no call, as the relay refuses it.
pub(super) fn refuse(error: RouteError) -> Refusal {
    match error {
        RouteError::Malformed(reason) => Refusal::MalformedPath(reason),
        RouteError::Part => Refusal::Parameter {
            name: "part".to_owned(),
            reason: "is a whole number from 1 to 10000".to_owned(),
        },
        RouteError::Method { allow } => Refusal::Method { allow },
        RouteError::NotASocket => {
            Refusal::UpgradeRequired("This path is a WebSocket; send its handshake over HTTP/1.1.")
        }
        RouteError::Unknown => Refusal::UnknownRoute,
    }
}

/// What the log line and the counts call a call.
pub(super) fn route(call: &Call) -> Route {
    match call {
        Call::Submit { .. } => Route::Submit,
        Call::Follow { what: FollowUp::Status, .. } => Route::Status,
        Call::Follow { what: FollowUp::StatusStream, .. } => Route::StatusStream,
        Call::Follow { what: FollowUp::Result { .. }, .. } => Route::Result,
        Call::Follow { what: FollowUp::Cancel, .. } => Route::Cancel,
        Call::Run { .. } => Route::Run,
        Call::Stream { .. } => Route::Stream,
        Call::Storage(_) => Route::Storage,
        Call::Realtime { .. } => Route::Realtime,
        Call::Runs { .. } => Route::Runs,
        Call::Upload(Upload::File { .. }) => Route::File,
        Call::Upload(_) => Route::Upload,
        Call::Token(_) => Route::Token,
    }
}
