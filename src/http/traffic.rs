//! The calls of one connection: what its gate must know of the service behind hyper, and nothing more.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::errand::Errand;
use super::gate::Violation;
use super::record::Recorded;
use crate::upstream::UpstreamError;

/// Calls of a connection. Its parts run in one task over HTTP/1 and in several over HTTP/2.
#[derive(Default)]
pub(super) struct Traffic {
    begun: AtomicU32,
    ended: AtomicU32,
    parkable: AtomicBool,
    last: AtomicBool,
    switched: AtomicBool,
    pages_may_read: AtomicBool,
    errand: Mutex<Option<Errand>>,
    refusal: OnceLock<Violation>,
}

impl Traffic {
    /// A call has come; it is open until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> OpenCall {
        self.begun.fetch_add(1, Ordering::Relaxed);
        OpenCall(self.clone())
    }

    /// How many calls have come so far. It wraps: only whether it has changed is of interest.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether no call is open.
    pub(super) fn is_quiet(&self) -> bool {
        self.ended.load(Ordering::Acquire) == self.begun()
    }

    /// Says why the gate ends the connection: hyper never sees what was refused, so no call tells of it.
    pub(super) fn refuse(&self, violation: Violation) {
        self.refusal.get_or_init(|| violation);
    }

    /// Why the gate ended the connection, if it did.
    pub(super) fn refusal(&self) -> Option<Violation> {
        self.refusal.get().copied()
    }

    /// Says that pages may call here, so that they may read why they got nowhere.
    pub(super) fn let_pages_read(&self) {
        self.pages_may_read.store(true, Ordering::Relaxed);
    }

    /// Whether that was said.
    pub(super) fn pages_may_read(&self) -> bool {
        self.pages_may_read.load(Ordering::Relaxed)
    }

    /// Says that the answer under way is the last one, whatever the client still sends.
    pub(super) fn set_last(&self) {
        self.last.store(true, Ordering::Relaxed);
    }

    /// Whether that was said.
    pub(super) fn is_last(&self) -> bool {
        self.last.load(Ordering::Relaxed)
    }

    /// Says that the connection goes on as something else once the answer under way is out.
    pub(super) fn switch_to(&self, errand: Errand) {
        *self.errand.lock().unwrap_or_else(PoisonError::into_inner) = Some(errand);
        self.switched.store(true, Ordering::Relaxed);
    }

    /// Whether that was said: what comes now is not HTTP.
    pub(super) fn is_switched(&self) -> bool {
        self.switched.load(Ordering::Relaxed)
    }

    /// What the connection goes on as, if it does.
    pub(super) fn take_errand(&self) -> Option<Errand> {
        self.errand.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Says that the connection has been idle for so long that its buffers are worth giving back.
    pub(super) fn set_parkable(&self, parkable: bool) {
        self.parkable.store(parkable, Ordering::Relaxed);
    }

    /// Whether that was said.
    pub(super) fn is_parkable(&self) -> bool {
        self.parkable.load(Ordering::Relaxed)
    }
}

/// A call that has no whole answer yet.
pub(super) struct OpenCall(Arc<Traffic>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

/// An answer's body, which keeps its call open.
pub(super) struct Answering {
    body: Recorded,
    _call: OpenCall,
}

impl Answering {
    pub(super) fn new(body: Recorded, call: OpenCall) -> Self {
        Self { body, _call: call }
    }
}

impl Body for Answering {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
