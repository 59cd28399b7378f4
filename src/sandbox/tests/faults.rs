//! What goes wrong on request, and the socket over which it does.

use std::io::Read;

use serde_json::json;

use super::*;
use crate::sandbox::{SandboxError, start};

fn at_once() -> Sandbox {
    Sandbox::with(|settings| settings.step_ms = 0)
}

async fn run(sandbox: &Sandbox, prompt: &str) -> Answer {
    sandbox.call("POST", "/run/acme/app", &json!({ "prompt": prompt })).await
}

#[tokio::test]
async fn failures_have_their_status_in_run_and_result() {
    let sandbox = at_once();
    for (status, header, retry) in [
        (422, "bad_request", None),
        (500, "runner_server_error", Some("1")),
        (503, "runner_scheduling_failure", Some("1")),
    ] {
        let prompt = format!("[[fail:{status}]]");
        let answer = run(&sandbox, &prompt).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-fal-error-type"), Some(header));
        assert_eq!(answer.header("x-fal-needs-retry"), retry);
        let result = sandbox.result("acme/app", &json!({ "prompt": prompt })).await;
        assert_eq!((result.status, result.body), (answer.status, answer.body));
        let by_endpoint = sandbox.call("POST", &format!("/run/sandbox/fail/{status}"), &json!({})).await;
        assert_eq!(by_endpoint.status, status);
    }
}

#[tokio::test]
async fn the_gate_refuses_on_request() {
    let sandbox = at_once();
    for (prompt, status) in
        [("[[429]]", 429), ("[[refuse:503]]", 503), ("[[locked]]", 403), ("[[no-app]]", 404)]
    {
        for face in ["queue", "run"] {
            let answer =
                sandbox.call("POST", &format!("/{face}/acme/app"), &json!({ "prompt": prompt })).await;
            assert_eq!(answer.status, status, "{prompt}");
            assert!(answer.json()["detail"].is_string());
        }
    }
    assert_eq!(sandbox.fal.counts(), crate::sandbox::Counts::default());
}

#[tokio::test]
async fn times_are_those_that_were_asked_for() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted("acme/app", &json!({ "prompt": "[[queue:30]] [[slow:60]]" })).await;
    for (wind, state) in [(29, "IN_QUEUE"), (1, "IN_PROGRESS"), (59, "IN_PROGRESS"), (1, "COMPLETED")] {
        sandbox.clock.advance(Duration::from_secs(wind));
        assert_eq!(sandbox.get(&format!("{path}/status")).await.json()["status"], state);
    }
}

#[tokio::test]
async fn a_stubborn_request_finishes_and_is_billed() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted("acme/app", &json!({ "prompt": "[[stubborn]]" })).await;
    sandbox.clock.advance(STEP * 3);
    let cancel = sandbox.send(empty("PUT", &format!("{path}/cancel"))).await;
    assert_eq!(cancel.status, 202);
    sandbox.clock.advance(STEP * 2);
    let result = sandbox.get(&path).await;
    assert_eq!((result.status.as_u16(), result.header("x-fal-billable-units")), (200, Some("1")));
}

#[tokio::test]
async fn units_are_those_that_were_asked_for() {
    let sandbox = at_once();
    assert_eq!(run(&sandbox, "[[units:3.008]]").await.header("x-fal-billable-units"), Some("3.008"));
    assert_eq!(run(&sandbox, "[[units:none]]").await.header("x-fal-billable-units"), None);
    let failed = run(&sandbox, "[[fail:422]] [[units:2]]").await;
    assert_eq!(failed.header("x-fal-billable-units"), Some("2"));
}

#[tokio::test]
async fn bodies_are_as_large_as_was_asked_for() {
    let sandbox = at_once();
    let answer = run(&sandbox, "[[size:1000000]]").await;
    assert_eq!(answer.json()["padding"].as_str().unwrap().len(), 1_000_000);
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
}

#[tokio::test]
async fn a_hanging_run_that_is_left_is_cancelled() {
    let sandbox = at_once();
    {
        let mut hanging = Box::pin(run(&sandbox, "[[hang]]"));
        assert!(futures_util::poll!(&mut hanging).is_pending());
        assert_eq!(sandbox.fal.counts().dropped_runs, 0);
    }
    assert_eq!(sandbox.fal.counts().dropped_runs, 1);
}

