//! fal's answer on its way to the tenant: passed on as it streams, or with fal's queue addresses made ours.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::realtime::Socket;
use super::refusal::Refusal;
use super::runs::Runs;
use crate::fal::{Addresses, Inflate, InflateError, Rewriter};
use crate::upstream::{ResponseBody, UpstreamError};

/// The largest answer that is read whole before it goes on. fal's submit and status answers are below 2 KiB unless
/// logs were asked for; a longer one streams.
pub(super) const ENVELOPE_MAX_BYTES: usize = 64 * 1024;

/// Room for a public base that is longer than fal's, three times.
const REWRITING_MARGIN_BYTES: usize = 256;

/// An answer for a tenant.
pub type Reply = Response<ReplyBody>;

/// The body of an answer.
pub enum ReplyBody {
    /// All of it at once.
    Whole(Bytes),
    /// fal's bytes as they come.
    Passing(ResponseBody),
    /// fal's bytes as they come, with fal's addresses made ours.
    Rewriting(Box<RewritingBody>),
    /// Events of the relay's own, as they happen.
    Events(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    /// None: the connection goes on as something else.
    Switch(Switch),
}

/// What a connection becomes after an answer with status 101.
pub enum Switch {
    /// A socket to a model.
    Realtime(Box<Socket>),
    /// A socket whose messages are direct runs.
    Runs(Box<Runs>),
    /// A socket that is told one thing and closed.
    Farewell(Vec<u8>),
}

/// A body in which fal's addresses become ours as it streams.
pub struct RewritingBody {
    source: ResponseBody,
    /// What has come and is not turned yet.
    pending: Bytes,
    inflate: Option<Inflate>,
    rewriter: Rewriter,
    done: bool,
}

/// How addresses are found in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object.
    Json,
    /// Server-sent events with a JSON object each.
    Events,
}

impl Form {
    fn rewriter(self, addresses: &Arc<Addresses>) -> Rewriter {
        match self {
            Self::Json => Rewriter::json(addresses.clone()),
            Self::Events => Rewriter::events(addresses.clone()),
        }
    }
}

/// Passes an answer on as it streams.
pub(super) fn pass(response: Response<ResponseBody>) -> Reply {
    response.map(ReplyBody::Passing)
}

/// Passes an answer on with fal's addresses made ours. A short JSON answer is read whole first, so that it keeps an
/// exact length and a broken one can still become an error.
pub(super) async fn rewrite(
    response: Response<ResponseBody>,
    form: Form,
    addresses: &Arc<Addresses>,
) -> Result<Reply, Refusal> {
    if form == Form::Json && is_short(response.body()) {
        let (parts, body) = read_envelope(response).await?;
        return Ok(whole(parts, &body, addresses));
    }
    let inflate = is_gzip(response.headers()).then(Inflate::new);
    let (mut parts, source) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    if inflate.is_some() {
        parts.headers.remove(header::CONTENT_ENCODING);
    }
    let rewriter = form.rewriter(addresses);
    let body = RewritingBody::new(source, inflate, rewriter);
    Ok(Response::from_parts(parts, ReplyBody::Rewriting(Box::new(body))))
}

/// An answer that was read whole, with fal's addresses made ours.
pub(super) fn whole(mut parts: Parts, body: &Bytes, addresses: &Arc<Addresses>) -> Reply {
    let mut out = BytesMut::with_capacity(body.len() + REWRITING_MARGIN_BYTES);
    let mut rewriter = Form::Json.rewriter(addresses);
    rewriter.push(body, &mut out);
    rewriter.finish(&mut out);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(out.len()));
    Response::from_parts(parts, ReplyBody::Whole(out.freeze()))
}

/// An answer that was read whole, unchanged.
pub(super) fn unchanged(parts: Parts, body: Bytes) -> Reply {
    Response::from_parts(parts, ReplyBody::Whole(body))
}

/// Reads a short answer whole and inflates it when it came compressed.
pub(super) async fn read_envelope(response: Response<ResponseBody>) -> Result<(Parts, Bytes), Refusal> {
    let (mut parts, body) = response.into_parts();
    let bytes = read_whole(body.hurry()).await?;
    if !is_gzip(&parts.headers) {
        return Ok((parts, bytes));
    }
    let inflated = inflate_whole(&bytes)?;
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(inflated.len()));
    Ok((parts, inflated))
}

