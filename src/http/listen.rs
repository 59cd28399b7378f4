//! Accepting: connections up to a limit, each with its deadlines, and a drain that lets calls under way finish.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Host, converse};
use super::front::Front;
use super::settings::Settings;
use crate::clock::Clock;
use crate::metrics::Unserved;

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
    let host = Host::new(front, settings, clock, stop.clone());
    let guests = TaskTracker::new();
    let accepting = doors.into_iter().map(|door| accept(door, &host, &capacity, &guests, stop.clone()));
    join_all(accepting).await;
    guests.close();
    guests.wait().await;
}

async fn accept(
    door: Door,
    host: &Host,
    capacity: &Arc<Capacity>,
    guests: &TaskTracker,
    stop: CancellationToken,
) {
    let tls = door.tls.map(TlsAcceptor::from);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = next(&door.listener, capacity) => accepted,
        };
        match accepted {
            // One that has its share is closed unheard: any answer would cost more than its asking.
            Ok(None) => host.front.counts().unserved(Unserved::AddressLimit),
            Ok(Some(guest)) => {
                guests.spawn(welcome(guest, tls.clone(), host.clone()));
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

async fn welcome(guest: Guest, tls: Option<TlsAcceptor>, host: Host) {
    let Guest { socket, address, place: _place } = guest;
    let _open = host.front.counts().connection();
    match tls {
        None => converse(socket, address, false, &host).await,
        // Boxed: what TLS needs is several times what the rest of a connection does, and plain ones would carry the room.
        Some(tls) => Box::pin(welcome_tls(socket, address, tls, &host)).await,
    }
}

async fn welcome_tls(socket: TcpStream, address: IpAddr, tls: TlsAcceptor, host: &Host) {
    let shaken = tokio::select! {
        shaken = tls.accept(socket) => shaken.ok(),
        () = host.clock.sleep(host.settings.head_timeout) => None,
        () = host.stop.cancelled() => return,
    };
    match shaken {
        Some(socket) => converse(socket, address, true, host).await,
        // A failed handshake is a stranger's affair.
        None => host.front.counts().unserved(Unserved::TlsFailed),
    }
}
