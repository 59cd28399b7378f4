//! A connection as hyper sees it: only bytes that are well formed, no wait without an end, and a last word that arrives.
//!
//! - **Bytes.** Each read is looked over in hyper's own buffer. A head that is not whole yet is held back here, so a slow
//!   or oversized one costs its own bytes and no parser; the usual head comes whole and is not copied.
//! - **Waits.** A head, the time between requests, a stalled write and the close are bounded. (What a body may take is
//!   bounded where bodies are read.) One alarm serves the first two: it rings at the earliest possible end and is set
//!   again when there is time left, so a busy connection never touches a timer.
//! - **The last word.** A refusal is sent when the calls before it are answered. Then the socket is closed for writing and
//!   read on for a while: closing it with unread bytes would make the system throw the refusal away.

mod chunks;
mod closing;
mod deadline;
mod frames;
mod framing;
mod head;
#[cfg(test)]
mod tests;
mod violation;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use closing::Closing;
use deadline::Alarm;
use frames::{Frames, PREFACE};
use framing::Framing;
pub(super) use head::HeadLimits;
pub(super) use violation::Violation;

use super::settings::Settings;
use super::traffic::Traffic;
use crate::clock::{Clock, Sleep};

/// Bytes that are read at once while there is no hyper to bring a buffer.
const FIRST_READ_BYTES: usize = 1024;

/// What a connection speaks.
#[derive(Debug)]
enum Protocol {
    /// Nothing was said yet.
    Unknown,
    Http1(Framing),
    Http2(Box<Frames>),
    /// Something that is not HTTP: it is for others to read.
    Other,
}

/// Why nothing more is read.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// Nobody asked for anything: nothing is said.
    Quiet,
    /// A request is not let in.
    Refused(Violation),
    /// A body is malformed: whoever reads it says so.
    BrokenBody,
}

/// A connection behind its gate.
pub(super) struct Gate<S> {
    socket: S,
    traffic: Arc<Traffic>,
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    born: Duration,
    protocol: Protocol,
    /// Came, and may not go on yet.
    held: Vec<u8>,
    /// May go on, and waits to be fetched.
    ready: Vec<u8>,
    fetched: usize,
    ending: Option<Ending>,
    closing: Closing,
    /// The client will send no more.
    at_end: bool,
    head_since: Option<Duration>,
    idle_since: Option<(u32, Duration)>,
    alarm: Option<Alarm>,
    stall: Option<Sleep>,
    linger: Option<Sleep>,
    reader: Option<Waker>,
    written: u64,
}

