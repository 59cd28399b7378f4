//! The one log line of a call, written when its answer has ended, however it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::refusal;
use crate::clock::Clock;
use crate::metrics::{self, EndedCall, Worker};
use crate::relay::{Fault, Notes, Refusal, ReplyBody};
use crate::upstream::UpstreamError;

/// Numbers the calls of this process: a part that differs from process to process, and a count.
pub struct Numbers {
    process: u32,
    count: AtomicU64,
}

impl Numbers {
    /// Numbers that begin with this process's part.
    pub fn new(process: u32) -> Arc<Self> {
        Arc::new(Self { process, count: AtomicU64::new(0) })
    }

    pub(super) fn next(&self) -> String {
        format!("{:08x}-{:x}", self.process, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

/// What is known of a call while its answer goes out.
pub(super) struct Record {
    id: String,
    pub(super) notes: Notes,
    method: Method,
    start: Duration,
    clock: Arc<dyn Clock>,
    status: StatusCode,
    fault: Option<Fault>,
    error: Option<&'static str>,
    cause: Option<String>,
    response_bytes: u64,
    complete: bool,
    counts: Arc<Worker>,
}

impl Record {
    pub(super) fn new(id: String, method: Method, clock: Arc<dyn Clock>, counts: Arc<Worker>) -> Self {
        counts.call_began();
        Self {
            id,
            notes: Notes::default(),
            method,
            start: clock.elapsed(),
            clock,
            status: StatusCode::OK,
            fault: None,
            error: None,
            cause: None,
            response_bytes: 0,
            complete: false,
            counts,
        }
    }

    /// Keeps what a refusal says to the operator.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        self.fault = Some(refusal.fault());
        self.error = Some(refusal::kind(refusal));
        self.cause = refusal.cause();
    }

    /// Keeps why a request was not even looked at.
    pub(super) fn turned_away(&mut self, error: &'static str) {
        self.fault = Some(Fault::Client);
        self.error = Some(error);
    }

    /// Counts the call and writes its line.
    fn end(&self) {
        let total = self.clock.elapsed().saturating_sub(self.start);
        let request_bytes = self.notes.body.as_ref().map(|body| body.bytes());
        self.counts.call_ended(&EndedCall {
            route: self.notes.route,
            status: self.status.as_u16(),
            fault: counted(self.fault, self.status),
            error: self.error,
            account: self.notes.account.as_ref(),
            request_bytes: request_bytes.unwrap_or(0),
            response_bytes: self.response_bytes,
            upstream: self.notes.upstream,
            total,
            complete: self.complete,
        });
        self.write(total, request_bytes);
    }

    /// Writes the line. A level above INFO asks the operator to look: WARN for fal's faults, ERROR for the relay's.
    fn write(&self, total: Duration, request_bytes: Option<u64>) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    id = self.id,
                    method = %self.method,
                    route = self.notes.route.as_str(),
                    tenant = self.notes.tenant.as_deref(),
                    key_id = self.notes.key_id.map(|id| id.0),
                    endpoint = self.notes.endpoint.as_deref(),
                    request_id = self.notes.request_id.as_ref().map(tracing::field::display),
                    account = self.notes.account.as_ref().map(tracing::field::display),
                    status = self.status.as_u16(),
                    request_bytes,
                    response_bytes = self.response_bytes,
                    complete = self.complete,
                    upstream_ms = self.notes.upstream.map(millis),
                    total_ms = millis(total),
                    error = self.error,
                    cause = self.cause,
                    "call"
                )
            };
        }
        match self.fault {
            None | Some(Fault::Client) => line!(info),
            Some(Fault::Fal) => line!(warn),
            Some(Fault::Relay) => line!(error),
        }
    }
}

/// An answer that was passed on is judged by its status, one of the relay's own by its cause.
fn counted(fault: Option<Fault>, status: StatusCode) -> metrics::Fault {
    match fault {
        None => metrics::Fault::of_passed(status.as_u16()),
        Some(Fault::Client) => metrics::Fault::Client,
        Some(Fault::Relay) => metrics::Fault::Relay,
        Some(Fault::Fal) => metrics::Fault::Fal,
    }
}

/// Milliseconds with three decimals: polls take less than one.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// An answer's body that writes the call's line when it has ended or is dropped.
pub struct Recorded {
    body: ReplyBody,
    record: Record,
}

impl Recorded {
    pub(super) fn new(body: ReplyBody, status: StatusCode, mut record: Record) -> Self {
        record.status = status;
        record.complete = body.is_end_stream();
        Self { body, record }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        self.record.end();
    }
}

impl Body for Recorded {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                this.record.response_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                this.record.complete = this.body.is_end_stream();
            }
            Poll::Ready(Some(Err(error))) => {
                this.record.fault = Some(Fault::Fal);
                this.record.error = Some("upstream_cut");
                this.record.cause = Some(error.to_string());
            }
            Poll::Ready(None) => this.record.complete = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
