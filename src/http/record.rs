//! The one log line of a call, written when its answer has ended, however it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tracing::Level;

use super::refusal;
use crate::call_log::{CallLog, Line, field};
use crate::clock::Clock;
use crate::ids::{AccountName, RequestId};
use crate::metrics::{self, EndedCall, SocketEnd, Worker};
use crate::relay::{Carried, Closed, Fault, Notes, Refusal, ReplyBody};
use crate::upstream::UpstreamError;

/// Where the calls of this process are written down: each with a number, of which one part differs from process to
/// process and the other counts.
pub struct Desk {
    log: Arc<CallLog>,
    clock: Arc<dyn Clock>,
    process: u32,
    count: AtomicU64,
}

impl Desk {
    /// A desk whose numbers begin with this process's part.
    pub fn new(log: Arc<CallLog>, clock: Arc<dyn Clock>, process: u32) -> Arc<Self> {
        Arc::new(Self { log, clock, process, count: AtomicU64::new(0) })
    }

    /// Writes the line of a request that was refused before it was a call.
    pub(super) fn refused(&self, status: StatusCode, error: &str) {
        self.log.write(Level::INFO, |line| {
            line.text(field!("route"), "none");
            line.number(field!("status"), status.as_u16().into());
            line.text(field!("error"), error);
        });
    }

