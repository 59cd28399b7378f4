//! The opening handshake (RFC 6455, 4): what a client must have said, and what its server answers.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, Method, Version, header};

/// What travels with a handshake beyond what travels with any request.
pub const HANDSHAKE_FIELDS: [HeaderName; 4] = [
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_PROTOCOL,
];

/// What every server appends to the key before it hashes it.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// A key is so many bytes in base64.
const KEY_BYTES: usize = 16;

/// A handshake that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHandshake {
    /// It is broken.
    Malformed(&'static str),
    /// Another version of HTTP or of WebSocket is needed.
    Version(&'static str),
}

/// Whether a request asks to go on as a WebSocket.
pub fn asks(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::GET && has_token(headers, &header::UPGRADE, "websocket")
}

/// Checks a handshake that [`asks`], and gives its key.
pub fn check(version: Version, headers: &HeaderMap) -> Result<&[u8], BadHandshake> {
    if version != Version::HTTP_11 {
        return Err(BadHandshake::Version("A WebSocket begins over HTTP/1.1 here."));
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(BadHandshake::Malformed("A WebSocket handshake needs `Connection: Upgrade`."));
    }
    if headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(BadHandshake::Malformed("A WebSocket handshake has no body."));
    }
    match one(headers, &header::SEC_WEBSOCKET_VERSION) {
        Some(b"13") => {}
        _ => return Err(BadHandshake::Version("Send one `Sec-WebSocket-Version: 13`.")),
    }
    one(headers, &header::SEC_WEBSOCKET_KEY)
        .filter(|key| is_key(key))
        .ok_or(BadHandshake::Malformed("Send one `Sec-WebSocket-Key` of 16 bytes in base64."))
}

/// What a server answers to a key.
pub fn accept_key(key: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[key, MAGIC].concat());
    STANDARD.encode(hash)
}

/// The reserved bits that frames may have under the extensions that a server agreed to (`Sec-WebSocket-Extensions` of its
/// answer). Compression has the first; what an unknown extension has, only its two ends know.
pub fn reserved_bits(answer: &HeaderMap) -> u8 {
    const COMPRESSED: u8 = 0x40;
    const ALL: u8 = 0x70;
    let values = answer.get_all(header::SEC_WEBSOCKET_EXTENSIONS).iter();
    let names = values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|extension| extension.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii());
    names.filter(|name| !name.is_empty()).fold(0, |bits, name| {
        bits | if name.eq_ignore_ascii_case(b"permessage-deflate") { COMPRESSED } else { ALL }
    })
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The value of a field that comes once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.as_bytes();
    values.next().is_none().then_some(value)
}

fn is_key(key: &[u8]) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == KEY_BYTES)
}
