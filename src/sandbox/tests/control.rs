//! What tests set and count.

use serde_json::json;

use super::*;

const FLUX: &str = "fal-ai/flux-1/dev";

fn at_once() -> Sandbox {
    Sandbox::with(|settings| settings.step_ms = 0)
}

async fn listed(sandbox: &Sandbox, id: &str) -> (bool, Value) {
    let models = sandbox.get("/api/v1/models").await.json();
    let is_model = models["models"].as_array().unwrap().iter().any(|model| model["endpoint_id"] == id);
    let prices = sandbox.get(&format!("/api/v1/models/pricing?endpoint_id={id}")).await.json();
    (is_model, prices["prices"][0]["unit_price"].clone())
}

#[tokio::test]
async fn prices_change_come_and_go() {
    let sandbox = at_once();
    let set = async |changes: &Value| {
        let answer = sandbox.call("PUT", "/sandbox/prices", changes).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.json()
    };
    assert_eq!(listed(&sandbox, FLUX).await, (true, json!(0.025)));
    assert_eq!(listed(&sandbox, "acme/new").await, (false, json!(0.05)));
    let told = set(&json!({ FLUX: null, "acme/new": { "unit_price": 0.125, "unit": "video" } })).await;
    assert_eq!(told, json!({ FLUX: null, "acme/new": { "unit_price": "0.125", "unit": "video" } }));
    assert_eq!(sandbox.get("/sandbox/prices").await.json(), told);
    assert_eq!(listed(&sandbox, FLUX).await, (false, json!(null)));
    assert_eq!(listed(&sandbox, "acme/new").await, (true, json!(0.125)));
    set(&json!({})).await;
    assert_eq!(listed(&sandbox, FLUX).await, (true, json!(0.025)));
    assert_eq!(listed(&sandbox, "acme/new").await, (false, json!(0.05)));
}

#[tokio::test]
async fn an_endpoint_without_a_listed_price_still_costs() {
    let sandbox = at_once();
    sandbox.call("PUT", "/sandbox/prices", &json!({ FLUX: null })).await;
    sandbox.call("POST", &format!("/run/{FLUX}"), &json!({ "prompt": "a fox" })).await;
    assert_eq!(sandbox.get("/sandbox/counts").await.json()["billed_nano_usd"], "25000000");
}

#[tokio::test]
async fn a_wrong_price_changes_none() {
    let sandbox = at_once();
    let before = json!({ "acme/app": { "unit_price": "7", "unit": "images" } });
    sandbox.call("PUT", "/sandbox/prices", &before).await;
    for (id, price, word) in [
        ("acme/app", json!({ "unit_price": "-1" }), "negative"),
        ("acme/app", json!({ "unit_price": "x" }), "decimal number"),
        ("acme/app", json!({ "unit_price": "1000.01" }), "too large"),
        ("acme/app", json!({ "unit_price": "0.0000000000000001" }), "digits"),
        ("acme/app", json!({ "unit_price": [1] }), "decimal number"),
        ("acme/app", json!({ "unit_price": 1, "unit": "" }), "unit must"),
        ("acme/app", json!({ "unit_price": 1, "unit": "u".repeat(65) }), "unit must"),
        ("acme/app", json!({ "unit_price": 1, "price": 2 }), "unknown field"),
        ("acme/app", json!({}), "missing field"),
        ("fal-ai/flux-1/foo", json!(null), "not an endpoint"),
        ("acme", json!({ "unit_price": 1 }), "not an endpoint"),
    ] {
        let answer = sandbox.call("PUT", "/sandbox/prices", &json!({ "acme/other": null, id: price })).await;
        assert_eq!(answer.status, 400, "{id} {price}");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{id} {price}: {message}");
        assert_eq!(sandbox.get("/sandbox/prices").await.json(), before);
    }
    let many: serde_json::Map<_, _> = (0..10_001).map(|at| (format!("a/{at}"), Value::Null)).collect();
    assert_eq!(sandbox.call("PUT", "/sandbox/prices", &json!(many)).await.status, 400);
}

#[tokio::test]
async fn the_platform_can_be_made_to_refuse_hasty_callers() {
    let sandbox = at_once();
    let set = json!({ "api_calls_per_minute": 2 });
    let told = sandbox.call("PUT", "/sandbox/settings", &set).await;
    assert_eq!(told.json(), json!({ "api_calls_per_minute": 2, "billing_lag_seconds": 0 }));
    sandbox.clock.advance(Duration::from_millis(10_500));
    let ask = async || sandbox.get("/api/v1/models").await;
    assert_eq!([ask().await.status, ask().await.status], [200, 200]);
    let refused = ask().await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, Some("50")));
    assert_eq!(refused.json()["error"]["type"], "rate_limited");
    assert_eq!(sandbox.call("POST", "/run/acme/app", &json!({})).await.status, 200, "models answer on");
    sandbox.clock.advance(Duration::from_millis(49_500));
    assert_eq!([ask().await.status, ask().await.status, ask().await.status], [200, 200, 429]);
    sandbox.call("PUT", "/sandbox/settings", &json!({})).await;
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn bills_can_be_late() {
    let sandbox = at_once();
    sandbox.call("PUT", "/sandbox/settings", &json!({ "billing_lag_seconds": 60 })).await;
    sandbox.call("POST", "/run/acme/app", &json!({})).await;
    for (after, events) in [(0, 0), (59, 0), (1, 1)] {
        sandbox.clock.advance(Duration::from_secs(after));
        assert_eq!(sandbox.get("/sandbox/counts").await.json()["billing_events"], events);
        let bill = with_header(empty("GET", "/api/v1/models/billing-events"), "authorization", "Key admin:x");
        assert_eq!(sandbox.send(bill).await.json()["billing_events"].as_array().unwrap().len(), events);
    }
}

#[tokio::test]
async fn settings_that_cannot_be_meant_change_nothing() {
    let sandbox = at_once();
    for body in [
        json!({ "billing_lag_seconds": 86_401 }),
        json!({ "billing_lag_seconds": -1 }),
        json!({ "api_calls_per_minute": 1.5 }),
        json!({ "other": 1 }),
        json!(7),
    ] {
        assert_eq!(sandbox.call("PUT", "/sandbox/settings", &body).await.status, 400, "{body}");
    }
    let usual = json!({ "api_calls_per_minute": null, "billing_lag_seconds": 0 });
    assert_eq!(sandbox.get("/sandbox/settings").await.json(), usual);
}

#[tokio::test]
async fn what_happened_can_be_counted() {
    let sandbox = Sandbox::new();
    sandbox.submitted("acme/app", &json!({ "prompt": "[[units:2]]" })).await;
    let path = sandbox.submitted("acme/app", &json!({})).await;
    sandbox.send(empty("PUT", &format!("{path}/cancel"))).await;
    sandbox.clock.advance(WHOLE);
    let expected = json!({
        "submits": 2, "runs": 0, "cancels": 1, "dropped_runs": 0,
        "billing_events": 1, "billed_nano_usd": "100000000", "forgotten_billing_events": 0,
    });
    let mut bare = empty("GET", "/sandbox/counts");
    bare.headers_mut().remove("authorization");
    assert_eq!(sandbox.send(bare).await.json(), expected);
    for (method, path, status) in [
        ("PUT", "/sandbox/counts", 405),
        ("POST", "/sandbox/prices", 405),
        ("GET", "/sandbox/other", 404),
        ("GET", "/sandbox", 404),
    ] {
        assert_eq!(sandbox.send(empty(method, path)).await.status, status, "{path}");
    }
}
