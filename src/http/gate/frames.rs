//! The frames of an HTTP/2 connection, counted by their nine-byte heads. The h2 crate bounds what a frame may cost in
//! memory; how many that carry nothing a client may send is bounded here.

use super::violation::Violation;

/// What every HTTP/2 connection begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frames without a payload of their own that are borne at any time: settings, pings, priorities, window updates,
/// continuations, unknown ones.
const IDLE_FRAMES_BURST: u64 = 200;
/// More of them are borne for each frame of a request.
const IDLE_FRAMES_PER_USEFUL: u64 = 2;
/// More of them are borne as answers are sent, since a reader owns up to what it has read: one for so many bytes.
const WRITTEN_BYTES_PER_IDLE_FRAME: u64 = 128;
/// Requests that may be taken back; beyond, no more than half of all.
const RESETS_BURST: u64 = 100;

const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Counts frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    preface_read: usize,
    head: [u8; HEAD_BYTES],
    head_read: usize,
    payload_left: usize,
    headers_open: bool,
    useful: u64,
    idle: u64,
    opened: u64,
    resets: u64,
}

impl Frames {
    /// Counts what is in `bytes`. So far `written` bytes were sent, over `seconds`.
    pub(super) fn scan(&mut self, mut bytes: &[u8], written: u64, seconds: u64) -> Result<(), Violation> {
        let preface = (PREFACE.len() - self.preface_read).min(bytes.len());
        self.preface_read += preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let run = self.payload_left.min(bytes.len());
                self.payload_left -= run;
                bytes = &bytes[run..];
                continue;
            }
            let run = (HEAD_BYTES - self.head_read).min(bytes.len());
            self.head[self.head_read..self.head_read + run].copy_from_slice(&bytes[..run]);
            self.head_read += run;
            bytes = &bytes[run..];
            if self.head_read == HEAD_BYTES {
                self.frame();
            }
        }
        self.check(written, seconds)
    }

    /// Whether a request's headers have begun and not ended, or the client has not said a whole frame.
    pub(super) fn is_in_head(&self) -> bool {
        self.headers_open || self.head_read > 0
    }

    fn frame(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.head_read = 0;
        self.payload_left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        match kind {
            DATA if self.payload_left > 0 => self.useful += 1,
            HEADERS => {
                self.useful += 1;
                self.opened += 1;
            }
            RST_STREAM => self.resets += 1,
            _ => self.idle += 1,
        }
        if matches!(kind, HEADERS | CONTINUATION) {
            self.headers_open = flags & END_HEADERS == 0;
        }
    }

    fn check(&self, written: u64, seconds: u64) -> Result<(), Violation> {
        let earned = self.useful * IDLE_FRAMES_PER_USEFUL + written / WRITTEN_BYTES_PER_IDLE_FRAME + seconds;
        match self.idle > IDLE_FRAMES_BURST + earned || self.resets > RESETS_BURST + self.opened / 2 {
            true => Err(Violation::FrameFlood),
            false => Ok(()),
        }
    }
}
