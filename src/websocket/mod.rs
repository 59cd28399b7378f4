//! WebSocket (RFC 6455) as pure functions: the handshake, and the headers of frames as they pass. Nothing here reads a
//! payload but for the few bytes that say what a control message is; nothing reads a socket or a clock.

mod frame;
mod handshake;
mod scan;
#[cfg(test)]
mod tests;

pub use frame::{close_frame, text_frame};
pub use handshake::{BadHandshake, HANDSHAKE_FIELDS, accept_key, asks, check, reserved_bits};
pub use scan::{Counts, Fault, Scan, Scanner, Side};
