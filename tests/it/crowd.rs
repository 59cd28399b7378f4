//! Many at once: nothing mixed up, nothing leaked.

use std::collections::HashSet;

use crate::support::{Client, Fal, Relay, Seen, Step, get, json, post, submit_reply};

const TENANTS: usize = 20;
const CALLS_EACH: usize = 50;

/// A fal whose ids and results hold the prompt that they were made from.
async fn echoing_fal() -> Fal {
    Fal::start(|seen: &Seen| match seen.method.as_str() {
        "POST" => {
            let input: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
            submit_reply("fal-ai/flux-1", input["prompt"].as_str().unwrap())
        }
        _ if seen.target.ends_with("/status") => {
            json("202 Accepted", r#"{"status":"IN_PROGRESS","logs":null}"#)
        }
        _ => Step::Reply(crate::support::reply(
            "200 OK",
            &[("x-fal-billable-units", "1")],
            format!(r#"{{"made_for":"{}"}}"#, seen.target.rsplit('/').next().unwrap()).as_bytes(),
        )),
    })
    .await
}

/// One call from submit to result; others' ids are asked for on the way.
async fn one_call(client: Client, key: String, name: String, neighbour: String) {
    let submitted = client.send(post("/fal-ai/flux-1/dev", &key, &format!(r#"{{"prompt":"{name}"}}"#))).await;
    assert_eq!(submitted.json()["request_id"], name.as_str());
    let path = format!("/fal-ai/flux-1/requests/{name}");
    assert_eq!(client.send(get(&format!("{path}/status"), &key)).await.status, 202);
    let result = client.send(get(&path, &key)).await;
    assert_eq!(result.json()["made_for"], name.as_str());
    let foreign = client.send(get(&format!("/fal-ai/flux-1/requests/{neighbour}"), &key)).await;
    assert_eq!((foreign.status, foreign.text().as_str()), (404, r#"{"status":"NOT_FOUND"}"#));
}

#[tokio::test]
async fn a_thousand_calls_by_twenty_tenants_are_not_mixed_up() {
    let fal = echoing_fal().await;
    let relay = Relay::before(&fal.base());
    let keys: Vec<String> = (0..TENANTS).map(|tenant| relay.key_of(&format!("tenant-{tenant}"))).collect();
    let calls = (0..TENANTS * CALLS_EACH).map(|call| {
        let (tenant, number) = (call % TENANTS, call / TENANTS);
        let neighbour = format!("t{}-n{number}", (tenant + 1) % TENANTS);
        tokio::spawn(one_call(
            relay.client(),
            keys[tenant].clone(),
            format!("t{tenant}-n{number}"),
            neighbour,
        ))
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    crate::support::until(|| relay.ledger().iter().all(|row| row["state"] == "settled")).await;
    let ledger = relay.ledger();
    assert_eq!(ledger.len(), TENANTS * CALLS_EACH);
    let ids: HashSet<&str> = ledger.iter().map(|row| row["request_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), ledger.len());
    for row in &ledger {
        let tenant = row["tenant"].as_str().unwrap().strip_prefix("tenant-").unwrap();
        assert!(row["request_id"].as_str().unwrap().starts_with(&format!("t{tenant}-")), "{row}");
    }
}
