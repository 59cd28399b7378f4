use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::clock::{HandClock, Timestamp};

/// What a client learned in a handshake: the server's certificate and the protocol.
type Met = (CertificateDer<'static>, Option<Vec<u8>>);

/// A handshake over a pair of ends within this process.
async fn shake(server: ServerConfig, client: ClientConfig, name: &str) -> io::Result<Met> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let accepted = tokio::spawn(TlsAcceptor::from(Arc::new(server)).accept(far));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, near).await?;
    accepted.await.unwrap()?;
    let session = stream.get_ref().1;
    Ok((session.peer_certificates().unwrap()[0].clone(), session.alpn_protocol().map(<[u8]>::to_vec)))
}

fn clock() -> HandClock {
    // The moment that the verifier sees is the machine's, so the certificate must hold there.
    HandClock::new(crate::clock::Clock::now(&crate::clock::SystemClock::new()))
}

fn local(dir: &Path, names: &[&str]) -> LocalCa {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    LocalCa::open_or_make(dir, &names, &clock()).unwrap()
}

/// A self-signed certificate for localhost in `dir`.
fn write_pair(dir: &Path) -> CertificateFiles {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = CertificateFiles { certificate_file: dir.join("cert.pem"), key_file: dir.join("key.pem") };
    std::fs::write(&files.certificate_file, made.cert.pem()).unwrap();
    std::fs::write(&files.key_file, made.signing_key.serialize_pem()).unwrap();
    files
}

async fn served(certificates: &Arc<Certificates>, trusted: &Path) -> io::Result<CertificateDer<'static>> {
    let client = client_config(Some(trusted), true).unwrap();
    shake(certificates.server_config().unwrap(), client, "localhost")
        .await
        .map(|(certificate, _)| certificate)
}

#[tokio::test]
async fn the_local_authority_vouches_for_this_machines_names_and_extra_ones() {
    let dir = tempfile::tempdir().unwrap();
    let ca = local(dir.path(), &["queue.fal.run", "10.1.2.3"]);
    for name in ["localhost", "127.0.0.1", "::1", "queue.localhost", "queue.fal.run", "10.1.2.3"] {
        let client = client_config(Some(ca.ca_file()), true).unwrap();
        shake(ca.server_config().unwrap(), client, name)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let client = client_config(Some(ca.ca_file()), true).unwrap();
    shake(ca.server_config().unwrap(), client, "fal.run").await.expect_err("not its name");
}

#[tokio::test]
async fn http2_is_used_when_both_want_it() {
    let dir = tempfile::tempdir().unwrap();
    let ca = local(dir.path(), &[]);
    for (http2, protocol) in [(true, "h2"), (false, "http/1.1")] {
        let client = client_config(Some(ca.ca_file()), http2).unwrap();
        let (_, met) = shake(ca.server_config().unwrap(), client, "localhost").await.unwrap();
        assert_eq!(met.as_deref(), Some(protocol.as_bytes()));
    }
}

#[tokio::test]
async fn the_local_authority_stays_the_same_and_its_key_is_the_owners() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a/b");
    let first = local(&folder, &[]);
    let pem = std::fs::read(first.ca_file()).unwrap();
    let client = || client_config(Some(first.ca_file()), true).unwrap();
    let later = local(&folder, &["later.example"]);
    assert_eq!(std::fs::read(later.ca_file()).unwrap(), pem);
    shake(later.server_config().unwrap(), client(), "later.example").await.unwrap();

    let mode = |name: &str| std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ca.key"), mode("ca.pem") & 0o400), (0o600, 0o400));

    // A certificate that was lost is made again from the key, and the old copies of it still serve.
    let trusted = dir.path().join("copy.pem");
    std::fs::rename(first.ca_file(), &trusted).unwrap();
    let again = local(&folder, &[]);
    let client = client_config(Some(&trusted), true).unwrap();
    shake(again.server_config().unwrap(), client, "localhost").await.unwrap();
}

#[test]
fn a_folder_or_key_that_cannot_be_used_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = LocalCa::open_or_make(&file, &[], &clock()).unwrap_err();
    assert!(matches!(error, TlsError::Unwritable { .. }), "{error}");

    std::fs::write(dir.path().join("ca.key"), "no key").unwrap();
    let error = LocalCa::open_or_make(dir.path(), &[], &clock()).unwrap_err();
    assert!(error.to_string().contains("remove it"), "{error}");
}

#[tokio::test]
async fn a_changed_pair_is_served_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_pair(dir.path());
    let certificates = Certificates::load(&files).unwrap();
    let first = served(&certificates, &files.certificate_file).await.unwrap();
    assert!(!certificates.reload().unwrap());

    write_pair(dir.path());
    assert!(certificates.reload().unwrap());
    let second = served(&certificates, &files.certificate_file).await.unwrap();
    assert_ne!(first, second);

    let trusted = dir.path().join("trusted.pem");
    std::fs::copy(&files.certificate_file, &trusted).unwrap();
    for (file, content) in [(&files.key_file, "broken"), (&files.certificate_file, "")] {
        std::fs::write(file, content).unwrap();
        certificates.reload().unwrap_err();
        assert_eq!(served(&certificates, &trusted).await.unwrap(), second);
    }
}

#[tokio::test]
async fn invariant_7_a_changed_certificate_waits_for_the_next_look_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_pair(dir.path());
    let certificates = Certificates::load(&files).unwrap();
    let first = served(&certificates, &files.certificate_file).await.unwrap();
    let clock = HandClock::new(Timestamp::from_micros(0));
    let watch = tokio::spawn(certificates.clone().watch(Arc::new(clock.clone()), Duration::from_secs(30)));

    write_pair(dir.path());
    while served(&certificates, &files.certificate_file).await.ok().is_none_or(|met| met == first) {
        clock.advance(Duration::from_secs(30));
        tokio::task::yield_now().await;
    }
    watch.abort();
}

#[test]
fn invariant_7_a_file_without_an_end_is_not_read_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let endless = CertificateFiles { certificate_file: "/dev/zero".into(), ..write_pair(dir.path()) };
    assert!(matches!(Certificates::load(&endless), Err(TlsError::NotPem { .. })));
}

#[test]
fn each_fault_of_the_files_has_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_pair(dir.path());
    let told = |files: &CertificateFiles| Certificates::load(files).unwrap_err().to_string();
    let with_key = |content: &str| {
        let key_file = dir.path().join("other.pem");
        std::fs::write(&key_file, content).unwrap();
        CertificateFiles { key_file, ..files.clone() }
    };

    let gone = CertificateFiles { certificate_file: dir.path().join("gone.pem"), ..files.clone() };
    assert!(told(&gone).starts_with("cannot read "), "{}", told(&gone));
    let swapped = CertificateFiles { certificate_file: files.key_file.clone(), ..files.clone() };
    assert!(told(&swapped).contains("holds no certificate in PEM form"), "{}", told(&swapped));
    assert!(told(&with_key("hidden")).contains("holds no private key in PEM form"));
    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(told(&with_key(broken)).contains("cannot be used"));
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert!(told(&with_key(&other)).contains("does not belong to"));

    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&files.certificate_file, certificate).unwrap();
    assert!(told(&files).contains("the certificate in "), "{}", told(&files));
}

#[test]
fn a_fault_is_logged_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let fault = || Err(TlsError::Interrupted);
    tracing::subscriber::with_default(subscriber, || {
        let told = certificates::tell(fault(), None);
        let told = certificates::tell(fault(), told.as_deref());
        let told = certificates::tell(Ok(false), told.as_deref());
        certificates::tell(fault(), told.as_deref());
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("WARN").count(), 2, "{text}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
