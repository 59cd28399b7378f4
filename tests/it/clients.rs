//! The official clients, unmodified, through the relay to the sandbox. The programs are in `tests/clients`, and
//! `tests/run` installs what they use.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Relay, until};

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Runs a story to its end; what it printed is shown when it fails.
fn tell(mut story: Command, settings: &[(&str, &str)]) {
    let name = format!("{story:?}");
    story
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("NO_PROXY", "*")
        .current_dir(clients());
    let output = story.envs(settings.iter().copied()).output().unwrap_or_else(|error| {
        panic!("{name}: {error}; `tests/run` installs the clients");
    });
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}\n{out}\n{err}");
    assert!(out.lines().count() > 2, "{name} told nothing:\n{out}\n{err}");
}

fn python(program: &str) {
    assert_settled(&python_story(program));
}

fn python_story(program: &str) -> Relay {
    let relay = Relay::sandbox(&[]);
    let host = format!("localhost:{}", relay.https.unwrap().port());
    let run_host = format!("{host}/run");
    let ca = relay.folder.path().join("fal-relay-sandbox/ca.pem");
    let mut story = Command::new(clients().join(".venv/bin/python"));
    story.arg(program);
    tell(
        story,
        &[
            ("FAL_KEY", &relay.key),
            ("FAL_QUEUE_RUN_HOST", &host),
            ("FAL_RUN_HOST", &run_host),
            ("SSL_CERT_FILE", ca.to_str().unwrap()),
        ],
    );
    relay
}

/// Whatever a story did, each of its calls has a row, and each result that was read closed one.
fn assert_settled(relay: &Relay) {
    let ledger = relay.ledger();
    assert!(!ledger.is_empty());
    assert!(
        ledger
            .iter()
            .any(|row| row["state"] == "settled" && row["billable_units"] != serde_json::Value::Null)
    );
    assert!(ledger.iter().all(|row| row["state"] != "held"), "{ledger:?}");
}

#[test]
fn python_sync() {
    python("python_sync.py");
}

#[test]
fn python_async() {
    python("python_async.py");
}

#[test]
fn python_realtime() {
    let relay = python_story("python_realtime.py");
    let rows = relay.ledger();
    assert_eq!(rows.len(), 14, "{rows:?}");
    assert!(rows.iter().all(|row| row["kind"] == "realtime" && row["state"] == "settled"), "{rows:?}");
}

#[test]
fn javascript_realtime() {
    let relay = Relay::sandbox(&[]);
    let mut story = Command::new("node");
    story.args(["--experimental-websocket", "node_realtime.mjs"]);
    tell(story, &[("RELAY_URL", &relay.base()), ("FAL_KEY", &relay.key)]);
    let rows = relay.ledger();
    assert_eq!(rows.len(), 3, "{rows:?}");
}

fn node(program: &str) {
    let relay = Relay::sandbox(&[]);
    let mut story = Command::new("node");
    story.arg(program);
    tell(story, &[("RELAY_URL", &relay.base()), ("FAL_KEY", &relay.key)]);
    assert_settled(&relay);
}

#[test]
fn javascript() {
    node("node_client.mjs");
}

#[test]
fn javascript_by_its_proxy_address() {
    node("node_proxy.mjs");
}

/// A page of an origin of its own, with a client token in its proxy address and no other credential.
#[tokio::test]
async fn javascript_in_chromium() {
    let relay = Relay::sandbox(&[]);
    let mut story = Command::new("node");
    story.arg("browser.mjs");
    let home = relay.folder.path().to_str().unwrap();
    tell(story, &[("RELAY_URL", &relay.base()), ("FAL_KEY", &relay.key), ("HOME", home)]);
    // The page has gone with its socket; the relay may be about to write that down.
    until(|| relay.ledger().iter().all(|row| row["state"] != "held")).await;
    assert_settled(&relay);
    let sockets =
        relay.calls().into_iter().filter(|line| line["route"] == "realtime" && line["status"] == 101);
    let messages: Vec<_> =
        sockets.map(|line| (line["messages_up"].as_u64(), line["messages_down"].as_u64())).collect();
    assert_eq!(messages, [(Some(3), Some(3))], "fal's own messages are no outputs");
}

