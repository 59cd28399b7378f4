//! The head of an HTTP/1 request, read strictly, line by line as it comes. What passes here hyper reads in one way only;
//! what hyper would repair in silence (a bare LF, two lengths, two codings, a fragment) does not pass.

use super::violation::Violation;
use super::violation::Violation::{HeadTooLarge, LengthRequired, Malformed, TargetTooLong, TooManyFields};

/// The longest method. IANA's registry ends at 17 letters.
const METHOD_MAX_BYTES: usize = 32;
/// ` HTTP/1.1` and the line's end.
const VERSION_BYTES: usize = 11;
/// Digits of the longest length: enough for a petabyte, and far from any overflow.
const LENGTH_MAX_DIGITS: usize = 15;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct HeadLimits {
    /// The whole head, in bytes.
    pub(in crate::http) max_bytes: usize,
    /// The request target, in bytes.
    pub(in crate::http) max_target_bytes: usize,
    /// Header fields.
    pub(in crate::http) max_fields: usize,
}

/// How the body after a head is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFraming {
    /// So many bytes; 0 without a body.
    Sized(u64),
    /// Chunks.
    Chunked,
}

/// A head of which some lines have come.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Bytes in which no further line end is.
    searched: usize,
    /// Where the first line begins that is not read yet.
    line: usize,
    seen: Seen,
}

/// What the lines so far say.
#[derive(Debug, Default)]
struct Seen {
    empty_line_before: bool,
    request_line: bool,
    http_1_0: bool,
    body_expected: bool,
    /// It is a GET, which can be the handshake of a WebSocket.
    may_switch: bool,
    fields: usize,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
}

impl Head {
    /// Reads on in `bytes`, which begin where the head begins. Returns the head's length and the body's framing once the
    /// head is whole.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<(usize, BodyFraming)>, Violation> {
        while let Some(found) = memchr::memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + found;
            if end >= limits.max_bytes || self.first_line_is_too_long(end, limits) {
                break;
            }
            let line = bytes[self.line..end].strip_suffix(b"\r").ok_or(Malformed(
                "A line of the request head ends in a bare line feed; end each with CR LF.",
            ))?;
            (self.searched, self.line) = (end + 1, end + 1);
            if self.seen.line(line, limits)? {
                return self.seen.framing().map(|framing| Some((end + 1, framing)));
            }
        }
        self.searched = bytes.len();
        self.check_size(bytes.len(), limits).map(|()| None)
    }

    /// Whether nothing of it has come yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.searched == 0
    }

    /// A head that is too large is refused when its limit is reached, not at its end.
    fn check_size(&self, length: usize, limits: &HeadLimits) -> Result<(), Violation> {
        match length >= limits.max_bytes {
            _ if self.first_line_is_too_long(length, limits) => Err(TargetTooLong),
            true => Err(HeadTooLarge),
            false => Ok(()),
        }
    }

    /// Whether the request line, which goes on to `end` at least, can only have a target that is too long.
    fn first_line_is_too_long(&self, end: usize, limits: &HeadLimits) -> bool {
        let longest = METHOD_MAX_BYTES + 1 + limits.max_target_bytes + VERSION_BYTES;
        !self.seen.request_line && end - self.line > longest
    }
}

impl Seen {
    /// Reads one line, without its end; true when it was the last.
    fn line(&mut self, line: &[u8], limits: &HeadLimits) -> Result<bool, Violation> {
        match (self.request_line, line.is_empty()) {
            (true, true) => return Ok(true),
            (true, false) => self.field(line, limits)?,
            (false, false) => self.request_line(line, limits)?,
            // Old clients send one after a body; RFC 9112, 2.2 asks to bear it.
            (false, true) if !self.empty_line_before => self.empty_line_before = true,
            (false, true) => return Err(Malformed("The request begins with empty lines.")),
        }
        Ok(false)
    }

