//! TLS and HTTP/2 on both sides: as clients speak it to the relay, and as the relay speaks it to fal.

use std::process::Command;

use crate::support::{Fal, Relay, Seen, json, submit_reply};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

/// What curl prints, with these arguments.
fn curl(arguments: &[&str]) -> String {
    let output =
        Command::new("curl").args(["-sS", "--noproxy", "*", "--max-time", "20"]).args(arguments).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A submit by curl, with the version and status that came of it behind the body.
fn submit(relay: &Relay, url: &str, more: &[&str]) -> String {
    let authorization = format!("Authorization: Bearer {}", relay.key);
    let mut arguments = vec![url, "-H", &authorization, "-d", r#"{"prompt":"a cat"}"#];
    arguments.extend(["-H", "Content-Type: application/json", "-w", " %{http_version} %{http_code}"]);
    arguments.extend(more);
    curl(&arguments)
}

#[test]
fn the_sandboxs_own_authority_serves_both_versions_and_its_answers_are_https() {
    let relay = Relay::sandbox(&[]);
    let ca = relay.folder.path().join("fal-relay-sandbox/ca.pem");
    let url = format!("https://localhost:{}/fal-ai/flux-1/dev", relay.https.unwrap().port());
    for (flag, version) in [("--http1.1", " 1.1 200"), ("--http2", " 2 200")] {
        let answer = submit(&relay, &url, &["--cacert", ca.to_str().unwrap(), flag]);
        assert!(answer.ends_with(version), "{answer}");
        let base = format!("\"response_url\":\"https://localhost:{}/fal-ai/", relay.https.unwrap().port());
        assert!(answer.contains(&base), "{answer}");
    }
}

#[test]
fn http_2_without_tls_is_spoken_too() {
    let relay = Relay::sandbox(&[]);
    let url = format!("{}/fal-ai/flux-1/dev", relay.base());
    let answer = submit(&relay, &url, &["--http2-prior-knowledge"]);
    assert!(answer.ends_with(" 2 200"), "{answer}");
    assert!(answer.contains(&format!("\"response_url\":\"{}/fal-ai/", relay.base())), "{answer}");
}

#[test]
fn certificates_from_files_are_reloaded_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        made.cert.pem()
    };
    write("first.test");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let relay = Relay::with(
        "http://127.0.0.1:1",
        &[
            ("FAL_RELAY_TLS__CERTIFICATE_FILE", &file("cert.pem")),
            ("FAL_RELAY_TLS__KEY_FILE", &file("key.pem")),
            ("FAL_RELAY_TLS__RELOAD_SECONDS", "1"),
        ],
    );
    let port = relay.https.unwrap().port();
    let reached = |name: &str| {
        let resolve = format!("{name}:{port}:127.0.0.1");
        let health = format!("https://{name}:{port}/health");
        let cert = file("cert.pem");
        let arguments = ["-sS", "--noproxy", "*", "--cacert", &cert, "--resolve", &resolve, &health];
        Command::new("curl").args(arguments).output().unwrap().status.success()
    };
    assert!(reached("first.test"));
    write("second.test");
    while !reached("second.test") {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_under_which_address_clients_reach_the_relay() {
    let fal = Fal::start(|seen: &Seen| match seen.method.as_str() {
        "POST" => submit_reply("a/b", ID),
        _ => json("200 OK", "{}"),
    })
    .await;
    for (trusted, base) in [("127.0.0.0/8", "https://fal.example.com"), ("10.0.0.0/8", "http://relay.test")] {
        let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__TRUSTED_PROXIES", trusted)]);
        let fields = [
            ("authorization", format!("Key {}", relay.key)),
            ("x-forwarded-proto", "https".into()),
            ("x-forwarded-host", "fal.example.com".into()),
        ];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = relay.client().send(crate::support::request("POST", "/a/b", &fields, b"{}")).await;
        assert_eq!(answer.json()["response_url"], format!("{base}/a/b/requests/{ID}"), "{trusted}");
    }
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__PUBLIC_URL", "https://example.com/fal")]);
    let answer = relay.client().send(crate::support::post("/a/b", &relay.key, "{}")).await;
    assert_eq!(answer.json()["response_url"], format!("https://example.com/fal/a/b/requests/{ID}"));
}
