//! Connections to one of fal's hosts, kept for the next call. The last one used goes first, so that few stay warm.
//!
//! An HTTP/1 connection belongs to one call at a time. An HTTP/2 connection carries many; another is opened when all
//! are well filled, since beyond the other side's stream limit calls would wait unseen.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};

use super::body::RequestBody;
use super::connect::Connector;
use super::error::UpstreamError;
use crate::clock::Clock;
use crate::metrics::Failure;

/// Calls on one HTTP/2 connection before another is opened. fal's own limit is not documented; 100 is what most allow.
pub(super) const STREAMS_PER_CONNECTION: usize = 80;

/// The sending end of a connection.
pub(super) enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2 { sender: http2::SendRequest<RequestBody>, open: Arc<AtomicUsize> },
}

/// What a failed attempt leaves behind.
pub(super) enum Attempt {
    Answered(Response<Incoming>),
    /// The request never left and may go on another connection.
    Unsent(Box<Request<RequestBody>>),
    Failed(hyper::Error),
}

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Duration,
}

/// The connections to one host.
pub(super) struct Pool {
    pub(super) connector: Connector,
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<(http2::SendRequest<RequestBody>, Arc<AtomicUsize>)>>,
    max_idle: usize,
    idle_for: Duration,
    clock: Arc<dyn Clock>,
}

/// A connection in use. Released, it serves the next call; dropped, an HTTP/1 connection closes.
pub(super) struct Lease {
    sender: Option<Sender>,
    pool: Arc<Pool>,
}

impl Pool {
    pub(super) fn new(
        connector: Connector,
        max_idle: usize,
        idle_for: Duration,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let (idle, shared) = (Mutex::default(), Mutex::default());
        Arc::new(Self { connector, idle, shared, max_idle, idle_for, clock })
    }

    /// A connection from the pool, or `None` when a new one must be made.
    pub(super) fn reuse(self: &Arc<Self>) -> Option<Lease> {
        let sender = self.roomy().or_else(|| self.pop().map(Sender::Http1))?;
        Some(self.lease(sender))
    }

    /// Lets go of every connection that no call holds, and gives none that a call holds to another.
    pub(super) fn forget(&self) {
        lock(&self.idle).clear();
        lock(&self.shared).clear();
    }

    /// Whether the host answers anything at all within `limit`. Asks for nothing, without a key, on a connection of its
    /// own.
    pub(super) async fn probe(&self, limit: Duration) -> bool {
        tokio::select! {
            answered = self.ask() => answered,
            () = self.clock.sleep(limit) => false,
        }
    }

    async fn ask(&self) -> bool {
        let Ok(target) = self.connector.origin.target("/".to_owned()) else { return false };
        let Ok(mut sender) = self.connector.connect().await else { return false };
        let mut request = Box::new(Request::new(RequestBody::empty(&*self.clock)));
        (*request.method_mut(), *request.uri_mut()) = (Method::HEAD, target.into());
        if self.connector.origin.address(&mut request, sender.version()).is_err() {
            return false;
        }
        matches!(sender.send(request).await, Attempt::Answered(_))
    }

    /// A new connection.
    pub(super) async fn open(self: &Arc<Self>) -> Result<Lease, UpstreamError> {
        // Boxed: the handshakes' state is large, and every call would carry the room for it.
        let sender = Box::pin(self.connector.connect()).await?;
        let Sender::Http2 { sender, open } = sender else { return Ok(self.lease(sender)) };
        // A burst of first calls makes many connections at once; those that come later are not needed.
        if let Some(roomy) = self.roomy() {
            return Ok(self.lease(roomy));
        }
        lock(&self.shared).push((sender.clone(), open.clone()));
        Ok(self.lease(Sender::Http2 { sender, open }))
    }

    fn lease(self: &Arc<Self>, sender: Sender) -> Lease {
        if let Sender::Http2 { open, .. } = &sender {
            open.fetch_add(1, Ordering::Relaxed);
        }
        Lease { sender: Some(sender), pool: self.clone() }
    }

    fn roomy(&self) -> Option<Sender> {
        let mut shared = lock(&self.shared);
        shared.retain(|(sender, _)| !sender.is_closed());
        let (sender, open) =
            shared.iter().find(|(_, open)| open.load(Ordering::Relaxed) < STREAMS_PER_CONNECTION)?;
        Some(Sender::Http2 { sender: sender.clone(), open: open.clone() })
    }

