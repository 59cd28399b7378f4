//! Webhooks as operators see them: by the command line and by the admin API, which say and do the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json as object};

use super::{HERE, QUICK, arrived, id_of, result, stage, submit};
use crate::support::{Answer, Client, Fal, Relay, Seen, json, post, request, until};

/// A receiver that takes nothing until it is told to.
async fn receiver() -> (Fal, Arc<AtomicBool>) {
    let takes = Arc::new(AtomicBool::new(false));
    let open = takes.clone();
    let receiver = Fal::start(move |_: &Seen| match open.load(Ordering::Relaxed) {
        true => json("200 OK", "{}"),
        false => json("503 Service Unavailable", "{}"),
    })
    .await;
    (receiver, takes)
}

async fn ask(relay: &Relay, method: &str, path: &str) -> Answer {
    let authorization = format!("Bearer {}", relay.token);
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let body: &[u8] = if method == "POST" { b"{}" } else { b"" };
    Client::new(relay.admin).send(request(method, &format!("/api/v1{path}"), &headers, body)).await
}

async fn list(relay: &Relay, query: &str) -> Vec<Value> {
    let answer = ask(relay, "GET", &format!("/webhooks{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"].as_array().unwrap().clone()
}

fn printed(relay: &Relay, arguments: &[&str]) -> Value {
    serde_json::from_str(&relay.cli(&[&["webhook"], arguments, &["--json"]].concat())).unwrap()
}

/// Waits until so many are in a state.
async fn stand(relay: &Relay, state: &str, count: i64) {
    let sql = "SELECT count(*) FROM deliveries WHERE state = ?1";
    until(|| relay.store().query_row(sql, (state,), |row| row.get(0)) == Ok(count)).await;
}

#[tokio::test]
async fn a_dead_webhook_is_found_shown_and_sent_anew() {
    let (fal, (receiver, takes)) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE, QUICK]);
    let target = format!("{}/hook?secret=5", receiver.base());
    let id = id_of(&submit(&relay, &target, &result("{}")).await);
    stand(&relay, "dead", 1).await;

    let listed = list(&relay, "?state=dead&tenant=default").await;
    assert_eq!(
        listed,
        *printed(&relay, &["list", "--state", "dead"]).as_array().unwrap(),
        "both say the same"
    );
    let one = &listed[0];
    assert_eq!((one["request_id"].as_str(), one["attempts"].as_i64()), (Some(id.as_str()), Some(5)));
    assert_eq!(one["target"], format!("{}/hook", receiver.base()).as_str());
    assert_eq!(
        (list(&relay, "?state=waiting").await.len(), list(&relay, "?tenant=other").await.len()),
        (0, 0)
    );
    let by_request = printed(&relay, &["list", "--request-id", &id]);
    assert_eq!(by_request.as_array().unwrap().len(), 1);

    let shown = ask(&relay, "GET", "/webhooks/1").await.json();
    assert_eq!(shown, printed(&relay, &["show", "1"]));
    let tries: Vec<_> = shown["attempts"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(tries, [&object!(503); 5]);
    let text = relay.cli(&["webhook", "show", "1"]);
    assert!(text.contains("the receiver answered 503") && !text.contains("secret=5"), "{text}");
    assert!(!shown.to_string().contains("secret=5"));

    takes.store(true, Ordering::Relaxed);
    let told = relay.cli(&["webhook", "redeliver", "1", "--reason", "the receiver was down"]);
    assert!(told.starts_with("1 begin anew"), "{told}");
    stand(&relay, "delivered", 1).await;
    let seen = arrived(&receiver, 6).await;
    assert!(
        seen.iter().all(|one| one.header("x-relay-delivery-id") == seen[0].header("x-relay-delivery-id"))
    );
    let audit = relay.cli(&["audit", "delivery:1"]);
    assert!(audit.contains("delivery.redeliver") && audit.contains("the receiver was down"), "{audit}");
    // What has arrived can be sent again as well.
    let again = ask(&relay, "POST", "/webhooks/1/redeliver").await;
    assert_eq!((again.status, again.json()["redelivered"].as_i64()), (200, Some(1)));
    arrived(&receiver, 7).await;
}

#[tokio::test]
async fn all_dead_webhooks_of_one_tenant_are_sent_anew_by_both_roads() {
    let (fal, (receiver, takes)) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE, QUICK]);
    let other = relay.key_of("other");
    let path = super::path_for(&receiver.base());
    for key in [&relay.key, &relay.key, &other] {
        id_of(&relay.client().send(post(&path, key, r#"{"text":"{}"}"#)).await);
    }
    stand(&relay, "dead", 3).await;
    takes.store(true, Ordering::Relaxed);
    let begun = ask(&relay, "POST", "/tenants/1/webhooks/redeliver").await;
    assert_eq!((begun.status, begun.json()["redelivered"].as_i64()), (200, Some(2)));
    stand(&relay, "delivered", 2).await;
    stand(&relay, "dead", 1).await;
    assert!(relay.cli(&["webhook", "redeliver", "--dead-of", "other"]).starts_with("1 begin anew"));
    stand(&relay, "delivered", 3).await;
    for (method, missing) in [("GET", "/webhooks/99"), ("POST", "/webhooks/99/redeliver")] {
        assert_eq!(ask(&relay, method, missing).await.status, 404, "{missing}");
    }
}
