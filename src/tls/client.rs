//! The trust with which the relay calls fal.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_platform_verifier::Verifier;

use super::certificates::{certificates, read};
use super::{TlsError, provider};

/// A client that trusts nobody: for addresses that are not https, on a machine without certificates too.
pub fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(TlsError::Setup)?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// A client that trusts what the system trusts, and the certificates in `extra_ca`; it offers HTTP/2 when `http2` is set,
/// and HTTP/1.1. Fails when nothing at all is trusted, as on a machine without CA certificates.
pub fn client_config(extra_ca: Option<&Path>, http2: bool) -> Result<ClientConfig, TlsError> {
    let extra = extra_ca.map(|path| certificates(path, &read(path)?)).transpose()?;
    let verifier = Verifier::new_with_extra_roots(extra.unwrap_or_default(), provider());
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config = builder
        .map_err(TlsError::Setup)?
        .dangerous() // The method's name; this verifier checks everything.
        .with_custom_certificate_verifier(Arc::new(verifier.map_err(TlsError::Setup)?))
        .with_no_client_auth();
    if http2 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}
