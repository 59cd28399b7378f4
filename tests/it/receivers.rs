//! Receivers that were written to fal's own rules verify the relay's webhooks when they are given another address of the
//! keys, and nothing else is changed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fal_relay::clock::{Clock, SystemClock, Timestamp};
use fal_relay::fal::webhook::{SigningKey, envelope};
use fal_relay::ids::RequestId;
use fal_relay::secret::Seed;
use serde_json::{Value, json as object};

use crate::support::{Answer, Client, Fal, Relay, Seen, free_address, get, json, post, request, until};
use crate::webhooks::{id_of, path_for};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

/// The languages in which there is a receiver.
#[derive(Clone, Copy)]
enum Language {
    Python,
    JavaScript,
}

/// A receiver that runs, and is ended with the test.
struct Receiver {
    child: Child,
    lines: BufReader<ChildStdout>,
    base: String,
}

impl Receiver {
    fn start(language: Language, relay: &Relay) -> Self {
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let (program, file) = match language {
            Language::Python => (clients.join(".venv/bin/python"), "webhook_receiver.py"),
            Language::JavaScript => (PathBuf::from("node"), "webhook_receiver.mjs"),
        };
        let mut command = Command::new(program);
        command.arg(file).current_dir(&clients);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("NO_PROXY", "*");
        command.env("JWKS_URL", format!("{}/.well-known/jwks.json", relay.base()));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut base = String::new();
        lines.read_line(&mut base).unwrap();
        Self { child, lines, base: base.trim().to_owned() }
    }

