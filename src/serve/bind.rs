//! Sockets and certificates, got ready before anything is served.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use super::error::ServeError;
use crate::clock::Clock;
use crate::config::Config;
use crate::http;
use crate::tls::{self, Certificates, LocalCa};

/// fal's names that clients have built in: where they lead to this machine, the sandbox serves those clients too.
const FALS_NAMES: [&str; 5] =
    ["fal.run", "queue.fal.run", "rest.fal.ai", "rest.alpha.fal.ai", "v3.fal.media"];

/// What the https listener shows.
pub(super) struct Https {
    pub(super) server: Arc<rustls::ServerConfig>,
    /// Files that are watched.
    pub(super) certificates: Option<Arc<Certificates>>,
    /// The authority that clients must trust.
    pub(super) ca_file: Option<PathBuf>,
}

/// Certificates from the operator's files, or of a local authority in sandbox mode.
pub(super) fn certificates(
    config: &Config,
    in_sandbox: bool,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Https>, ServeError> {
    if let Some(files) = &config.tls.files {
        let certificates = Certificates::load(files)?;
        let server = Arc::new(certificates.server_config()?);
        return Ok(Some(Https { server, certificates: Some(certificates), ca_file: None }));
    }
    if !in_sandbox {
        return Ok(None);
    }
    let ca = LocalCa::open_or_make(&config.sandbox.data_dir, &FALS_NAMES.map(str::to_owned), &**clock)?;
    let server = Arc::new(ca.server_config()?);
    Ok(Some(Https { server, certificates: None, ca_file: Some(ca.ca_file().to_owned()) }))
}

/// How fal's certificates are checked; `None` when no address of fal's is https, since a machine without any trusted
/// certificate can still use those.
pub(super) fn upstream_tls(config: &Config) -> Result<Option<Arc<rustls::ClientConfig>>, ServeError> {
    let settings = &config.upstream;
    let uploads = settings.upload_hosts.iter().map(|host| &host.url);
    let mut addresses = [&settings.queue_url, &settings.run_url, &settings.rest_url, &settings.cdn_url]
        .into_iter()
        .chain(uploads);
    if !addresses.any(|address| address.starts_with("https:")) {
        return Ok(None);
    }
    Ok(Some(Arc::new(tls::client_config(settings.ca_file.as_deref(), settings.http2)?)))
}

/// The sockets of a house, all bound.
pub(super) struct Sockets {
    pub(super) http: TcpListener,
    pub(super) https: Option<TcpListener>,
    pub(super) admin: TcpListener,
}

impl Sockets {
    /// Binds them in the order in which the configuration names them.
    pub(super) fn open(settings: &http::Settings, with_https: bool) -> Result<Self, ServeError> {
        let http = listen("server.listen", settings.listen)?;
        let https = match with_https {
            true => Some(listen("server.https_listen", settings.https_listen)?),
            false => None,
        };
        Ok(Self { http, https, admin: listen("server.admin_listen", settings.admin_listen)? })
    }
}

/// A bound socket that every worker can accept from.
fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bind = || -> io::Result<TcpListener> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|reason| ServeError::Bind { key, address, reason })
}

/// Where a socket listens, once the system has chosen a port.
pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    listener.local_addr().map_err(ServeError::Runtime)
}
