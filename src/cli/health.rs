//! `health`: the question that a container's health check asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::config::Config;

/// How long a healthy relay may take to say so.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the relay that this configuration describes, on this machine.
pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    let address = reachable(config.server.admin_listen);
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()?;
    let url = format!("http://{address}/ready");
    let response = client.get(&url).send().await.with_context(|| format!("no relay answers at {url}"))?;
    let status = response.status();
    ensure!(status.is_success(), "the relay is not ready: {}", response.text().await.unwrap_or_default());
    Ok(())
}

/// An address that listens on all interfaces is asked on loopback.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
