//! The certificate of the https listener: read from two files, and again whenever what they hold changes.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, Digest, SHA256};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, ServerConfig};
use tracing::{info, warn};

use super::{CertificateFiles, TlsError, provider, server_config};
use crate::clock::Clock;

/// The largest file that is read: a chain has a few thousand bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A certificate chain and its key, which new connections see as it is at the moment.
#[derive(Debug)]
pub struct Certificates {
    files: CertificateFiles,
    current: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    key: Arc<CertifiedKey>,
    /// Tells whether the files changed: times and sizes do not, when a mounted secret is swapped.
    content: Digest,
}

impl Certificates {
    /// Reads the files and checks that they belong together.
    pub fn load(files: &CertificateFiles) -> Result<Arc<Self>, TlsError> {
        let current = Pair::read(files)?.load(files)?;
        Ok(Arc::new(Self { files: files.clone(), current: ArcSwap::from_pointee(current) }))
    }

    /// A server that takes HTTP/2 and HTTP/1.1 with this certificate, and with those that follow it.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        server_config(self.clone())
    }

    /// Looks at the files; says whether they had changed. After an error the old certificate is still in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let pair = Pair::read(&self.files)?;
        if pair.content().as_ref() == self.current.load().content.as_ref() {
            return Ok(false);
        }
        self.current.store(Arc::new(pair.load(&self.files)?));
        Ok(true)
    }

    /// Looks at the files again and again, until the task is dropped. A fault is told once, not at every look.
    pub async fn watch(self: Arc<Self>, clock: Arc<dyn Clock>, every: Duration) {
        let mut told: Option<String> = None;
        loop {
            clock.sleep(every).await;
            let this = self.clone();
            let looked = tokio::task::spawn_blocking(move || this.reload()).await;
            told = tell(looked.unwrap_or(Err(TlsError::Interrupted)), told.as_deref());
        }
    }
}

/// Logs what came of a look, unless it is the fault that was told before; returns the fault that is known now.
pub(super) fn tell(looked: Result<bool, TlsError>, told: Option<&str>) -> Option<String> {
    match looked.map_err(|error| error.to_string()) {
        Ok(changed) => {
            if changed {
                info!("certificate renewed");
            }
            None
        }
        Err(error) => {
            if told != Some(error.as_str()) {
                warn!(error, "certificate not renewed, the old one stays");
            }
            Some(error)
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().key.clone())
    }
}

/// What the two files hold.
struct Pair {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
}

impl Pair {
    fn read(files: &CertificateFiles) -> Result<Self, TlsError> {
        Ok(Self { certificate: read(&files.certificate_file)?, key: read(&files.key_file)?.into() })
    }

    fn content(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        context.update(&(self.certificate.len() as u64).to_le_bytes());
        context.update(&self.certificate);
        context.update(&self.key);
        context.finish()
    }

    fn load(&self, files: &CertificateFiles) -> Result<Loaded, TlsError> {
        let (certificate, key) = (&files.certificate_file, &files.key_file);
        let chain = certificates(certificate, &self.certificate)?;
        let not_pem = |_| TlsError::NotPem { path: key.clone(), wanted: "private key", label: "PRIVATE KEY" };
        let key_der = PrivateKeyDer::from_pem_slice(&self.key).map_err(not_pem)?;
        let signing_key = provider().key_provider.load_private_key(key_der);
        let unusable = |error: Error| TlsError::UnusableKey { path: key.clone(), reason: error.to_string() };
        let certified = CertifiedKey::new(chain, signing_key.map_err(unusable)?);
        match certified.keys_match() {
            // A key that cannot tell its public half, as in hardware, is trusted.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Loaded { key: Arc::new(certified), content: self.content() })
            }
            Err(Error::InconsistentKeys(_)) => {
                Err(TlsError::Mismatch { certificate: certificate.clone(), key: key.clone() })
            }
            Err(error) => {
                Err(TlsError::UnusableCertificate { path: certificate.clone(), reason: error.to_string() })
            }
        }
    }
}

/// The certificates of a PEM text; at least one.
pub(super) fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or(TlsError::NotPem { path: path.into(), wanted: "certificate", label: "CERTIFICATE" })
}

/// The whole content of a small file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|error| TlsError::Unreadable { path: path.into(), reason: error.to_string() })
}
