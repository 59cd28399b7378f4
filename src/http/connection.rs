//! One connection's life: told apart by its first bytes, served, parked while it is idle, and let go.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use http::header::CONNECTION;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::front::{Front, Peer};
use super::gate::Gate;
use super::settings::Settings;
use super::traffic::{Answering, Traffic};
use crate::clock::Clock;
use crate::relay::LastKey;

/// The most bytes of a request, and of an answer, that an HTTP/1 connection holds at once.
const HTTP1_BUFFER_MAX_BYTES: usize = 64 * 1024;
/// Answers of an HTTP/2 stream that wait for a client who does not read.
const STREAM_SEND_BUFFER_BYTES: usize = 16 * 1024;
/// What an HTTP/2 client may send of a body before we have read what came: on one stream, and on all.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// HTTP/2 streams that are reset before they are looked at, and those that we had to reset.
const RESETS_MAX: usize = 20;
const ERRORS_MAX: usize = 100;

/// What every connection is served with.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) front: Arc<Front>,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: CancellationToken,
    http1: Arc<http1::Builder>,
    http2: Arc<http2::Builder<TokioExecutor>>,
}

impl Host {
    pub(super) fn new(
        front: Front,
        settings: Arc<Settings>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        let (http1, http2) = (Arc::new(http1(&settings)), Arc::new(http2(&settings)));
        Self { front: Arc::new(front), settings, clock, stop, http1, http2 }
    }

    /// The service of one connection.
    fn service(&self, address: IpAddr, secure: bool, traffic: Arc<Traffic>) -> impl Exchange + use<> {
        let (front, stop) = (self.front.clone(), self.stop.clone());
        let peer = Peer { address, secure, last_key: LastKey::default(), traffic: traffic.clone(), stop };
        let peer = Arc::new(peer);
        service_fn(move |request| {
            let call = traffic.begin();
            let (front, peer, traffic) = (front.clone(), peer.clone(), traffic.clone());
            // Boxed: hyper keeps room for a call in each connection, and a call under way takes kilobytes.
            Box::pin(async move {
                let answer = front.answer(request, &peer).await;
                if answer.status() == StatusCode::BAD_REQUEST && answer.headers().contains_key(CONNECTION) {
                    traffic.set_last();
                }
                Ok(answer.map(|body| Answering::new(body, call)))
            })
        })
    }
}

/// The service of one connection, as a bound.
trait Exchange:
    Service<
        Request<Incoming>,
        Response = Response<Answering>,
        Error = Infallible,
        Future: Future<Output = Result<Response<Answering>, Infallible>> + Send + 'static,
    > + Send
{
}

impl<T> Exchange for T where
    T: Service<
            Request<Incoming>,
            Response = Response<Answering>,
            Error = Infallible,
            Future: Future<Output = Result<Response<Answering>, Infallible>> + Send + 'static,
        > + Send
{
}

/// HTTP/1. Heads and the time between them are bounded by the gate, so hyper needs no timer.
fn http1(settings: &Settings) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.max_headers(settings.max_headers)
        .header_read_timeout(None)
        .max_buf_size(HTTP1_BUFFER_MAX_BYTES.max(settings.max_head_bytes));
    http
}

/// HTTP/2, with a limit for everything that a client can make long. The ping finds out clients that are gone while
/// they are waited for.
fn http2(settings: &Settings) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(u32::try_from(settings.max_head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(ERRORS_MAX)
        .max_send_buf_size(STREAM_SEND_BUFFER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(settings.keep_alive)
        .keep_alive_timeout(settings.head_timeout);
    http
}

/// Serves a connection to its end. What breaks one is told by the log line of the call that it broke.
pub(super) async fn converse<S>(socket: S, address: IpAddr, secure: bool, host: &Host)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let traffic = Arc::new(Traffic::default());
    if host.front.pages_may_call() {
        traffic.let_pages_read();
    }
    // Boxed: each step that hands it on would carry the room for it once more.
    let gate = Box::new(Gate::new(socket, traffic.clone(), host.settings.clone(), host.clock.clone()));
    speak(gate, address, secure, &traffic, host).await;
    if let Some(violation) = traffic.refusal() {
        host.front.refused_at_gate(violation);
    }
}

async fn speak<S>(mut gate: Box<Gate<S>>, address: IpAddr, secure: bool, traffic: &Arc<Traffic>, host: &Host)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if !awaken(&mut gate, &host.stop).await {
        return;
    }
    let service = host.service(address, secure, traffic.clone());
    match gate.is_http2() {
        true => {
            let connection = host.http2.serve_connection(TokioIo::new(gate), service);
            drive(&mut Box::pin(connection), traffic, &host.stop).await;
        }
        false => speak_http1(gate, service, traffic, host).await,
    }
}

/// HTTP/1: while a connection is idle nothing of it is kept but its socket and its gate. hyper holds two buffers of
/// 8 KiB for each, which for thousands of idle clients is most of what a relay uses.
async fn speak_http1<S>(
    mut gate: Box<Gate<S>>,
    mut service: impl Exchange,
    traffic: &Arc<Traffic>,
    host: &Host,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    loop {
        let mut connection = Box::new(host.http1.serve_connection(TokioIo::new(gate), service));
        let driven = drive(&mut Pin::new(&mut *connection), traffic, &host.stop).await;
        let errand = traffic.take_errand();
        if matches!(driven, Driven::Over) && errand.is_none() {
            return;
        }
        let parts = connection.into_parts();
        (gate, service) = (parts.io.into_inner(), parts.service);
        gate.put_back(&parts.read_buf);
        // The buffer is held by what was put back's owner until here: let it go before the wait.
        drop(parts.read_buf);
        if let Some(errand) = errand {
            drop(service);
            gate.open_up();
            // Boxed: it is large, and connections without one would carry the room.
            return Box::pin(errand.run(gate, &host.front, &host.clock, &host.stop)).await;
        }
        let parked = host.front.counts().parked();
        if !awaken(&mut gate, &host.stop).await {
            return;
        }
        drop(parked);
        traffic.set_parkable(false);
    }
}

/// Waits for bytes where no hyper is; false when the connection is over.
async fn awaken<S: AsyncRead + AsyncWrite + Unpin>(gate: &mut Gate<S>, stop: &CancellationToken) -> bool {
    let came = tokio::select! {
        biased;
        () = stop.cancelled() => false,
        came = gate.first_bytes() => came,
    };
    if !came {
        // A client that is gone need not be told.
        drop(gate.shutdown().await);
    }
    came
}

/// How a connection stands after a while.
enum Driven {
    Over,
    /// It has been idle for long.
    Parked,
}

async fn drive<C: GracefulConnection>(
    connection: &mut Pin<impl std::ops::DerefMut<Target = C>>,
    traffic: &Traffic,
    stop: &CancellationToken,
) -> Driven {
    let mut stopped = std::pin::pin!(stop.cancelled());
    let mut leaving = false;
    std::future::poll_fn(|cx| {
        if !leaving && stopped.as_mut().poll(cx).is_ready() {
            leaving = true;
            connection.as_mut().graceful_shutdown();
        }
        match connection.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(Driven::Over),
            Poll::Pending if traffic.is_parkable() && !leaving => Poll::Ready(Driven::Parked),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
