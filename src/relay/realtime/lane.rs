//! One direction of a socket: bytes as they come, looked over by the scanner, with room for what the other end does not
//! take at once and for nothing more.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::websocket::{Fault, Scanner};

/// Bytes that are read at once, and the most of them that wait for an end that does not take them.
const READ_BYTES: usize = 64 * 1024;

/// Why a lane carries nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Whoever sends is gone.
    SourceGone,
    /// Whoever takes is gone.
    SinkGone,
    /// What came is not let through.
    Fault(Fault),
    /// As many messages have passed as may.
    Spent,
    /// The last word is said.
    Said,
}

/// What a lane does with what comes.
#[derive(Debug)]
enum Mode {
    /// Carries it on.
    Carrying,
    /// Carries the frame under way to its end; then says this.
    Leaving(Vec<u8>),
    /// Has said all.
    Over,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) scanner: Scanner,
    mode: Mode,
    /// Looked over, and not taken yet.
    waiting: Vec<u8>,
    taken: usize,
    /// What came and may not go on yet: the beginning of a header, or messages beyond those that may pass.
    tail: Vec<u8>,
    /// Set when more of it may pass.
    allowed_more: bool,
    /// Set while something waits: since when.
    pub(super) stalled_since: Option<Duration>,
    unflushed: bool,
    /// Whether anything has moved since this was last set back.
    pub(super) moved: bool,
}

impl Lane {
    pub(super) fn new(scanner: Scanner) -> Self {
        Self {
            scanner,
            allowed_more: false,
            mode: Mode::Carrying,
            waiting: Vec::new(),
            taken: 0,
            tail: Vec::new(),
            stalled_since: None,
            unflushed: false,
            moved: false,
        }
    }

    /// Lets so many messages pass, in all; nothing is read behind the last one.
    pub(super) fn allow(&mut self, messages_max: u64) {
        self.scanner.allow(messages_max);
        self.allowed_more = true;
    }

    /// Carries nothing more but the frame under way, and then says `last`.
    pub(super) fn leave(&mut self, last: Vec<u8>) {
        self.tail = Vec::new();
        self.mode = Mode::Leaving(last);
    }

    /// Carries as much as goes. Pending when an end has nothing, or takes nothing.
    pub(super) fn poll<R, W>(&mut self, cx: &mut Context<'_>, source: &mut R, sink: &mut W) -> Poll<Stop>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            match self.poll_waiting(cx, sink) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Stop::SinkGone),
                Poll::Pending => return Poll::Pending,
            }
            match &mut self.mode {
                Mode::Leaving(last) if self.scanner.is_between_frames() => {
                    self.waiting = std::mem::take(last);
                    self.mode = Mode::Over;
                    continue;
                }
                Mode::Over => return Poll::Ready(Stop::Said),
                Mode::Carrying if self.scanner.is_spent() => return Poll::Ready(Stop::Spent),
                Mode::Carrying if std::mem::take(&mut self.allowed_more) => {
                    let tail = std::mem::take(&mut self.tail);
                    match self.pass(cx, &tail, sink) {
                        Ok(()) => continue,
                        Err(stop) => return Poll::Ready(stop),
                    }
                }
                _ => {}
            }
            match self.poll_source(cx, source, sink) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(stop)) => return Poll::Ready(stop),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Reads once, and lets what may go on go on.
    fn poll_source<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
    ) -> Poll<Result<(), Stop>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        // On the stack and not filled: a socket at rest holds no buffer.
        let mut room = [const { MaybeUninit::<u8>::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut room);
        match Pin::new(source).poll_read(cx, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            Poll::Ready(_) => return Poll::Ready(Err(Stop::SourceGone)),
        }
        self.moved = true;
        if self.tail.is_empty() {
            return Poll::Ready(self.pass(cx, buffer.filled(), sink));
        }
        let whole = [&std::mem::take(&mut self.tail), buffer.filled()].concat();
        Poll::Ready(self.pass(cx, &whole, sink))
    }

    /// Looks over `bytes`, and writes what may go on: at once as far as it is taken, the rest later.
    fn pass<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sink: &mut W,
    ) -> Result<(), Stop> {
        let (passed, fault) = match self.mode {
            Mode::Carrying => {
                let scan = self.scanner.scan(bytes);
                (scan.passed, scan.fault)
            }
            Mode::Leaving(_) | Mode::Over => (self.scanner.finish_frame(bytes), None),
        };
        let carrying = matches!(self.mode, Mode::Carrying);
        if fault.is_none() && carrying && !self.scanner.is_closed() {
            self.tail.extend_from_slice(&bytes[passed..]);
        }
        let wrote = match passed {
            0 => 0,
            _ => match Pin::new(sink).poll_write(cx, &bytes[..passed]) {
                Poll::Ready(Ok(wrote)) if wrote > 0 => wrote,
                Poll::Ready(_) => return Err(Stop::SinkGone),
                Poll::Pending => 0,
            },
        };
        self.unflushed |= wrote > 0;
        self.waiting.extend_from_slice(&bytes[wrote..passed]);
        fault.map_or(Ok(()), |fault| Err(Stop::Fault(fault)))
    }

    /// Writes what waits, and flushes.
    fn poll_waiting<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<std::io::Result<()>> {
        while self.taken < self.waiting.len() {
            let wrote = std::task::ready!(Pin::new(&mut *sink).poll_write(cx, &self.waiting[self.taken..]))?;
            if wrote == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.taken += wrote;
            (self.moved, self.unflushed, self.stalled_since) = (true, true, None);
        }
        if !self.waiting.is_empty() {
            (self.waiting, self.taken) = (Vec::new(), 0);
        }
        if self.unflushed {
            std::task::ready!(Pin::new(sink).poll_flush(cx))?;
            self.unflushed = false;
        }
        self.stalled_since = None;
        Poll::Ready(Ok(()))
    }

    /// Whether a close has gone through it, whole.
    pub(super) fn has_closed(&self) -> bool {
        self.scanner.is_closed() && !self.is_stalled()
    }

    /// Whether something waits for an end that does not take it.
    pub(super) fn is_stalled(&self) -> bool {
        !self.waiting.is_empty() || self.unflushed
    }
}
