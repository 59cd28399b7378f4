//! Frames as they pass, by their headers alone: counted, bounded, and held to the rules that two readers could read in
//! two ways. What a payload says is for its receiver to judge.

use super::frame::SHORT_MAX_BYTES;

/// The longest header: two bytes, eight of length, four of mask.
const HEADER_MAX_BYTES: usize = 14;
/// The longest payload that the protocol can name.
const LENGTH_MAX: u64 = (1 << 63) - 1;
/// Bytes of a message's beginning that are looked at.
const BEGINNING_BYTES: usize = 32;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Masks its frames.
    Client,
    /// Does not.
    Server,
}

/// A frame that is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It breaks the protocol.
    Malformed(&'static str),
    /// Its message is larger than may pass.
    TooLarge,
}

impl Fault {
    /// The close code for it (RFC 6455, 7.4.1).
    pub fn code(self) -> u16 {
        match self {
            Self::Malformed(_) => 1002,
            Self::TooLarge => 1009,
        }
    }

    /// What is wrong, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed(reason) => reason,
            Self::TooLarge => "the message is larger than this relay takes",
        }
    }
}

/// What has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whole messages, fal's control messages not among them.
    pub messages: u64,
    /// fal's control messages (protocol 4.1).
    pub controls: u64,
    /// Bytes, with headers and control frames.
    pub bytes: u64,
}

/// How far some bytes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// So many of them may go on. What stays behind is a header that is not whole yet, or what is not let through.
    pub passed: usize,
    /// What is wrong right after them.
    pub fault: Option<Fault>,
}

/// One direction of a socket.
#[derive(Debug)]
pub struct Scanner {
    side: Side,
    reserved: u8,
    max_message_bytes: u64,
    messages_max: u64,
    counts: Counts,
    /// What is left of the frame under way.
    left: u64,
    frame: Option<Frame>,
    message: Option<Message>,
    beginning: Beginning,
    close_code: Option<u16>,
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
}

/// A message of which some frames have come.
#[derive(Clone, Copy, Debug)]
struct Message {
    text: bool,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Beginning {
    bytes: [u8; BEGINNING_BYTES],
    len: usize,
}

struct Header {
    bytes: usize,
    first: u8,
    masked: bool,
    length: u64,
    mask: [u8; 4],
}

impl Scanner {
    /// For what `side` sends, with these reserved bits, and messages up to a size.
    pub fn new(side: Side, reserved: u8, max_message_bytes: u64) -> Self {
        Self {
            side,
            reserved,
            max_message_bytes,
            messages_max: u64::MAX,
            counts: Counts::default(),
            left: 0,
            frame: None,
            message: None,
            beginning: Beginning::default(),
            close_code: None,
            closed: false,
        }
    }

    /// Lets so many messages pass in all, and nothing behind the last one.
    pub fn allow(&mut self, messages_max: u64) {
        self.messages_max = messages_max;
    }

    /// Whether the last message that may pass has passed.
    pub fn is_spent(&self) -> bool {
        self.frame.is_none() && self.counts.messages >= self.messages_max
    }

    /// Reads on. `bytes` begin where the last scan stopped to let bytes pass.
    pub fn scan(&mut self, bytes: &[u8]) -> Scan {
        let mut passed = 0;
        loop {
            passed += self.payload(&bytes[passed..]);
            if self.frame.is_some() || passed == bytes.len() {
                return self.passed(passed, None);
            }
            if self.closed || self.is_spent() {
                // Nothing follows a close; what is sent behind it goes nowhere. What is sent behind the last message waits.
                return self.passed(passed, None);
            }
            let Some(header) = Header::read(&bytes[passed..]) else { return self.passed(passed, None) };
            if let Err(fault) = self.admit(&header) {
                return self.passed(passed, Some(fault));
            }
            passed += header.bytes;
        }
    }

    /// How many of `bytes` still belong to the frame under way; passes them and nothing behind them.
    pub fn finish_frame(&mut self, bytes: &[u8]) -> usize {
        let passed = self.payload(bytes);
        self.counts.bytes += passed as u64;
        passed
    }

    /// What has passed.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether all that passed was whole frames: here a frame of another's making may follow.
    pub fn is_between_frames(&self) -> bool {
        self.frame.is_none()
    }

    /// Whether all that passed was whole messages: here a message may follow.
    pub fn is_between_messages(&self) -> bool {
        self.frame.is_none() && self.message.is_none()
    }

    /// Whether a close has passed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// What it said, if it said something.
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    fn passed(&mut self, passed: usize, fault: Option<Fault>) -> Scan {
        self.counts.bytes += passed as u64;
        Scan { passed, fault }
    }

