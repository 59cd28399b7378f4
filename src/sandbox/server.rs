//! The simulated fal on a socket of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::random::Random;

use super::catalogue::BadCatalogue;
use super::faces::router;
use super::fal::Fal;
use super::settings::Settings;

/// Connections at one time; more wait in the system's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// The longest wait for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after the system could not give a connection, such as when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address cannot be listened on.
    #[error(
        "the sandbox cannot listen on {addr}: {cause}; is something else using it? Set sandbox.listen to another address"
    )]
    Listen {
        /// The address from the settings.
        addr: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The compiled-in catalogue is broken.
    #[error(transparent)]
    Catalogue(#[from] BadCatalogue),
}

/// A sandbox that serves. Dropping it without [`Running::shutdown`] stops it too.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The base of its addresses, without a trailing slash.
    pub base_url: String,
    fal: Arc<Fal>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// The simulated fal behind the socket.
    pub fn fal(&self) -> &Arc<Fal> {
        &self.fal
    }

    /// Stops listening and breaks all connections: a simulated fal owes nobody an answer.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        // The task ends by itself once told to; it has no outcome.
        let _ended = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts a sandbox on `settings.listen` on the current runtime. Port 0 takes a free one.
pub async fn start(
    settings: Settings,
    clock: Arc<dyn Clock>,
    random: Random,
) -> Result<Running, SandboxError> {
    let addr = settings.listen;
    let in_use = |cause| SandboxError::Listen { addr, cause };
    let listener = TcpListener::bind(addr).await.map_err(in_use)?;
    let addr = listener.local_addr().map_err(in_use)?;
    let fal = Arc::new(Fal::new(Settings { listen: addr, ..settings }, Arc::clone(&clock), random)?);
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, router(Arc::clone(&fal)), clock, stop.clone()));
    Ok(Running { addr, base_url: fal.public_url().to_owned(), fal, stop, task })
}

/// Accepts until told to stop; the connections end with the set that holds them.
async fn serve(listener: TcpListener, router: Router, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => { connections.spawn(connection(stream, router.clone())); }
                Err(error) => {
                    tracing::warn!(%error, "accept a connection to the sandbox");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = clock.sleep(ACCEPT_PAUSE) => {}
                    }
                }
            },
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    // Without it small answers wait for the other side; where it cannot be had, they do.
    let _delayed = stream.set_nodelay(true);
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    server.http2().timer(TokioTimer::new());
    // A connection that breaks is the other side's business.
    let _broken =
        server.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}
