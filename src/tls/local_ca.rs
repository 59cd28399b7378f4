//! A certificate authority of one's own, for https on one machine: some clients speak nothing else. Its key and its
//! certificate are made once and kept; the server's certificate is made anew at every start, so it never runs out and
//! always has the names that are wanted now.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificates::{certificates, read};
use super::{TlsError, provider, server_config};
use crate::clock::{Clock, Timestamp};

/// The names that mean this machine. The three roles are spelled out, since many clients, among them those on OpenSSL and
/// rustls, take no wildcard directly under a top-level name.
const LOCAL_NAMES: [&str; 7] =
    ["localhost", "127.0.0.1", "::1", "*.localhost", "queue.localhost", "run.localhost", "rest.localhost"];

/// How long a server's certificate holds. Apple's systems take 825 days at most.
const LEAF_LIFE: Duration = Duration::from_secs(820 * DAY_SECONDS);

/// Clocks of clients may be behind.
const CLOCK_SKEW: Duration = Duration::from_secs(DAY_SECONDS);

const DAY_SECONDS: u64 = 24 * 3600;

/// A certificate authority in a folder, with a server's certificate for this machine.
#[derive(Debug)]
pub struct LocalCa {
    ca_file: PathBuf,
    server: Arc<Fixed>,
}

impl LocalCa {
    /// Opens the authority in `dir`, or makes it (`ca.key` for the owner only, `ca.pem` for everyone), and a certificate
    /// for this machine's names and `names`.
    pub fn open_or_make(dir: &Path, names: &[String], clock: &dyn Clock) -> Result<Self, TlsError> {
        let unwritable =
            |error: io::Error| TlsError::Unwritable { path: dir.into(), reason: error.to_string() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unwritable)?;
        let ca_file = dir.join("ca.pem");
        let key = open_or_make_key(&dir.join("ca.key"))?;
        let params = authority(&key);
        let certificate = params.self_signed(&key)?.pem();
        // The certificate follows from the key, so any that was written for it before is as good.
        let pem = keep(&ca_file, 0o644, certificate.as_bytes())?;
        certificates(&ca_file, &pem)?;
        let server = Arc::new(Fixed(leaf(&Issuer::new(params, key), names, clock.now())?));
        Ok(Self { ca_file, server })
    }

    /// The certificate that clients must trust.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// A server that takes HTTP/2 and HTTP/1.1 under this machine's names.
    pub fn server_config(&self) -> Result<ServerConfig, TlsError> {
        server_config(self.server.clone())
    }
}

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn open_or_make_key(path: &Path) -> Result<KeyPair, TlsError> {
    let made = zeroize::Zeroizing::new(KeyPair::generate()?.serialize_pem());
    let pem = zeroize::Zeroizing::new(keep(path, 0o600, made.as_bytes())?);
    let reason = "remove it and start again, and a new one is made".to_owned();
    let text = std::str::from_utf8(&pem).ok();
    let key = text.and_then(|text| KeyPair::from_pem(text).ok());
    key.ok_or_else(|| TlsError::UnusableKey { path: path.into(), reason })
}

/// What the file holds; `content` is written to it when there is none yet.
fn keep(path: &Path, mode: u32, content: &[u8]) -> Result<Vec<u8>, TlsError> {
    let mut options = fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(mode).open(path);
    match made.and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all())) {
        Ok(()) => Ok(content.to_vec()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(TlsError::Unwritable { path: path.into(), reason: error.to_string() }),
    }
}

/// The authority of a key: all but the key is the same on every machine and at every start. Its name has a part of the
/// key's hash, so that two authorities are told apart where both are trusted.
fn authority(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id = params.key_identifier(key);
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = format!("fal-relay sandbox CA {}", hex::encode(id.get(..4).unwrap_or(&id)));
    params.distinguished_name.push(DnType::CommonName, name);
    // It can sign for no other authority.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // It is trusted by hand on one machine, so an end would only break that machine one day.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

fn leaf(
    issuer: &Issuer<'_, KeyPair>,
    names: &[String],
    now: Timestamp,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let mut all: Vec<String> = LOCAL_NAMES.map(str::to_owned).into();
    all.extend(names.iter().filter(|name| !LOCAL_NAMES.contains(&name.as_str())).cloned());
    let mut params = CertificateParams::new(all)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "fal-relay sandbox");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = (second_of(now) - CLOCK_SKEW).into();
    params.not_after = second_of(now.plus(LEAF_LIFE)).into();
    let key = KeyPair::generate()?;
    let chain = vec![params.signed_by(&key, issuer)?.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    CertifiedKey::from_der(chain, key, &provider()).map(Arc::new).map_err(TlsError::Setup)
}

/// A moment in whole seconds, as certificates have it; none lies before 1970.
fn second_of(moment: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(moment.as_seconds()).unwrap_or(0))
}
