//! `fal-relay doctor` by the front door: the real binary against a relay in sandbox mode, with the real clients that
//! `tests/run` installs.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use fal_relay::key::{ApiKey, KeyKind};
use fal_relay::random::Random;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Relay, binary};

/// The settings that name the listeners.
const LISTENERS: [&str; 4] =
    ["SERVER__LISTEN", "SERVER__HTTPS_LISTEN", "SERVER__ADMIN_LISTEN", "SANDBOX__LISTEN"];

/// A folder, the settings that hold there, and the relay that runs in it, if any.
struct Desk {
    folder: Arc<TempDir>,
    settings: Vec<(String, String)>,
    _running: Vec<Relay>,
}

impl Desk {
    /// Nothing runs.
    fn empty() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self { folder, settings: listeners(), _running: Vec::new() }
    }

    /// A relay in sandbox mode.
    fn sandbox() -> Self {
        let settings = listeners();
        let relay = Relay::sandbox(&borrowed(&settings));
        Self { folder: relay.folder.clone(), settings, _running: vec![relay] }
    }

    /// A relay as operators run it; its fal is the simulated one of a relay beside it.
    fn live() -> Self {
        let beside = Self::sandbox();
        let fal = format!("http://{}", beside.setting("SANDBOX__LISTEN"));
        let mut settings = listeners();
        settings.push(("FAL_RELAY_UPSTREAM__QUEUE_ALIASES".into(), format!("{fal}/queue")));
        let relay = Relay::with(&fal, &borrowed(&settings));
        let folder = relay.folder.clone();
        Self { folder, settings, _running: beside._running.into_iter().chain([relay]).collect() }
    }

    fn setting(&self, name: &str) -> &str {
        let found = self.settings.iter().find(|(known, _)| known.ends_with(name));
        &found.unwrap().1
    }

    /// The program in the relay's folder, as its operator starts it.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary(self.folder.path());
        command.args(arguments).envs(self.settings.iter().cloned()).env("NO_PROXY", "*");
        // HTTPie would look for updates of itself.
        std::fs::write(self.folder.path().join("config.json"), r#"{"disable_update_warnings": true}"#)
            .unwrap();
        command.env("HTTPIE_CONFIG_DIR", self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Doctor with `--json`: whether it is content, and its steps.
    fn walk(&self, arguments: &[&str]) -> (bool, Vec<Value>) {
        let output = self.run(&[&["doctor", "--json"], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let steps = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.success(), steps)
    }

    /// The states of the keys that doctor made in the sandbox's store.
    fn doctors_keys(&self) -> Vec<String> {
        let output = self.run(&["key", "list", "--sandbox", "--tenant", "doctor", "--json"]);
        let keys: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        keys.iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
    }

    /// How many rows the ledger has.
    fn calls(&self, flags: &[&str]) -> usize {
        let output = self.run(&[&["ledger", "export", "--format", "jsonl"], flags].concat());
        assert!(output.status.success());
        output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
    }
}

/// A port of its own for every listener, so that the settings say where the relay is.
fn listeners() -> Vec<(String, String)> {
    // Held together, so that no two are the same; below the ports that the system gives to others meanwhile.
    let first = 10_000 + u16::try_from(std::process::id() % 1_000).unwrap() * 20;
    let mut free = (first..).filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let sockets = LISTENERS.map(|name| (name, free.next().unwrap()));
    let address = |(name, socket): &(&str, TcpListener)| {
        (format!("FAL_RELAY_{name}"), socket.local_addr().unwrap().to_string())
    };
    sockets.iter().map(address).collect()
}

fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A key of the right form that was never handed out.
fn unknown_key(kind: KeyKind) -> String {
    ApiKey::generate(kind, &Random::seeded(7)).unwrap().expose().to_owned()
}

/// The names of the steps that went so.
fn of<'a>(steps: &'a [Value], outcome: &str) -> Vec<&'a str> {
    let is = |step: &&Value| step["outcome"] == outcome;
    steps.iter().filter(is).map(|step| step["step"].as_str().unwrap()).collect()
}

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn page(client: &str) -> String {
    let name = if client == "js" { "javascript" } else { client };
    std::fs::read_to_string(checkout(&format!("docs/clients/{name}.md"))).unwrap()
}

