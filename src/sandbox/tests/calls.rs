//! The life of a request: queue, direct run, cancel, and the gate before them.

use http::Method;
use serde_json::json;

use super::*;

const FLUX: &str = "fal-ai/flux-1/dev";

fn fox() -> Value {
    json!({ "prompt": "a fox" })
}

#[tokio::test]
async fn a_submit_answers_in_fals_words_and_order() {
    let sandbox = Sandbox::new();
    let answer = sandbox.submit(FLUX, &fox()).await;
    let id = answer.header("x-fal-request-id").unwrap();
    let base = format!("http://sandbox.test/queue/fal-ai/flux-1/requests/{id}");
    let expected = format!(
        r#"{{"status":"IN_QUEUE","request_id":"{id}","response_url":"{base}","status_url":"{base}/status","cancel_url":"{base}/cancel","logs":null,"metrics":{{}},"queue_position":1}}"#
    );
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn a_request_goes_through_its_states() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted(FLUX, &fox()).await;
    let mut seen = Vec::new();
    for _ in 0..=5 {
        let answer = sandbox.get(&format!("{path}/status?logs=1")).await;
        let body = answer.json();
        let logs = body["logs"].as_array().unwrap().len();
        seen.push((answer.status.as_u16(), body["status"].clone(), body["queue_position"].clone(), logs));
        sandbox.clock.advance(STEP);
    }
    assert_eq!(
        seen,
        [
            (202, json!("IN_QUEUE"), json!(1), 0),
            (202, json!("IN_QUEUE"), json!(0), 0),
            (202, json!("IN_PROGRESS"), json!(null), 1),
            (202, json!("IN_PROGRESS"), json!(null), 2),
            (202, json!("IN_PROGRESS"), json!(null), 3),
            (200, json!("COMPLETED"), json!(null), 4),
        ]
    );
}

#[tokio::test]
async fn logs_are_there_when_asked_for_and_null_otherwise() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted(FLUX, &fox()).await;
    sandbox.clock.advance(WHOLE);
    for (query, asked) in
        [("", false), ("?logs=0", false), ("?logs=false", false), ("?logs=1", true), ("?logs=true", true)]
    {
        let body = sandbox.get(&format!("{path}/status{query}")).await.json();
        assert_eq!(body["logs"].is_array(), asked, "{query}");
        assert!(body.as_object().unwrap().contains_key("logs"), "{query}");
        assert_eq!(body["metrics"], json!({ "inference_time": 3.0 }));
    }
    let line = &sandbox.get(&format!("{path}/status?logs=1")).await.json()["logs"][3];
    assert_eq!(
        *line,
        json!({ "message": "Generating: 100%", "timestamp": "2023-11-14T22:13:25.000000Z", "level": "INFO", "source": "USER" })
    );
}

#[tokio::test]
async fn a_result_before_its_time_is_a_400_with_addresses() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted(FLUX, &fox()).await;
    let answer = sandbox.get(&path).await;
    assert_eq!(answer.status, 400);
    let body = answer.json();
    assert_eq!(body["detail"], "Request is still in progress");
    assert_eq!(body["response_url"], format!("http://sandbox.test{path}"));
    assert_eq!(body["cancel_url"], format!("http://sandbox.test{path}/cancel"));
}

#[tokio::test]
async fn every_form_of_a_follow_up_is_known() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted(FLUX, &fox()).await;
    sandbox.clock.advance(WHOLE);
    let full = path.replace("flux-1/", "flux-1/dev/");
    for form in [
        path.clone(),
        format!("{path}/"),
        format!("{path}/response"),
        format!("{path}/status/"),
        full.clone(),
        format!("{full}/status"),
    ] {
        assert_eq!(sandbox.get(&form).await.status, 200, "{form}");
    }
}

#[tokio::test]
async fn a_result_has_the_models_answer_and_its_bill() {
    let sandbox = Sandbox::new();
    let answer = sandbox.result(FLUX, &fox()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-fal-billable-units"), Some("1"));
    assert!(answer.header("x-fal-request-id").is_some());
    let body = answer.json();
    assert_eq!(body["images"][0]["width"], 1024);
    assert_eq!(body["images"][0]["height"], 768);
    assert_eq!(body["prompt"], "a fox");
    assert_eq!(body["has_nsfw_concepts"], json!([false]));
}

#[tokio::test]
async fn a_bad_input_completes_and_fails_in_its_result() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted(FLUX, &json!({ "num_images": 9 })).await;
    sandbox.clock.advance(WHOLE);
    let status = sandbox.get(&format!("{path}/status")).await;
    assert_eq!(status.status, 200);
    assert_eq!(status.json()["error"], "Invalid status code: 422");
    let result = sandbox.get(&path).await;
    assert_eq!(result.status, 422);
    assert_eq!(result.header("x-fal-billable-units"), Some("0"));
    let locations: Vec<_> =
        result.json()["detail"].as_array().unwrap().iter().map(|problem| problem["loc"][1].clone()).collect();
    assert_eq!(locations, ["num_images", "prompt"]);
}

