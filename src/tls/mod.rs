//! Certificates: those of the https listener, read from files and swapped when they change; a certificate authority of
//! one's own for the sandbox; and the trust with which the relay calls fal. One provider of cryptography, aws-lc-rs,
//! named at every place, so that nothing depends on what a process installed first.

mod certificates;
mod client;
mod error;
mod local_ca;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::ResolvesServerCert;

pub use certificates::Certificates;
pub use client::{client_config, trusting_nobody};
pub use error::TlsError;
pub use local_ca::LocalCa;
pub use settings::{CertificateFiles, Settings};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A server that takes HTTP/2 and HTTP/1.1, with whatever certificate `resolver` has at the moment.
fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config = builder.map_err(TlsError::Setup)?.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