/// Walks with an installed client, and compares what it says with what it should say and with the client's page.
fn walk_whole(client: &str, place: &[&str], works: &[&str], cannot: &[&str]) {
    let desk = Desk::sandbox();
    let (content, steps) = desk.walk(&[&["--sandbox", "--client", client], place].concat());
    let wrong: Vec<_> = steps.iter().filter(|step| step["outcome"] == "fails").collect();
    assert!(content && wrong.is_empty(), "{wrong:?}; run tests/run, which installs the clients");
    assert_eq!(of(&steps, "works"), [&["relay", "client", "key", "wrong key"], works].concat());
    assert_eq!(of(&steps, "cannot"), cannot);
    assert_eq!(of(&steps, "not_tried"), [""; 0]);
    let page = page(client);
    for step in steps.iter().filter(|step| step["outcome"] == "cannot") {
        for field in ["detail", "remedy"] {
            let text = step[field].as_str().unwrap();
            assert!(page.contains(text), "the page of {client} does not say {text:?}");
        }
    }
    assert!(desk.calls(&["--sandbox"]) > 0, "nothing came through the relay");
}

/// One at a time: each starts a program of some weight.
mod clients {
    use super::*;

    #[test]
    fn python_walks_all_but_what_its_client_fixes() {
        walk_whole(
            "python",
            &["--program", checkout("tests/clients/.venv/bin/python").to_str().unwrap()],
            &["submit", "status", "result", "subscribe", "cancel", "run", "stream", "upload", "webhook"],
            &["realtime"],
        );
    }

    #[test]
    fn javascript_walks_all_but_what_its_client_fixes() {
        walk_whole(
            "js",
            &["--folder", checkout("tests/clients").to_str().unwrap()],
            &["submit", "status", "result", "subscribe", "cancel", "run", "stream", "upload", "webhook"],
            &["realtime"],
        );
    }

    #[test]
    fn curl_walks_all_that_plain_requests_can() {
        walk_whole(
            "curl",
            &[],
            &["submit", "status", "result", "cancel", "run", "stream", "upload", "webhook"],
            &["realtime"],
        );
    }

    #[test]
    fn httpie_walks_all_that_plain_requests_can() {
        walk_whole(
            "httpie",
            &["--program", checkout("tests/clients/.venv/bin/http").to_str().unwrap()],
            &["submit", "status", "result", "cancel", "run", "stream", "upload", "webhook"],
            &["realtime"],
        );
    }

    #[test]
    fn plain_requests_trust_the_local_authority_over_https() {
        let desk = Desk::sandbox();
        let port = desk.setting("HTTPS_LISTEN").rsplit_once(':').unwrap().1;
        let url = format!("https://localhost:{port}");
        let folder = checkout("tests/clients");
        let http = checkout("tests/clients/.venv/bin/http");
        for place in [
            ["--client", "curl", "--program", "curl"],
            ["--client", "httpie", "--program", http.to_str().unwrap()],
            ["--client", "js", "--folder", folder.to_str().unwrap()],
        ] {
            let (content, steps) = desk.walk(&[&["--sandbox", "--url", &url], &place[..]].concat());
            assert!(content && of(&steps, "works").contains(&"submit"), "{place:?}: {steps:?}");
        }
    }
}

#[test]
fn a_relay_that_is_away_is_told_and_leaves_no_key() {
    let desk = Desk::empty();
    let (content, steps) = desk.walk(&["--sandbox", "--client", "curl"]);
    assert!(!content);
    assert_eq!((steps.len(), of(&steps, "fails")), (1, vec!["relay"]));
    assert!(steps[0]["remedy"].as_str().unwrap().contains("fal-relay serve --sandbox"), "{steps:?}");
    assert!(!desk.folder.path().join("fal-relay-sandbox").exists(), "a store was made for nothing");
}