    /// The next delivery: what it thought of it, and the bytes that came.
    fn next(&mut self) -> (String, Vec<u8>) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let body = STANDARD.decode(said["body"].as_str().unwrap()).unwrap();
        (said["judged"].as_str().unwrap().to_owned(), body)
    }

    /// What it answers to these headers and this body.
    async fn judge(&self, headers: &[(String, String)], body: &[u8]) -> String {
        let client = Client::new(self.base.strip_prefix("http://").unwrap().parse().unwrap());
        let kept = |name: &str| name.starts_with("x-") || name.starts_with("content-type");
        let headers = headers.iter().filter(|(name, _)| kept(name));
        let headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer =
            client.send(request("POST", "/", &[&headers[..], &[("connection", "close")]].concat(), body));
        answer.await.text()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The key of this relay's store.
fn key(relay: &Relay) -> SigningKey {
    let sql = "SELECT value FROM secrets WHERE name = 'webhook_key'";
    let seed: [u8; 32] = relay.store().query_row(sql, (), |row| row.get(0)).unwrap();
    SigningKey::from_seed(&Seed::new(seed)).unwrap()
}

fn signed(key: &SigningKey, at: Timestamp, body: &[u8]) -> Vec<(String, String)> {
    let headers = key.headers(ID, "tenant-1", at, body).unwrap();
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

/// Deliveries made here: each rule of fal's by itself.
async fn keeps_fals_rules(language: Language) {
    let relay = Relay::before("http://127.0.0.1:9");
    let receiver = Receiver::start(language, &relay);
    let (key, now) = (key(&relay), SystemClock::new().now());
    let body = envelope(&RequestId::parse(ID).unwrap(), 200, br#"{"seed":196619188014358660, "x": 1.0}"#);
    let headers = signed(&key, now, &body);
    assert_eq!(receiver.judge(&headers, &body).await, "verified");
    assert_eq!(receiver.judge(&headers, b"{}").await, "no key fits");
    let other = SigningKey::from_seed(&Seed::new([1; 32])).unwrap();
    assert_eq!(receiver.judge(&signed(&other, now, &body), &body).await, "no key fits");
    let old = Timestamp::from_micros(now.as_micros() - 310_000_000);
    assert_eq!(receiver.judge(&signed(&key, old, &body), &body).await, "stale");
    // While a new key waits for its turn, both are listed and the old one signs.
    relay.cli(&["webhook", "rotate-key"]);
    assert_eq!(receiver.judge(&headers, &body).await, "verified");
}

async fn submit(relay: &Relay, target: &str, prompt: &str) -> String {
    let path = path_for(target).replacen("/a/b?", "/fal-ai/flux-1/schnell?", 1);
    let body = object!({ "prompt": prompt }).to_string();
    id_of(&relay.client().send(post(&path, &relay.key, &body)).await)
}

async fn result(relay: &Relay, id: &str) -> Answer {
    relay.client().send(get(&format!("/fal-ai/flux-1/requests/{id}"), &relay.key)).await
}

/// Deliveries of a relay that runs, from a submit to the receiver's own opinion.
async fn takes_the_relays_webhooks(language: Language) {
    let relay = Relay::sandbox(&[]);
    let mut receiver = Receiver::start(language, &relay);
    for (prompt, begin) in [
        ("a cat", r#""status":"OK","payload":"#),
        ("[[fail:422]]", r#""status":"ERROR","error":"Invalid status code: 422","payload":"#),
    ] {
        let id = submit(&relay, &receiver.base, prompt).await;
        let (judged, body) = receiver.next();
        assert_eq!(judged, "verified", "{prompt}");
        let read = result(&relay, &id).await;
        let head = format!(r#"{{"request_id":"{id}","gateway_request_id":"{id}",{begin}"#);
        assert_eq!(body, [head.as_bytes(), &read.body, b"}"].concat(), "the result's own bytes");
    }

    // Somebody between the relay and the receiver.
    let between = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    for _ in 0..2 {
        submit(&relay, &between.base(), "a cat").await;
    }
    until(|| between.seen().len() == 2).await;
    let seen = between.seen();
    assert_eq!(receiver.judge(&seen[0].headers, &seen[0].body).await, "verified");
    let mut changed = seen[0].body.clone();
    *changed.last_mut().unwrap() = b' ';
    assert_eq!(receiver.judge(&seen[0].headers, &changed).await, "no key fits");
    assert_eq!(receiver.judge(&seen[0].headers, &seen[1].body).await, "no key fits");
    let mut moved = seen[0].headers.clone();
    moved.iter_mut().find(|(name, _)| name == "x-fal-webhook-request-id").unwrap().1 = ID.into();
    assert_eq!(receiver.judge(&moved, &seen[0].body).await, "no key fits");
}

#[tokio::test]
async fn a_receiver_in_python_verifies_by_the_relays_keys() {
    keeps_fals_rules(Language::Python).await;
}

#[tokio::test]
async fn a_receiver_in_javascript_verifies_by_the_relays_keys() {
    keeps_fals_rules(Language::JavaScript).await;
}

#[tokio::test]
async fn a_receiver_in_python_takes_the_relays_webhooks() {
    takes_the_relays_webhooks(Language::Python).await;
}

#[tokio::test]
async fn a_receiver_in_javascript_takes_the_relays_webhooks() {
    takes_the_relays_webhooks(Language::JavaScript).await;
}

/// Asked again until one was told of before the relay's own first look, a second after the submit: however slow the machine is,
/// without a call-back that never happens.
#[tokio::test]
async fn a_call_back_of_the_simulated_fal_brings_a_webhook_before_the_relays_own_look() {
    let address = free_address();
    let public = format!("http://{address}");
    let relay =
        Relay::sandbox(&[("FAL_RELAY_SERVER__LISTEN", &address), ("FAL_RELAY_SERVER__PUBLIC_URL", &public)]);
    let receiver = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let early = || {
        let sql = "SELECT count(*) FROM deliveries JOIN calls ON calls.id = call_id WHERE created_at < sent_at + 1000000";
        relay.store().query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap() > 0
    };
    let mut submitted = 0;
    while !early() {
        submit(&relay, &receiver.base(), "a cat").await;
        submitted += 1;
        until(|| receiver.seen().len() == submitted).await;
    }
    let believed = |line: &Value| line["route"] == "webhook_fal" && line["status"] == 200;
    until(|| relay.calls().iter().any(believed)).await;
}