#[tokio::test]
async fn cancel_in_each_state() {
    let sandbox = Sandbox::new();
    for (after, status, word) in
        [(0, 200, "OK"), (2, 202, "CANCELLATION_REQUESTED"), (5, 400, "ALREADY_COMPLETED")]
    {
        let path = sandbox.submitted(FLUX, &fox()).await;
        sandbox.clock.advance(STEP * after);
        let cancel = sandbox.send(empty("PUT", &format!("{path}/cancel"))).await;
        assert_eq!((cancel.status.as_u16(), cancel.json()), (status, json!({ "status": word })));
        let again = sandbox.send(empty("PUT", &format!("{path}/cancel"))).await;
        assert_eq!(again.status, 400);
        let status = sandbox.get(&format!("{path}/status")).await;
        assert_eq!((status.status.as_u16(), status.json()["status"].clone()), (200, json!("COMPLETED")));
        let result = sandbox.get(&path).await;
        assert_eq!(result.status.as_u16(), if after == 5 { 200 } else { 499 });
    }
    assert_eq!(sandbox.fal.counts().cancels, 2);
}

#[tokio::test]
async fn a_cancelled_request_says_so_everywhere() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted(FLUX, &fox()).await;
    sandbox.send(empty("PUT", &format!("{path}/cancel"))).await;
    let status = sandbox.get(&format!("{path}/status")).await.json();
    assert_eq!((&status["error_type"], &status["metrics"]), (&json!("client_cancelled"), &json!({})));
    let result = sandbox.get(&path).await;
    assert_eq!(result.header("x-fal-error-type"), Some("client_cancelled"));
    assert_eq!(result.json()["error_type"], "client_cancelled");
    assert_eq!(result.header("x-fal-billable-units"), None);
}

#[tokio::test]
async fn what_is_not_yours_is_unknown() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted(FLUX, &fox()).await;
    let stranger =
        |path: &str, method: &str| with_header(empty(method, path), "authorization", "Key other:secret");
    let elsewhere = path.replace("flux-1", "wan");
    let unknown = "/queue/fal-ai/flux-1/requests/764cabcf-b745-4b3e-ae38-1200304cf45b";
    for request in [
        stranger(&path, "GET"),
        stranger(&format!("{path}/status"), "GET"),
        stranger(&format!("{path}/status/stream"), "GET"),
        stranger(&format!("{path}/cancel"), "PUT"),
        empty("GET", &elsewhere),
        empty("GET", unknown),
        empty("GET", "/queue/fal-ai/flux-1/requests/a%20b"),
    ] {
        let answer = sandbox.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (404, json!({ "status": "NOT_FOUND" })));
    }
}

#[tokio::test]
async fn the_gate_checks_the_key() {
    let sandbox = Sandbox::new();
    let path = "/queue/fal-ai/flux-1/dev";
    let malformed = "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'.";
    for (key, status, detail) in [
        ("Key no-colon", 401, malformed),
        ("Key :secret", 401, malformed),
        ("Key id:", 401, malformed),
        ("Bearer a:b", 401, malformed),
        ("Key unknown:x", 401, "No user found for Key ID and Secret"),
        (
            "Key locked:x",
            403,
            "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
        ),
    ] {
        let answer = sandbox.send(with_header(request("POST", path, &fox()), "authorization", key)).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (status, json!({ "detail": detail })), "{key}");
    }
    let mut bare = request("POST", path, &fox());
    bare.headers_mut().remove("authorization");
    let answer = sandbox.send(bare).await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.json()["detail"].as_str().unwrap().starts_with("Cannot access application \"fal-ai/flux-1\"")
    );
    let lower = sandbox.send(with_header(request("POST", path, &fox()), "authorization", "key a:b")).await;
    assert_eq!(lower.status, 200);
}

