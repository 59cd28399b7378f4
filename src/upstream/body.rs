//! The tenant's request body going up. It streams and is never whole here.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::Notify;

use crate::clock::{Clock, Sleep};

/// How a request body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// It was read to its end.
    Complete {
        /// Its SHA-256, if it was wanted.
        sha256: Option<[u8; 32]>,
    },
    /// The tenant's connection broke.
    Broken,
    /// It is longer than the relay takes.
    TooLarge,
    /// The tenant sent nothing for too long.
    Stalled,
}

/// What is known of a request body while it travels: shared between the body and those who wait for the answer.
#[derive(Debug)]
pub struct BodyProgress {
    progress: Mutex<Progress>,
    informed: AtomicU32,
    flooded: Notify,
}

/// Informational answers (1xx) that are borne before the answer. fal sends none or one.
const INFORMATIONAL_MAX: u32 = 16;

#[derive(Debug)]
struct Progress {
    bytes: u64,
    moved_at: Duration,
    end: Option<BodyEnd>,
}

impl BodyProgress {
    fn new(now: Duration) -> Arc<Self> {
        let progress = Mutex::new(Progress { bytes: 0, moved_at: now, end: None });
        Arc::new(Self { progress, informed: AtomicU32::new(0), flooded: Notify::new() })
    }

    /// Counts an informational answer.
    pub(super) fn informed(&self) {
        if self.informed.fetch_add(1, Ordering::Relaxed) == INFORMATIONAL_MAX {
            self.flooded.notify_one();
        }
    }

    /// Resolves once more informational answers have come than are borne.
    pub(super) async fn flooded(&self) {
        self.flooded.notified().await;
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.with(|progress| progress.bytes)
    }

    /// How it ended, once it has.
    pub fn end(&self) -> Option<BodyEnd> {
        self.with(|progress| progress.end)
    }

    /// When it last moved, on [`Clock::elapsed`].
    pub(super) fn moved_at(&self) -> Duration {
        self.with(|progress| progress.moved_at)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Progress) -> T) -> T {
        act(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The beginning of a request body.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Its bytes.
    pub bytes: Bytes,
    /// Whether that is all of it.
    pub whole: bool,
}

/// Why a request body broke off; hyper carries it, [`BodyProgress`] tells it.
#[derive(Debug, thiserror::Error)]
#[error("the request body did not arrive whole")]
pub struct BodyError;

/// What a tenant sends, as it comes to the relay.
pub enum TenantBody {
    /// A request's body, not yet read.
    Coming(Incoming),
    /// Bytes that are here already.
    Whole(Bytes),
}

impl From<Incoming> for TenantBody {
    fn from(body: Incoming) -> Self {
        Self::Coming(body)
    }
}

impl Body for TenantBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Coming(body) => Pin::new(body).poll_frame(cx),
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Coming(body) => body.is_end_stream(),
            Self::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Coming(body) => body.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

/// The bounds of a request body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The most bytes that are taken.
    pub max_bytes: u64,
    /// The longest silence that is borne.
    pub idle: Duration,
    /// The pace below which all silences together may not fall.
    pub min_bytes_per_second: NonZeroU32,
}

/// Silences as long as they may be that are borne in all before the pace counts: a short body has no pace.
const PAUSES_BEFORE_PACE: u32 = 3;

impl BodyLimits {
    /// How much longer a body may be waited for of which `bytes` came after waiting for `waited` in all. Only waiting
    /// counts: while the relay itself holds a body back, its client owes nothing.
    fn patience(&self, bytes: u64, waited: Duration) -> Duration {
        let earned = Duration::from_secs(bytes / u64::from(self.min_bytes_per_second.get()));
        let all = (self.idle * PAUSES_BEFORE_PACE).saturating_add(earned);
        all.saturating_sub(waited).min(self.idle)
    }
}