/// How many pieces of uploads ran through the relay: counted after its end, when every line is written.
fn pieces(mut relay: Relay) -> usize {
    relay.signal("-TERM");
    assert!(relay.wait().success());
    relay.calls().iter().filter(|call| call["route"] == "upload" && call["status"] == 200).count()
}

fn python_uploads(settings: &[(&str, &str)], way: impl Fn(&Relay) -> (&'static str, String)) -> Relay {
    let relay = Relay::sandbox(settings);
    let host = format!("localhost:{}", relay.https.unwrap().port());
    let ca = relay.folder.path().join("fal-relay-sandbox/ca.pem");
    let mut story = Command::new(clients().join(".venv/bin/python"));
    story.arg("python_uploads.py");
    let (name, value) = way(&relay);
    let ca = ca.to_str().unwrap();
    tell(
        story,
        &[("FAL_KEY", &relay.key), ("FAL_QUEUE_RUN_HOST", &host), ("SSL_CERT_FILE", ca), (name, &value)],
    );
    relay
}

#[test]
fn python_uploads_by_two_lines() {
    let relay = python_uploads(&[("FAL_RELAY_UPLOADS__THROUGH_RELAY", "true")], |relay| {
        ("RELAY_URL", format!("https://localhost:{}", relay.https.unwrap().port()))
    });
    // Two files and an asynchronous one in a piece each, two presigned ones, and one in eleven parts with begin and end.
    assert_eq!(pieces(relay), 2 + 2 + 13);
}

#[test]
fn python_uploads_where_fals_names_lead_to_the_relay() {
    let relay = python_uploads(&[("FAL_RELAY_UPLOADS__PASS_DOWNLOADS", "true")], |relay| {
        ("FAL_HOSTS_AT", relay.https.unwrap().to_string())
    });
    assert_eq!(pieces(relay), 1 + 13);
}

fn javascript_uploads(settings: &[(&str, &str)]) -> Relay {
    let relay = Relay::sandbox(settings);
    let mut story = Command::new("node");
    story.arg("node_uploads.mjs");
    tell(story, &[("RELAY_URL", &relay.base()), ("FAL_KEY", &relay.key)]);
    relay
}

#[test]
fn javascript_uploads_to_fals_own_addresses() {
    assert_eq!(pieces(javascript_uploads(&[])), 0);
}

#[test]
fn javascript_uploads_through_the_relay() {
    let relay = javascript_uploads(&[("FAL_RELAY_UPLOADS__THROUGH_RELAY", "true")]);
    // Two in a piece each, and one in ten parts with its end.
    assert_eq!(pieces(relay), 2 + 11);
}

#[test]
fn curl() {
    let relay = Relay::sandbox(&[]);
    let mut story = Command::new("bash");
    story.arg("curl_seed.sh");
    tell(story, &[("BASE", &relay.base()), ("KEY", &relay.key)]);
    assert_settled(&relay);
}

#[test]
fn curl_for_operators() {
    let relay = Relay::sandbox(&[]);
    let mut story = Command::new("bash");
    story.arg("curl_admin.sh");
    let admin = format!("http://{}", relay.admin);
    tell(story, &[("BASE", &relay.base()), ("ADMIN", &admin), ("TOKEN", &relay.token)]);
}

/// The document says what the routes do: requests made after it, sound and unsound ones, are answered as it says.
#[test]
fn schemathesis() {
    let relay = Relay::sandbox(&[]);
    let admin = format!("http://{}", relay.admin);
    let document = format!("{admin}/api/v1/openapi.json");
    let authorization = format!("Authorization: Bearer {}", relay.token);
    let mut story = Command::new(clients().join(".venv/bin/schemathesis"));
    story.args(["run", &document, "--header", &authorization, "--seed", "1", "--max-examples", "2"]);
    story.args(["--phases", "examples,coverage,fuzzing", "--no-shrink", "--no-color", "--warnings", "off"]);
    // What the document allows may still be refused: it cannot say that a tenant of that name is there already.
    story.args(["--exclude-checks", "positive_data_acceptance"]);
    // It would end the token that it works with.
    story.args(["--exclude-operation-id", "revoke_operator"]);
    tell(story, &[("HOME", relay.folder.path().to_str().unwrap())]);
}
