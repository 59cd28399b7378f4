//! What a call costs, by what fal says at its end.

use fal_relay::store::CallState;
use serde_json::json;

use super::{PRICED, bill, cancel, class, read, submit, till};
use crate::support::{Fal, Made, Office, Relay, Seen, Step, Wish, json as json_step, post, submit_reply};

/// A relay before a till, and a key that pays one and a half times.
async fn shop(settings: &[(&str, &str)]) -> (Fal, Relay, Office, Made) {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[&[PRICED], settings].concat());
    let office = Office::of(&relay);
    let made = office.make(Wish { multiplier: Some("1.5"), ..Wish::of("acme") }).await;
    (fal, relay, office, made)
}

/// Units and status of an end; what fal bills at $2.5, and what the tenant pays at one and a half times; `None` is unknown.
type End = (&'static str, Option<&'static str>, Option<(&'static str, &'static str)>);

const ENDS: &[End] = &[
    ("200", Some("1"), Some(("2.50", "3.75"))),
    ("200", Some("3.008"), Some(("7.52", "11.28"))),
    ("200", Some("0.0000000002"), Some(("0.00", "0.000000001"))),
    ("200", Some("0"), Some(("0.00", "0.00"))),
    ("200", Some("0.000"), Some(("0.00", "0.00"))),
    ("422", Some("2"), Some(("5.00", "7.50"))),
    ("422", Some("0"), Some(("0.00", "0.00"))),
    ("500", Some("7"), Some(("0.00", "0.00"))),
    ("200", None, None),
    ("200", Some("NaN"), None),
    ("200", Some("-1"), None),
    ("200", Some("1,2"), None),
    ("200", Some("1e3"), None),
    ("200", Some(""), None),
    ("200", Some("99999999999999999999"), None),
    ("422", Some("x"), None),
];

fn body(status: &str, units: Option<&str>) -> String {
    json!({"status": status.parse::<u64>().unwrap(), "units": units}).to_string()
}

#[tokio::test]
async fn invariant_5_each_end_of_a_job_costs_what_fal_says() {
    let (_fal, relay, office, made) = shop(&[]).await;
    for (number, (status, units, cost)) in ENDS.iter().enumerate() {
        let job = submit(&relay, "a/b", &made.key, &body(status, *units)).await;
        let answer = read(&relay, &job, &made.key).await;
        assert_eq!(answer.status.to_string(), *status);
        assert_eq!(answer.header("x-fal-billable-units"), *units, "what fal said passes");
        let told = cost.map(|(_, charge)| charge);
        assert_eq!(answer.header("x-relay-cost-usd"), told, "{status} {units:?}");
        assert_eq!(answer.header("x-relay-cost-basis"), told.map(|_| "billed"));
        let rows = office.closed(number + 1).await;
        let (cost, charge) = cost.map(|(cost, charge)| (cost.to_owned(), charge.to_owned())).unzip();
        assert_eq!(bill(&rows[number]), (CallState::Settled, cost, charge), "{status} {units:?}");
        assert_eq!(rows[number].billable_units.as_deref(), *units, "as fal wrote it");
    }
    office.balance().await;
}

#[tokio::test]
async fn invariant_5_direct_runs_and_streams_cost_what_fal_says() {
    let (_fal, relay, office, made) = shop(&[]).await;
    let mut number = 0;
    for path in ["/run/a/b", "/run/a/b/stream"] {
        for (status, units, cost) in ENDS {
            let answer = relay.client().send(post(path, &made.key, &body(status, *units))).await;
            assert_eq!(answer.status.to_string(), *status);
            let told = cost.map(|(_, charge)| charge);
            assert_eq!(answer.header("x-relay-cost-usd"), told, "{path} {status} {units:?}");
            number += 1;
            let rows = office.closed(number).await;
            let (cost, charge) = cost.map(|(cost, charge)| (cost.to_owned(), charge.to_owned())).unzip();
            assert_eq!(
                bill(&rows[number - 1]),
                (CallState::Settled, cost, charge),
                "{path} {status} {units:?}"
            );
        }
    }
    office.balance().await;
}

