//! fal's answer coming down. It streams and is never whole here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::error::UpstreamError;
use super::pool::Lease;
use crate::clock::{Clock, Sleep};

/// How long an answer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerLimits {
    /// The longest silence that is borne.
    pub(super) idle: Duration,
    /// The longest time for an answer that is read whole before it goes on.
    pub(super) whole: Duration,
}

/// fal's answer on its way to the tenant. At its end the connection goes back to the pool; dropped before, the
/// connection is dropped too, which is how fal learns that nobody listens any more.
///
/// Boxed: the answer's head is handed on with it several times.
pub struct ResponseBody(Box<Reading>);

struct Reading {
    source: Incoming,
    lease: Option<Lease>,
    limits: AnswerLimits,
    clock: Arc<dyn Clock>,
    silence: Option<Sleep>,
    /// Whether all of it must come within `limits.whole`, and the time that is left, once it is waited for.
    hurried: bool,
    deadline: Option<Sleep>,
}

impl ResponseBody {
    pub(super) fn new(source: Incoming, lease: Lease, limits: AnswerLimits, clock: Arc<dyn Clock>) -> Self {
        let (lease, silence, deadline) = (Some(lease), None, None);
        let mut reading = Reading { source, lease, limits, clock, silence, hurried: false, deadline };
        reading.release_at_end();
        Self(Box::new(reading))
    }

    /// Bounds the time until the body's end, for a reader who waits for all of it: a drip keeps silence away and could
    /// go on for ever.
    pub fn hurry(mut self) -> Self {
        self.0.hurried = true;
        self
    }
}

impl Reading {
    /// Why a read whose time is over fails.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        let whole = self.limits.whole;
        if self.hurried
            && self.deadline.get_or_insert_with(|| self.clock.sleep(whole)).as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(format!("it was not whole after {} ms", whole.as_millis()));
        }
        let silence = self.silence.get_or_insert_with(|| self.clock.sleep(self.limits.idle));
        ready!(silence.as_mut().poll(cx));
        Poll::Ready(format!("nothing came for {} ms", self.limits.idle.as_millis()))
    }

    fn release_at_end(&mut self) {
        if self.source.is_end_stream() {
            self.release();
        }
    }

    fn cut(&self, reason: String) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        if let Some(lease) = &self.lease {
            lease.cut();
        }
        Poll::Ready(Some(Err(UpstreamError::Cut(reason))))
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = &mut *self.0;
        match Pin::new(&mut this.source).poll_frame(cx) {
            Poll::Pending => {
                let late = ready!(this.poll_late(cx));
                this.cut(late)
            }
            Poll::Ready(Some(Ok(frame))) => {
                this.silence = None;
                this.release_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => this.cut(error.to_string()),
            Poll::Ready(None) => {
                this.release();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.source.size_hint()
    }
}
