//! Why the house could not be opened.

use std::io;
use std::net::SocketAddr;

use crate::admin::AdminError;
use crate::config::ConfigError;
use crate::ids::AccountName;
use crate::jwks::KeysError;
use crate::platform::PlatformError;
use crate::random::NoRandomness;
use crate::relay::SecretsError;
use crate::sandbox::SandboxError;
use crate::store::StoreError;
use crate::tls::TlsError;
use crate::upstream::BadOrigin;

/// A start that failed. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration is not enough to serve.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A fal key has characters that no header may have.
    #[error("the key of account {0} has characters that cannot be sent in a header; copy it again from fal")]
    BadKey(AccountName),
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {reason}; stop the program that uses it, or set {key} to another address"
    )]
    Bind {
        /// The configuration's key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
    /// One of fal's addresses in the configuration cannot be used.
    #[error("[upstream]: {0}")]
    Origin(#[from] BadOrigin),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The sandbox cannot be started.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The first key cannot be made.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// What sends alerts cannot be made.
    #[error("alerts cannot be sent from here: {0}")]
    Alerts(reqwest::Error),
    /// What delivers webhooks cannot be made.
    #[error("webhooks cannot be delivered from here: {0}")]
    Webhooks(reqwest::Error),
    /// fal's platform API cannot be called.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The relay's own secrets cannot be read or made.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// fal's keys cannot be asked for.
    #[error(transparent)]
    FalKeys(#[from] KeysError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The system gave no thread or runtime.
    #[error("the system refuses a thread, runtime or socket: {0}")]
    Runtime(io::Error),
}
