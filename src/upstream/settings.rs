//! What the operator may say about the road to fal.

use std::path::PathBuf;
use std::time::Duration;

/// A host that uploads go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadHost {
    /// How fal names it in the addresses that it gives out.
    pub named: String,
    /// Where it is.
    pub url: String,
}

impl UploadHost {
    /// A host that is where fal says.
    pub fn at(url: String) -> Self {
        Self { named: url.clone(), url }
    }
}

/// The road to fal: `[upstream]` of the configuration, checked. Addresses have a scheme, a host, perhaps a port and a
/// path, and no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// fal's queue.
    pub queue_url: String,
    /// fal's direct runs.
    pub run_url: String,
    /// fal's storage and tokens.
    pub rest_url: String,
    /// fal's platform API: models and prices.
    pub api_url: String,
    /// fal's media.
    pub cdn_url: String,
    /// Further hosts whose addresses fal gives out to be uploaded to.
    pub upload_hosts: Vec<UploadHost>,
    /// fal's realtime sockets.
    pub ws_url: String,
    /// The keys with which fal signs its webhooks.
    pub jwks_url: String,
    /// Addresses under which fal's queue may name itself in its answers, beside `queue_url`.
    pub queue_aliases: Vec<String>,
    /// Certificates that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long to wait for a connection, with its TLS handshake.
    pub connect_timeout: Duration,
    /// How long the queue may take until the head of its answer.
    pub queue_head_timeout: Duration,
    /// How long a direct run may take until the head of its answer.
    pub run_head_timeout: Duration,
    /// How long a media host may take until the head of its answer, once it has all of a file.
    pub upload_head_timeout: Duration,
    /// How long an answer may pause.
    pub body_idle: Duration,
    /// How long an idle connection is kept.
    pub pool_idle: Duration,
    /// Idle connections kept for each worker.
    pub pool_max_idle: usize,
    /// Whether HTTP/2 is used where the other side offers it.
    pub http2: bool,
    /// Whether connections to other machines are refused. The sandbox sets it; no operator can.
    pub loopback_only: bool,
}

impl Default for Settings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        Self {
            queue_url: "https://queue.fal.run".into(),
            run_url: "https://fal.run".into(),
            rest_url: "https://rest.fal.ai".into(),
            api_url: "https://api.fal.ai".into(),
            cdn_url: "https://v3.fal.media".into(),
            upload_hosts: ["https://v3b.fal.media", "https://storage.googleapis.com"]
                .map(|url| UploadHost::at(url.into()))
                .to_vec(),
            ws_url: "wss://ws.fal.run".into(),
            jwks_url: "https://rest.fal.ai/.well-known/jwks.json".into(),
            queue_aliases: vec!["https://queue.fal.run".into(), "https://queue.falrun.com".into()],
            ca_file: None,
            connect_timeout: Duration::from_secs(5),
            queue_head_timeout: Duration::from_secs(30),
            run_head_timeout: Duration::from_secs(3600),
            upload_head_timeout: Duration::from_secs(120),
            body_idle: Duration::from_secs(90),
            pool_idle: Duration::from_secs(60),
            pool_max_idle: 64,
            http2: true,
            loopback_only: false,
        }
    }
}