/// A tenant's request body on its way to fal: counted, hashed, bounded in length and in silence.
pub struct RequestBody {
    /// What still comes. Boxed: most requests have no body, and all are handed on several times.
    coming: Option<Box<Coming>>,
    /// A body of the relay's own.
    own: Bytes,
    progress: Arc<BodyProgress>,
}

/// What is needed of a body while it comes.
struct Coming {
    source: TenantBody,
    /// What was read ahead and has not left yet.
    ahead: VecDeque<Bytes>,
    limits: BodyLimits,
    hashed: bool,
    /// Made at the first byte: most requests have none.
    hash: Option<digest::Context>,
    clock: Arc<dyn Clock>,
    silence: Option<Sleep>,
    silent_since: Option<Duration>,
    waited: Duration,
}

impl RequestBody {
    /// Wraps what the tenant sends.
    pub fn new(source: TenantBody, limits: BodyLimits, clock: Arc<dyn Clock>) -> Self {
        let progress = BodyProgress::new(clock.elapsed());
        let over = source.is_end_stream();
        let coming = Coming {
            source,
            ahead: VecDeque::new(),
            limits,
            hashed: true,
            hash: None,
            clock,
            silence: None,
            silent_since: None,
            waited: Duration::ZERO,
        };
        let mut body = Self { coming: Some(Box::new(coming)), own: Bytes::new(), progress };
        if over {
            body.complete();
        }
        body
    }

    /// A body of no bytes.
    pub fn empty(clock: &dyn Clock) -> Self {
        Self::own(Bytes::new(), clock)
    }

    /// A body of the relay's own.
    pub fn own(bytes: Bytes, clock: &dyn Clock) -> Self {
        Self { coming: None, own: bytes, progress: BodyProgress::new(clock.elapsed()) }
    }

    /// The same body without the SHA-256 of its bytes: a file's would cost more than all else that is done with it.
    pub fn unhashed(mut self) -> Self {
        if let Some(coming) = &mut self.coming {
            coming.hashed = false;
        }
        self
    }

    /// Reads the beginning of the body before any of it leaves: `max_bytes`, or all of a shorter one, and what came with
    /// the last of them. It leaves later as if it had not been looked at.
    pub async fn peek(&mut self, max_bytes: usize) -> Result<Beginning, BodyEnd> {
        let mut bytes = Bytes::new();
        while bytes.len() < max_bytes {
            match std::future::poll_fn(|cx| self.poll_data(cx)).await {
                None => return Ok(Beginning { bytes, whole: true }),
                Some(Err(end)) => return Err(end),
                Some(Ok(data)) => {
                    if let Some(coming) = &mut self.coming {
                        coming.ahead.push_back(data.clone());
                    }
                    bytes = if bytes.is_empty() { data } else { [bytes, data].concat().into() };
                }
            }
        }
        let whole = self.coming.as_ref().is_none_or(|coming| coming.source.is_end_stream());
        Ok(Beginning { bytes, whole })
    }

    /// What those who wait for the answer look at.
    pub fn progress(&self) -> Arc<BodyProgress> {
        self.progress.clone()
    }

    /// Ends the body, whole.
    fn complete(&mut self) {
        if let Some(coming) = &mut self.coming {
            coming.complete(&self.progress);
        }
    }

    fn fail(&mut self, end: BodyEnd) -> Poll<Option<Result<Bytes, BodyEnd>>> {
        if let Some(coming) = self.coming.take() {
            coming.conclude(&self.progress, end);
        }
        Poll::Ready(Some(Err(end)))
    }

