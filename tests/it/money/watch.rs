//! Jobs to which nobody comes back: followed to their end by the relay itself, and settled (invariants 5 and 11).

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fal_relay::ids::{AccountName, LeaseId, RequestId};
use fal_relay::money::Multiplier;
use fal_relay::store::{CallKind, CallState, Ledger, NewCall, SentCall, Terms};
use futures_util::future::join_all;
use tokio::sync::mpsc;

use super::{DOLLAR, bill, paid, read, submit, till};
use crate::support::{
    Fal, Made, Office, Relay, Seen, Step, Wish, json, now, reply, submit_reply, until, usd,
};

const SOON: (&str, &str) = ("FAL_RELAY_RELAY__WATCH_AFTER_SECONDS", "1");

#[tokio::test]
async fn invariant_11_jobs_whose_client_never_returns_are_settled() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR, SOON]);
    let office = Office::of(&relay);
    let bodies = [
        (r#"{"units":"3"}"#, Some("3.00")),
        (r#"{"status":422,"units":"0"}"#, Some("0.00")),
        (r#"{"status":500}"#, Some("0.00")),
        (r#"{"gone":true}"#, None),
        (r#"{"units":"x"}"#, None),
    ];
    let jobs = bodies.iter().map(|(body, _)| submit(&relay, "a/b", &relay.key, body));
    let jobs = join_all(jobs).await;
    let rows = office.closed(bodies.len()).await;
    for ((body, charge), job) in bodies.iter().zip(&jobs) {
        let row = rows.iter().find(|row| job.ends_with(row.request_id.as_ref().unwrap().as_str())).unwrap();
        let (state, _, charged) = bill(row);
        assert_eq!((state, charged.as_deref()), (CallState::Settled, *charge), "{body}");
        assert_eq!(row.hold_open, charge.is_none(), "what is not known stays held: {body}");
    }
    assert_eq!(paid(&fal).len(), bodies.len(), "a job was sent again");
    office.balance().await;
    // Whoever comes back all the same reads the result, and is told the cost that was settled.
    let late = read(&relay, &jobs[0], &relay.key).await;
    assert_eq!((late.status, late.header("x-fal-billable-units")), (200, Some("3")));
    office.balance().await;
}

#[tokio::test]
async fn a_job_that_is_not_done_stays_open_and_its_money_held() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR, SOON]);
    submit(&relay, "a/b", &relay.key, r#"{"open":true}"#).await;
    let looks = || fal.seen().iter().filter(|seen| seen.target.ends_with("/status")).count();
    until(|| looks() >= 2).await;
    let rows = Office::of(&relay).balance().await;
    assert_eq!((rows[0].state, rows[0].hold_open), (CallState::Sent, true));
}

#[tokio::test]
async fn a_fal_in_trouble_says_nothing_of_a_job() {
    let healthy = std::sync::Arc::new(AtomicBool::new(false));
    let is_healthy = healthy.clone();
    let fal = Fal::start(move |seen: &Seen| match (seen.method.as_str(), seen.target.ends_with("/status")) {
        ("POST", _) => submit_reply("a/b", "job"),
        (_, true) => json("200 OK", r#"{"status":"COMPLETED"}"#),
        (_, false) if is_healthy.load(Ordering::Relaxed) => {
            Step::Reply(reply("200 OK", &[("x-fal-billable-units", "1")], b"{}"))
        }
        // A gateway before fal, which knows nothing of the job: no fal request id.
        (_, false) => json("502 Bad Gateway", "{}"),
    })
    .await;
    let relay = Relay::with(&fal.base(), &[DOLLAR, SOON]);
    let office = Office::of(&relay);
    submit(&relay, "a/b", &relay.key, "{}").await;
    let results = || fal.seen().iter().filter(|seen| seen.target.ends_with("/job")).count();
    until(|| results() >= 2).await;
    assert_eq!(office.rows().await[0].state, CallState::Sent);
    healthy.store(true, Ordering::Relaxed);
    assert_eq!(bill(&office.closed(1).await[0]).2.as_deref(), Some("1.00"));
}

#[tokio::test]
async fn a_restart_finds_all_that_is_open_and_looks_at_once() {
    let fal = till().await;
    // Nobody would look for an hour otherwise.
    let relay = Relay::with(&fal.base(), &[DOLLAR, ("FAL_RELAY_RELAY__WATCH_AFTER_SECONDS", "3600")]);
    let jobs = join_all((0..40).map(|_| submit(&relay, "a/b", &relay.key, r#"{"units":"1"}"#))).await;
    let relay = relay.restart();
    let office = Office::of(&relay);
    office.closed(jobs.len()).await;
    office.balance().await;
    assert_eq!(paid(&fal).len(), jobs.len(), "a job was sent again");
}

/// Writes a job down that fal took.
async fn open_job(office: &Office, made: &Made, number: usize) {
    let call = NewCall {
        tenant_id: made.tenant_id(),
        key_id: made.record.id,
        token_id: None,
        account: AccountName::new("default"),
        endpoint: "a/b".into(),
        kind: CallKind::Queue,
        lease: LeaseId(number as i64),
        tags: None,
        terms: Terms { unit_price: None, unit: None, multiplier: Multiplier::ONE, price_version: None },
        hold: usd("1"),
        hold_basis: "ceiling",
        windows: Vec::new(),
        held_at: now(),
    };
    let id = office.store.hold(call).await.unwrap().id;
    let sent = SentCall {
        request_id: RequestId::parse(&format!("job-{number}")).unwrap(),
        app_base: "a/b".into(),
        body_sha256: None,
        body_bytes: 2,
        sent_at: now(),
    };
    office.store.sent(id, sent).await.unwrap();
}

#[tokio::test]
async fn invariant_7_open_jobs_are_read_in_parts_and_looked_at_a_few_at_once() {
    let held = Arc::new(Mutex::new(Vec::new()));
    let first = held.clone();
    let fal = Fal::start(move |_: &Seen| {
        let mut first = first.lock().unwrap();
        if first.len() < 16 {
            let (sender, answer) = mpsc::unbounded_channel();
            first.push(Some(sender));
            return Step::Follow(answer);
        }
        json("200 OK", r#"{"status":"IN_PROGRESS"}"#)
    })
    .await;
    let relay = Relay::with(&fal.base(), &[DOLLAR, ("FAL_RELAY_RELAY__WATCH_AFTER_SECONDS", "3600")]);
    let office = Office::of(&relay);
    let made = office.make(Wish::of("acme")).await;
    join_all((0..1_050).map(|number| open_job(&office, &made, number))).await;
    let _relay = relay.restart();
    until(|| fal.seen().len() >= 16).await;
    assert_eq!(fal.seen().len(), 16, "more wait until one of these is answered");
    for answer in held.lock().unwrap().iter_mut().filter_map(Option::take) {
        answer.send(reply("200 OK", &[("connection", "close")], br#"{"status":"IN_PROGRESS"}"#)).unwrap();
    }
    let asked = || fal.seen().into_iter().map(|seen| seen.target).collect::<HashSet<_>>().len();
    until(|| asked() == 1_050).await;
}

#[tokio::test]
async fn invariant_8_a_call_of_unknown_outcome_is_never_sent_again_and_its_money_stays_held() {
    let fal = Fal::start(|_: &Seen| Step::Close).await;
    let relay = Relay::with(&fal.base(), &[DOLLAR, SOON]);
    let office = Office::of(&relay);
    let answer = relay.client().send(crate::support::post("/a/b", &relay.key, "{}")).await;
    assert_eq!(answer.status, 504);
    office.rows_when(|rows| rows[0].state == CallState::Unknown).await;
    let relay = relay.restart();
    assert_eq!(relay.client().send(crate::support::get("/ready", "")).await.status, 200);
    let rows = office.balance().await;
    assert_eq!((rows.len(), rows[0].state, rows[0].hold_open), (1, CallState::Unknown, true));
    assert_eq!(fal.seen().len(), 1);
}
