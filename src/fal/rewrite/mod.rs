//! fal's addresses in a reply become the relay's, as the reply streams by. Only `response_url`, `status_url` and
//! `cancel_url` of the top-level object are touched; every other byte leaves as it came.

use std::sync::Arc;

use bytes::BytesMut;

use crate::fal::json::Scanner;
use crate::fal::sse::{Framing, Piece};

/// Whose addresses are replaced, and by which.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Bases without a slash at the end, the longest first, so that the first that matches is the one meant.
    fal: Arc<[String]>,
    /// As it stands between the quotes of a JSON string.
    public: String,
}

/// Rewrites one reply, in chunks cut anywhere, in constant memory: no more is held back than the beginning of one value,
/// [`Addresses::hold_max`] bytes.
#[derive(Debug)]
pub struct Rewriter {
    /// How events lie in the reply; none in plain JSON.
    framing: Option<Framing>,
    document: Document,
}

/// One JSON document on its way through.
#[derive(Debug)]
struct Document {
    addresses: Arc<Addresses>,
    scanner: Scanner,
    /// The beginning of an address, cut before one can say whose it is: read, and not yet out.
    held: Option<Vec<u8>>,
}

/// What the beginning of a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// An address under one of fal's bases.
    Fals(Prefix),
    /// None of fal's.
    Foreign,
    /// Cut before that can be said.
    Open,
}

/// fal's base as it stands in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    len: usize,
    /// Whether its slashes are written `\/`.
    escaped: bool,
}

impl Addresses {
    /// `fal` are bases such as `https://queue.fal.run`, `public` is the base that takes their place. Slashes at their
    /// ends do not count.
    pub fn new(fal: impl IntoIterator<Item = String>, public: &str) -> Self {
        let mut fal: Vec<String> =
            fal.into_iter().map(|base| base.trim_end_matches('/').to_owned()).collect();
        fal.retain(|base| !base.is_empty());
        fal.sort_by_key(|base| std::cmp::Reverse(base.len()));
        Self { fal: fal.into(), public: in_json(public) }
    }

    /// The same addresses of fal's with another base to take their place.
    pub fn with_public(&self, public: &str) -> Self {
        Self { fal: Arc::clone(&self.fal), public: in_json(public) }
    }

    /// fal's bases, without a slash at the end.
    pub fn fal(&self) -> &[String] {
        &self.fal
    }

    /// The most bytes that decide whether a value is fal's: the longest base with each slash escaped, and what ends it.
    pub fn hold_max(&self) -> usize {
        2 * self.fal.first().map_or(0, String::len) + 2
    }

    fn judge(&self, value: &[u8]) -> Verdict {
        let mut verdicts = self.fal.iter().map(|base| judge(base.as_bytes(), value));
        verdicts.find(|verdict| *verdict != Verdict::Foreign).unwrap_or(Verdict::Foreign)
    }

