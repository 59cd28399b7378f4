//! A path is read in one way, and what is read can be written back and read again.
#![no_main]

use fal_relay::fal::{Call, Role, TokenForm, parse};
use http::Method;
use libfuzzer_sys::fuzz_target;

const ROLES: [Role; 4] = [Role::Relay, Role::Queue, Role::Run, Role::Rest];
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS];

fuzz_target!(|input: (u8, u8, &str)| {
    let (role, method, path) = input;
    let role = ROLES[usize::from(role) % ROLES.len()];
    let method = &METHODS[usize::from(method) % METHODS.len()];
    let Ok(call) = parse(role, method, path) else { return };
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%'), "{path:?}");
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path:?}");
    // What goes to fal is written anew from the call, and fal must read it as we did.
    let (role, sent) = written(&call);
    assert_eq!(parse(role, method, &sent), Ok(call), "{path:?} was sent as {sent:?}");
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
        Call::Token(TokenForm::Bare) => (Role::Rest, "/tokens/".to_owned()),
        Call::Token(TokenForm::Realtime) => (Role::Rest, "/tokens/realtime".to_owned()),
    }
}