impl<S> Gate<S> {
    pub(super) fn new(
        socket: S,
        traffic: Arc<Traffic>,
        settings: Arc<Settings>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            socket,
            traffic,
            settings,
            born: clock.elapsed(),
            clock,
            protocol: Protocol::Unknown,
            held: Vec::new(),
            ready: Vec::new(),
            fetched: 0,
            ending: None,
            closing: Closing::NotYet,
            at_end: false,
            head_since: None,
            idle_since: None,
            alarm: None,
            stall: None,
            linger: None,
            reader: None,
            written: 0,
        }
    }

    /// Takes back what hyper had read and not used.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        let waiting = self.ready.split_off(self.fetched);
        self.ready = [bytes, &waiting].concat();
        self.fetched = 0;
    }

    /// Lets everything pass from now on: the connection has left HTTP. Writes that make no progress still fail, and the close
    /// is still heard out.
    pub(super) fn open_up(&mut self) {
        self.protocol = Protocol::Other;
        (self.alarm, self.head_since, self.ending) = (None, None, None);
        let held = std::mem::take(&mut self.held);
        self.ready.extend(held);
    }

    /// Whether bytes go past unread.
    fn is_open(&self) -> bool {
        matches!(self.protocol, Protocol::Other) || self.traffic.is_switched()
    }

    /// Whether the client began with HTTP/2, once [`Gate::first_bytes`] has seen.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.protocol, Protocol::Http2(_))
    }

    /// Gives out what may go on; false when nothing waits.
    fn hand_over(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let waiting = &self.ready[self.fetched..];
        if waiting.is_empty() {
            return false;
        }
        let run = waiting.len().min(out.remaining());
        out.put_slice(&waiting[..run]);
        self.fetched += run;
        if self.fetched == self.ready.len() {
            (self.ready, self.fetched) = (Vec::new(), 0);
        }
        true
    }

    /// Looks over what was just read into `out` from `start` on, and takes out of it what may not go on.
    fn sift(&mut self, out: &mut ReadBuf<'_>, start: usize) {
        if !self.held.is_empty() {
            self.held.extend_from_slice(&out.filled()[start..]);
            out.set_filled(start);
            return self.sift_held();
        }
        let passed = self.scan(&out.filled()[start..]);
        if self.ending.is_none() {
            self.held.extend_from_slice(&out.filled()[start + passed..]);
        }
        out.set_filled(start + passed);
        self.note_head();
    }

    /// Looks over what is held.
    fn sift_held(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let passed = self.scan(&held);
        if passed == 0 {
            self.held = held;
        } else {
            self.held = held.split_off(passed);
            self.ready.append(&mut held);
        }
        if self.ending.is_some() {
            self.held = Vec::new();
        }
        self.note_head();
    }

    /// How many of `bytes` may go on; notes what is wrong after them.
    fn scan(&mut self, bytes: &[u8]) -> usize {
        if self.is_open() {
            return bytes.len();
        }
        match &mut self.protocol {
            Protocol::Unknown | Protocol::Other => 0,
            Protocol::Http1(framing) => {
                let scan = framing.scan(bytes);
                if let Some(violation) = scan.violation {
                    let in_head = framing.is_in_head();
                    self.ending = Some(if in_head { Ending::Refused(violation) } else { Ending::BrokenBody });
                }
                scan.passed
            }
            Protocol::Http2(frames) => {
                let seconds = self.clock.elapsed().saturating_sub(self.born).as_secs();
                match frames.scan(bytes, self.written, seconds) {
                    Ok(()) => bytes.len(),
                    Err(violation) => {
                        self.ending = Some(Ending::Refused(violation));
                        0
                    }
                }
            }
        }
    }

    /// Finds out what the client speaks; false while it could still be either.
    fn recognise(&mut self) -> bool {
        if !matches!(self.protocol, Protocol::Unknown) {
            return true;
        }
        let compared = self.held.len().min(PREFACE.len());
        let limits = HeadLimits {
            max_bytes: self.settings.max_head_bytes,
            max_target_bytes: self.settings.max_target_bytes,
            max_fields: self.settings.max_headers,
        };
        if self.held[..compared] != PREFACE[..compared] {
            self.protocol = Protocol::Http1(Framing::new(limits));
        } else if compared == PREFACE.len() {
            self.protocol = Protocol::Http2(Box::default());
        }
        !matches!(self.protocol, Protocol::Unknown)
    }

    /// What a read tells hyper when nothing more is let in. Calls under way are answered first: a refusal before their
    /// answers would be taken for one of them.
    fn poll_ending(&mut self, cx: &Context<'_>, ending: Ending) -> Poll<io::Result<()>> {
        let broken = |why: &str| Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        match ending {
            Ending::BrokenBody => broken("the request body is malformed"),
            Ending::Refused(_) if self.is_http2() => broken("the client breaks the rules of HTTP/2"),
            Ending::Quiet | Ending::Refused(_) if self.traffic.is_quiet() => Poll::Ready(Ok(())),
            Ending::Quiet | Ending::Refused(_) => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Gate<S> {
    /// Waits for the first request of a connection, or for its next one while no hyper is there: whole, as far as its
    /// head. False when none came: then the connection is only to be shut down.
    pub(super) async fn first_bytes(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll_first_bytes(cx)).await
    }

    fn poll_first_bytes(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut bytes = [0; FIRST_READ_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.socket).poll_read(cx, &mut buffer) {
                Poll::Pending => {
                    ready!(self.poll_deadline(cx));
                    return Poll::Ready(false);
                }
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.held.extend_from_slice(buffer.filled());
                }
                Poll::Ready(_) => {
                    self.at_end = true;
                    return Poll::Ready(false);
                }
            }
            match self.recognise() {
                true => self.sift_held(),
                false => self.note_head(),
            }
            // What passed is served first, also when something is wrong behind it.
            if self.ending.is_some() || !self.ready.is_empty() {
                return Poll::Ready(!self.ready.is_empty());
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let start = out.filled().len();
        loop {
            if this.hand_over(out) || out.filled().len() > start {
                return Poll::Ready(Ok(()));
            }
            if let Some(ending) = this.ending {
                return this.poll_ending(cx, ending);
            }
            match Pin::new(&mut this.socket).poll_read(cx, out) {
                Poll::Pending => ready!(this.poll_deadline(cx)),
                Poll::Ready(Ok(())) if out.filled().len() > start => this.sift(out, start),
                Poll::Ready(result) => {
                    this.at_end = true;
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = ready!(self.poll_say(cx, bytes))?;
        self.written += wrote as u64;
        Poll::Ready(Ok(wrote))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        let wrote = ready!(self.poll_stall(cx, wrote))?;
        self.written += wrote as u64;
        Poll::Ready(Ok(wrote))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// hyper flushes when all it had to write is written: here a connection is seen to become idle.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        ready!(self.poll_stall(cx, flushed))?;
        if self.traffic.is_quiet() && !self.is_open() {
            let rang = self.ending.is_none() && self.poll_deadline(cx).is_ready();
            if rang {
                cx.waker().wake_by_ref();
            }
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_close(cx)
    }
}
