//! Accepting: connections up to a limit, each with its deadlines, and a drain that lets calls under way finish.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::front::Front;
use super::guard::{Greeted, Guarded};
use super::record::Recorded;
use super::settings::Settings;
use crate::clock::Clock;
use crate::metrics::Unserved;

/// The most bytes of a request that a connection holds at once.
const READ_BUFFER_MAX_BYTES: usize = 64 * 1024;
/// Resets by an HTTP/2 client that are borne before its connection is closed.
const RESETS_MAX: usize = 20;
/// How long the accept loop rests when the system refuses to give it a socket.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Connections that may be open at once, over all listeners and workers.
pub struct Capacity {
    all: Arc<Semaphore>,
    per_address: Option<u32>,
    addresses: Mutex<HashMap<IpAddr, u32>>,
}

impl Capacity {
    /// The capacity that `settings` give.
    pub fn new(settings: &Settings) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(settings.max_connections));
        let per_address = settings.max_connections_per_address.map(std::num::NonZeroU32::get);
        Arc::new(Self { all, per_address, addresses: Mutex::default() })
    }

    /// A place for one more connection of this address; `None` when it has its share.
    fn admit(self: &Arc<Self>, place: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        let Some(max) = self.per_address else { return Some(Place { _all: place, of: None }) };
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let open = addresses.entry(address).or_default();
        if *open >= max {
            return None;
        }
        *open += 1;
        Some(Place { _all: place, of: Some((self.clone(), address)) })
    }
}

/// A connection's place; dropped with it.
struct Place {
    _all: OwnedSemaphorePermit,
    of: Option<(Arc<Capacity>, IpAddr)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((capacity, address)) = &self.of else { return };
        let mut addresses = capacity.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = addresses.get_mut(address) {
            *open -= 1;
            if *open == 0 {
                addresses.remove(address);
            }
        }
    }
}

/// Where connections come in.
pub struct Door {
    /// The socket.
    pub listener: TcpListener,
    /// Certificates, on the https listener.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// What every connection is served with.
#[derive(Clone)]
struct Host {
    front: Front,
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    capacity: Arc<Capacity>,
    http: auto::Builder<TokioExecutor>,
}

/// A connection that has come in and has its place.
struct Guest {
    socket: TcpStream,
    address: IpAddr,
    place: Place,
}

/// Accepts and serves until `stop`, then lets connections finish what they carry. Returns when all have ended.
pub async fn serve(
    doors: Vec<Door>,
    front: Front,
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    capacity: Arc<Capacity>,
    stop: CancellationToken,
) {
    let host = Host { front, http: http(&settings), settings, clock, capacity };
    let graceful = GracefulShutdown::new();
    let accepting = doors.into_iter().map(|door| accept(door, &host, &graceful, stop.clone()));
    join_all(accepting).await;
    graceful.shutdown().await;
}

/// How HTTP is spoken, with a limit for everything that a client can make long.
fn http(settings: &Settings) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.keep_alive)
        .max_headers(settings.max_headers)
        .max_buf_size(READ_BUFFER_MAX_BYTES.max(settings.max_head_bytes));
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(u32::try_from(settings.max_head_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS_MAX)
        .keep_alive_interval(settings.keep_alive)
        .keep_alive_timeout(settings.head_timeout);
    http
}

async fn accept(door: Door, host: &Host, graceful: &GracefulShutdown, stop: CancellationToken) {
    let tls = door.tls.map(TlsAcceptor::from);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = next(&door.listener, &host.capacity) => accepted,
        };
        match accepted {
            // One that has its share is closed unheard: any answer would cost more than its asking.
            Ok(None) => host.front.counts().unserved(Unserved::AddressLimit),
            Ok(Some(guest)) => {
                tokio::spawn(welcome(guest, tls.clone(), host.clone(), graceful.watcher()));
            }
            Err(error) => {
                host.front.counts().unserved(Unserved::AcceptFailed);
                tracing::warn!(%error, "cannot accept a connection");
                host.clock.sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// The next connection, once there is a place for it: until then it waits in the system's queue.
async fn next(listener: &TcpListener, capacity: &Arc<Capacity>) -> io::Result<Option<Guest>> {
    let place = capacity.all.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (socket, peer) = listener.accept().await?;
    socket.set_nodelay(true)?;
    let place = capacity.admit(place, peer.ip());
    Ok(place.map(|place| Guest { socket, address: peer.ip(), place }))
}

async fn welcome(guest: Guest, tls: Option<TlsAcceptor>, host: Host, watcher: Watcher) {
    let _place = guest.place;
    let _open = host.front.counts().connection();
    let greeted = Greeted::default();
    let Settings { head_timeout, write_idle, .. } = *host.settings;
    let socket = Guarded::new(guest.socket, greeted.clone(), head_timeout, write_idle, host.clock.clone());
    match tls {
        None => speak(socket, host.service(guest.address, false, greeted), &host, watcher).await,
        // The guard's deadline bounds the handshake too. A failed one is a stranger's affair.
        Some(tls) => match tls.accept(socket).await {
            Ok(socket) => speak(socket, host.service(guest.address, true, greeted), &host, watcher).await,
            Err(_) => host.front.counts().unserved(Unserved::TlsFailed),
        },
    }
}

impl Host {
    /// The service of one connection.
    fn service(
        &self,
        address: IpAddr,
        secure: bool,
        greeted: Greeted,
    ) -> impl Service<Request<Incoming>, Response = Response<Recorded>, Error = Infallible, Future: Send>
    + Send
    + use<> {
        let front = self.front.clone();
        service_fn(move |request| {
            greeted.set();
            let front = front.clone();
            async move { Ok(front.answer(request, address, secure).await) }
        })
    }
}

async fn speak(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: impl Service<
        Request<Incoming>,
        Response = Response<Recorded>,
        Error = Infallible,
        Future: Send + 'static,
    > + Send
    + 'static,
    host: &Host,
    watcher: Watcher,
) {
    let connection = host.http.serve_connection(TokioIo::new(socket), service).into_owned();
    // What breaks a connection is told by the log line of the call that it broke.
    drop(watcher.watch(connection).await);
}
