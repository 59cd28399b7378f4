//! New connections to fal: name, TCP, TLS, HTTP handshake, all under one deadline.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::error::UpstreamError;
use super::failfast::Shared;
use super::origin::Origin;
use super::pool::{STREAMS_PER_CONNECTION, Sender};
use crate::metrics::{HostCounts, OpenUpstream};

/// The most bytes of an answer that one connection holds while the tenant reads slowly.
const READ_BUFFER_MAX_BYTES: usize = 32 * 1024;
/// The longest head of an answer, and the most fields in it. fal's carry about twenty. Over HTTP/1 a head must fit into
/// the buffer too.
const HEAD_MAX_BYTES: usize = 32 * 1024;
const HEADERS_MAX: usize = 128;
/// The most bytes of an answer that one HTTP/2 stream holds while the tenant reads slowly.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Room for the window of every stream: a tenant who reads nothing must not stop the others on his connection.
const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * STREAMS_PER_CONNECTION as u32;
/// How often a quiet HTTP/2 connection with open streams is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes connections to one of fal's hosts.
pub(super) struct Connector {
    pub(super) origin: Origin,
    /// How certificates are checked; needed for https only.
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) timeout: Duration,
    /// Whether its connections may go on as sockets; then all of them are HTTP/1.1.
    pub(super) upgrades: bool,
    /// Whether connections to other machines are refused.
    pub(super) loopback_only: bool,
    pub(super) shared: Arc<Shared>,
    pub(super) counts: Arc<HostCounts>,
}

impl Connector {
    /// A connection that is ready to send.
    pub(super) async fn connect(&self) -> Result<Sender, UpstreamError> {
        match tokio::time::timeout(self.timeout, self.handshakes()).await {
            Ok(result) => result.map_err(|error| self.failed(&*error)),
            Err(_) => Err(self.failed(&format_args!("no connection within {} ms", self.timeout.as_millis()))),
        }
    }

    async fn handshakes(&self) -> Result<Sender, Box<dyn std::error::Error + Send + Sync>> {
        let tcp = self.socket().await?;
        tcp.set_nodelay(true)?;
        match self.origin.secure {
            false => Ok(http_1(TokioIo::new(tcp), self.counts.opened(), self.upgrades).await?),
            // Boxed: it takes several kilobytes, and plain connections would carry the room.
            true => Box::pin(self.secured(tcp)).await,
        }
    }

    async fn secured(&self, tcp: TcpStream) -> Result<Sender, Box<dyn std::error::Error + Send + Sync>> {
        let name = ServerName::try_from(self.origin.host.clone())?;
        let config = self.tls.clone().ok_or("no certificates are trusted")?;
        let tls = TlsConnector::from(config).connect(name, tcp).await?;
        match tls.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(http_2(TokioIo::new(tls), self.counts.opened()).await?),
            _ => Ok(http_1(TokioIo::new(tls), self.counts.opened(), self.upgrades).await?),
        }
    }

    /// A socket to the first of the host's addresses that takes one.
    async fn socket(&self) -> io::Result<TcpStream> {
        let mut failure = io::Error::other("the name has no address");
        for address in tokio::net::lookup_host((self.origin.host.as_str(), self.origin.port)).await? {
            let connections = &self.shared.connections;
            let here = address.ip().to_canonical().is_loopback();
            if self.loopback_only && !here {
                connections.refused.fetch_add(1, Ordering::Relaxed);
                failure =
                    io::Error::other(format!("{address} is not this machine, and --sandbox stays on it"));
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(socket) => {
                    let count = if here { &connections.here } else { &connections.beyond };
                    count.fetch_add(1, Ordering::Relaxed);
                    return Ok(socket);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn failed(&self, error: &(impl std::fmt::Display + ?Sized)) -> UpstreamError {
        UpstreamError::Connect { host: self.origin.name().to_owned(), reason: error.to_string() }
    }
}

async fn http_1(
    io: impl Read + Write + Unpin + Send + 'static,
    open: OpenUpstream,
    upgrades: bool,
) -> hyper::Result<Sender> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(READ_BUFFER_MAX_BYTES)
        .max_header_size(HEAD_MAX_BYTES)
        .max_headers(HEADERS_MAX)
        .handshake(io)
        .await?;
    // The connection's errors reach the call that they hit; an idle one may end without anybody's loss.
    match upgrades {
        false => tokio::spawn(async move { drop((connection.await, open)) }),
        true => tokio::spawn(async move { drop((connection.with_upgrades().await, open)) }),
    };
    Ok(Sender::Http1(sender))
}

async fn http_2(io: impl Read + Write + Unpin + Send + 'static, open: OpenUpstream) -> hyper::Result<Sender> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_header_list_size(HEAD_MAX_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .handshake(io)
        .await?;
    tokio::spawn(async move { drop((connection.await, open)) });
    Ok(Sender::Http2 { sender, open: Arc::new(AtomicUsize::new(0)) })
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::clock::SystemClock;
    use crate::upstream::RequestBody;

    /// Time is tokio's own and stands still until nothing else is left to do.
    #[tokio::test(start_paused = true)]
    async fn invariant_7_a_connection_that_has_died_in_silence_is_found_out() {
        const EMPTY_SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let counts: Arc<HostCounts> = Arc::default();
        let sender = http_2(TokioIo::new(near), counts.opened()).await.unwrap();
        let Sender::Http2 { mut sender, .. } = sender else { unreachable!() };
        far.write_all(&EMPTY_SETTINGS).await.unwrap();
        let mut request = Request::new(RequestBody::empty(&SystemClock::new()));
        *request.uri_mut() = "http://fal.test/".parse().unwrap();
        let error = sender.send_request(request).await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
    }
}
