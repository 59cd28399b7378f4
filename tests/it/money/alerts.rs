//! A tenant is told that a budget is nearly spent: once in a window, at its own address, and to nobody's harm.

use std::sync::Arc;
use std::time::Duration;

use fal_relay::alerts::Alerts;
use fal_relay::clock::{Clock, Timestamp};
use fal_relay::outside::{Guard, Settings};
use fal_relay::period::Period;
use fal_relay::store::Budget;

use super::{DOLLAR, till};
use crate::support::{
    Fal, LeapingClock, Made, Office, Relay, Seen, Step, Wish, budget, json, post, reply, until,
};

/// The receivers of these tests are on this machine.
const HERE: (&str, &str) = ("FAL_RELAY_WEBHOOKS__ALLOW_TARGETS", "127.0.0.0/8");

/// A tenant with ten dollars a day, who is told at `soft_percent`.
async fn tenant(office: &Office, name: &str, receiver: &Fal, soft_percent: u8) -> Made {
    let cap = Budget { soft_percent, ..budget(Period::Day, "10") };
    let alert_url = Some(format!("{}/alerts?token=s3cret", receiver.base()));
    office.make(Wish { tenant_budgets: vec![cap], alert_url, ..Wish::of(name) }).await
}

fn logged(relay: &Relay) -> Vec<serde_json::Value> {
    let lines = relay.output();
    let lines = lines.lines().filter(|line| line.contains("a budget is nearly spent"));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_budget_that_is_nearly_spent_is_told_once() {
    let (fal, receiver) = (till().await, Fal::start(|_: &Seen| json("200 OK", "{}")).await);
    let relay = Relay::with(&fal.base(), &[DOLLAR, HERE]);
    let made = tenant(&Office::of(&relay), "acme", &receiver, 80).await;
    let spend = async || relay.client().send(post("/run/a/b", &made.key, r#"{"units":"1"}"#)).await.status;
    for _ in 0..7 {
        assert_eq!(spend().await, 200);
    }
    assert_eq!((receiver.seen().len(), logged(&relay).len()), (0, 0), "seven dollars of ten");
    for wanted in [200, 200, 200, 402, 402] {
        assert_eq!(spend().await, wanted);
    }
    until(|| receiver.seen().len() == 1).await;
    let told = receiver.seen().remove(0);
    assert_eq!((told.method.as_str(), told.target.as_str()), ("POST", "/alerts?token=s3cret"));
    let body: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
    let fields = ["type", "tenant", "key_id", "period", "limit_usd", "remaining_usd"].map(|name| &body[name]);
    let wanted: [serde_json::Value; 6] = [
        "budget.nearly_spent".into(),
        "acme".into(),
        serde_json::Value::Null,
        "day".into(),
        "10.00".into(),
        "2.00".into(),
    ];
    assert_eq!(fields, wanted.each_ref(), "{body}");
    assert!(body["resets_at"].as_str().unwrap().contains("T00:00:00"), "{body}");
    assert!(told.header("authorization").is_none() && told.header("cookie").is_none());

    // Not again in this window, also by another process.
    let relay = relay.restart();
    relay.client().send(post("/run/a/b", &made.key, r#"{"units":"1"}"#)).await;
    assert_eq!((receiver.seen().len(), logged(&relay).len()), (1, 0));
}

#[tokio::test]
async fn the_log_has_one_line_for_each_budget_and_not_the_address() {
    let (fal, receiver) = (till().await, Fal::start(|_: &Seen| json("500 Oops", "{}")).await);
    let relay = Relay::with(&fal.base(), &[DOLLAR, HERE]);
    let made = tenant(&Office::of(&relay), "acme", &receiver, 10).await;
    for _ in 0..5 {
        assert_eq!(relay.client().send(post("/a/b", &made.key, "{}")).await.status, 200);
    }
    until(|| logged(&relay).len() == 1).await;
    let line = logged(&relay).remove(0);
    assert_eq!(
        (&line["tenant"], &line["period"], &line["level"]),
        (&"acme".into(), &"day".into(), &"WARN".into())
    );
    assert!(!relay.output().contains("s3cret"), "an address may hold a secret");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_alert_tried_again() {
    let elsewhere = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let location = format!("{}/stolen", elsewhere.base());
    let receiver = Fal::start(move |_: &Seen| {
        Step::Reply(reply("307 Temporary Redirect", &[("location", &location)], b""))
    })
    .await;
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR, HERE]);
    let made = tenant(&Office::of(&relay), "acme", &receiver, 10).await;
    relay.client().send(post("/a/b", &made.key, "{}")).await;
    until(|| receiver.seen().len() == 2).await;
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_keeps_nobody_waiting() {
    let (fal, hangs) = (till().await, Fal::start(|_: &Seen| Step::Hang).await);
    let well = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::with(&fal.base(), &[DOLLAR, HERE]);
    let office = Office::of(&relay);
    let (slow, quick) =
        (tenant(&office, "slow", &hangs, 10).await, tenant(&office, "quick", &well, 10).await);
    let spend = async |made: &Made| relay.client().send(post("/a/b", &made.key, "{}")).await.status;
    assert_eq!(spend(&slow).await, 200);
    until(|| hangs.seen().len() == 1).await;
    // While that one is waited for, calls go on, and others are told.
    assert_eq!((spend(&slow).await, spend(&quick).await), (200, 200));
    until(|| well.seen().len() == 1).await;
    assert_eq!(hangs.left(), 0, "the other alert waited for the one that hangs");
}

fn here() -> Guard {
    let allow_targets = vec!["127.0.0.0/8".parse().unwrap()];
    Guard::new(Settings { allow_targets, allow_http: true, loopback_only: false })
}

#[tokio::test]
async fn invariant_10_an_alert_reaches_no_private_address() {
    let (fal, receiver) = (till().await, Fal::start(|_: &Seen| json("200 OK", "{}")).await);
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let made = tenant(&Office::of(&relay), "acme", &receiver, 10).await;
    assert_eq!(relay.client().send(post("/a/b", &made.key, "{}")).await.status, 200);
    until(|| relay.output().contains("an alert could not be delivered")).await;
    assert!(
        relay.output().contains("points at the relay's own machine") && !relay.output().contains("s3cret")
    );
    assert_eq!(receiver.accepted(), 0);
}

/// So many alerts are raised at once for a receiver that answers like this, and each is sent or given up. Returns how often
/// it was asked, and how long was waited between tries, in all.
async fn raised(count: usize, step: fn(&Seen) -> Step) -> (usize, Duration) {
    let (receiver, clock) = (Fal::start(step).await, LeapingClock::at(Timestamp::default()));
    let (alerts, sending) = Alerts::new(&here(), Arc::new(clock.clone())).unwrap();
    for _ in 0..count {
        alerts.raise(&receiver.base(), serde_json::json!({}));
    }
    drop(alerts);
    sending.run().await;
    (receiver.seen().len(), clock.elapsed())
}

#[tokio::test]
async fn invariant_7_alerts_wait_in_a_bounded_queue_and_are_tried_a_few_times() {
    let (asked, waited) = raised(300, |_: &Seen| json("500 Oops", "{}")).await;
    assert_eq!((asked, waited), (256 * 4, 256 * Duration::from_secs(2 + 4 + 8)), "256 of them wait");
}

/// Time is tokio's own and stands still until nothing else is left to do.
#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "tokio's own clock is the one that stands still here")]
async fn invariant_7_receivers_that_hang_are_given_up_a_few_at_once() {
    let start = tokio::time::Instant::now();
    let (asked, _) = raised(17, |_: &Seen| Step::Hang).await;
    assert_eq!(asked, 17 * 4);
    // Sixteen at once, then the last one: four tries of ten seconds each.
    assert_eq!(start.elapsed().as_secs(), 2 * 4 * 10);
}
