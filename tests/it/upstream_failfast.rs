//! A host of fal's that does not answer rests: calls to it end at once, others go on, and it is back when it is well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fal_relay::clock::{Clock, SystemClock};
use fal_relay::ids::AccountName;
use fal_relay::secret::Secret;
use fal_relay::upstream::{Account, Host, Outgoing, RequestBody, Settings, Shared, Upstream, UpstreamError};
use futures_util::future::join_all;

use crate::support::{Answer, Fal, Relay, Seen, Step, json, post, submit_reply, until};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

fn assert_rests(answer: &Answer) {
    assert_eq!((answer.status, answer.header("x-relay-error")), (503, Some("upstream_resting")));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

/// Calls until fal takes one again.
async fn until_well(relay: &Relay) {
    loop {
        let answer = relay.client().send(post("/a/b", &relay.key, "{}")).await;
        if answer.status == 200 {
            return;
        }
        assert_rests(&answer);
        until(|| true).await;
    }
}

#[tokio::test]
async fn five_refused_connections_rest_a_host_and_no_other() {
    let run = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    drop(taken);
    let queue = format!("http://{address}/queue");
    let relay = Relay::with(&run.base(), &[("FAL_RELAY_UPSTREAM__QUEUE_URL", &queue)]);
    for _ in 0..5 {
        let answer = relay.client().send(post("/a/b", &relay.key, "{}")).await;
        assert_eq!((answer.status, answer.header("x-relay-error")), (502, Some("upstream_unreachable")));
    }
    for _ in 0..20 {
        assert_rests(&relay.client().send(post("/a/b", &relay.key, "{}")).await);
        assert_eq!(relay.client().send(post("/run/a/b", &relay.key, "{}")).await.status, 200);
    }
    until(|| relay.ledger().iter().all(|row| row["state"] != "held")).await;
    // The five that were tried, and none for those that were not.
    assert_eq!(relay.ledger().iter().filter(|row| row["state"] == "released").count(), 5);

    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let fal = Fal::start_on(listener, |_: &Seen| submit_reply("a/b", ID));
    until_well(&relay).await;
    let probes: Vec<Seen> = fal.seen().into_iter().filter(|seen| seen.method == "HEAD").collect();
    assert_eq!(probes.len(), 1, "{probes:?}");
    assert_eq!((probes[0].target.as_str(), probes[0].header("authorization")), ("/queue/", None));
}

#[tokio::test]
async fn invariant_7_five_silences_rest_a_host_until_it_answers_a_probe() {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let fal = Fal::start(move |seen: &Seen| match is_well.load(Ordering::Relaxed) {
        true => submit_reply("a/b", ID),
        false if seen.target.starts_with("/run/") => json("200 OK", "{}"),
        false => Step::Hang,
    })
    .await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_UPSTREAM__QUEUE_HEAD_TIMEOUT_SECONDS", "1")]);
    let client = relay.client();
    for answer in join_all((0..5).map(|_| client.send(post("/a/b", &relay.key, "{}")))).await {
        assert_eq!(answer.header("x-relay-error"), Some("outcome_unknown"));
    }
    let sent = || fal.seen().iter().filter(|seen| seen.method == "POST").count();
    let before = sent();
    for _ in 0..20 {
        assert_rests(&relay.client().send(post("/a/b", &relay.key, "{}")).await);
    }
    assert_eq!(sent(), before, "a call was sent to a host that rests");
    assert_eq!(relay.client().send(post("/run/a/b", &relay.key, "{}")).await.status, 200);
    well.store(true, Ordering::Relaxed);
    until_well(&relay).await;
}

#[tokio::test]
async fn a_host_that_answers_never_rests_however_badly() {
    let count = AtomicUsize::new(0);
    let fal = Fal::start(move |_: &Seen| {
        // Nine of ten fail, and so do the first six in a row.
        match count.fetch_add(1, Ordering::Relaxed) % 10 {
            9 => json("200 OK", "{}"),
            _ => json("500 Internal Server Error", r#"{"detail":"no"}"#),
        }
    })
    .await;
    let relay = Relay::before(&fal.base());
    for number in 0..100 {
        let answer = relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
        let expected = if number % 10 == 9 { 200 } else { 500 };
        assert_eq!((answer.status, answer.header("x-relay-error")), (expected, None), "call {number}");
    }
}

#[tokio::test]
async fn the_sandboxs_road_cannot_leave_this_machine() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let shared: Arc<Shared> = Arc::default();
    // An address that is kept for documentation: nothing answers there, and nothing may be asked.
    let settings =
        Settings { queue_url: "http://192.0.2.1:9".into(), loopback_only: true, ..Settings::default() };
    let tls = fal_relay::tls::client_config(None, false).ok().map(Arc::new);
    let counts = fal_relay::metrics::Metrics::new(clock.now(), Vec::new(), Arc::default()).worker();
    let upstream = Upstream::new(&settings, tls.as_ref(), &shared, &clock, &counts).unwrap();
    let account = Account::new(AccountName::new("main"), &Secret::new("id:secret")).unwrap();
    let outgoing = Outgoing {
        host: Host::Queue,
        method: http::Method::POST,
        path_and_query: "/a/b".into(),
        headers: http::HeaderMap::new(),
        body: RequestBody::empty(&*clock),
    };
    let refused = upstream.send(&account, outgoing).await.err().unwrap();
    assert!(matches!(refused, UpstreamError::Connect { .. }), "{refused}");
    assert!(refused.to_string().contains("not this machine"), "{refused}");
    let counts = shared.connections();
    assert_eq!((counts.here, counts.beyond, counts.refused), (0, 0, 1));
}

#[tokio::test]
async fn a_sandbox_says_at_its_end_that_nothing_left_this_machine() {
    let mut relay = Relay::sandbox(&[]);
    relay.client().submit("fal-ai/flux-1/dev", &relay.key).await;
    relay.signal("-TERM");
    assert!(relay.wait().success());
    until(|| relay.output().contains("Calls beyond this machine: 0.")).await;
    assert!(relay.output().contains("Connections to the simulated fal: 1; refused to other machines: 0."));
}