    fn number(&self) -> Number {
        Number::new(self.process, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

/// A call's number as text: the process's part in eight hexadecimal digits, a hyphen, and the count in as few as it has.
/// Each call writes it twice, so it is kept where it is made.
struct Number {
    text: [u8; NUMBER_MAX_BYTES],
    len: usize,
}

const NUMBER_MAX_BYTES: usize = 8 + 1 + 16;

/// Stands in the log for the answer to a client who left before it began; nginx has it so, and fal for its own calls.
const CLIENT_LEFT: u16 = 499;

impl Number {
    fn new(process: u32, count: u64) -> Self {
        let mut number = Self { text: [b'-'; NUMBER_MAX_BYTES], len: 0 };
        number.push(process.into(), 8);
        number.len += 1;
        number.push(count, (u64::BITS - count.leading_zeros()).div_ceil(4).max(1));
        number
    }

    fn push(&mut self, value: u64, digits: u32) {
        for digit in (0..digits).rev() {
            self.text[self.len] = b"0123456789abcdef"[(value >> (4 * digit) & 0xf) as usize];
            self.len += 1;
        }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }
}

/// What is known of a call while its answer goes out.
pub(super) struct Record {
    id: Number,
    pub(super) notes: Notes,
    method: Method,
    start: Duration,
    /// None until there is an answer.
    status: Option<StatusCode>,
    fault: Option<Fault>,
    error: Option<&'static str>,
    cause: Option<String>,
    response_bytes: u64,
    complete: bool,
    /// What a socket carried.
    carried: Option<Carried>,
    /// How a socket that carries calls of their own closed.
    closed: Option<SocketEnd>,
    desk: Arc<Desk>,
    counts: Arc<Worker>,
}

impl Record {
    /// Boxed: it goes with the answer from hand to hand, and is hundreds of bytes.
    pub(super) fn new(method: Method, desk: Arc<Desk>, counts: Arc<Worker>) -> Box<Self> {
        counts.call_began();
        Box::new(Self {
            id: desk.number(),
            notes: Notes::default(),
            method,
            start: desk.clock.elapsed(),
            status: None,
            fault: None,
            error: None,
            cause: None,
            response_bytes: 0,
            complete: false,
            carried: None,
            closed: None,
            desk,
            counts,
        })
    }

    /// The call's number, as its answer carries it.
    pub(super) fn id(&self) -> HeaderValue {
        HeaderValue::from_str(self.id.as_str()).unwrap_or(HeaderValue::from_static("-"))
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

    /// Keeps what the socket carried that this call became.
    pub(super) fn carried(&mut self, carried: Carried) {
        self.status = Some(StatusCode::SWITCHING_PROTOCOLS);
        self.response_bytes = carried.down.bytes;
        self.complete = matches!(carried.closed, Closed::Agreed(_));
        self.carried = Some(carried);
    }

    /// Keeps that the call became a socket.
    pub(super) fn switched(&mut self) {
        self.status = Some(StatusCode::SWITCHING_PROTOCOLS);
        self.complete = true;
    }

    /// Keeps how the socket closed that this call became.
    pub(super) fn closed(&mut self, end: SocketEnd) {
        self.closed = Some(end);
    }

    /// Counts the call and writes its line.
    fn end(&self, status: u16) {
        let total = self.desk.clock.elapsed().saturating_sub(self.start);
        let body = self.notes.body.as_ref().map(|body| body.bytes());
        let request_bytes = self.carried.map(|carried| carried.up.bytes).or(body);
        self.counts.call_ended(&EndedCall {
            route: self.notes.route,
            status,
            fault: counted(self.fault, status),
            error: self.error,
            account: self.notes.account.as_ref(),
            request_bytes: request_bytes.unwrap_or(0),
            response_bytes: self.response_bytes,
            upstream: self.notes.upstream,
            total,
            complete: self.complete,
        });
        self.write(status, total, request_bytes);
    }

    /// Writes the line. A level above INFO asks the operator to look: WARN for fal's faults, ERROR for the relay's.
    fn write(&self, status: u16, total: Duration, request_bytes: Option<u64>) {
        let level = match self.fault {
            None | Some(Fault::Client) => Level::INFO,
            Some(Fault::Fal) => Level::WARN,
            Some(Fault::Relay) => Level::ERROR,
        };
        self.desk.log.write(level, |line| {
            line.text(field!("id"), self.id.as_str());
            line.text(field!("method"), self.method.as_str());
            self.write_notes(line);
            line.number(field!("status"), status.into());
            if let Some(bytes) = request_bytes {
                line.number(field!("request_bytes"), bytes);
            }
            line.number(field!("response_bytes"), self.response_bytes);
            line.flag(field!("complete"), self.complete);
            if let Some(carried) = &self.carried {
                write_carried(carried, line);
            }
            line.text_if_any(field!("closed"), self.closed.map(SocketEnd::as_str));
            if let Some(upstream) = self.notes.upstream {
                line.millis(field!("upstream_ms"), upstream);
            }
            line.millis(field!("total_ms"), total);
            line.text_if_any(field!("error"), self.error);
            line.text_if_any(field!("cause"), self.cause.as_deref());
        });
    }

    /// What the stations of the call's journey noted.
    fn write_notes(&self, line: &mut Line<'_>) {
        let notes = &self.notes;
        line.text(field!("route"), notes.route.as_str());
        line.text_if_any(field!("tenant"), notes.tenant.as_deref());
        if let Some(key_id) = notes.key_id {
            line.number(field!("key_id"), key_id.0.unsigned_abs());
        }
        if let Some(token_id) = notes.token_id {
            line.number(field!("token_id"), token_id.0.unsigned_abs());
        }
        line.text_if_any(field!("endpoint"), notes.endpoint.as_deref());
        line.text_if_any(field!("request_id"), notes.request_id.as_ref().map(RequestId::as_str));
        line.text_if_any(field!("account"), notes.account.as_ref().map(AccountName::as_str));
    }
}

fn write_carried(carried: &Carried, line: &mut Line<'_>) {
    line.number(field!("messages_up"), carried.up.messages);
    line.number(field!("messages_down"), carried.down.messages);
    line.text(field!("closed"), carried.closed.end().as_str());
    if let Closed::Agreed(Some(code)) = carried.closed {
        line.number(field!("close_code"), code.into());
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.status.is_none() {
            (self.fault, self.error) = (Some(Fault::Client), Some("client_left"));
        }
        self.end(self.status.map_or(CLIENT_LEFT, |status| status.as_u16()));
    }
}

/// An answer that was passed on is judged by its status, one of the relay's own by its cause.
fn counted(fault: Option<Fault>, status: u16) -> metrics::Fault {
    match fault {
        None => metrics::Fault::of_passed(status),
        Some(Fault::Client) => metrics::Fault::Client,
        Some(Fault::Relay) => metrics::Fault::Relay,
        Some(Fault::Fal) => metrics::Fault::Fal,
    }
}

/// An answer's body; the call's line is written when it has ended or is dropped.
pub(super) struct Recorded {
    body: ReplyBody,
    /// None where the call goes on after its answer.
    record: Option<Box<Record>>,
}

impl Recorded {
    pub(super) fn new(body: ReplyBody, status: StatusCode, mut record: Box<Record>) -> Self {
        record.status = Some(status);
        record.complete = body.is_end_stream();
        Self { body, record: Some(record) }
    }

    /// No body, after which the call goes on.
    pub(super) fn none() -> Self {
        Self { body: ReplyBody::Whole(Bytes::new()), record: None }
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
        let Some(record) = &mut this.record else { return polled };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                record.response_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                record.complete = this.body.is_end_stream();
            }
            Poll::Ready(Some(Err(error))) => {
                record.fault = Some(Fault::Fal);
                record.error = Some("upstream_cut");
                record.cause = Some(error.to_string());
            }
            Poll::Ready(None) => record.complete = true,
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