#[tokio::test]
async fn wrong_methods_and_paths_are_told_apart() {
    let sandbox = Sandbox::new();
    let request_path = "/queue/fal-ai/flux-1/requests/x";
    for (method, path, status, allow) in [
        ("GET", "/queue/fal-ai/flux-1/dev", 405, Some("POST")),
        ("POST", request_path, 405, Some("GET")),
        ("GET", "/queue/fal-ai/flux-1/requests/x/cancel", 405, Some("PUT")),
        ("PUT", "/run/fal-ai/flux-1/dev", 405, Some("POST")),
        ("POST", "/queue/flux", 404, None),
        ("POST", "/elsewhere/a/b", 404, None),
        ("GET", "/", 404, None),
        ("POST", "/rest/tokens", 404, None),
    ] {
        let answer = sandbox.send(empty(method, path)).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (status, allow), "{method} {path}");
        answer.json();
    }
}

#[tokio::test]
async fn faces_are_chosen_by_host_name_too() {
    let sandbox = Sandbox::new();
    for (host, path, status) in [
        ("queue.fal.run", "/fal-ai/flux-1/dev", 200),
        ("queue.fal.run:443", "/fal-ai/flux-1/dev", 200),
        ("rest.alpha.fal.ai", "/fal-ai/flux-1/dev", 404),
        ("sandbox.test", "/fal-ai/flux-1/dev", 404),
    ] {
        let answer = sandbox.send(with_header(request("POST", path, &fox()), "host", host)).await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_direct_run_waits_for_the_model() {
    let sandbox = Sandbox::new();
    let body = fox();
    let mut run = Box::pin(sandbox.call("POST", "/run/fal-ai/flux-1/dev", &body));
    for _ in 0..3 {
        assert!(futures_util::poll!(&mut run).is_pending());
        sandbox.clock.advance(STEP);
    }
    let answer = run.await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["timings"], json!({ "inference": 3.0 }));
    assert_eq!(answer.header("x-fal-billable-units"), Some("1"));
    assert_eq!(sandbox.fal.counts(), crate::sandbox::Counts { runs: 1, ..Default::default() });
}

#[tokio::test]
async fn whoever_leaves_a_direct_run_has_cancelled_it() {
    let sandbox = Sandbox::new();
    let body = fox();
    {
        let run = std::pin::pin!(sandbox.call("POST", "/run/fal-ai/flux-1/dev", &body));
        assert!(futures_util::poll!(run).is_pending());
    }
    assert_eq!(
        sandbox.fal.counts(),
        crate::sandbox::Counts { runs: 1, dropped_runs: 1, ..Default::default() }
    );
}

#[tokio::test]
async fn a_start_that_is_too_late_is_a_504_of_the_user() {
    let sandbox = Sandbox::new();
    let submit =
        with_header(request("POST", "/queue/acme/app", &fox()), "x-fal-request-start-timeout", "1.5");
    let url = sandbox.send(submit).await.json()["response_url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("http://sandbox.test").unwrap();
    sandbox.clock.advance(Duration::from_millis(1500));
    let answer = sandbox.get(path).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.header("x-fal-request-timeout-type"), Some("user"));
    assert_eq!(answer.json(), json!({ "detail": "Request timed out", "error_type": "request_timeout" }));
}

#[tokio::test]
async fn without_steps_all_is_done_at_once() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    let answer = sandbox.submit(FLUX, &fox()).await.json();
    assert_eq!((&answer["status"], &answer["queue_position"]), (&json!("IN_QUEUE"), &json!(0)));
    let path = answer["response_url"].as_str().unwrap().strip_prefix("http://sandbox.test").unwrap();
    assert_eq!(sandbox.get(path).await.status, 200);
    assert_eq!(sandbox.call("POST", "/run/fal-ai/flux-1/dev", &fox()).await.status, 200);
}

#[tokio::test]
async fn the_oldest_finished_requests_are_forgotten_first() {
    let sandbox = Sandbox::with(|settings| settings.max_requests = 2);
    let slow = sandbox.submitted("acme/app", &json!({ "prompt": "[[slow:100]]" })).await;
    let quick = sandbox.submitted("acme/app", &fox()).await;
    let refused = sandbox.call("POST", "/queue/acme/app", &fox()).await;
    assert_eq!(refused.status, 429);
    sandbox.clock.advance(WHOLE);
    sandbox.submitted("acme/app", &fox()).await;
    assert_eq!(sandbox.get(&quick).await.status, 404);
    assert_eq!(sandbox.get(&format!("{slow}/status")).await.status, 202);
}

#[tokio::test]
async fn too_long_and_broken_bodies_are_told() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    for (body, kind) in [("{", "json_invalid"), ("[1]", "model_attributes_type"), ("", "missing")] {
        let mut request = empty("POST", "/run/fal-ai/flux-1/dev");
        *request.body_mut() = Body::from(body);
        *request.method_mut() = Method::POST;
        let answer = sandbox.send(request).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json()["detail"][0]["type"], kind, "{body}");
    }
}
