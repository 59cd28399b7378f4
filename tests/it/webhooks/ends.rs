//! What is told of each kind of end, and that the telling and the end are one (invariants 4 and 11).

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json as object;

use super::{HERE, arrived, body_of, id_of, receiver, result, stage, submit};
use crate::support::{Fal, Office, Relay, Seen, Step, get, request, submit_reply, until};

/// Numbers that no float holds, odd spaces, an order of keys.
const ODD: &str = "{ \"seed\": 196619188014358660,\"b\":1.10e40 , \"a\":\"\\u0041\"}";

#[tokio::test]
async fn invariant_6_a_webhook_has_the_bytes_of_the_result() {
    let (fal, receiver) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE]);
    let id = id_of(&submit(&relay, &receiver.base(), &result(ODD)).await);
    let told = arrived(&receiver, 1).await.remove(0);
    let wanted =
        format!(r#"{{"request_id":"{id}","gateway_request_id":"{id}","status":"OK","payload":{ODD}}}"#);
    assert_eq!(String::from_utf8(told.body.clone()).unwrap(), wanted);
    assert_eq!(told.header("content-type"), Some("application/json"));
    assert_eq!(told.header("x-fal-webhook-request-id"), Some(id.as_str()));
    for name in ["x-fal-webhook-user-id", "x-fal-webhook-timestamp", "x-fal-webhook-signature"] {
        assert!(told.header(name).is_some(), "{name}");
    }
    assert_eq!(told.header("x-relay-delivery-id"), told.header("webhook-id"));
    assert!(told.header("authorization").is_none());
    // Whoever reads as well gets the same, and nothing is told twice.
    let read = relay.client().send(get(&format!("/a/b/requests/{id}"), &relay.key)).await;
    assert_eq!(read.text(), ODD);
    let rows = Office::of(&relay).closed(1).await;
    assert_eq!(rows[0].billable_units.as_deref(), Some("1"));
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn invariant_7_each_end_is_told_and_a_long_result_only_named() {
    let (fal, receiver) = (stage().await, receiver().await);
    let small = ("FAL_RELAY_WEBHOOKS__MAX_PAYLOAD_BYTES", "64");
    let relay = Relay::with(&fal.base(), &[HERE, small]);
    let detail = r#"{"detail":[{"loc":["body","prompt"],"msg":"field required","type":"missing"}]}"#;
    let cases = [
        (result("[1, 2]"), "OK", object!(null), object!([1, 2]), false),
        (
            object!({"status": 422, "text": &detail[..40]}),
            "ERROR",
            object!("Invalid status code: 422"),
            object!(null),
            true,
        ),
        (
            object!({"status": 422, "text": r#"{"detail":"no"}"#}),
            "ERROR",
            object!("Invalid status code: 422"),
            object!({"detail": "no"}),
            false,
        ),
        (result("\u{1}not json"), "OK", object!(null), object!(null), true),
        (result(&"9".repeat(100)), "OK", object!(null), object!(null), true),
        (object!({"gone": true}), "ERROR", object!("Invalid status code: 404"), object!(null), true),
    ];
    let mut ids = Vec::new();
    for (body, ..) in &cases {
        ids.push(id_of(&submit(&relay, &receiver.base(), body).await));
    }
    let told = arrived(&receiver, cases.len()).await;
    for (id, (job, status, error, payload, has_reason)) in ids.iter().zip(&cases) {
        let body = told.iter().map(body_of).find(|body| body["request_id"] == id.as_str()).unwrap();
        assert_eq!((&body["status"], &body["error"]), (&object!(status), error), "{job}");
        assert_eq!(&body["payload"], payload, "{job}");
        assert_eq!(body["payload_error"].is_string(), *has_reason, "{job}");
    }
    let office = Office::of(&relay);
    office.closed(cases.len()).await;
    office.balance().await;
}

#[tokio::test]
async fn invariant_7_a_cancelled_job_is_told_soon_and_costs_nothing() {
    let (fal, receiver) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE]);
    let id = id_of(&submit(&relay, &receiver.base(), &object!({"open": true})).await);
    let cancel = request(
        "PUT",
        &format!("/a/b/requests/{id}/cancel"),
        &[("authorization", &format!("Key {}", relay.key))],
        b"",
    );
    assert_eq!(relay.client().send(cancel).await.status, 200);
    let body = body_of(&arrived(&receiver, 1).await[0]);
    assert_eq!((&body["status"], &body["error"]), (&object!("ERROR"), &object!("Invalid status code: 499")));
    assert_eq!(body["payload"]["error_type"], "client_cancelled");
    let rows = Office::of(&relay).closed(1).await;
    assert_eq!((rows[0].reason.as_deref(), rows[0].hold_open), (Some("cancelled"), false));
}

#[tokio::test]
async fn invariant_7_jobs_with_webhooks_are_looked_at_a_few_at_once() {
    let taken = AtomicUsize::new(0);
    let fal = Fal::start(move |seen: &Seen| match seen.method.as_str() {
        "POST" => submit_reply("a/b", &format!("job-{}", taken.fetch_add(1, Ordering::Relaxed))),
        _ => Step::Hang,
    })
    .await;
    let relay = Relay::with(&fal.base(), &[HERE]);
    for _ in 0..100 {
        id_of(&submit(&relay, &fal.base(), &object!({})).await);
    }
    let looks = || fal.seen().iter().filter(|seen| seen.method == "GET").count();
    until(|| looks() >= 64).await;
    // A second submit comes back: there was time for further looks.
    id_of(&submit(&relay, &fal.base(), &object!({})).await);
    assert_eq!(looks(), 64);
}

#[tokio::test]
async fn invariant_4_nothing_is_told_of_a_job_that_has_not_ended_or_was_never_taken() {
    let (fal, receiver) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE]);
    id_of(&submit(&relay, &receiver.base(), &object!({"open": true})).await);
    let looks = || fal.seen().iter().filter(|seen| seen.target.ends_with("/status")).count();
    until(|| looks() >= 2).await;
    let ended = id_of(&submit(&relay, &receiver.base(), &result("{}")).await);
    let told = arrived(&receiver, 1).await;
    assert_eq!(body_of(&told[0])["request_id"], ended.as_str());
    let counted = |sql: &str| relay.store().query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(counted("SELECT count(*) FROM deliveries"), 1);
    assert_eq!(counted("SELECT count(*) FROM webhooks WHERE open = 1"), 1);
}

#[tokio::test]
async fn invariant_11_a_read_of_the_result_brings_the_webhook_at_once_and_a_restart_forgets_none() {
    let (fal, receiver) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE]);
    let id = id_of(&submit(&relay, &receiver.base(), &result(ODD)).await);
    let read = relay.client().send(get(&format!("/a/b/requests/{id}"), &relay.key)).await;
    assert_eq!(read.text(), ODD);
    let relay = relay.restart();
    let told = arrived(&receiver, 1).await;
    assert_eq!(body_of(&told[0])["request_id"], id.as_str());
    drop(relay);
}