#[test]
fn a_key_that_the_relay_does_not_know_is_told_and_not_shown() {
    let (desk, key) = (Desk::sandbox(), unknown_key(KeyKind::Test));
    let mut command = desk.command(&["doctor", "--sandbox", "--client", "curl"]);
    let output = command.env("FAL_RELAY_KEY", &key).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success());
    assert!(text.contains("✗ fails      key") && text.contains("the relay does not know this key"), "{text}");
    assert!(text.contains("– not tried  submit"), "{text}");
    assert!(
        text.contains(&format!("Bearer ****{}'", &key[key.len() - 4..])) && !text.contains(&key),
        "{text}"
    );
    assert_eq!(desk.calls(&["--sandbox"]), 0);
}

#[test]
fn what_is_no_key_is_refused_before_anything_is_sent() {
    let desk = Desk::sandbox();
    for (key, why) in [
        ("nonsense".to_owned(), "no key of fal-relay"),
        (unknown_key(KeyKind::Live), "a key that works in the sandbox only"),
    ] {
        let output = desk.run(&["doctor", "--sandbox", "--client", "curl", "--key", &key]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(why), "{error}");
        assert!(!error.contains(&key), "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_key_of_doctor_is_ended_with_its_walk() {
    let desk = Desk::sandbox();
    assert!(desk.walk(&["--sandbox", "--client", "curl"]).0);
    assert_eq!(desk.doctors_keys(), ["revoked"]);
}

#[test]
fn a_walk_that_is_interrupted_ends_its_key_too() {
    let desk = Desk::sandbox();
    let program = desk.folder.path().join("hangs");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command =
        desk.command(&["doctor", "--sandbox", "--client", "python", "--program", program.to_str().unwrap()]);
    let mut doctor = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(doctor.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("export FAL_KEY=fr_test_")));
    assert!(Command::new("kill").args(["-INT", &doctor.id().to_string()]).status().unwrap().success());
    let output = doctor.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(1), b"error: interrupted\n".as_slice())
    );
    assert_eq!(desk.doctors_keys(), ["revoked"]);
}

#[test]
fn a_live_relay_is_charged_nothing_unless_asked() {
    let desk = Desk::live();
    let (content, steps) = desk.walk(&["--client", "curl"]);
    assert!(content, "{steps:?}");
    assert_eq!(of(&steps, "works"), ["relay", "client", "key", "wrong key"]);
    assert_eq!(
        of(&steps, "not_tried"),
        ["submit", "status", "result", "cancel", "run", "stream", "upload", "webhook"]
    );
    assert_eq!(desk.calls(&[]), 0);

    let (content, steps) = desk.walk(&["--client", "curl", "--spend"]);
    assert!(content && of(&steps, "not_tried").is_empty(), "{steps:?}");
    assert_eq!(
        desk.calls(&[]),
        5,
        "a submit, a cancelled submit, a run, a stream, and a submit with a webhook"
    );
}

#[test]
fn a_client_that_is_not_installed_is_told_with_the_way_to_get_it() {
    let desk = Desk::sandbox();
    for (client, line) in [
        ("python", "pip install fal-client"),
        ("js", "npm install @fal-ai/client"),
        ("curl", "install curl"),
        ("httpie", "pip install httpie"),
    ] {
        let (content, steps) = desk.walk(&["--sandbox", "--client", client, "--program", "./nothing-here"]);
        let step = steps.iter().find(|step| step["step"] == "client").unwrap();
        assert!(!content && step["outcome"] == "fails", "{steps:?}");
        assert!(step["remedy"].as_str().unwrap().contains(line), "{step}");
    }
}

#[test]
fn the_pages_show_the_lines_that_doctor_prints() {
    let desk = Desk::empty();
    for client in ["python", "js", "curl", "httpie"] {
        let output =
            desk.run(&["doctor", "--client", client, "--lines", "--url", "https://relay.example.com"]);
        let lines = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && lines.contains("relay.example.com"), "{lines}");
        assert!(page(client).contains(&format!("\n{lines}```\n")), "the page of {client} lacks:\n{lines}");
    }
}

#[test]
fn python_without_https_is_told_how_to_get_it() {
    let desk = Desk::empty();
    let output = desk.run(&["doctor", "--client", "python", "--lines", "--url", "http://relay.example.com"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("speaks https only"), "{error}");
}
