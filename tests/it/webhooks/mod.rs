//! Webhooks of tenants, from a submit to their receivers: real relay, scripted fal, scripted receivers.

mod delivery;
mod drill;
mod ends;
mod listen;
mod office;
mod store;
mod submit;
mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json as object};

use crate::support::{Answer, Fal, Relay, Seen, Step, json, post, reply, submit_reply, until};

/// The receivers of these tests are on this machine.
pub(crate) const HERE: (&str, &str) = ("FAL_RELAY_WEBHOOKS__ALLOW_TARGETS", "127.0.0.0/8");
/// Tries that follow each other quickly.
pub(crate) const QUICK: (&str, &str) = ("FAL_RELAY_WEBHOOKS__RETRY_AFTER", "20ms,20ms,20ms,20ms");

/// A fal whose jobs end as the body of their submit says: `status`, `units`, `text` (the bytes of the result), `open` (it
/// does not end), `gone` (it is forgotten).
pub(crate) async fn stage() -> Fal {
    let jobs = Arc::new(Mutex::new(HashMap::<String, Value>::new()));
    Fal::start(move |seen: &Seen| act(&mut jobs.lock().unwrap(), seen)).await
}

fn act(jobs: &mut HashMap<String, Value>, seen: &Seen) -> Step {
    let path = seen.target.split('?').next().unwrap();
    if seen.method == "POST" {
        let id = format!("job-{}", jobs.len());
        jobs.insert(id.clone(), serde_json::from_slice(&seen.body).unwrap_or_default());
        return submit_reply("a/b", &id);
    }
    let mut words = path.rsplit('/');
    let (last, before) = (words.next().unwrap(), words.next().unwrap());
    let (id, what) = if last.starts_with("job-") { (last, "") } else { (before, last) };
    let Some(job) = jobs.get_mut(id) else { return json("404 Not Found", r#"{"status":"NOT_FOUND"}"#) };
    let is_open = job["open"] == true;
    match what {
        "cancel" => {
            job["open"] = false.into();
            json("200 OK", r#"{"status":"OK"}"#)
        }
        "status" if is_open => json("202 Accepted", r#"{"status":"IN_PROGRESS"}"#),
        "status" => json("200 OK", r#"{"status":"COMPLETED"}"#),
        _ if is_open => json("400 Bad Request", r#"{"detail":"Request is still in progress"}"#),
        _ if job["gone"] == true => json("404 Not Found", r#"{"detail":"Not found"}"#),
        _ => {
            let units = job["units"].as_str().unwrap_or("1");
            let status = match job["status"].as_u64() {
                Some(422) => "422 Unprocessable Entity",
                _ => "200 OK",
            };
            let text = job["text"].as_str().unwrap_or("{}");
            Step::Reply(reply(status, &[("x-fal-billable-units", units)], text.as_bytes()))
        }
    }
}

/// A receiver that takes everything.
pub(crate) async fn receiver() -> Fal {
    Fal::start(|_: &Seen| json("200 OK", "{}")).await
}

/// The path of a submit that asks for a webhook at `target`.
pub(crate) fn path_for(target: &str) -> String {
    let query =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("fal_webhook", target).finish();
    format!("/a/b?{query}")
}

/// Submits a job with a webhook.
pub(crate) async fn submit(relay: &Relay, target: &str, body: &Value) -> Answer {
    relay.client().send(post(&path_for(target), &relay.key, &body.to_string())).await
}

/// The id of a job that was taken.
pub(crate) fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["request_id"].as_str().unwrap().to_owned()
}

/// The webhooks that arrived, once there are so many.
pub(crate) async fn arrived(receiver: &Fal, count: usize) -> Vec<Seen> {
    until(|| receiver.seen().len() >= count).await;
    receiver.seen()
}

pub(crate) fn body_of(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap()
}

/// A job's result with these bytes.
pub(crate) fn result(text: &str) -> Value {
    object!({ "text": text })
}
