//! Frames of the relay's own making: short ones, unfragmented.

use super::scan::Side;

const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const MASKED: u8 = 0x80;
/// A client's frames are masked so that a page cannot choose the bytes on the wire. These are ours, so a mask of zeros
/// does.
const MASK: [u8; 4] = [0; 4];

/// A close, as `side` sends it. The reason is cut to what a control frame holds.
pub fn close_frame(side: Side, code: u16, reason: &str) -> Vec<u8> {
    let room = SHORT_MAX_BYTES - 2;
    let end = (0..=room.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    frame(side, CLOSE, &[&code.to_be_bytes(), &reason.as_bytes()[..end]].concat())
}

/// A text message, as `side` sends it; `None` when it is longer than a short frame holds.
pub fn text_frame(side: Side, text: &str) -> Option<Vec<u8>> {
    (text.len() <= SHORT_MAX_BYTES).then(|| frame(side, TEXT, text.as_bytes()))
}

/// The longest payload whose length fits into the second byte, and the longest of any control frame.
pub(super) const SHORT_MAX_BYTES: usize = 125;

fn frame(side: Side, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or(0);
    match side {
        Side::Server => [&[FIN | opcode, length], payload].concat(),
        Side::Client => [&[FIN | opcode, MASKED | length][..], &MASK, payload].concat(),
    }
}
