//! Receivers behind TLS: one that is trusted gets its webhooks, and what is wrong with another stands in the log of tries.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{HERE, QUICK, id_of, result, stage, submit};
use crate::support::{Relay, until};

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority of this test");
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

/// A receiver with a certificate for `name` until `end`; self-signed without an issuer.
async fn receiver(name: &str, end: i32, issuer: Option<&Issuer<'static, KeyPair>>) -> SocketAddr {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(end, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let (tls, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = tls.accept(socket).await else { continue };
            let mut head = [0; 4096];
            drop(socket.read(&mut head).await);
            drop(
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await,
            );
            drop(socket.shutdown().await);
        }
    });
    address
}

fn last_reason(relay: &Relay, host: &str) -> Option<(String, Option<String>)> {
    let sql = "SELECT state, reason FROM deliveries WHERE host = ?1 AND attempts > 0";
    relay.store().query_row(sql, (host,), |row| Ok((row.get(0)?, row.get(1)?))).ok()
}

#[tokio::test]
async fn a_receiver_with_a_bad_certificate_is_told_why_nothing_comes() {
    let (pem, issuer) = authority();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let trust = |path: &Path| path.to_str().unwrap().to_owned();
    let fal = stage().await;
    let relay = Relay::with(&fal.base(), &[HERE, QUICK, ("SSL_CERT_FILE", &trust(&file))]);
    let cases = [
        (receiver("localhost", 2120, Some(&issuer)).await, None),
        (
            receiver("localhost", 2021, Some(&issuer)).await,
            Some("the receiver has a certificate that has expired"),
        ),
        (
            receiver("other.test", 2120, Some(&issuer)).await,
            Some("the receiver has a certificate for another name"),
        ),
        (
            receiver("localhost", 2120, None).await,
            Some("the receiver has a certificate that no trusted authority has signed"),
        ),
    ];
    for (address, reason) in cases {
        let host = format!("localhost:{}", address.port());
        id_of(&submit(&relay, &format!("https://{host}/hook"), &result("{}")).await);
        let wanted = if reason.is_none() { "delivered" } else { "dead" };
        until(|| last_reason(&relay, &host).is_some_and(|(state, _)| state == wanted)).await;
        assert_eq!(last_reason(&relay, &host).unwrap().1.as_deref(), reason, "{host}");
    }
    // One that speaks no TLS at all.
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("localhost:{}", plain.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = plain.accept().await {
            drop(socket.read(&mut [0; 4096]).await);
            drop(socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    });
    id_of(&submit(&relay, &format!("https://{host}/hook"), &result("{}")).await);
    until(|| last_reason(&relay, &host).is_some_and(|(state, _)| state == "dead")).await;
    assert_eq!(
        last_reason(&relay, &host).unwrap().1.unwrap(),
        "the receiver does not speak TLS as it should"
    );
}
