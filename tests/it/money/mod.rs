//! Money by the front door: what is let in, what is held, what it costs, and who is told.

mod alerts;
mod bill;
mod caps;
mod drill;
mod limits;
mod polls;
mod prices;
mod rules;
mod settlement;
mod tags;
mod watch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fal_relay::store::{CallRecord, CallState};
use serde_json::Value;

use crate::support::{Answer, Fal, Relay, Seen, Step, get, json, post, reply, request, submit_reply};

/// Two dollars and a half for each request to anything under `a/`.
const PRICED: (&str, &str) = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 2.5 requests");
/// A dollar for it.
const DOLLAR: (&str, &str) = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 1 requests");

/// A fal that does with each call what the call's own body says: `units` in the answer's header, its `status`, `refuse` for
/// a submit that is not taken, and for jobs `open` (not ended), `cancel` (the answer to it) and `gone` (forgotten).
async fn till() -> Fal {
    let jobs: Arc<Mutex<HashMap<String, Value>>> = Arc::default();
    let count = AtomicUsize::new(0);
    Fal::start(move |seen: &Seen| {
        let wish: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let path = seen.target.split('?').next().unwrap();
        match (seen.method.as_str(), path.split_at(path.len().min("/queue".len()))) {
            ("POST", ("/queue", _)) if wish["refuse"].is_u64() => {
                said(wish["refuse"].as_u64().unwrap(), &wish)
            }
            ("POST", ("/queue", endpoint)) => {
                let id = format!("job-{}", count.fetch_add(1, Ordering::Relaxed));
                jobs.lock().unwrap().insert(id.clone(), wish);
                submit_reply(endpoint.trim_start_matches('/'), &id)
            }
            ("POST", _) => said(200, &wish),
            (_, (_, follow)) => follow_up(&jobs.lock().unwrap(), &seen.method, follow),
        }
    })
    .await
}

fn follow_up(jobs: &HashMap<String, Value>, method: &str, path: &str) -> Step {
    let (_, rest) = path.split_once("/requests/").unwrap();
    let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
    let Some(wish) = jobs.get(id).filter(|wish| wish["gone"] != true) else {
        return json("404 Not Found", r#"{"status":"NOT_FOUND"}"#);
    };
    let open = wish["open"] == true;
    match (method, what, wish["cancel"].as_str()) {
        ("PUT", _, Some("OK")) => json("200 OK", r#"{"status":"OK"}"#),
        ("PUT", _, Some(said)) => json("400 Bad Request", &format!(r#"{{"status":"{said}"}}"#)),
        ("PUT", _, None) => json("202 Accepted", r#"{"status":"CANCELLATION_REQUESTED"}"#),
        (_, "status", _) if open => json("202 Accepted", r#"{"status":"IN_PROGRESS"}"#),
        (_, "status", _) => json("200 OK", r#"{"status":"COMPLETED"}"#),
        _ if open => json("400 Bad Request", r#"{"detail":"Request is still in progress"}"#),
        _ => said(200, wish),
    }
}

/// The model's own answer.
fn said(usual: u64, wish: &Value) -> Step {
    let status = wish["status"].as_u64().unwrap_or(usual);
    let mut headers = vec![("content-type", "application/json"), ("x-fal-request-id", "one")];
    headers.extend(wish["units"].as_str().map(|units| ("x-fal-billable-units", units)));
    Step::Reply(reply(&format!("{status} Said"), &headers, b"{}"))
}

/// Puts a job into the queue and returns its address.
async fn submit(relay: &Relay, endpoint: &str, key: &str, body: &str) -> String {
    let answer = relay.client().send(post(&format!("/{endpoint}"), key, body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    format!("/{endpoint}/requests/{}", answer.json()["request_id"].as_str().unwrap())
}

async fn read(relay: &Relay, path: &str, key: &str) -> Answer {
    relay.client().send(get(path, key)).await
}

async fn cancel(relay: &Relay, path: &str, key: &str) -> Answer {
    let authorization = format!("Key {key}");
    let headers = [("authorization", authorization.as_str())];
    relay.client().send(request("PUT", &format!("{path}/cancel"), &headers, b"")).await
}

/// Status and type of an answer.
fn class(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.header("x-relay-error").unwrap_or(""))
}

/// State, cost and charge of a row.
fn bill(row: &CallRecord) -> (CallState, Option<String>, Option<String>) {
    let text = |amount: Option<fal_relay::money::Delta>| amount.map(|amount| amount.to_string());
    (row.state, text(row.cost_usd), text(row.charge_usd))
}

/// What reached fal on its paid doors.
fn paid(fal: &Fal) -> Vec<Seen> {
    fal.seen().into_iter().filter(|seen| seen.method == "POST" && !seen.target.starts_with("/rest")).collect()
}