    /// The next bytes from the tenant.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyEnd>>> {
        let Self { coming: Some(coming), progress, .. } = self else { return Poll::Ready(None) };
        match Pin::new(&mut coming.source).poll_frame(cx) {
            Poll::Pending => {
                ready!(coming.poll_silence(cx, progress));
                self.fail(BodyEnd::Stalled)
            }
            Poll::Ready(Some(Err(_))) => self.fail(BodyEnd::Broken),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => match coming.take(&data, progress) {
                    Ok(()) => Poll::Ready(Some(Ok(data))),
                    Err(end) => self.fail(end),
                },
                // Trailers end a body; none of them means anything to fal, so none travels.
                Err(_trailers) => {
                    self.complete();
                    Poll::Ready(None)
                }
            },
            Poll::Ready(None) => {
                self.complete();
                Poll::Ready(None)
            }
        }
    }
}

impl Coming {
    fn take(&mut self, data: &Bytes, progress: &BodyProgress) -> Result<(), BodyEnd> {
        self.silence = None;
        let now = self.clock.elapsed();
        if let Some(since) = self.silent_since.take() {
            self.waited += now.saturating_sub(since);
        }
        let bytes = progress.with(|progress| {
            progress.bytes += data.len() as u64;
            progress.moved_at = now;
            progress.bytes
        });
        if bytes > self.limits.max_bytes {
            return Err(BodyEnd::TooLarge);
        }
        if self.hashed {
            self.hash.get_or_insert_with(|| digest::Context::new(&digest::SHA256)).update(data);
        }
        if self.source.is_end_stream() {
            self.complete(progress);
        }
        Ok(())
    }

    fn complete(&mut self, progress: &BodyProgress) {
        let sha256 = self.hashed.then(|| {
            let hash = self.hash.take().unwrap_or_else(|| digest::Context::new(&digest::SHA256));
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(hash.finish().as_ref());
            sha256
        });
        self.conclude(progress, BodyEnd::Complete { sha256 });
    }

    /// The first end counts.
    fn conclude(&self, progress: &BodyProgress, end: BodyEnd) {
        let now = self.clock.elapsed();
        progress.with(|progress| {
            progress.end.get_or_insert(end);
            progress.moved_at = now;
        });
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>, progress: &BodyProgress) -> Poll<()> {
        if self.silence.is_none() {
            self.silent_since = Some(self.clock.elapsed());
            let patience = self.limits.patience(progress.bytes(), self.waited);
            self.silence = Some(self.clock.sleep(patience));
        }
        self.silence.as_mut().map_or(Poll::Pending, |silence| silence.as_mut().poll(cx))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.own.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.own)))));
        }
        if let Some(data) = self.coming.as_mut().and_then(|coming| coming.ahead.pop_front()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let data = ready!(self.poll_data(cx));
        Poll::Ready(data.map(|data| data.map(Frame::data).map_err(|_| BodyError)))
    }

    fn is_end_stream(&self) -> bool {
        self.own.is_empty()
            && self
                .coming
                .as_ref()
                .is_none_or(|coming| coming.ahead.is_empty() && coming.source.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let Some(coming) = &self.coming else { return SizeHint::with_exact(self.own.len() as u64) };
        let ahead = coming.ahead.iter().map(|data| data.len() as u64).sum::<u64>();
        let rest =
            if coming.source.is_end_stream() { SizeHint::with_exact(0) } else { coming.source.size_hint() };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + ahead);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + ahead);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_7_a_body_is_waited_for_as_long_as_it_keeps_its_pace() {
        let idle = Duration::from_secs(20);
        let limits =
            BodyLimits { max_bytes: u64::MAX, idle, min_bytes_per_second: NonZeroU32::new(1024).unwrap() };
        let seconds = Duration::from_secs;
        assert_eq!(limits.patience(0, seconds(0)), idle);
        assert_eq!(limits.patience(0, seconds(55)), seconds(5));
        assert_eq!(limits.patience(3, seconds(60)), seconds(0));
        // 100 MiB over a line of 2 KiB a second.
        for sent in 0..51_200 {
            assert_eq!(limits.patience(sent * 2048, seconds(sent)), idle);
        }
        // One byte in each silence that is almost too long.
        assert_eq!(limits.patience(4, seconds(76)), seconds(0));
    }
}
