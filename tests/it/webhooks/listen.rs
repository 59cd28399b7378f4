//! Those who hear of webhooks without a receiver: the stream of a key's holder, and `fal-relay webhook listen`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fal_relay::clock::{Clock, SystemClock};
use fal_relay::fal::webhook::{PublicKeys, verify};
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json as object};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{HERE, arrived, id_of, receiver, result, stage, submit};
use crate::support::{Fal, Relay, Seen, binary, free_address, get, json, post, read_answer, request, until};

const PATH: &str = "/v1/webhooks/events";
/// The receiver that is none.
const NOBODY: &str = "https://listen.invalid/hook?order=7";
const ODD: &str = "{ \"seed\": 196619188014358660,\"b\":1.10e40 , \"a\":\"\\u0041\"}";

/// A listener by hand: what comes is read as text, in which each event stands whole.
struct Ear {
    socket: TcpStream,
    text: String,
}

impl Ear {
    async fn open(relay: &Relay, key: &str, last: Option<&str>) -> Self {
        let authorization = format!("Bearer {key}");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(last.map(|last| ("last-event-id", last)));
        let mut socket = relay.client().connect().await;
        socket.write_all(&request("GET", PATH, &headers, b"")).await.unwrap();
        let mut ear = Self { socket, text: String::new() };
        ear.hear("id: ").await;
        assert!(
            ear.text.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"),
            "{}",
            ear.text
        );
        ear
    }

    /// Reads until this was said.
    async fn hear(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            assert!(self.more().await, "the stream has ended without {wanted}: {}", self.text);
        }
    }

    async fn more(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let read = self.socket.read(&mut piece).await.unwrap_or(0);
        self.text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        read > 0
    }

    /// Reads to the end; whether it is a sound one.
    async fn end(&mut self) -> bool {
        while !self.text.ends_with("\r\n0\r\n\r\n") {
            if !self.more().await {
                return false;
            }
        }
        true
    }

    /// The webhooks that were told, once there are so many.
    async fn webhooks(&mut self, count: usize) -> Vec<Value> {
        loop {
            let lines = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
            let told: Vec<_> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
            if told.len() >= count {
                return told;
            }
            assert!(self.more().await, "the stream has ended: {}", self.text);
        }
    }

    /// The numbers of all that was told.
    fn ids(&self) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
    }
}

fn ids_of(told: &[Value]) -> Vec<&str> {
    told.iter().map(|one| one["request_id"].as_str().unwrap()).collect()
}

/// `fal-relay webhook listen` as a developer runs it, in a folder of his own. To read from it keeps a thread waiting.
struct Cli {
    child: Child,
    lines: BufReader<ChildStdout>,
    key: String,
    _folder: TempDir,
}

impl Cli {
    fn start(relay: &Relay, key: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command: Command = binary(folder.path());
        command.args(["webhook", "listen", "--relay", &relay.base()]).args(arguments).env("FAL_KEY", key);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, key: key.to_owned(), _folder: folder }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(!line.contains(&self.key[8..]), "the key is shown");
        line
    }

    /// Waits for its own end.
    fn failure(mut self) -> String {
        assert!(!self.child.wait().unwrap().success());
        let mut error = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert!(!error.contains(&self.key[8..]), "the key is shown");
        error
    }
}

