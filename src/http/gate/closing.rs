//! The last word of a connection, and its close: said whole, and not taken back by the close itself.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Ending, Gate, Protocol};

/// How long a connection is read on after its last word.
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// Bytes that are thrown away at once in that time.
const LINGER_READ_BYTES: usize = 8 * 1024;

/// The steps of a close.
#[derive(Debug)]
pub(super) enum Closing {
    NotYet,
    Saying { answer: Vec<u8>, said: usize },
    Shutting,
    Lingering,
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Gate<S> {
    /// Fails a write that made no progress for too long.
    pub(super) fn poll_stall<T>(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stall = None;
            return wrote;
        }
        let (clock, write_idle) = (&self.clock, self.settings.write_idle);
        ready!(self.stall.get_or_insert_with(|| clock.sleep(write_idle)).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }

    pub(super) fn poll_say(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.poll_stall(cx, wrote)
    }

    /// Throws away what still comes, until the client is done or [`LINGER`] is over.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let clock = &self.clock;
        let linger = self.linger.get_or_insert_with(|| clock.sleep(LINGER));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut bytes = [0; LINGER_READ_BYTES];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.closing = match std::mem::replace(&mut self.closing, Closing::Over) {
                Closing::NotYet => match self.ending {
                    Some(Ending::Refused(violation)) if !self.is_http2() => {
                        self.traffic.refuse(violation);
                        Closing::Saying { answer: violation.answer(self.traffic.pages_may_read()), said: 0 }
                    }
                    _ => Closing::Shutting,
                },
                Closing::Saying { answer, said } => match self.poll_say(cx, &answer[said..])? {
                    Poll::Ready(wrote) if wrote > 0 && said + wrote < answer.len() => {
                        Closing::Saying { answer, said: said + wrote }
                    }
                    Poll::Ready(_) => Closing::Shutting,
                    Poll::Pending => {
                        self.closing = Closing::Saying { answer, said };
                        return Poll::Pending;
                    }
                },
                Closing::Shutting => {
                    let shut = Pin::new(&mut self.socket).poll_shutdown(cx);
                    match self.poll_stall(cx, shut)? {
                        Poll::Ready(()) if self.may_go_unheard() => Closing::Lingering,
                        Poll::Ready(()) => Closing::Over,
                        Poll::Pending => {
                            self.closing = Closing::Shutting;
                            return Poll::Pending;
                        }
                    }
                }
                Closing::Lingering => match self.poll_linger(cx) {
                    Poll::Ready(()) => Closing::Over,
                    Poll::Pending => {
                        self.closing = Closing::Lingering;
                        return Poll::Pending;
                    }
                },
                Closing::Over => return Poll::Ready(Ok(())),
            };
        }
    }

    /// Whether the client may still be sending, so that a close would take our last word from it.
    fn may_go_unheard(&self) -> bool {
        let more = match &self.protocol {
            Protocol::Http1(framing) => self.traffic.is_last() || !framing.is_between_requests(),
            Protocol::Unknown | Protocol::Http2(_) => false,
            Protocol::Other => true,
        };
        !self.at_end && (more || matches!(self.ending, Some(Ending::Refused(_))))
    }
}
