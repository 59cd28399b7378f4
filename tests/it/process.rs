//! The program as its operator meets it: first start, wrong settings, signals.

use std::process::{Command, Output};

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::support::{Fal, Relay, Seen, Step, binary, get, post, read_answer, reply, submit_reply, until};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

fn free_ports(command: &mut Command) -> &mut Command {
    for listener in ["LISTEN", "HTTPS_LISTEN", "ADMIN_LISTEN"] {
        command.env(format!("FAL_RELAY_SERVER__{listener}"), "127.0.0.1:0");
    }
    command.env("FAL_KEY", "id:secret-of-the-account")
}

fn assert_fails(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
    assert!(!text.contains("secret-of-the-account") && !text.contains("panicked"), "{text}");
}

#[test]
fn a_first_start_prints_all_that_the_next_command_needs() {
    let relay = Relay::sandbox(&[]);
    assert!(relay.key.starts_with("fr_test_"), "{}", relay.key);
    assert!(relay.https.is_some());
    until_printed(&relay, "fal_client.subscribe");
    until_printed(&relay, "fal.config(");
    let ca = relay.folder.path().join("fal-relay-sandbox/ca.pem");
    assert!(ca.exists());
}

/// The banner is collected by a thread; its last lines may still be on their way.
fn until_printed(relay: &Relay, words: &str) {
    while !relay.output().contains(words) {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_first_start_with_a_fal_key_makes_a_live_key() {
    let fal = Fal::start(|_: &Seen| submit_reply("a/b", ID)).await;
    let relay = Relay::before(&fal.base());
    assert!(relay.key.starts_with("fr_live_"), "{}", relay.key);
    assert!(relay.https.is_none(), "https is on without a certificate");
    let relay = relay.restart();
    assert_eq!(relay.client().send(post("/a/b", &relay.key, "{}")).await.status, 200);
}

#[test]
fn a_sandbox_never_looks_at_a_real_key() {
    let relay = Relay::sandbox(&[("FAL_KEY", "id:5ecre7f00dcanary")]);
    until_printed(&relay, "FAL_KEY");
}

#[test]
fn serving_without_an_account_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = binary(folder.path());
    let output = free_ports(command.arg("serve")).env_remove("FAL_KEY").output().unwrap();
    assert_fails(&output, &["FAL_KEY", "--sandbox"]);
}

#[test]
fn an_unknown_key_of_the_configuration_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fal-relay.toml"), "[server]\nlisten = \"127.0.0.1:0\"\nworker = 2\n")
        .unwrap();
    let output = free_ports(binary(folder.path()).arg("serve")).output().unwrap();
    assert_fails(&output, &["fal-relay.toml:3", "worker", "workers"]);
}

#[tokio::test]
async fn a_port_in_use_is_told_with_the_setting_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = binary(folder.path());
    let output = free_ports(command.arg("serve")).env("FAL_RELAY_SERVER__LISTEN", &address).output().unwrap();
    assert_fails(&output, &[&address, "server.listen", "in use"]);
}

#[test]
fn a_data_folder_that_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let mut command = binary(folder.path());
    let output = free_ports(command.arg("serve"))
        .env("FAL_RELAY_STORE__URL", "sqlite://file/relay.db")
        .output()
        .unwrap();
    assert_fails(&output, &["file/relay.db"]);
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_left_alone() {
    let relay = Relay::before("http://127.0.0.1:1");
    let store = relay.folder.path().join("fal-relay-data/relay.db");
    rusqlite::Connection::open(&store).unwrap().pragma_update(None, "user_version", 9_999).unwrap();
    let output = free_ports(binary(relay.folder.path()).args(["key", "list"])).output().unwrap();
    assert_fails(&output, &["9999", "newer"]);
}

#[tokio::test]
async fn a_signal_lets_calls_under_way_finish() {
    let (pieces, follow) = mpsc::unbounded_channel();
    let follow = std::sync::Mutex::new(Some(follow));
    let fal =
        Fal::start(move |_: &Seen| follow.lock().unwrap().take().map_or(Step::Close, Step::Follow)).await;
    let mut relay = Relay::before(&fal.base());
    let mut waiting = relay.client().connect().await;
    waiting.write_all(&post("/run/a/b", &relay.key, "{}")).await.unwrap();
    until(|| fal.seen().len() == 1).await;

    relay.signal("-TERM");
    until(|| relay.output().contains("draining")).await;
    while tokio::net::TcpStream::connect(relay.http).await.is_ok() {}
    pieces.send(reply("200 OK", &[], b"{\"done\":true}")).unwrap();
    let answer = read_answer(&mut waiting).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"done\":true}"));
    assert!(relay.wait().success());
    assert_eq!(relay.ledger()[0]["state"], "settled");
}

#[tokio::test]
async fn while_a_balancer_finds_out_new_calls_are_still_served() {
    let fal = Fal::start(|_: &Seen| submit_reply("a/b", ID)).await;
    let delay = ("FAL_RELAY_SERVER__DRAIN_DELAY_SECONDS", "600");
    let relay = Relay::with(&fal.base(), &[delay]);
    relay.signal("-TERM");
    let admin = crate::support::Client::new(relay.admin);
    for listener in [relay.client(), admin] {
        while listener.send(get("/ready", "")).await.status != 503 {}
        assert_eq!(listener.send(get("/ready", "")).await.json()["status"], "draining");
        assert_eq!(listener.send(get("/health", "")).await.status, 200);
    }
    assert_eq!(relay.client().send(post("/a/b", &relay.key, "{}")).await.status, 200);
}

#[tokio::test]
async fn invariant_7_after_the_delay_the_door_closes() {
    let fal = Fal::start(|_: &Seen| submit_reply("a/b", ID)).await;
    let delay = ("FAL_RELAY_SERVER__DRAIN_DELAY_SECONDS", "1");
    let mut relay = Relay::with(&fal.base(), &[delay]);
    relay.signal("-TERM");
    until(|| relay.output().contains("not ready any more")).await;
    while tokio::net::TcpStream::connect(relay.http).await.is_ok() {}
    assert!(relay.wait().success());
}

#[tokio::test]
async fn health_is_told_to_people_and_to_containers() {
    let fal = Fal::start(|_: &Seen| Step::Hang).await;
    let relay = Relay::before(&fal.base());
    for listener in [relay.client(), crate::support::Client::new(relay.admin)] {
        assert_eq!(listener.send(get("/health", "")).await.json()["status"], "ok");
        assert_eq!(listener.send(get("/ready", "")).await.json()["status"], "ready");
    }
    let admin = relay.admin.to_string();
    let health = |address: &str| {
        let mut command = binary(relay.folder.path());
        command.arg("health").env("FAL_KEY", "id:secret-of-the-account");
        command.env("FAL_RELAY_SERVER__ADMIN_LISTEN", address).output().unwrap()
    };
    assert!(health(&admin).status.success());
    assert_fails(&health("127.0.0.1:1"), &["127.0.0.1:1"]);
}

#[tokio::test]
async fn operators_routes_are_not_on_the_tenants_port_nor_the_other_way_round() {
    let fal = Fal::start(|_: &Seen| submit_reply("a/b", ID)).await;
    let relay = Relay::before(&fal.base());
    let admin = crate::support::Client::new(relay.admin);
    assert_eq!(admin.send(post("/a/b", &relay.key, "{}")).await.status, 404);
    assert_eq!(fal.seen().len(), 0);
}
