//! As much of HTTP/1.1 as both sides need: where a head ends, and where a body ends.

use memchr::memmem;

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
}

/// A head that is complete.
#[derive(Debug)]
pub struct Head<'a> {
    pub first_line: &'a str,
    /// Its bytes, with the empty line.
    pub len: usize,
    pub framing: Framing,
}

/// The head at the beginning of `bytes`, once it is complete.
pub fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let len = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..len]).ok()?;
    let mut lines = text.split("\r\n");
    let first_line = lines.next()?;
    let mut framing = Framing::Length(0);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(value.trim().parse().ok()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        }
    }
    Some(Head { first_line, len, framing })
}

/// What of a body is still to come.
#[derive(Debug)]
pub struct Remaining(State);

#[derive(Debug)]
enum State {
    Data(u64),
    ChunkSize(u64),
    ChunkExtension(u64),
    ChunkData(u64),
    ChunkDataEnd,
    /// A trailer line; true while it is empty.
    Trailer(bool),
    Done,
}

impl Remaining {
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(bytes) => State::Data(bytes),
            Framing::Chunked => State::ChunkSize(0),
        })
    }

    pub fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Takes what of `bytes` belongs to the body; says how many that were.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            at += self.step(&bytes[at..]);
        }
        at
    }

    fn step(&mut self, bytes: &[u8]) -> usize {
        match self.0 {
            State::Data(left) => {
                let taken = left.min(bytes.len() as u64);
                self.0 = if taken == left { State::Done } else { State::Data(left - taken) };
                taken as usize
            }
            State::ChunkData(left) => {
                let taken = left.min(bytes.len() as u64);
                self.0 = if taken == left { State::ChunkDataEnd } else { State::ChunkData(left - taken) };
                taken as usize
            }
            _ => {
                self.byte(bytes[0]);
                1
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        self.0 = match (&self.0, byte) {
            (State::ChunkSize(0) | State::ChunkExtension(0), b'\n') => State::Trailer(true),
            (State::ChunkSize(size) | State::ChunkExtension(size), b'\n') => State::ChunkData(*size),
            (State::ChunkSize(size), digit) => match char::from(digit).to_digit(16) {
                Some(digit) => State::ChunkSize(size * 16 + u64::from(digit)),
                None => State::ChunkExtension(*size),
            },
            (State::ChunkExtension(size), _) => State::ChunkExtension(*size),
            (State::ChunkDataEnd, b'\n') => State::ChunkSize(0),
            (State::ChunkDataEnd, _) => State::ChunkDataEnd,
            (State::Trailer(true), b'\n') => State::Done,
            (State::Trailer(_), b'\n') => State::Trailer(true),
            (State::Trailer(empty), b'\r') => State::Trailer(*empty),
            _ => State::Trailer(false),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_its_length_and_its_bodys() {
        let bytes = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nbody";
        let head = head(bytes).unwrap();
        assert_eq!((head.first_line, head.len), ("POST /x HTTP/1.1", bytes.len() - 4));
        assert_eq!(head.framing, Framing::Length(12));
        assert!(super::head(&bytes[..40]).is_none());
    }

    #[test]
    fn a_chunked_body_ends_wherever_it_is_cut() {
        let body = b"5;x=y\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: 1\r\n\r\nnext";
        for cut in 0..body.len() - 4 {
            let mut remaining = Remaining::new(Framing::Chunked);
            let first = remaining.take(&body[..cut]);
            assert_eq!(first, cut);
            assert_eq!(remaining.take(&body[cut..]), body.len() - 4 - cut);
            assert!(remaining.is_done());
        }
    }

    #[test]
    fn a_body_of_known_length_leaves_the_rest() {
        let mut remaining = Remaining::new(Framing::Length(3));
        assert_eq!(remaining.take(b"abcdef"), 3);
        assert!(remaining.is_done());
    }
}