impl Drop for Cli {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether a receiver that follows fal's rules takes this for the relay's.
async fn is_genuine(relay: &Relay, headers: &[(String, String)], body: &[u8]) -> bool {
    let keys = relay.client().send(request("GET", "/.well-known/jwks.json", &[], b"")).await.body;
    let pair = |(name, value): &(String, String)| {
        (name.parse::<HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap())
    };
    let headers: HeaderMap = headers.iter().map(pair).collect();
    verify(&headers, body, &PublicKeys::parse(&keys).unwrap(), SystemClock::new().now()).is_ok()
}

fn envelope(id: &str) -> String {
    format!(r#"{{"request_id":"{id}","gateway_request_id":"{id}","status":"OK","payload":{ODD}}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_developers_machine_gets_the_very_webhook() {
    let (fal, receiver) = (stage().await, receiver().await);
    let relay = Relay::before(&fal.base());
    let refused = submit(&relay, &receiver.base(), &result(ODD)).await;
    assert!(
        refused.status == 400 && refused.text().contains("fal-relay webhook listen"),
        "{}",
        refused.text()
    );

    let mut cli = Cli::start(&relay, &relay.key, &["--forward", &format!("{}/local", receiver.base())]);
    assert!(cli.line().starts_with(&format!("Listening to the webhooks of {} for ", relay.base())));
    let id = id_of(&submit(&relay, NOBODY, &result(ODD)).await);
    let line = cli.line();
    assert!(line.ends_with(&format!("Z {id} OK -> 200\n")), "{line}");
    let got = arrived(&receiver, 1).await.remove(0);
    assert_eq!((got.method.as_str(), got.target.as_str()), ("POST", "/local"));
    assert_eq!(String::from_utf8(got.body.clone()).unwrap(), envelope(&id));
    let signed: Vec<_> = got.headers.iter().filter(|(name, _)| name.starts_with("x-")).cloned().collect();
    assert!(is_genuine(&relay, &signed, &got.body).await, "{signed:?}");
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert!(got.header("x-relay-delivery-id").unwrap().starts_with("whd_"));
    assert_eq!(got.header("authorization"), None, "the receiver gets no key");

    let failed = object!({"status": 422, "text": r#"{"detail":"no"}"#});
    let id = id_of(&submit(&relay, NOBODY, &failed).await);
    assert!(cli.line().ends_with(&format!(" {id} ERROR -> 200\n")));
    // Nobody was called, and the outbox is empty.
    let sql =
        "SELECT count(*) FROM deliveries WHERE state = 'delivered' AND status IS NULL AND reason IS NULL";
    until(|| relay.store().query_row(sql, (), |row| row.get::<_, i64>(0)) == Ok(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_developers_machine_goes_on_when_the_relay_is_back() {
    let (fal, receiver) = (stage().await, receiver().await);
    let address = free_address();
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__LISTEN", &address)]);
    let before = id_of(&submit(&relay, NOBODY, &result(ODD)).await);
    let mut cli = Cli::start(&relay, &relay.key, &["--replay", "--forward", &receiver.base()]);
    cli.line();
    assert!(cli.line().contains(&before));
    let relay = relay.restart();
    let after = id_of(&submit(&relay, NOBODY, &result(ODD)).await);
    assert!(cli.line().contains(&after));
    let relay = relay.restart();
    let last = id_of(&submit(&relay, NOBODY, &result(ODD)).await);
    assert!(cli.line().contains(&last));
    assert_eq!(receiver.seen().len(), 3, "each was sent on once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_and_a_redirect_are_told_and_not_followed() {
    let elsewhere = receiver().await;
    let location = elsewhere.base();
    let moves = Fal::start(move |_: &Seen| {
        crate::support::Step::Reply(crate::support::reply(
            "307 Temporary Redirect",
            &[("location", &location)],
            b"",
        ))
    })
    .await;
    let fal = stage().await;
    let relay = Relay::before(&fal.base());
    for (forward, said) in
        [(moves.base(), "-> 307\n"), ("http://127.0.0.1:9".into(), "-> no connection could be made\n")]
    {
        let mut cli = Cli::start(&relay, &relay.key, &["--forward", &forward]);
        cli.line();
        id_of(&submit(&relay, NOBODY, &result(ODD)).await);
        let line = cli.line();
        assert!(line.ends_with(said), "{line}");
    }
    assert_eq!(elsewhere.seen().len(), 0);
    let mut cli = Cli::start(&relay, &relay.key, &["--replay"]);
    cli.line();
    assert!(cli.line().ends_with(" OK\n"), "without a receiver it only tells");
}

#[tokio::test]
async fn an_event_holds_the_request_and_a_number_to_go_on_after() {
    let (fal, receiver) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE]);
    let mut ear = Ear::open(&relay, &relay.key, None).await;
    assert_eq!(ear.ids(), ["0"]);
    let first = id_of(&submit(&relay, &receiver.base(), &result(ODD)).await);
    let told = ear.webhooks(1).await.remove(0);
    assert_eq!(
        (told["request_id"].as_str(), told["url"].as_str()),
        (Some(first.as_str()), Some(&*format!("{}/", receiver.base())))
    );
    let body = STANDARD.decode(told["body_base64"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(body.clone()).unwrap(), envelope(&first));
    let headers: Vec<(String, String)> =
        serde_json::from_value::<std::collections::BTreeMap<String, String>>(told["headers"].clone())
            .unwrap()
            .into_iter()
            .collect();
    assert!(is_genuine(&relay, &headers, &body).await);
    // It is told of beside its receiver, which gets it too, under the same id.
    let got = arrived(&receiver, 1).await.remove(0);
    assert_eq!((&got.body, got.header("x-relay-delivery-id")), (&body, told["delivery_id"].as_str()));

    let second = id_of(&submit(&relay, NOBODY, &result(ODD)).await);
    ear.webhooks(2).await;
    let ids: Vec<String> = ear.ids().into_iter().map(str::to_owned).collect();
    for (last, wanted) in [("0", vec![&first, &second]), (&ids[1], vec![&second])] {
        let mut again = Ear::open(&relay, &relay.key, Some(last)).await;
        assert_eq!(ids_of(&again.webhooks(wanted.len()).await), wanted, "after {last}");
    }
    // Nothing comes twice, and a number from elsewhere is not waited for.
    let mut ahead = Ear::open(&relay, &relay.key, Some("999999")).await;
    let third = id_of(&submit(&relay, NOBODY, &result(ODD)).await);
    assert_eq!(ids_of(&ahead.webhooks(1).await), [&third]);
}

#[tokio::test]
async fn invariant_3_a_listener_hears_nothing_of_another_tenant() {
    let fal = stage().await;
    let relay = Relay::before(&fal.base());
    let other = relay.key_of("other");
    let (mut mine, mut others) =
        (Ear::open(&relay, &relay.key, None).await, Ear::open(&relay, &other, None).await);
    let secret =
        id_of(&relay.client().send(post(&super::path_for(NOBODY), &other, r#"{"text":"{}"}"#)).await);
    assert_eq!(ids_of(&others.webhooks(1).await), [&secret]);
    let own = id_of(&submit(&relay, NOBODY, &result(ODD)).await);
    assert_eq!(ids_of(&mine.webhooks(1).await), [&own]);
    let mut from_the_first = Ear::open(&relay, &relay.key, Some("0")).await;
    assert_eq!(ids_of(&from_the_first.webhooks(1).await), [&own]);
    // Another key of the same tenant hears what the tenant does.
    let colleague = relay.key_of("default");
    assert_eq!(ids_of(&Ear::open(&relay, &colleague, Some("0")).await.webhooks(1).await), [&own]);
}

#[tokio::test]
async fn a_revoked_key_hears_nothing_more() {
    let fal = stage().await;
    let relay = Relay::before(&fal.base());
    let (mut ear, mut cli) = (Ear::open(&relay, &relay.key, None).await, Cli::start(&relay, &relay.key, &[]));
    cli.line();
    relay.cli(&["key", "revoke", "1"]);
    assert!(ear.end().await, "{}", ear.text);
    let error = cli.failure();
    assert!(error.contains("the relay answers 401: This key is not known here"), "{error}");
}

#[tokio::test]
async fn a_drain_ends_listening() {
    let fal = stage().await;
    let mut relay = Relay::before(&fal.base());
    let mut ear = Ear::open(&relay, &relay.key, None).await;
    relay.signal("-TERM");
    assert!(ear.end().await, "{}", ear.text);
    assert!(relay.wait().success());
    assert!(!relay.output().contains("cut off"), "{}", relay.output());
    let line = relay.calls().into_iter().find(|line| line["route"] == "webhook_events").unwrap();
    assert_eq!((&line["status"], &line["complete"]), (&object!(200), &object!(true)));
}

#[tokio::test]
async fn invariant_7_listeners_are_few_and_a_silent_stream_shows_that_it_lives() {
    let fal = stage().await;
    let relay = Relay::before(&fal.base());
    let mut ears = Vec::new();
    for _ in 0..4 {
        ears.push(Ear::open(&relay, &relay.key, None).await);
    }
    let answer = relay.client().send(get(PATH, &relay.key)).await;
    assert_eq!((answer.status, &answer.json()["error_type"]), (429, &object!("too_many_listeners")));
    assert!(answer.header("retry-after").is_some());
    let other = relay.key_of("other");
    Ear::open(&relay, &other, None).await;
    ears[0].hear("\n:\n\n").await;
    // A place is free again when its listener has left.
    ears.pop();
    let authorization = format!("Key {}", relay.key);
    loop {
        let mut socket = relay.client().connect().await;
        socket.write_all(&request("GET", PATH, &[("authorization", &authorization)], b"")).await.unwrap();
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.unwrap();
        if status.ends_with(b"200") {
            break;
        }
        crate::support::pause().await;
    }
}

#[tokio::test]
async fn invariant_7_what_another_process_has_ended_is_heard_of() {
    let fal = stage().await;
    let relay = Relay::before(&fal.base());
    let beside = relay.beside();
    let mut ear = Ear::open(&beside, &relay.key, None).await;
    let id = id_of(&submit(&relay, NOBODY, &result(ODD)).await);
    assert_eq!(ids_of(&ear.webhooks(1).await), [&id]);
}

#[tokio::test]
async fn only_the_holder_of_a_key_listens_and_only_as_told() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::before(&fal.base());
    let made = relay.client().send(post("/v1/tokens", &relay.key, "{}")).await.json();
    let token = made["token"].as_str().unwrap();
    let authorization = format!("Key {}", relay.key);
    let with = |extra: (&'static str, &'static str)| {
        request("GET", PATH, &[("authorization", &authorization), extra], b"")
    };
    for (asked, status, error) in [
        (request("GET", PATH, &[], b""), 401, "unauthorized"),
        (get(PATH, token), 403, "key_needed"),
        (post(PATH, &relay.key, "{}"), 405, "method_not_allowed"),
        (get(&format!("{PATH}?tenant=2"), &relay.key), 400, "bad_parameter"),
        (with(("last-event-id", "x")), 400, "bad_parameter"),
    ] {
        let mut socket = relay.client().connect().await;
        socket.write_all(&asked).await.unwrap();
        let answer = read_answer(&mut socket).await;
        assert_eq!((answer.status, answer.json()["error_type"].as_str()), (status, Some(error)));
    }
    for (key, why) in [("nonsense", "this is no key of fal-relay"), ("", "this is no key of fal-relay")] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = binary(folder.path());
        command.args(["webhook", "listen", "--relay", &relay.base()]).env("FAL_KEY", key);
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(why), "{error}");
    }
    assert_eq!(fal.seen().len(), 0);
}
