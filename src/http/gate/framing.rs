//! Where HTTP/1 requests begin and end on a connection, as a pure machine over the bytes that come.
//!
//! Why beside hyper's own reading: hyper repairs what must be refused. It takes `Content-Length` with
//! `Transfer-Encoding` (and drops the length), `gzip, chunked`, the same length twice, lines that end in a bare LF, and
//! drops fragments; none of it can be seen once hyper has read it, and no setting turns it off. An own parser instead of
//! hyper's would be more code to trust; this one only says yes or no, holds a few numbers, and must agree with hyper only
//! on requests that leave no room for a second reading.

use super::chunks::Chunks;
use super::head::{BodyFraming, Head, HeadLimits};
use super::violation::Violation;

/// The machine.
#[derive(Debug)]
pub(super) struct Framing {
    limits: HeadLimits,
    at: At,
}

#[derive(Debug)]
enum At {
    Head(Head),
    Sized(u64),
    Chunked(Chunks),
}

/// How far some bytes were read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// So many of them may go on. What stays behind is a head that is not whole yet, or what is wrong.
    pub(super) passed: usize,
    /// What is wrong right after them.
    pub(super) violation: Option<Violation>,
}

impl Framing {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self { limits, at: At::Head(Head::default()) }
    }

    /// Reads on. `bytes` begin where the last scan stopped to let bytes pass.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scan {
        let mut passed = 0;
        while passed < bytes.len() {
            let rest = &bytes[passed..];
            let violation = match &mut self.at {
                At::Head(head) => match head.read(rest, &self.limits) {
                    Ok(None) => return Scan { passed, violation: None },
                    Ok(Some((length, framing))) => {
                        passed += length;
                        self.at = body(framing);
                        continue;
                    }
                    Err(violation) => violation,
                },
                At::Sized(left) => {
                    let run = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    passed += run;
                    *left -= run as u64;
                    if *left == 0 {
                        self.at = At::Head(Head::default());
                    }
                    continue;
                }
                At::Chunked(chunks) => {
                    let (read, result) = chunks.read(rest);
                    passed += read;
                    if chunks.is_over() {
                        self.at = At::Head(Head::default());
                    }
                    match result {
                        Ok(()) => continue,
                        Err(violation) => violation,
                    }
                }
            };
            return Scan { passed, violation: Some(violation) };
        }
        Scan { passed, violation: None }
    }

    /// Whether all that came was whole requests.
    pub(super) fn is_between_requests(&self) -> bool {
        matches!(&self.at, At::Head(head) if head.is_untouched())
    }

    /// Whether a head has begun or is awaited.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.at, At::Head(_))
    }
}

fn body(framing: BodyFraming) -> At {
    match framing {
        BodyFraming::Sized(0) => At::Head(Head::default()),
        BodyFraming::Sized(length) => At::Sized(length),
        BodyFraming::Chunked => At::Chunked(Chunks::default()),
    }
}
