//! What the operator may say about certificates.

use std::path::PathBuf;
use std::time::Duration;

/// The certificate of the https listener: `[tls]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The files; without them there is no https.
    pub files: Option<CertificateFiles>,
    /// How often the files are looked at.
    pub reload: Duration,
}

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

impl Default for Settings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        Self { files: None, reload: Duration::from_secs(30) }
    }
}
