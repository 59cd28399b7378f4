//! A path is read in one way, and what is read can be written back and read again.
#![no_main]

use fal_relay::fal::{
    BYTES_PATH, CDN_PATH, Call, Door, Role, RouteError, TokenForm, Upload, parse, parse_socket,
};
use http::Method;
use libfuzzer_sys::fuzz_target;

const ROLES: [Role; 6] = [Role::Relay, Role::Queue, Role::Run, Role::Rest, Role::Ws, Role::Cdn];
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS];

fuzz_target!(|input: (u8, u8, &str)| {
    let (role, method, path) = input;
    let role = ROLES[usize::from(role) % ROLES.len()];
    // One more than there are methods: a handshake.
    let method = METHODS.get(usize::from(method) % (METHODS.len() + 1));
    let read = |role, path: &str| match method {
        Some(method) => parse(role, method, path),
        None => parse_socket(role, path).unwrap_or(Err(RouteError::Unknown)),
    };
    let Ok(call) = read(role, path) else { return };
    // Names of files may be percent-encoded; everything else is as it looks.
    let is_file = matches!(call, Call::Upload(_));
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && (is_file || byte != b'%')), "{path:?}");
    let dots = path.to_ascii_lowercase().replace("%2e", ".");
    assert!(dots.split('/').all(|segment| segment != "." && segment != ".."), "{path:?}");
    assert!(!dots.contains("%2f") && !dots.contains("%5c"), "{path:?}");
    // What goes to fal is written anew from the call, and fal must read it as we did.
    let (role, sent) = written(&call);
    assert_eq!(read(role, &sent), Ok(call), "{path:?} was sent as {sent:?}");
});

/// The call as it is sent to fal, and the role under which we read a path as fal does. fal's host for runs knows no prefix,
/// while ours strips one, so that path gets it back.
fn written(call: &Call) -> (Role, String) {
    match call {
        Call::Submit { endpoint } => (Role::Queue, format!("/{endpoint}")),
        Call::Follow { endpoint, request_id, what } => {
            (Role::Queue, format!("/{endpoint}/requests/{request_id}{}", what.as_suffix()))
        }
        Call::Run { endpoint } => (Role::Relay, format!("/run/{endpoint}")),
        Call::Stream { endpoint } => (Role::Relay, format!("/run/{endpoint}/stream")),
        Call::Storage(step) => (Role::Rest, step.as_path().to_owned()),
        Call::Upload(upload) => uploaded(upload),
        Call::Token(TokenForm::Bare) => (Role::Rest, "/tokens/".to_owned()),
        Call::Token(TokenForm::Realtime) => (Role::Rest, "/tokens/realtime".to_owned()),
        Call::Realtime { path, .. } => (Role::Relay, format!("/run/{path}")),
        Call::Runs { endpoint } => (Role::Relay, format!("/ws/{endpoint}")),
    }
}

/// An upload by the door through which it came.
fn uploaded(upload: &Upload) -> (Role, String) {
    let at = |door: Door, path: &str| match door {
        Door::Host => (Role::Cdn, path.to_owned()),
        Door::Path => (Role::Relay, format!("{CDN_PATH}{path}")),
    };
    match upload {
        Upload::Bytes(piece) => (Role::Rest, format!("{BYTES_PATH}{}", piece.as_suffix())),
        Upload::Whole => at(Door::Host, "/files/upload"),
        Upload::Begin { door } => at(*door, "/files/upload/multipart"),
        Upload::Piece { file, id, piece } => {
            at(Door::Host, &format!("{file}/multipart/{id}{}", piece.as_suffix()))
        }
        Upload::File { path, door } => at(*door, path),
    }
}
