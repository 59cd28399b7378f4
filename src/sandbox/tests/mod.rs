//! The sandbox through its front door, on a hand-wound clock.

mod billing;
mod calls;
mod control;
mod faults;
mod files;
mod models;
mod platform;
mod properties;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::clock::{HandClock, Timestamp};
use crate::random::Random;

use super::{Fal, Settings, router};

/// The step of the queue in these tests.
const STEP: Duration = Duration::from_secs(1);
/// From submit to the end: two steps of waiting, three of running.
const WHOLE: Duration = Duration::from_secs(5);
const KEY: &str = "Key someone:secret";

/// A sandbox without a socket.
struct Sandbox {
    fal: Arc<Fal>,
    clock: HandClock,
}

/// A whole answer.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Sandbox {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            public_url: Some("http://sandbox.test".into()),
            step_ms: STEP.as_millis() as u64,
            ..Settings::default()
        };
        change(&mut settings);
        let clock = HandClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let fal = Fal::new(settings, Arc::new(clock.clone()), Random::seeded(3)).unwrap();
        Self { fal: Arc::new(fal), clock }
    }

    async fn open(&self, request: Request) -> Response {
        router(Arc::clone(&self.fal)).oneshot(request).await.unwrap()
    }

    async fn send(&self, request: Request) -> Answer {
        let (head, body) = self.open(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(request(method, path, body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(empty("GET", path)).await
    }

    async fn submit(&self, endpoint: &str, input: &Value) -> Answer {
        let answer = self.call("POST", &format!("/queue/{endpoint}"), input).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer
    }

    /// Submits, and gives the path of the request.
    async fn submitted(&self, endpoint: &str, input: &Value) -> String {
        let url = self.submit(endpoint, input).await.json()["response_url"].as_str().unwrap().to_owned();
        url.strip_prefix("http://sandbox.test").unwrap().to_owned()
    }

    /// Submits, lets all time pass, and reads the result.
    async fn result(&self, endpoint: &str, input: &Value) -> Answer {
        let path = self.submitted(endpoint, input).await;
        self.clock.advance(WHOLE);
        self.get(&path).await
    }
}

fn request(method: &str, path: &str, body: &Value) -> Request {
    let builder = http::Request::builder().method(method).uri(path).header("authorization", KEY);
    builder.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
}

fn empty(method: &str, path: &str) -> Request {
    http::Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", KEY)
        .body(Body::empty())
        .unwrap()
}

fn with_header(mut request: Request, name: &'static str, value: &'static str) -> Request {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}
