//! Server-sent events, wound forward by hand.

use serde_json::json;

use super::*;

/// A stream of events that is read as it comes.
struct Events(Body);

impl Events {
    async fn open(sandbox: &Sandbox, request: Request) -> Self {
        let response = sandbox.open(request).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        Self(response.into_body())
    }

    /// The next event's data, or the next comment as it is; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        let frame = self.0.frame().await?.unwrap().into_data().unwrap();
        let text = std::str::from_utf8(&frame).unwrap().strip_suffix("\n\n").unwrap();
        match text.strip_prefix("data: ") {
            Some(data) => Some(serde_json::from_str(data).unwrap()),
            None => Some(json!(text)),
        }
    }

    /// Whether nothing comes as long as the clock stands still.
    fn is_silent(&mut self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        http_body::Body::poll_frame(std::pin::Pin::new(&mut self.0), &mut context).is_pending()
    }
}

fn fox() -> Value {
    json!({ "prompt": "a fox" })
}

async fn status_stream(sandbox: &Sandbox, prompt: &str) -> (String, Events) {
    let path = sandbox.submitted("acme/app", &json!({ "prompt": prompt })).await;
    let events = Events::open(sandbox, empty("GET", &format!("{path}/status/stream?logs=1"))).await;
    (path, events)
}

#[tokio::test]
async fn the_status_stream_tells_every_change_once_and_closes() {
    let sandbox = Sandbox::new();
    let (_, mut events) = status_stream(&sandbox, "a fox").await;
    let mut seen = Vec::new();
    for step in 0..=5 {
        let event = events.next().await.unwrap();
        seen.push((event["status"].clone(), event["logs"].as_array().unwrap().len()));
        assert!(
            event["response_url"]
                .as_str()
                .unwrap()
                .starts_with("http://sandbox.test/queue/acme/app/requests/")
        );
        if step < 5 {
            assert!(events.is_silent());
            sandbox.clock.advance(STEP);
        }
    }
    let expected = [
        ("IN_QUEUE", 0),
        ("IN_QUEUE", 0),
        ("IN_PROGRESS", 1),
        ("IN_PROGRESS", 1),
        ("IN_PROGRESS", 1),
        ("COMPLETED", 1),
    ];
    assert_eq!(seen, expected.map(|(status, logs)| (json!(status), logs)));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_late_reader_misses_nothing_and_waits_for_nothing() {
    let sandbox = Sandbox::new();
    let (_, mut events) = status_stream(&sandbox, "a fox").await;
    events.next().await.unwrap();
    sandbox.clock.advance(WHOLE * 10);
    let mut lines = 0;
    while let Some(event) = events.next().await {
        lines += event["logs"].as_array().unwrap().len();
    }
    assert_eq!(lines, 4);
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives() {
    let sandbox = Sandbox::new();
    let (_, mut events) = status_stream(&sandbox, "[[queue:50]]").await;
    assert_eq!(events.next().await.unwrap()["status"], "IN_QUEUE");
    assert!(events.is_silent());
    sandbox.clock.advance(Duration::from_secs(15));
    assert_eq!(events.next().await, Some(json!(": ping")));
    assert!(events.is_silent());
    sandbox.clock.advance(Duration::from_secs(10));
    assert_eq!(events.next().await.unwrap()["queue_position"], 0);
}

#[tokio::test]
async fn a_cancel_ends_the_status_stream() {
    let sandbox = Sandbox::new();
    let (path, mut events) = status_stream(&sandbox, "a fox").await;
    events.next().await.unwrap();
    assert!(events.is_silent());
    sandbox.clock.advance(STEP / 2);
    sandbox.send(empty("PUT", &format!("{path}/cancel"))).await;
    let last = events.next().await.unwrap();
    assert_eq!((&last["status"], &last["error_type"]), (&json!("COMPLETED"), &json!("client_cancelled")));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_stream_that_is_opened_after_the_end_has_one_event() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted("acme/app", &fox()).await;
    sandbox.clock.advance(WHOLE);
    let mut events = Events::open(&sandbox, empty("GET", &format!("{path}/status/stream"))).await;
    let event = events.next().await.unwrap();
    assert_eq!((&event["status"], &event["logs"]), (&json!("COMPLETED"), &json!(null)));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_model_streams_its_progress_and_then_its_answer() {
    let sandbox = Sandbox::new();
    let input = json!({ "prompt": "a fox [[size:100000]]" });
    let mut events = Events::open(&sandbox, request("POST", "/run/fal-ai/flux-1/dev/stream", &input)).await;
    for _ in 0..2 {
        assert!(events.is_silent());
        sandbox.clock.advance(STEP);
        assert!(events.next().await.unwrap()["progress"].as_f64().unwrap() < 1.0);
    }
    sandbox.clock.advance(STEP);
    let last = events.next().await.unwrap();
    assert_eq!(
        (last["images"].as_array().unwrap().len(), last["padding"].as_str().unwrap().len()),
        (1, 100_000)
    );
    assert_eq!(events.next().await, None);
    drop(events);
    assert_eq!(sandbox.fal.counts().dropped_runs, 0);
}

#[tokio::test]
async fn whoever_leaves_a_stream_has_cancelled_it() {
    let sandbox = Sandbox::new();
    let mut events = Events::open(&sandbox, request("POST", "/run/acme/app/stream", &fox())).await;
    assert!(events.is_silent());
    drop(events);
    assert_eq!(sandbox.fal.counts().dropped_runs, 1);
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_an_ordinary_error() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    let answer = sandbox.call("POST", "/run/fal-ai/flux-1/dev/stream", &json!({})).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["detail"][0]["type"], "missing");
}

#[tokio::test]
async fn a_stream_can_break_off() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    let request = request("POST", "/run/acme/app/stream", &json!({ "prompt": "[[cut]]" }));
    let mut body = sandbox.open(request).await.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().await.unwrap().is_err());
}