#[tokio::test]
async fn replies_can_be_compressed_unasked() {
    let sandbox = at_once();
    let answer = run(&sandbox, "[[gzip]]").await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut plain).unwrap();
    assert!(plain.contains("[[gzip]]"));
    let submit = sandbox.submit("sandbox/gzip", &json!({})).await;
    assert_eq!(submit.header("content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn addresses_can_be_escaped() {
    let sandbox = at_once();
    let submit = sandbox.submit("acme/app", &json!({ "prompt": "[[escape]]" })).await;
    let text = String::from_utf8_lossy(&submit.body);
    assert!(text.contains(r"http:\/\/sandbox.test\/queue\/acme\/app\/requests\/"), "{text}");
    assert!(submit.json()["status_url"].as_str().unwrap().ends_with("/status"));
}

#[tokio::test]
async fn outputs_can_tell_addresses_and_headers() {
    let sandbox = at_once();
    let path = sandbox.submitted("acme/app", &json!({ "prompt": "[[echo-url]][[echo-headers]]" })).await;
    let body = sandbox.get(&path).await.json();
    assert_eq!(body["echo"]["text"], "see https://queue.fal.run/x");
    assert_eq!(body["echo"]["response_url"], format!("http://sandbox.test{path}"));
    assert_eq!(body["headers"]["content-type"], "application/json");
    assert_eq!(body["headers"]["authorization"], "****");
}

#[tokio::test]
async fn an_answer_can_hang_and_redirect() {
    let sandbox = at_once();
    let input = json!({ "prompt": "[[hang]] [[redirect]]" });
    let path = sandbox.submitted("acme/app", &input).await;
    let mut waiting = Box::pin(sandbox.get(&path));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    sandbox.clock.advance(Duration::from_secs(3600));
    let answer = waiting.await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (307, Some("http://sandbox.test/cdn/redirected"))
    );
}

#[tokio::test]
async fn faults_strike_the_stage_they_name() {
    let sandbox = at_once();
    let path =
        sandbox.submitted("acme/app", &json!({ "prompt": "[[redirect:status]] [[cut:cancel]]" })).await;
    assert_eq!(sandbox.get(&format!("{path}/status")).await.status, 307);
    assert_eq!(sandbox.get(&path).await.status, 200);
    let cancel = sandbox.open(empty("PUT", &format!("{path}/cancel"))).await;
    assert!(cancel.into_body().collect().await.is_err());
}

async fn on_a_socket() -> (crate::sandbox::Running, reqwest::Client) {
    let settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), step_ms: 0, ..Settings::default() };
    let clock = HandClock::new(Timestamp::from_micros(0));
    let running = start(settings, Arc::new(clock), Random::seeded(1)).await.unwrap();
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    (running, client)
}

#[tokio::test]
async fn a_socket_serves_the_whole_life_of_a_request() {
    let (running, client) = on_a_socket().await;
    let base = &running.base_url;
    assert_eq!(*base, format!("http://{}", running.addr));
    let submit = client.post(format!("{base}/queue/acme/app")).header("authorization", KEY).json(&json!({}));
    let submitted: Value = submit.send().await.unwrap().json().await.unwrap();
    let url = submitted["response_url"].as_str().unwrap();
    let result: Value =
        client.get(url).header("authorization", KEY).send().await.unwrap().json().await.unwrap();
    let file = client.get(result["images"][0]["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.status(), 200);
    assert_eq!(running.fal().counts().submits, 1);
    running.shutdown().await;
}

#[tokio::test]
async fn a_cut_answer_breaks_the_connection_after_its_first_half() {
    let (running, client) = on_a_socket().await;
    let url = format!("{}/run/acme/app", running.base_url);
    let run = client.post(url).header("authorization", KEY).json(&json!({ "prompt": "[[cut]]" }));
    let mut response = run.send().await.unwrap();
    let promised = response.content_length().unwrap();
    let mut came = 0;
    let broken = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => came += chunk.len() as u64,
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken);
    assert_eq!(came, promised / 2);
}

#[tokio::test]
async fn shutdown_frees_the_address_and_ends_hanging_answers() {
    let (running, client) = on_a_socket().await;
    let hang = client.post(format!("{}/run/acme/app", running.base_url)).header("authorization", KEY);
    let hanging = tokio::spawn(hang.json(&json!({ "prompt": "[[hang]]" })).send());
    let fal = Arc::clone(running.fal());
    while fal.counts().runs == 0 {
        tokio::task::yield_now().await;
    }
    let addr = running.addr;
    running.shutdown().await;
    assert!(hanging.await.unwrap().is_err());
    tokio::net::TcpListener::bind(addr).await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let (running, _) = on_a_socket().await;
    let settings = Settings { listen: running.addr, ..Settings::default() };
    let clock = Arc::new(HandClock::new(Timestamp::from_micros(0)));
    let refused = start(settings, clock, Random::seeded(1)).await;
    assert!(matches!(refused, Err(SandboxError::Listen { addr, .. }) if addr == running.addr));
}