    fn pop(&self) -> Option<http1::SendRequest<RequestBody>> {
        let now = self.clock.elapsed();
        let mut idle = lock(&self.idle);
        let mut warm = None;
        while let Some(last) = idle.pop() {
            // One that is not ready still sends a request that fal has answered early: who would wait for that?
            if last.sender.is_ready() && now.saturating_sub(last.since) < self.idle_for {
                warm = Some(last.sender);
                break;
            }
        }
        self.connector.counts.idle(idle.len());
        warm
    }

    fn keep(&self, sender: http1::SendRequest<RequestBody>) {
        let since = self.clock.elapsed();
        let mut idle = lock(&self.idle);
        // The coldest are at the front: the first to have grown too old, and the first to go when there are too many.
        let stale =
            |entry: &Idle| since.saturating_sub(entry.since) >= self.idle_for || entry.sender.is_closed();
        let full = idle.len() >= self.max_idle && !idle.is_empty();
        if full || idle.first().is_some_and(stale) {
            idle.remove(0);
        }
        if idle.len() < self.max_idle {
            idle.push(Idle { sender, since });
        }
        self.connector.counts.idle(idle.len());
    }
}

impl Sender {
    fn version(&self) -> Version {
        match self {
            Self::Http1(_) => Version::HTTP_11,
            Self::Http2 { .. } => Version::HTTP_2,
        }
    }

    /// Sends the request; hyper says whether one that failed had begun to leave.
    async fn send(&mut self, request: Box<Request<RequestBody>>) -> Attempt {
        let sent = match self {
            Self::Http1(sender) => sender.try_send_request(*request).await,
            Self::Http2 { sender, .. } => sender.try_send_request(*request).await,
        };
        match sent {
            Ok(response) => Attempt::Answered(response),
            Err(mut error) => match error.take_message() {
                Some(request) => Attempt::Unsent(Box::new(request)),
                None => Attempt::Failed(error.into_error()),
            },
        }
    }
}

impl Lease {
    pub(super) fn version(&self) -> Version {
        self.sender.as_ref().map_or(Version::HTTP_11, Sender::version)
    }

    pub(super) async fn send(&mut self, request: Box<Request<RequestBody>>) -> Attempt {
        match &mut self.sender {
            Some(sender) => sender.send(request).await,
            None => Attempt::Unsent(request),
        }
    }

    /// Counts an answer that broke off.
    pub(super) fn cut(&self) {
        self.pool.connector.counts.failed(Failure::Cut);
    }

    /// Gives the connection back: its answer has been read to the end.
    pub(super) fn release(mut self) {
        if let Some(Sender::Http1(sender)) = self.sender.take_if(|sender| matches!(sender, Sender::Http1(_)))
        {
            self.pool.keep(sender);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Sender::Http2 { open, .. }) = &self.sender {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::poll;
    use hyper_util::rt::TokioIo;
    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::SystemClock;
    use crate::upstream::exchange;
    use crate::upstream::origin::Origin;

    /// A pool before a host that listens, with idle connections that all look well.
    fn pool(address: &str) -> Arc<Pool> {
        let connector = Connector {
            origin: Origin::parse(address).unwrap(),
            tls: None,
            timeout: Duration::from_secs(60),
            upgrades: false,
            loopback_only: true,
            shared: Arc::default(),
            counts: Arc::default(),
        };
        Pool::new(connector, 64, Duration::from_secs(60), Arc::new(SystemClock::new()))
    }

    #[tokio::test]
    async fn invariant_7_no_more_than_a_few_dead_connections_are_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = pool(&format!("http://{}", listener.local_addr().unwrap()));
        let mut idle = Vec::new();
        for _ in 0..10 {
            let (near, far) = tokio::io::duplex(1024);
            let (sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
            let mut connection = Box::pin(connection);
            assert!(poll!(&mut connection).is_pending());
            pool.keep(sender);
            idle.push((connection, far));
        }
        let body = RequestBody::empty(&*pool.clock);
        let progress = body.progress();
        let mut call = Box::pin(exchange(&pool, Box::new(Request::new(body)), &progress));
        // Each dies as the call is given to it; then none is trusted any more.
        for left in (7..10).rev() {
            assert!(poll!(&mut call).is_pending());
            assert_eq!(lock(&pool.idle).len(), left);
            idle.truncate(left);
        }
        tokio::select! {
            biased;
            _ = call => panic!("nobody has answered"),
            accepted = listener.accept() => drop(accepted.unwrap()),
        }
        assert_eq!(lock(&pool.idle).len(), 7);
    }
}