    fn request_line(&mut self, line: &[u8], limits: &HeadLimits) -> Result<(), Violation> {
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Malformed("The request line is not a method, a target and a version."));
        };
        self.http_1_0 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(Malformed("This relay speaks HTTP/1.1, HTTP/1.0 and HTTP/2.")),
        };
        check_method(method)?;
        check_target(target, limits)?;
        self.body_expected = matches!(method, b"POST" | b"PUT" | b"PATCH");
        self.may_switch = method == b"GET";
        self.request_line = true;
        Ok(())
    }

    fn field(&mut self, line: &[u8], limits: &HeadLimits) -> Result<(), Violation> {
        self.fields += 1;
        if self.fields > limits.max_fields {
            return Err(TooManyFields);
        }
        let colon = memchr::memchr(b':', line).ok_or(Malformed("A header line has no colon."))?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_token(name) {
            return Err(Malformed(
                "A header name is empty, folded, or has a character that no name has, such as a space.",
            ));
        }
        if has_control(&line[colon + 1..]) {
            return Err(Malformed("A header value has a control character."));
        }
        self.meaning(name, value)
    }

    /// The fields that say where a message ends and for whom it is. Length first: the most fields end there.
    fn meaning(&mut self, name: &[u8], value: &[u8]) -> Result<(), Violation> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") => self.hosts += 1,
            7 if is(b"upgrade") => check_upgrade(value, self.may_switch)?,
            10 if is(b"connection") => check_connection(value)?,
            14 if is(b"content-length") => self.content_length(value)?,
            17 if is(b"transfer-encoding") => self.transfer_encoding(value)?,
            _ => {}
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.length.is_some() {
            return Err(Malformed("Send one `Content-Length`, not several."));
        }
        self.length =
            Some(length(value).ok_or(Malformed("`Content-Length` is not a plain decimal number."))?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed("`Transfer-Encoding` can only be `chunked`, once."));
        }
        self.chunked = true;
        Ok(())
    }

    /// What all lines together say of the body.
    fn framing(&self) -> Result<BodyFraming, Violation> {
        if self.hosts > 1 || (self.hosts == 0 && !self.http_1_0) {
            return Err(Malformed("Send one `Host` header that names the relay."));
        }
        match (self.length, self.chunked) {
            (Some(_), true) => {
                Err(Malformed("Send `Content-Length` or `Transfer-Encoding`, not both: they may disagree."))
            }
            (None, true) if self.http_1_0 => Err(Malformed("HTTP/1.0 has no `Transfer-Encoding`.")),
            (None, true) => Ok(BodyFraming::Chunked),
            // Its body, if there is one, would be read as the next request.
            (None, false) if self.http_1_0 && self.body_expected => Err(LengthRequired),
            (length, false) => Ok(BodyFraming::Sized(length.unwrap_or(0))),
        }
    }
}

fn check_method(method: &[u8]) -> Result<(), Violation> {
    if method.len() > METHOD_MAX_BYTES || !is_token(method) {
        return Err(Malformed("The method is not a word."));
    }
    match method {
        b"CONNECT" | b"TRACE" | b"PRI" => {
            Err(Malformed("This relay opens no tunnels and echoes no requests."))
        }
        _ => Ok(()),
    }
}

/// A path, or a whole http address. hyper drops a fragment in silence and has no words for quotes and angle brackets, so
/// none may be there.
fn check_target(target: &[u8], limits: &HeadLimits) -> Result<(), Violation> {
    if target.len() > limits.max_target_bytes {
        return Err(TargetTooLong);
    }
    let odd = target.iter().fold(false, |odd, byte| {
        odd | !(0x21..=0x7e).contains(byte) | matches!(byte, b'#' | b'"' | b'<' | b'>' | b'`')
    });
    let absolute = |scheme: &[u8]| target.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    match target.first() {
        Some(b'/') if !odd => Ok(()),
        Some(_) if !odd && (absolute(b"http://") || absolute(b"https://")) => Ok(()),
        _ => Err(Malformed("The request target is not a path, or has a character that no path has.")),
    }
}

/// `h2c` is an offer that a server may pass over, and Java's client makes it with every first request; after the
/// handshake of a WebSocket a client waits for the answer. Any other protocol is what the client means to speak next: its bytes must not be read as
/// requests.
fn check_upgrade(value: &[u8], may_switch: bool) -> Result<(), Violation> {
    let socket = may_switch && value.eq_ignore_ascii_case(b"websocket");
    match socket || value.eq_ignore_ascii_case(b"h2c") {
        true => Ok(()),
        false => Err(Malformed("There is nothing to upgrade to at this address.")),
    }
}

/// `Connection` may not take away what says who calls and where the request ends.
fn check_connection(value: &[u8]) -> Result<(), Violation> {
    let fixed: [&[u8]; 5] =
        [b"authorization", b"host", b"content-length", b"transfer-encoding", b"content-type"];
    if value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close") {
        return Ok(());
    }
    let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    match options.any(|option| fixed.iter().any(|name| option.eq_ignore_ascii_case(name))) {
        true => Err(Malformed("`Connection` names a header that is not the connection's.")),
        false => Ok(()),
    }
}

/// A plain decimal number: no sign, no list, no leading zero, nothing absurd.
fn length(value: &[u8]) -> Option<u64> {
    let plain = (1..=LENGTH_MAX_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let leading_zero = value.len() > 1 && value.first() == Some(&b'0');
    (plain && !leading_zero)
        .then(|| value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// A name as RFC 9110, 5.6.2 has it.
pub(super) fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// Written without an early end, so that the compiler can look at many bytes at once.
pub(super) fn has_control(value: &[u8]) -> bool {
    value.iter().fold(false, |found, byte| found | is_control(*byte))
}

/// A byte that no field value holds: all controls but the tab.
pub(super) const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// Which bytes a token may have.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};
