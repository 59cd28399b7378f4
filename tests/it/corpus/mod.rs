//! A corpus of bad HTTP/1: raw bytes, and what must come of them. In each, `{auth}` stands for the `Authorization` line of
//! a tenant, so that nothing but the fault keeps a request from fal. A request that must never be read as one has
//! `smuggled` in its target.

mod bodies;
mod fields;
mod lines;
pub(crate) mod proxy_targets;
mod sizes;
mod targets;

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// This status as the only answer, then the connection's end. fal sees nothing.
    Refused(u16),
    /// The same after a good answer to the request before.
    RefusedSecond(u16),
    /// The connection's end without a word. fal sees nothing.
    Silence,
    /// The client sends no more. It is told with this status, and fal sees nothing.
    BrokenOff(u16),
    /// fal sees this body, framed well, and none of the oddities.
    Normalised(&'static str),
    /// The relay itself answers with this status and goes on. fal sees nothing.
    Answered(u16),
}

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) want: Want,
}

pub(crate) use Want::{Answered, BrokenOff, Normalised, Refused, RefusedSecond, Silence};

/// All of it.
pub(crate) fn all() -> Vec<Case> {
    [bodies::cases(), fields::cases(), lines::cases(), sizes::cases(), targets::cases()].concat()
}

/// What a smuggler would like to see read as a request of its own.
const SMUGGLED: &str = "POST /smuggled/x HTTP/1.1\r\nhost: relay.test\r\n{auth}content-length: 2\r\n\r\n{}";

fn case(name: &str, text: &str, want: Want) -> Case {
    Case { name: name.to_owned(), bytes: text.as_bytes().to_vec(), want }
}

/// A submit with these lines after the usual ones, and this body.
fn submit(lines: &str, body: &str) -> String {
    format!("POST /a/b HTTP/1.1\r\nhost: relay.test\r\n{{auth}}{lines}\r\n{body}")
}
