//! What the operator may say about the listeners.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use ipnet::IpNet;

use super::cors::AllowOrigin;

/// The listeners and their limits: `[server]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The http listener for tenants.
    pub listen: SocketAddr,
    /// The https listener for tenants; bound only when there is a certificate.
    pub https_listen: SocketAddr,
    /// The listener for operators.
    pub admin_listen: SocketAddr,
    /// The base of rewritten addresses, without a trailing slash; when `None` it is taken from each request.
    pub public_url: Option<String>,
    /// Where the proxy convention of fal's clients is served; `None` is nowhere. It begins with a slash and ends without.
    pub proxy_path: Option<String>,
    /// Networks whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Worker threads; when `None` there is one for each core.
    pub workers: Option<NonZeroUsize>,
    /// Connections open at once, over all relay listeners.
    pub max_connections: usize,
    /// Connections open at once from one address; `None` is no limit.
    pub max_connections_per_address: Option<NonZeroU32>,
    /// From the start of a connection, or of its next request, to the end of the request's head.
    pub head_timeout: Duration,
    /// How long a connection may wait between requests.
    pub keep_alive: Duration,
    /// How long a request body may pause.
    pub body_idle: Duration,
    /// The pace that a request body must keep between its pauses.
    pub body_min_bytes_per_second: NonZeroU32,
    /// How long a client may take nothing of an answer that is ready for it.
    pub write_idle: Duration,
    /// How long new calls are still served after a stop signal, while the relay says that it is not ready.
    pub drain_delay: Duration,
    /// How long calls under way may go on after that.
    pub drain: Duration,
    /// The largest request head.
    pub max_head_bytes: usize,
    /// The most header fields of a request.
    pub max_headers: usize,
    /// The longest request target.
    pub max_target_bytes: usize,
    /// Requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// Pages that may call from browsers with any key.
    pub allow_origins: Vec<AllowOrigin>,
    /// Host names beside those that are known by themselves.
    pub hosts: Hosts,
}

/// Extra host names, in lower case and without a port, for each of fal's servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Names that mean the queue.
    pub queue: Vec<String>,
    /// Names that mean direct runs.
    pub run: Vec<String>,
    /// Names that mean storage and tokens.
    pub rest: Vec<String>,
    /// Names that mean direct runs carried over WebSocket.
    pub ws: Vec<String>,
    /// Names that mean the media host.
    pub cdn: Vec<String>,
}

impl Default for Settings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            listen: loopback(8787),
            https_listen: loopback(8788),
            admin_listen: loopback(8789),
            public_url: None,
            proxy_path: Some("/api/fal/proxy".into()),
            trusted_proxies: Vec::new(),
            workers: None,
            max_connections: 10_000,
            max_connections_per_address: None,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            body_idle: Duration::from_secs(20),
            body_min_bytes_per_second: NonZeroU32::MIN.saturating_add(1023),
            write_idle: Duration::from_secs(60),
            drain_delay: Duration::ZERO,
            drain: Duration::from_secs(30),
            max_head_bytes: 32 * 1024,
            max_headers: 100,
            max_target_bytes: 8 * 1024,
            max_streams: 100,
            allow_origins: Vec::new(),
            hosts: Hosts::default(),
        }
    }
}