    /// Goes on in the payload under way.
    fn payload(&mut self, bytes: &[u8]) -> usize {
        let Some(frame) = self.frame else { return 0 };
        let run = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        if frame.is_looked_at() {
            self.beginning.take(&bytes[..run], frame.mask);
        }
        self.left -= run as u64;
        if self.left == 0 {
            self.end_frame(frame);
        }
        run
    }

    fn end_frame(&mut self, frame: Frame) {
        self.frame = None;
        match frame.opcode {
            CLOSE => {
                self.closed = true;
                self.close_code = self.beginning.close_code();
            }
            PING | PONG => {}
            _ if frame.fin => {
                let text = self.message.take().is_some_and(|message| message.text);
                let control = text && self.side == Side::Server && self.beginning.is_control_message();
                *(if control { &mut self.counts.controls } else { &mut self.counts.messages }) += 1;
            }
            _ => {}
        }
    }

    fn admit(&mut self, header: &Header) -> Result<(), Fault> {
        let opcode = header.first & OPCODE;
        let frame = Frame { fin: header.first & FIN != 0, opcode, mask: header.mask };
        if header.masked != (self.side == Side::Client) {
            return Err(Fault::Malformed("a frame is masked by the wrong side, or not masked"));
        }
        if header.length > LENGTH_MAX {
            return Err(Fault::Malformed("a length has its highest bit set"));
        }
        match opcode {
            CONTINUATION | TEXT | BINARY => self.admit_data(header, frame)?,
            CLOSE | PING | PONG => check_control(header, frame)?,
            _ => return Err(Fault::Malformed("a frame has an opcode that nothing has")),
        }
        if opcode != CONTINUATION && frame.is_looked_at() {
            self.beginning = Beginning::default();
        }
        (self.left, self.frame) = (header.length, Some(frame));
        if header.length == 0 {
            self.end_frame(frame);
        }
        Ok(())
    }

    fn admit_data(&mut self, header: &Header, frame: Frame) -> Result<(), Fault> {
        if header.first & RESERVED & !self.reserved != 0 {
            return Err(Fault::Malformed("a frame has a reserved bit that no extension was agreed for"));
        }
        let message = match (self.message, frame.opcode) {
            (Some(message), CONTINUATION) => message,
            (None, TEXT | BINARY) => Message { text: frame.opcode == TEXT, bytes: 0 },
            (None, _) => return Err(Fault::Malformed("a message begins with a continuation")),
            (Some(_), _) => return Err(Fault::Malformed("a message begins before the last one has ended")),
        };
        let bytes = message.bytes.saturating_add(header.length);
        if bytes > self.max_message_bytes {
            return Err(Fault::TooLarge);
        }
        self.message = Some(Message { bytes, ..message });
        Ok(())
    }
}

impl Frame {
    /// Only a close's code and the beginning of a text.
    fn is_looked_at(self) -> bool {
        matches!(self.opcode, CLOSE | TEXT)
    }
}

fn check_control(header: &Header, frame: Frame) -> Result<(), Fault> {
    if header.first & RESERVED != 0 {
        return Err(Fault::Malformed("a control frame has a reserved bit"));
    }
    if !frame.fin {
        return Err(Fault::Malformed("a control frame is fragmented"));
    }
    if header.length > SHORT_MAX_BYTES as u64 {
        return Err(Fault::Malformed("a control frame is longer than 125 bytes"));
    }
    match (frame.opcode, header.length) {
        (CLOSE, 1) => Err(Fault::Malformed("a close has half a code")),
        _ => Ok(()),
    }
}

impl Beginning {
    fn take(&mut self, bytes: &[u8], mask: [u8; 4]) {
        let run = bytes.len().min(BEGINNING_BYTES - self.len);
        for (nth, byte) in bytes[..run].iter().enumerate() {
            let at = self.len + nth;
            self.bytes[at] = byte ^ mask[at % mask.len()];
        }
        self.len += run;
    }

    fn close_code(&self) -> Option<u16> {
        (self.len >= 2).then(|| u16::from_be_bytes([self.bytes[0], self.bytes[1]]))
    }

    /// Whether it is one of fal's own messages, which say how the connection goes and are no model's answer (protocol 4.1).
    fn is_control_message(&self) -> bool {
        let begun = &self.bytes[..self.len];
        let has = |word: &[u8]| memchr::memmem::find(begun, word).is_some();
        has(b"\"x-fal-") || (has(b"\"status\"") && has(b"\"error\""))
    }
}

impl Header {
    /// A header at the beginning of `bytes`; `None` while it is not whole.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let masked = second & MASKED != 0;
        let (length, at) = match second & !MASKED {
            126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            short => (u64::from(short), 2),
        };
        let mask = match masked {
            true => bytes.get(at..at + 4)?.try_into().ok()?,
            false => [0; 4],
        };
        let bytes = at + if masked { mask.len() } else { 0 };
        debug_assert!(bytes <= HEADER_MAX_BYTES);
        Some(Self { bytes, first, masked, length, mask })
    }
}
