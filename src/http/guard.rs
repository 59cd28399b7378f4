//! A socket that does not wait for ever: not for the first request of a stranger, and not for a reader who reads
//! nothing. What lies between the two, idle time and bodies, is bounded where it is understood.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::{Clock, Sleep};

/// Says to the socket that its first request has come.
#[derive(Clone, Default)]
pub(super) struct Greeted(Arc<AtomicBool>);

impl Greeted {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket with a deadline for its first request and one for each stalled write.
pub(super) struct Guarded<S> {
    socket: S,
    greeted: Greeted,
    greeting: Option<Sleep>,
    write_idle: Duration,
    stall: Option<Sleep>,
    clock: Arc<dyn Clock>,
}

impl<S> Guarded<S> {
    pub(super) fn new(
        socket: S,
        greeted: Greeted,
        head_timeout: Duration,
        write_idle: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let greeting = Some(clock.sleep(head_timeout));
        Self { socket, greeted, greeting, write_idle, stall: None, clock }
    }

    /// Fails a read that waits for a first request past its deadline.
    fn poll_greeting(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.greeted.get() {
            self.greeting = None;
        }
        let Some(greeting) = &mut self.greeting else { return Poll::Pending };
        ready!(greeting.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "no request came in time"))
    }

    /// Fails a write that made no progress for too long.
    fn poll_stall<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stall = None;
            return wrote;
        }
        let (clock, write_idle) = (&self.clock, self.write_idle);
        ready!(self.stall.get_or_insert_with(|| clock.sleep(write_idle)).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket).poll_read(cx, buffer) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.poll_greeting(cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.poll_stall(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.poll_stall(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.poll_stall(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.socket).poll_shutdown(cx);
        self.poll_stall(cx, shut)
    }
}
