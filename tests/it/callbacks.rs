//! fal calls back: what is genuine makes the relay look at its job, and nothing else does anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fal_relay::clock::{Clock, HandClock, SystemClock, Timestamp};
use fal_relay::fal::webhook::{PublicKeys, SigningKey, TIMESTAMP};
use fal_relay::jwks::{FalKeys, Settings};
use fal_relay::secret::Seed;
use fal_relay::tls;
use http::HeaderMap;

use crate::support::{Answer, Fal, Relay, Seen, Step, get, json, post, reply, request, submit_reply, until};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Seed::new([seed; 32])).unwrap()
}

fn document(seeds: &[u8]) -> String {
    PublicKeys::new(seeds.iter().map(|seed| key(*seed).public())).unwrap().print()
}

/// A fal with one job, which signs with the first key; the job has ended when the switch says so.
async fn fal() -> (Fal, Arc<AtomicBool>) {
    let ended = Arc::new(AtomicBool::new(false));
    let is_over = ended.clone();
    let fal = Fal::start(move |seen: &Seen| match seen.target.as_str() {
        "/rest/.well-known/jwks.json" => json("200 OK", &document(&[1])),
        target if seen.method == "POST" && target.starts_with("/queue/a/b") => submit_reply("a/b", ID),
        target if target.ends_with("/status") => match is_over.load(Ordering::SeqCst) {
            true => json("200 OK", r#"{"status":"COMPLETED"}"#),
            false => json("202 Accepted", r#"{"status":"IN_PROGRESS"}"#),
        },
        _ => Step::Reply(reply("200 OK", &[("x-fal-request-id", ID), ("x-fal-billable-units", "2")], b"{}")),
    })
    .await;
    (fal, ended)
}

fn relay(fal: &Fal) -> Relay {
    let keys = format!("{}/rest/.well-known/jwks.json", fal.base());
    let settings =
        [("FAL_RELAY_UPSTREAM__JWKS_URL", keys.as_str()), ("FAL_RELAY_RELAY__WATCH_AFTER_SECONDS", "3600")];
    Relay::with(&fal.base(), &settings)
}

/// A relay with one open job. A start looks at all of them, and this one has: the next look of its own is an hour away.
async fn relay_with_a_job(fal: &Fal) -> Relay {
    let relay = relay(fal);
    relay.client().send(post("/a/b", &relay.key, "{}")).await;
    let before = questions(fal);
    let relay = relay.restart();
    until(|| questions(fal) > before).await;
    relay
}

/// What fal asked of itself: questions about the job, not about keys.
fn questions(fal: &Fal) -> usize {
    fal.seen().iter().filter(|seen| seen.method == "GET" && seen.target.starts_with("/queue")).count()
}

fn key_questions(fal: &Fal) -> usize {
    fal.seen().iter().filter(|seen| seen.target.contains("jwks")).count()
}

/// The address of a call as its form is documented, made without the relay's code.
fn address(relay: &Relay, call: i64) -> String {
    let sql = "SELECT value FROM secrets WHERE name = 'callback_secret'";
    let secret: [u8; 32] = relay.store().query_row(sql, (), |row| row.get(0)).unwrap();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let proof = hmac::sign(&secret, format!("fal calls back about {call}").as_bytes());
    format!("/webhooks/fal/{call}.{}", URL_SAFE_NO_PAD.encode(proof))
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

fn signed(seed: u8, request_id: &str, at: Timestamp, body: &[u8]) -> HeaderMap {
    key(seed).headers(request_id, "user", at, body).unwrap()
}

async fn call_back(relay: &Relay, path: &str, headers: &HeaderMap, body: &str) -> Answer {
    let mut lines = vec![("content-type", "application/json")];
    lines.extend(headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())));
    relay.client().send(request("POST", path, &lines, body.as_bytes())).await
}

fn state(relay: &Relay) -> String {
    relay.ledger()[0]["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_genuine_call_back_closes_the_row_and_a_replayed_one_changes_nothing() {
    let (fal, ended) = fal().await;
    let relay = relay_with_a_job(&fal).await;
    let (path, body) = (address(&relay, 1), r#"{"request_id":"x","status":"OK","payload":{}}"#);
    let (headers, before) = (signed(1, ID, now(), body.as_bytes()), questions(&fal));
    // Too early: fal itself says that the job still runs.
    assert_eq!(call_back(&relay, &path, &headers, body).await.status, 200);
    assert_eq!((state(&relay).as_str(), questions(&fal)), ("sent", before + 1));
    ended.store(true, Ordering::SeqCst);
    let answer = call_back(&relay, &path, &headers, body).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
    until(|| state(&relay) == "settled").await;
    let (row, asked) = (relay.ledger(), questions(&fal));
    assert_eq!((row[0]["status"].as_i64(), asked), (Some(200), before + 3), "{row:?}");

    // The same again, and by another process on the same store.
    let beside = relay.beside();
    for relay in [&relay, &beside] {
        assert_eq!(call_back(relay, &path, &headers, body).await.status, 200);
    }
    assert_eq!((relay.ledger(), questions(&fal)), (row, asked), "a replay");
    let told = || relay.calls().into_iter().find(|line| line["route"] == "webhook_fal");
    until(|| told().is_some()).await;
    let line = told().unwrap();
    assert!(!line.to_string().contains(&path[14..]), "the address is a secret: {line}");
}

#[tokio::test]
async fn what_is_forged_stale_or_about_another_request_is_not_believed_and_looks_at_nothing() {
    let (fal, ended) = fal().await;
    let relay = relay_with_a_job(&fal).await;
    ended.store(true, Ordering::SeqCst);
    let (path, before) = (address(&relay, 1), questions(&fal));
    let refused = async |what: &str, headers: &HeaderMap, body: &str| {
        let answer = call_back(&relay, &path, headers, body).await;
        assert_eq!(
            (answer.status, &answer.json()["error_type"]),
            (401, &"webhook_not_verified".into()),
            "{what}"
        );
        answer.body
    };
    let mut bodies = vec![
        refused("another's key", &signed(2, ID, now(), b"{}"), "{}").await,
        refused("another body", &signed(1, ID, now(), b"{}"), "{ }").await,
        refused("another request", &signed(1, "another", now(), b"{}"), "{}").await,
        refused("nothing at all", &HeaderMap::new(), "{}").await,
    ];
    for seconds in [-310, 310] {
        let at = Timestamp::from_micros(now().as_micros() + seconds * 1_000_000);
        bodies.push(refused("not of now", &signed(1, ID, at, b"{}"), "{}").await);
    }
    for name in signed(1, ID, now(), b"{}").keys() {
        let mut headers = signed(1, ID, now(), b"{}");
        headers.remove(name);
        bodies.push(refused(name.as_str(), &headers, "{}").await);
    }
    let mut fresh = signed(1, ID, now().plus(Duration::from_secs(0)), b"{}");
    fresh.insert(TIMESTAMP, "1".parse().unwrap());
    bodies.push(refused("a changed timestamp", &fresh, "{}").await);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "one answer for all");
    assert_eq!((state(&relay).as_str(), questions(&fal)), ("sent", before));
    assert!(key_questions(&fal) <= 2, "fal was asked for its keys {} times", key_questions(&fal));
}

#[tokio::test]
async fn invariant_3_an_address_that_was_not_made_here_is_nothing() {
    let (fal, ended) = fal().await;
    let relay = relay_with_a_job(&fal).await;
    ended.store(true, Ordering::SeqCst);
    let (right, before) = (address(&relay, 1), questions(&fal));
    let proof = right.split_once('.').unwrap().1;
    let wrong = [
        "/webhooks/fal/".to_owned(),
        "/webhooks/fal/1".to_owned(),
        format!("/webhooks/fal/2.{proof}"),
        format!("/webhooks/fal/01.{proof}"),
        format!("/webhooks/fal/1.{}", proof.to_lowercase()),
        format!("{right}/"),
        format!("{right}A"),
    ];
    for path in &wrong {
        let answer = call_back(&relay, path, &signed(1, ID, now(), b"{}"), "{}").await;
        assert_eq!((answer.status, &answer.json()["error_type"]), (404, &"route_not_found".into()), "{path}");
    }
    // A call that was never made, under an address that its installation could make.
    let answer = call_back(&relay, &address(&relay, 99), &signed(1, ID, now(), b"{}"), "{}").await;
    assert_eq!(answer.status, 401);
    let answer = relay.client().send(get(&right, &relay.key)).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!((state(&relay).as_str(), questions(&fal)), ("sent", before));
    assert_eq!(
        fal.seen().iter().filter(|seen| seen.method == "POST").count(),
        1,
        "nothing is taken for a submit"
    );
}

#[tokio::test]
async fn invariant_7_a_long_call_back_is_read_without_being_kept_and_an_endless_one_refused() {
    let (fal, _) = fal().await;
    let keys = format!("{}/rest/.well-known/jwks.json", fal.base());
    let settings =
        [("FAL_RELAY_UPSTREAM__JWKS_URL", keys.as_str()), ("FAL_RELAY_RELAY__MAX_BODY_BYTES", "30000000")];
    let relay = Relay::with(&fal.base(), &settings);
    relay.client().send(post("/a/b", &relay.key, "{}")).await;
    let (path, before) = (address(&relay, 1), relay.most_resident_kib());
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(28_000_000));
    let answer = call_back(&relay, &path, &signed(1, ID, now(), long.as_bytes()), &long).await;
    assert_eq!(answer.status, 200);
    let grown = relay.most_resident_kib() - before;
    assert!(grown < 10_000, "{grown} KiB for a body of 27,000");
    let endless = "x".repeat(30_000_001);
    let answer = call_back(&relay, &path, &signed(1, ID, now(), endless.as_bytes()), &endless).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn without_fals_keys_nothing_is_believed_and_fal_shall_come_again() {
    let fal = Fal::start(|seen: &Seen| match seen.target.contains("jwks") {
        true => json("500 Oops", "{}"),
        false => submit_reply("a/b", ID),
    })
    .await;
    let relay = relay(&fal);
    relay.client().send(post("/a/b", &relay.key, "{}")).await;
    for _ in 0..3 {
        let answer = call_back(&relay, &address(&relay, 1), &signed(1, ID, now(), b"{}"), "{}").await;
        assert_eq!((answer.status, &answer.json()["error_type"]), (503, &"webhook_keys_unavailable".into()));
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(key_questions(&fal), 1);
}

/// A fal whose answer to the question for its keys can be changed, and the relay's memory of them.
async fn keys(clock: &HandClock) -> (Fal, Arc<Mutex<Option<String>>>, FalKeys) {
    let told = Arc::new(Mutex::new(Some(document(&[1]))));
    let script = told.clone();
    let fal = Fal::start(move |_: &Seen| match &*script.lock().unwrap() {
        Some(document) => json("200 OK", document),
        None => Step::Close,
    })
    .await;
    let keys = fal_keys(&fal, Arc::new(clock.clone()));
    (fal, told, keys)
}

fn fal_keys(fal: &Fal, clock: Arc<dyn Clock>) -> FalKeys {
    let settings = Settings { url: format!("{}/jwks.json", fal.base()), loopback_only: true };
    FalKeys::new(&settings, tls::trusting_nobody().unwrap(), clock).unwrap()
}

fn of(seeds: &[u8]) -> Option<Arc<PublicKeys>> {
    PublicKeys::new(seeds.iter().map(|seed| key(*seed).public())).map(Arc::new)
}

#[tokio::test]
async fn invariant_7_keys_are_kept_for_a_day_and_a_week_while_fal_is_silent() {
    let clock = HandClock::new(Timestamp::default());
    let (fal, told, keys) = keys(&clock).await;
    for _ in 0..3 {
        assert_eq!(keys.current().await, of(&[1]));
    }
    clock.advance(Duration::from_secs(86_399));
    assert_eq!((keys.current().await, fal.seen().len()), (of(&[1]), 1), "kept for a day");
    clock.advance(Duration::from_secs(1));
    *told.lock().unwrap() = Some(document(&[2]));
    assert_eq!((keys.current().await, fal.seen().len()), (of(&[2]), 2), "asked again");
    *told.lock().unwrap() = None;
    clock.advance(Duration::from_secs(604_799));
    assert_eq!(keys.current().await, of(&[2]), "used on while fal is silent");
    clock.advance(Duration::from_secs(1));
    assert_eq!(keys.current().await, None, "not for ever");
    *told.lock().unwrap() = Some(document(&[3]));
    clock.advance(Duration::from_secs(60));
    assert_eq!(keys.current().await, of(&[3]), "fal is back");
}

#[tokio::test]
async fn invariant_7_forged_webhooks_do_not_make_the_relay_ask_fal_for_each() {
    let clock = HandClock::new(Timestamp::default());
    let (fal, told, keys) = keys(&clock).await;
    assert_eq!(keys.current().await, of(&[1]));
    *told.lock().unwrap() = Some(document(&[2, 1]));
    for _ in 0..100 {
        assert_eq!(keys.after_misfit().await, of(&[1]));
    }
    assert_eq!(fal.seen().len(), 1);
    clock.advance(Duration::from_secs(60));
    for _ in 0..100 {
        assert_eq!(keys.after_misfit().await, of(&[2, 1]), "fal has a new key");
    }
    assert_eq!(fal.seen().len(), 2);
}

/// Time is tokio's own and stands still until nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn invariant_7_a_silent_or_endless_list_of_keys_is_given_up() {
    let silent = Fal::start(|_: &Seen| Step::Hang).await;
    let clock = HandClock::new(Timestamp::default());
    assert_eq!(fal_keys(&silent, Arc::new(clock.clone())).current().await, None);
    assert_eq!(silent.seen().len(), 1);
    let padded = |length: usize| format!("{}{}", document(&[1]), " ".repeat(length - document(&[1]).len()));
    for (length, found) in [(64 * 1024, of(&[1])), (64 * 1024 + 1, None)] {
        let endless = Fal::start(move |_: &Seen| json("200 OK", &padded(length))).await;
        assert_eq!(fal_keys(&endless, Arc::new(clock.clone())).current().await, found, "{length}");
    }
}

#[tokio::test]
async fn the_relays_own_keys_are_open_to_all_and_shared_by_its_processes() {
    let (fal, _) = fal().await;
    let relay = relay(&fal);
    let beside = relay.beside();
    let ask =
        async |relay: &Relay| relay.client().send(request("GET", "/.well-known/jwks.json", &[], b"")).await;
    let answer = ask(&relay).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=3600"));
    assert_eq!(PublicKeys::parse(&answer.body).unwrap().print().as_bytes(), answer.body, "fal's own form");
    assert_eq!(ask(&beside).await.body, answer.body);
    assert_eq!(relay.client().send(post("/.well-known/jwks.json", &relay.key, "{}")).await.status, 405);
    let restarted = beside.restart();
    assert_eq!(ask(&restarted).await.body, answer.body, "the key stays");

    // A new one is listed at once, by each process, before it signs.
    let told = relay.cli(&["webhook", "rotate-key", "--json"]);
    assert!(told.contains("signs_from") && told.contains("others_end_at"), "{told}");
    for relay in [&relay, &restarted] {
        loop {
            let listed = ask(relay).await.json()["keys"].as_array().unwrap().len();
            if listed == 2 {
                break;
            }
            crate::support::pause().await;
        }
    }
    assert!(relay.cli(&["audit", "secret:webhook_key"]).contains("secret.replace"));
}
