//! One job from submit to result, against a fal that says every byte: what reaches fal, and what comes back.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::support::{Fal, Relay, Seen, Step, get, json, post, reply, request, submit_reply};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

/// A fal with one job on `fal-ai/flux-1`, in the state that `status` and `result` say.
async fn fal_with(status: Vec<u8>, result: Vec<u8>) -> Fal {
    Fal::start(move |seen: &Seen| match (seen.method.as_str(), seen.target.split('?').next().unwrap()) {
        ("POST", _) => submit_reply("fal-ai/flux-1", ID),
        ("GET", path) if path.ends_with("/status") => Step::Reply(status.clone()),
        ("PUT", _) => json("202 Accepted", r#"{"status":"CANCELLATION_REQUESTED"}"#),
        _ => Step::Reply(result.clone()),
    })
    .await
}

fn nothing() -> Vec<u8> {
    reply("200 OK", &[], b"{}")
}

#[tokio::test]
async fn the_seed_flow_word_for_word() {
    let images =
        br#"{"images":[{"url":"https://v3.fal.media/files/a/b.png","width":1024}],"seed":920212137}"#;
    let fal = fal_with(nothing(), reply("200 OK", &[("x-fal-billable-units", "1")], images)).await;
    let relay = Relay::before(&fal.base());
    let client = relay.client();

    let submitted = client.send(post("/fal-ai/flux-1/dev", &relay.key, r#"{"prompt":"a cat"}"#)).await;
    assert_eq!(submitted.status, 200);
    let base = format!("http://relay.test/fal-ai/flux-1/requests/{ID}");
    assert_eq!(submitted.json()["response_url"], base);
    assert_eq!(submitted.json()["status_url"], format!("{base}/status"));
    assert_eq!(submitted.json()["cancel_url"], format!("{base}/cancel"));

    let result = client.send(get(&format!("/fal-ai/flux-1/requests/{ID}"), &relay.key)).await;
    assert_eq!((result.status, result.body.as_slice()), (200, images.as_slice()));
    assert_eq!(result.header("x-fal-billable-units"), Some("1"));

    let seen = fal.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("POST", "/queue/fal-ai/flux-1/dev"));
    assert_eq!(seen[0].body, br#"{"prompt":"a cat"}"#);
    assert_eq!(seen[1].target, format!("/queue/fal-ai/flux-1/requests/{ID}"));
}

#[tokio::test]
async fn every_follow_up_form_reaches_fal_under_the_base_that_it_returned() {
    let fal = fal_with(nothing(), nothing()).await;
    let relay = Relay::before(&fal.base());
    let client = relay.client();
    client.submit("fal-ai/flux-1/dev", &relay.key).await;
    for app in ["fal-ai/flux-1", "fal-ai/flux-1/dev", "queue/fal-ai/flux-1"] {
        for (method, tail, at_fal) in [
            ("GET", "", ""),
            ("GET", "/", ""),
            ("GET", "/response", "/response"),
            ("GET", "/status", "/status"),
            ("GET", "/status/", "/status"),
            ("GET", "/status?logs=true", "/status?logs=true"),
            ("PUT", "/cancel", "/cancel"),
        ] {
            let headers = [("authorization", format!("kEy {}", relay.key))];
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer =
                client.send(request(method, &format!("/{app}/requests/{ID}{tail}"), &headers, b"")).await;
            assert!(answer.status < 300, "{method} {app}{tail}: {} {}", answer.status, answer.text());
            let last = fal.seen().pop().unwrap();
            assert_eq!(
                (last.method.as_str(), last.target),
                (method, format!("/queue/fal-ai/flux-1/requests/{ID}{at_fal}"))
            );
        }
    }
}

#[tokio::test]
async fn host_names_choose_the_face() {
    let fal = Fal::start(|seen: &Seen| match seen.target.as_str() {
        "/queue/a/b" => submit_reply("a/b", ID),
        _ => json("200 OK", r#"{"ok":true}"#),
    })
    .await;
    let relay = Relay::before(&fal.base());
    let key = format!("Key {}", relay.key);
    for (host, path, at_fal) in [
        ("queue.fal.run", "/a/b", "/queue/a/b"),
        ("queue.relay.test:8787", "/a/b", "/queue/a/b"),
        ("fal.run", "/a/b", "/run/a/b"),
        ("run.relay.test", "/a/b", "/run/a/b"),
        ("relay.test", "/run/a/b", "/run/a/b"),
        ("relay.test", "/queue/a/b", "/queue/a/b"),
        (
            "rest.fal.ai",
            "/storage/upload/initiate?storage_type=x",
            "/rest/storage/upload/initiate?storage_type=x",
        ),
        ("rest.alpha.fal.ai", "/storage/upload/initiate", "/rest/storage/upload/initiate"),
    ] {
        // fal gives each job an id of its own; this one gives the same, so each account's row is its own relay's.
        let answer = relay
            .client()
            .send(request("POST", path, &[("host", host), ("authorization", &key)], b"{}"))
            .await;
        assert!([200, 504].contains(&answer.status), "{host}{path}: {} {}", answer.status, answer.text());
        assert_eq!(fal.seen().pop().unwrap().target, at_fal, "{host}{path}");
    }
}

#[tokio::test]
async fn invariant_6_bytes_are_theirs() {
    let odd = "{ \"z\":1.2249955059960485,\"a\":[18446744073709551617, -0.0 ,1e400],\t\"z\":null,\"\\u0061\":\"\\/\",\r\n \"prompt\":\"see https://queue.fal.run/x and \\\"response_url\\\":\\\"https://queue.fal.run/y\\\"\",\"response_url\":\"https://queue.fal.run/not/an/envelope\"} ";
    let result = reply(
        "200 OK",
        &[
            ("content-type", "application/json"),
            ("x-fal-request-id", ID),
            ("x-fal-billable-units", "3.008"),
            ("x-new-header", "kept"),
        ],
        odd.as_bytes(),
    );
    let status = reply("202 Accepted", &[], br#"{"status":"IN_PROGRESS","logs":null,"response_url":"https:\/\/queue.fal.run\/fal-ai\/flux-1\/requests\/1","x":{"status_url":"https://queue.fal.run/a"},"big":12345678901234567890123}"#);
    let fal = fal_with(status, result).await;
    let relay = Relay::before(&fal.base());
    let client = relay.client();
    let body = "{\"seed\": 9007199254740993 ,\n \"prompt\":\"\\u00e9\"}";
    let headers = [
        ("authorization", format!("Bearer {}", relay.key)),
        ("content-type", "application/json".into()),
        ("x-fal-queue-priority", "low".into()),
        ("x-app-fal-disable-fallback", "1".into()),
        ("x-fal-user-id", "team".into()),
        ("cookie", "a=b".into()),
        ("connection", "x-fal-runner-hint".into()),
        ("x-fal-runner-hint", "hop".into()),
    ];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.send(request("POST", "/fal-ai/flux-1/dev?a=%2F+b&&c", &headers, body.as_bytes())).await;
    let sent = fal.seen().remove(0);
    assert_eq!(
        (sent.target.as_str(), sent.body.as_slice()),
        ("/queue/fal-ai/flux-1/dev?a=%2F+b&&c", body.as_bytes())
    );
    assert_eq!(sent.header("x-fal-queue-priority"), Some("low"));
    assert_eq!(sent.header("x-app-fal-disable-fallback"), Some("1"));
    for gone in ["x-fal-user-id", "cookie", "x-fal-runner-hint"] {
        assert_eq!(sent.header(gone), None, "{gone}");
    }

    let result = client.send(get(&format!("/fal-ai/flux-1/requests/{ID}"), &relay.key)).await;
    assert_eq!(result.text(), odd);
    for (name, value) in
        [("x-fal-request-id", ID), ("x-fal-billable-units", "3.008"), ("x-new-header", "kept")]
    {
        assert_eq!(result.header(name), Some(value));
    }

    let status = client.send(get(&format!("/fal-ai/flux-1/requests/{ID}/status"), &relay.key)).await;
    assert_eq!(status.status, 202);
    assert_eq!(
        status.text(),
        r#"{"status":"IN_PROGRESS","logs":null,"response_url":"http:\/\/relay.test\/fal-ai\/flux-1\/requests\/1","x":{"status_url":"https://queue.fal.run/a"},"big":12345678901234567890123}"#
    );
}

#[tokio::test]
async fn an_early_result_and_a_failed_one_pass_with_their_status() {
    let early = reply("400 Bad Request", &[], br#"{"detail":"Request is still in progress","response_url":"https://queue.falrun.com/a/b/requests/1"}"#);
    let fal = fal_with(nothing(), early).await;
    let relay = Relay::before(&fal.base());
    relay.client().submit("fal-ai/flux-1", &relay.key).await;
    let answer = relay.client().send(get(&format!("/fal-ai/flux-1/requests/{ID}"), &relay.key)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        r#"{"detail":"Request is still in progress","response_url":"http://relay.test/a/b/requests/1"}"#
    );
    assert_eq!(relay.ledger()[0]["state"], "sent");
}

#[tokio::test]
async fn a_gzip_answer_is_inflated_only_where_it_is_rewritten() {
    let status = r#"{"status":"COMPLETED","response_url":"https://queue.fal.run/fal-ai/flux-1/requests/1"}"#;
    let gzip = [("content-encoding", "gzip"), ("content-type", "application/json")];
    let result = gzipped(b"{\"images\":[]}");
    let fal =
        fal_with(reply("200 OK", &gzip, &gzipped(status.as_bytes())), reply("200 OK", &gzip, &result)).await;
    let relay = Relay::before(&fal.base());
    relay.client().submit("fal-ai/flux-1", &relay.key).await;
    let path = format!("/fal-ai/flux-1/requests/{ID}");

    let answer = relay.client().send(get(&format!("{path}/status"), &relay.key)).await;
    assert_eq!(answer.json()["response_url"], "http://relay.test/fal-ai/flux-1/requests/1");
    assert_eq!(answer.header("content-encoding"), None);
    let answer = relay.client().send(get(&path, &relay.key)).await;
    assert_eq!(
        (answer.body.as_slice(), answer.header("content-encoding")),
        (result.as_slice(), Some("gzip"))
    );
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn status_events_are_rewritten_as_they_come() {
    let (events, pieces) = mpsc::unbounded_channel();
    let pieces = std::sync::Mutex::new(Some(pieces));
    let fal = Fal::start(move |seen: &Seen| match seen.method.as_str() {
        "POST" => submit_reply("a/b", ID),
        _ => pieces.lock().unwrap().take().map_or(Step::Close, Step::Follow),
    })
    .await;
    let relay = Relay::before(&fal.base());
    relay.client().submit("a/b", &relay.key).await;
    let mut socket = relay.client().connect().await;
    socket.write_all(&get(&format!("/a/b/requests/{ID}/status/stream?logs=1"), &relay.key)).await.unwrap();
    events.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec()).unwrap();
    events
        .send(b": ping\n\ndata: {\"status\":\"IN_QUEUE\",\"status_url\":\"https://queue.fal".to_vec())
        .unwrap();
    events.send(b".run/a/b/requests/1/status\"}\r\n\r\n".to_vec()).unwrap();
    // The event arrives while the stream is still open.
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains("/requests/1/status\"}") {
        assert!(socket.read_buf(&mut got).await.unwrap() > 0);
    }
    let text = String::from_utf8_lossy(&got).into_owned();
    assert!(text.contains("http://relay.test/a/b/requests/1/status"), "{text}");
    assert!(text.contains(": ping") && !text.contains("queue.fal.run"), "{text}");
    drop(events);
}

#[tokio::test]
async fn direct_runs_and_their_streams_pass_untouched() {
    let body = "data: {\"response_url\":\"https://queue.fal.run/is/model/output\"}\n\n";
    let fal = Fal::start(move |seen: &Seen| match seen.target.as_str() {
        "/run/a/b/stream" => {
            Step::Reply(reply("200 OK", &[("content-type", "text/event-stream")], body.as_bytes()))
        }
        _ => Step::Reply(reply(
            "422 Unprocessable Entity",
            &[("x-fal-billable-units", "0")],
            br#"{"detail":[]}"#,
        )),
    })
    .await;
    let relay = Relay::before(&fal.base());
    let stream = relay.client().send(post("/run/a/b/stream", &relay.key, "{}")).await;
    assert_eq!((stream.status, stream.text().as_str()), (200, body));
    let run = relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    assert_eq!((run.status, run.text().as_str()), (422, r#"{"detail":[]}"#));
    crate::support::until(|| relay.ledger().iter().all(|row| row["state"] == "settled")).await;
    let ledger = relay.ledger();
    assert_eq!(
        (&ledger[0]["kind"], &ledger[0]["billable_units"]),
        (&"stream".into(), &serde_json::Value::Null)
    );
    assert_eq!((&ledger[1]["kind"], &ledger[1]["billable_units"]), (&"run".into(), &"0".into()));
}

#[tokio::test]
async fn a_job_keeps_its_account_and_accounts_take_turns() {
    let fal = Fal::start(|seen: &Seen| {
        let account = if seen.header("authorization").unwrap().contains("one") { "1" } else { "2" };
        match seen.method.as_str() {
            "POST" => submit_reply("a/b", &format!("{account}{ID}")),
            _ => json("200 OK", r#"{"status":"COMPLETED"}"#),
        }
    })
    .await;
    let relay = Relay::with(
        &fal.base(),
        &[
            ("FAL_RELAY_ACCOUNTS__ONE__KEY", "one:5ecre7f00dcanary"),
            ("FAL_RELAY_ACCOUNTS__TWO__KEY", "two:5ecre7f00dcanary"),
        ],
    );
    let mut ids =
        vec![relay.client().submit("a/b", &relay.key).await, relay.client().submit("a/b", &relay.key).await];
    for id in &ids {
        let answer = relay.client().send(get(&format!("/a/b/requests/{id}/status"), &relay.key)).await;
        assert_eq!(answer.status, 200);
        let asked = fal.seen().pop().unwrap();
        let account = if id.starts_with('1') { "Key one:" } else { "Key two:" };
        assert!(asked.header("authorization").unwrap().starts_with(account));
    }
    ids.sort();
    assert_eq!(ids, [format!("1{ID}"), format!("2{ID}")]);
}