/// Reads a bounded body. Nearly always it comes in one piece, which is passed on as it is.
async fn read_whole(mut body: ResponseBody) -> Result<Bytes, Refusal> {
    let mut bytes = Bytes::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::BadAnswer(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > ENVELOPE_MAX_BYTES {
            return Err(Refusal::BadAnswer("the answer is longer than an envelope may be".into()));
        }
        bytes = if bytes.is_empty() { data } else { [bytes, data].concat().into() };
    }
    Ok(bytes)
}

fn inflate_whole(mut compressed: &[u8]) -> Result<Bytes, Refusal> {
    let broken = |error: InflateError| Refusal::BadAnswer(error.to_string());
    let mut inflate = Inflate::new();
    let mut out = BytesMut::new();
    while !compressed.is_empty() {
        let read = inflate.push(compressed, &mut out).map_err(broken)?;
        compressed = &compressed[read..];
        if out.len() > ENVELOPE_MAX_BYTES {
            return Err(Refusal::BadAnswer("the answer inflates to more than an envelope may hold".into()));
        }
    }
    inflate.finish(&mut out).map_err(broken)?;
    Ok(out.freeze())
}

fn is_short(body: &ResponseBody) -> bool {
    body.size_hint().upper().is_some_and(|bytes| bytes <= ENVELOPE_MAX_BYTES as u64)
}

fn is_gzip(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

/// Whether an answer is a stream of server-sent events.
pub(super) fn is_events(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..17))
        .is_some_and(|media_type| media_type.eq_ignore_ascii_case(b"text/event-stream"))
}

impl RewritingBody {
    fn new(source: ResponseBody, inflate: Option<Inflate>, rewriter: Rewriter) -> Self {
        Self { source, pending: Bytes::new(), inflate, rewriter, done: false }
    }

    /// Turns some of fal's bytes that have come into ours. Compressed ones go a piece at a time, so that what they
    /// inflate to leaves before more is made.
    fn turn(&mut self, out: &mut BytesMut) -> Result<(), InflateError> {
        let Some(inflate) = &mut self.inflate else {
            self.rewriter.push(&std::mem::take(&mut self.pending), out);
            return Ok(());
        };
        let mut plain = BytesMut::new();
        let read = inflate.push(&self.pending, &mut plain)?;
        self.pending.advance(read);
        self.rewriter.push(&plain, out);
        Ok(())
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<(), InflateError> {
        self.done = true;
        let mut plain = BytesMut::new();
        if let Some(inflate) = self.inflate.take() {
            inflate.finish(&mut plain)?;
        }
        self.rewriter.push(&plain, out);
        self.rewriter.finish(out);
        Ok(())
    }

    /// Turns what has come, or takes what comes next.
    fn poll_step(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<Result<(), UpstreamError>> {
        let cut = |error: InflateError| UpstreamError::Cut(error.to_string());
        if !self.pending.is_empty() {
            return Poll::Ready(self.turn(out).map_err(cut));
        }
        match ready!(Pin::new(&mut self.source).poll_frame(cx)) {
            Some(Ok(frame)) => self.pending = frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Poll::Ready(Err(error)),
            None => self.end(out).map_err(cut)?,
        }
        Poll::Ready(Ok(()))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let mut out = BytesMut::new();
        while out.is_empty() && !self.done {
            ready!(self.poll_step(cx, &mut out))?;
        }
        Poll::Ready((!out.is_empty()).then(|| Ok(Frame::data(out.freeze()))))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Passing(body) => Pin::new(body).poll_frame(cx),
            Self::Rewriting(body) => body.poll(cx),
            Self::Events(events) => events.as_mut().poll_next(cx).map(|event| event.map(Frame::data).map(Ok)),
            Self::Switch(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Passing(body) => body.is_end_stream(),
            Self::Rewriting(body) => body.done,
            Self::Events(_) => false,
            Self::Switch(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Passing(body) => body.size_hint(),
            Self::Rewriting(_) | Self::Events(_) => SizeHint::default(),
            Self::Switch(_) => SizeHint::with_exact(0),
        }
    }
}