#[tokio::test]
async fn what_fal_did_not_take_is_free() {
    let (_fal, relay, office, made) = shop(&[]).await;
    for (number, status) in [400, 401, 403, 404, 409, 422, 429].into_iter().enumerate() {
        let body = format!(r#"{{"refuse":{status},"status":{status}}}"#);
        let answer = relay.client().send(post("/a/b", &made.key, &body)).await;
        assert_eq!((answer.status, answer.header("x-relay-cost-usd")), (status, None));
        let rows = office.closed(number + 1).await;
        assert_eq!(bill(&rows[number]), (CallState::Released, None, None), "{status}");
    }
    let job = submit(&relay, "a/b", &made.key, r#"{"open":true,"cancel":"OK"}"#).await;
    assert_eq!(cancel(&relay, &job, &made.key).await.status, 200);
    assert_eq!(bill(&office.closed(8).await[7]), (CallState::Released, None, None));
    assert_eq!(office.total(made.payer()).await, (0, 0));
    office.balance().await;
}

#[tokio::test]
async fn a_submit_that_failed_at_fal_may_have_been_taken_and_keeps_its_hold() {
    let (_fal, relay, office, made) = shop(&[]).await;
    for status in [500, 502, 503, 504] {
        let body = format!(r#"{{"refuse":{status},"status":{status}}}"#);
        relay.client().send(post("/a/b", &made.key, &body)).await;
    }
    let lost = |rows: &[fal_relay::store::CallRecord]| {
        rows.len() == 4 && rows.iter().all(|row| row.state == CallState::Unknown)
    };
    office.rows_when(lost).await;
    assert_eq!(office.total(made.payer()).await, (0, 4 * 3_750_000_000));
    office.balance().await;
}

#[tokio::test]
async fn a_cancel_of_a_running_job_waits_for_its_end() {
    let (_fal, relay, office, made) = shop(&[]).await;
    let job = submit(&relay, "a/b", &made.key, r#"{"units":"1"}"#).await;
    assert_eq!(cancel(&relay, &job, &made.key).await.status, 202);
    assert_eq!(office.rows().await[0].state, CallState::Sent, "it may still be billed");
    read(&relay, &job, &made.key).await;
    let (state, _, charge) = bill(&office.closed(1).await[0]);
    assert_eq!((state, charge.as_deref()), (CallState::Settled, Some("3.75")));
}

#[tokio::test]
async fn the_cost_is_told_at_each_read_also_after_a_restart_and_counted_once() {
    let (_fal, relay, office, made) = shop(&[]).await;
    let job = submit(&relay, "a/b", &made.key, r#"{"units":"2"}"#).await;
    let cost = async |relay: &Relay| {
        let answer = read(relay, &job, &made.key).await;
        answer.header("x-relay-cost-usd").map(str::to_owned)
    };
    for _ in 0..3 {
        assert_eq!(cost(&relay).await.as_deref(), Some("7.50"));
    }
    office.closed(1).await;
    let relay = relay.restart();
    for _ in 0..2 {
        assert_eq!(cost(&relay).await.as_deref(), Some("7.50"));
    }
    let status = read(&relay, &format!("{job}/status"), &made.key).await;
    assert_eq!(status.header("x-relay-cost-usd"), None, "a poll tells no cost");
    assert_eq!(office.total(made.payer()).await, (7_500_000_000, 0));
    office.balance().await;
}

#[tokio::test]
async fn readers_at_once_pay_once() {
    let (_fal, relay, office, made) = shop(&[]).await;
    let job = submit(&relay, "a/b", &made.key, r#"{"units":"1"}"#).await;
    let reads = (0..50).map(|_| read(&relay, &job, &made.key));
    for answer in futures_util::future::join_all(reads).await {
        assert_eq!(answer.status, 200);
        // Whoever comes while the first answer is being counted may not be told yet; a wrong sum is told to nobody.
        assert!([None, Some("3.75")].contains(&answer.header("x-relay-cost-usd")));
    }
    office.closed(1).await;
    assert_eq!(office.total(made.payer()).await, (3_750_000_000, 0));
    office.balance().await;
}

#[tokio::test]
async fn what_models_say_of_costs_is_not_taken_for_ours() {
    let fal = Fal::start(|seen: &Seen| match seen.target.as_str() {
        "/queue/a/b" => submit_reply("a/b", "job"),
        _ => {
            let headers = [("x-relay-cost-usd", "0"), ("x-relay-cost-basis", "billed")];
            Step::Reply(crate::support::reply("200 OK", &headers, b"{}"))
        }
    })
    .await;
    let relay = Relay::with(&fal.base(), &[PRICED]);
    let job = submit(&relay, "a/b", &relay.key, "{}").await;
    for answer in
        [read(&relay, &job, &relay.key).await, relay.client().send(post("/run/a/b", &relay.key, "{}")).await]
    {
        assert_eq!((answer.header("x-relay-cost-usd"), answer.header("x-relay-cost-basis")), (None, None));
    }
}

#[tokio::test]
async fn an_account_that_fal_refuses_costs_its_tenants_nothing() {
    let locked = r#"{"detail":"User is locked. Reason: Exhausted balance."}"#;
    let fal = Fal::start(move |_: &Seen| json_step("403 Forbidden", locked)).await;
    let relay = Relay::with(&fal.base(), &[PRICED]);
    let office = Office::of(&relay);
    for (number, path) in ["/a/b", "/run/a/b", "/run/a/b/stream"].into_iter().enumerate() {
        let answer = relay.client().send(post(path, &relay.key, "{}")).await;
        assert_eq!(class(&answer), (503, "account_unavailable"));
        assert_eq!(office.closed(number + 1).await[number].state, CallState::Released);
    }
    office.balance().await;
}

#[tokio::test]
async fn what_was_not_sent_is_free() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let relay = Relay::with(&format!("http://{closed}"), &[PRICED]);
    let office = Office::of(&relay);
    for (number, path) in ["/a/b", "/run/a/b"].into_iter().enumerate() {
        let answer = relay.client().send(post(path, &relay.key, "{}")).await;
        assert_eq!(class(&answer), (502, "upstream_unreachable"));
        assert_eq!(office.closed(number + 1).await[number].state, CallState::Released);
    }
    office.balance().await;
}
