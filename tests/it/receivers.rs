//! Receivers that were written to fal's own rules verify the relay's signatures when they are given another address of the
//! keys, and nothing else is changed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fal_relay::clock::{Clock, SystemClock, Timestamp};
use fal_relay::fal::webhook::{SigningKey, envelope};
use fal_relay::ids::RequestId;
use fal_relay::secret::Seed;

use crate::support::Relay;

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// The key of this relay's store.
fn key(relay: &Relay) -> SigningKey {
    let sql = "SELECT value FROM secrets WHERE name = 'webhook_key'";
    let seed: [u8; 32] = relay.store().query_row(sql, (), |row| row.get(0)).unwrap();
    SigningKey::from_seed(&Seed::new(seed)).unwrap()
}

/// What the receiver thinks of a delivery.
fn ask(mut program: Command, jwks_url: &str, delivery: &serde_json::Value) -> String {
    program.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("NO_PROXY", "*");
    program.env("JWKS_URL", jwks_url).current_dir(clients());
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(delivery.to_string().as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}

fn delivery(key: &SigningKey, at: Timestamp, signed: &[u8], sent: &[u8]) -> serde_json::Value {
    let headers = key.headers(ID, "tenant-1", at, signed).unwrap();
    let headers: serde_json::Map<_, _> =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    serde_json::json!({ "headers": headers, "body": STANDARD.encode(sent) })
}

fn verifies(program: impl Fn() -> Command) {
    let relay = Relay::before("http://127.0.0.1:9");
    let url = format!("{}/.well-known/jwks.json", relay.base());
    let (key, now) = (key(&relay), SystemClock::new().now());
    let body = envelope(&RequestId::parse(ID).unwrap(), 200, br#"{"seed":196619188014358660, "x": 1.0}"#);
    let judge = |delivery| ask(program(), &url, &delivery);
    assert_eq!(judge(delivery(&key, now, &body, &body)), "verified");
    assert_eq!(judge(delivery(&key, now, &body, b"{}")), "no key fits");
    let other = SigningKey::from_seed(&Seed::new([1; 32])).unwrap();
    assert_eq!(judge(delivery(&other, now, &body, &body)), "no key fits");
    let old = Timestamp::from_micros(now.as_micros() - 310_000_000);
    assert_eq!(judge(delivery(&key, old, &body, &body)), "stale");
    // While a new key waits for its turn, both are listed and the old one signs.
    relay.cli(&["webhook", "rotate-key"]);
    assert_eq!(judge(delivery(&key, now, &body, &body)), "verified");
}

#[test]
fn a_receiver_in_python_verifies_by_the_relays_keys() {
    verifies(|| {
        let mut program = Command::new(clients().join(".venv/bin/python"));
        program.arg("webhook_receiver.py");
        program
    });
}

#[test]
fn a_receiver_in_javascript_verifies_by_the_relays_keys() {
    verifies(|| {
        let mut program = Command::new("node");
        program.arg("webhook_receiver.mjs");
        program
    });
}