    /// Writes the public base with its slashes as fal wrote its own.
    fn write_public(&self, prefix: Prefix, out: &mut BytesMut) {
        if !prefix.escaped {
            return out.extend_from_slice(self.public.as_bytes());
        }
        for (nth, part) in self.public.split('/').enumerate() {
            out.extend_from_slice(if nth == 0 { b"" } else { br"\/" });
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// A public base as it stands in a JSON string; it may come from a request's `Host`.
fn in_json(public: &str) -> String {
    let quoted = serde_json::Value::from(public.trim_end_matches('/')).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Compares the beginning of a value, as it stands in JSON, with one base and with what may end a base.
fn judge(base: &[u8], value: &[u8]) -> Verdict {
    match value.get(..base.len()) {
        // As fal writes it: nothing is escaped, and slices are compared many bytes at a time.
        Some(head) if head == base => judge_end(value, Prefix { len: base.len(), escaped: false }),
        Some(head) if memchr::memchr(b'\\', head).is_none() => Verdict::Foreign,
        _ => judge_escaped(base, value),
    }
}

fn judge_escaped(base: &[u8], value: &[u8]) -> Verdict {
    let (mut len, mut escaped) = (0, false);
    for wanted in base {
        match (wanted, &value[len..]) {
            (_, []) | (b'/', [b'\\']) => return Verdict::Open,
            (b'/', [b'\\', b'/', ..]) => (len, escaped) = (len + 2, true),
            (_, [byte, ..]) if byte == wanted => len += 1,
            _ => return Verdict::Foreign,
        }
    }
    judge_end(value, Prefix { len, escaped })
}

/// Looks at what stands behind a base.
fn judge_end(value: &[u8], prefix: Prefix) -> Verdict {
    match &value[prefix.len..] {
        [] | [b'\\'] => Verdict::Open,
        [b'/' | b'?' | b'#' | b'"', ..] | [b'\\', b'/', ..] => Verdict::Fals(prefix),
        _ => Verdict::Foreign,
    }
}

impl Rewriter {
    /// For a reply that is one JSON document.
    pub fn json(addresses: Arc<Addresses>) -> Self {
        Self { framing: None, document: Document::new(addresses) }
    }

    /// For a reply of server-sent events, each of which carries a JSON document.
    pub fn events(addresses: Arc<Addresses>) -> Self {
        Self { framing: Some(Framing::new()), document: Document::new(addresses) }
    }

    /// Reads `chunk` and appends to `out` what can leave.
    pub fn push(&mut self, chunk: &[u8], out: &mut BytesMut) {
        out.reserve(chunk.len());
        match &mut self.framing {
            Some(framing) => push_events(framing, &mut self.document, chunk, out),
            None => self.document.read(chunk, out),
        }
    }

    /// Appends what was held back when the reply ends, whole or not.
    pub fn finish(&mut self, out: &mut BytesMut) {
        self.document.release(out);
    }
}

fn push_events(framing: &mut Framing, document: &mut Document, mut chunk: &[u8], out: &mut BytesMut) {
    while !chunk.is_empty() {
        let (piece, bytes, rest) = framing.split(chunk);
        chunk = rest;
        match piece {
            Piece::Data => {
                document.read(bytes, out);
                continue;
            }
            Piece::DataEnd => document.end_line(out),
            Piece::EventEnd => document.scanner = Scanner::new(),
            Piece::Frame => {}
        }
        out.extend_from_slice(bytes);
    }
}

impl Document {
    fn new(addresses: Arc<Addresses>) -> Self {
        Self { addresses, scanner: Scanner::new(), held: None }
    }

    fn read(&mut self, text: &[u8], out: &mut BytesMut) {
        let mut written = self.resume(text, out);
        let mut at = 0;
        while let Some(len) = self.scanner.next_address(&text[at..]) {
            at += len;
            match self.addresses.judge(&text[at..]) {
                Verdict::Foreign => continue,
                Verdict::Fals(prefix) => {
                    out.extend_from_slice(&text[written..at]);
                    self.addresses.write_public(prefix, out);
                    written = at + prefix.len;
                }
                Verdict::Open => {
                    out.extend_from_slice(&text[written..at]);
                    self.held = Some(text[at..].to_vec());
                    written = text.len();
                }
            }
        }
        out.extend_from_slice(&text[written..]);
    }

    /// Judges the value that is held with what `text` adds to it; says how many bytes of `text` are thereby done with.
    fn resume(&mut self, text: &[u8], out: &mut BytesMut) -> usize {
        let Some(mut held) = self.held.take() else {
            return 0;
        };
        let before = held.len();
        let room = self.addresses.hold_max().saturating_sub(before);
        held.extend_from_slice(&text[..room.min(text.len())]);
        let prefix = match self.addresses.judge(&held) {
            Verdict::Fals(prefix) => {
                self.addresses.write_public(prefix, out);
                prefix.len
            }
            Verdict::Foreign => 0,
            Verdict::Open => {
                self.held = Some(held);
                return text.len();
            }
        };
        // What was held beyond the base leaves as it came; what of the base lies in `text` does not leave.
        out.extend_from_slice(held[..before].get(prefix..).unwrap_or_default());
        prefix.saturating_sub(before)
    }

    /// Takes the line end inside an event's data, which in a string is no part of an address.
    fn end_line(&mut self, out: &mut BytesMut) {
        self.release(out);
        // A line end opens no value.
        let _ = self.scanner.next_address(b"\n");
    }

    fn release(&mut self, out: &mut BytesMut) {
        if let Some(held) = self.held.take() {
            out.extend_from_slice(&held);
        }
    }
}

#[cfg(test)]
mod tests;
