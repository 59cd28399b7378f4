//! The proxy convention of fal's clients: what comes by it is the call that it names, and nothing else comes through it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::corpus::proxy_targets::{BAD, NOWHERE};
use crate::support::{Answer, FAL_KEY, Fal, Relay, Seen, Step, json, request, submit_reply, until};

const ROUTE: &str = "/api/fal/proxy";
const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

/// A fal that takes one job and answers everything else with what it was asked.
async fn fal() -> Fal {
    Fal::start(|seen: &Seen| match seen.method.as_str() {
        "POST" if seen.target.starts_with("/queue/") => submit_reply("fal-ai/flux-1", ID),
        _ => {
            json("200 OK", &format!(r#"{{"status":"COMPLETED","asked":"{} {}"}}"#, seen.method, seen.target))
        }
    })
    .await
}

/// A call by the convention.
fn to(target: &str, method: &str, key: Option<&str>) -> Vec<u8> {
    let authorization = key.map(|key| format!("Key {key}"));
    let mut headers = vec![("x-fal-target-url", target), ("content-type", "application/json")];
    headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
    request(method, ROUTE, &headers, if method == "POST" { b"{}" } else { b"" })
}

async fn ask(relay: &Relay, target: &str, method: &str, key: Option<&str>) -> Answer {
    relay.client().send(to(target, method, key)).await
}

/// What a stock proxy says too.
fn is_invalid(answer: &Answer) -> bool {
    let marked = answer.header("x-relay-error") == Some("bad_target");
    answer.status == 400 && answer.text() == r#""Invalid request""# && marked
}

#[tokio::test]
async fn a_call_by_the_convention_is_the_call_that_it_names() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let base = format!("https://queue.fal.run/fal-ai/flux-1/requests/{ID}");
    let follow_up = format!("/queue/fal-ai/flux-1/requests/{ID}");
    let to_fal = [
        (
            "POST",
            "https://queue.fal.run/fal-ai/flux-1/dev?x=1".to_owned(),
            "/queue/fal-ai/flux-1/dev?x=1".to_owned(),
        ),
        ("GET", format!("{base}/status?logs=1"), format!("{follow_up}/status?logs=1")),
        ("GET", format!("{base}/status/stream"), format!("{follow_up}/status/stream")),
        ("GET", base.clone(), follow_up.clone()),
        ("PUT", format!("{base}/cancel"), format!("{follow_up}/cancel")),
        ("POST", "https://fal.run/fal-ai/flux-1/dev".to_owned(), "/run/fal-ai/flux-1/dev".to_owned()),
        (
            "POST",
            "https://fal.run/fal-ai/flux-1/dev/stream".to_owned(),
            "/run/fal-ai/flux-1/dev/stream".to_owned(),
        ),
    ];
    for (method, target, path) in to_fal {
        let answer = ask(&relay, &target, method, Some(&relay.key)).await;
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
        let seen = fal.seen().pop().unwrap();
        assert_eq!((seen.method.as_str(), seen.target.as_str()), (method, path.as_str()));
        assert_eq!(seen.header("x-fal-target-url"), None);
        assert_eq!(seen.header("authorization"), Some(format!("Key {FAL_KEY}").as_str()));
        assert!(seen.header("x-fal-client-proxy").unwrap().starts_with("fal-relay/"));
    }
    let calls = relay.ledger();
    assert_eq!(calls.len(), 3, "a paid call by the convention is not in the ledger: {calls:?}");
}

#[tokio::test]
async fn the_three_addresses_lead_back_through_the_relay_with_and_without_the_convention() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let submitted = ask(&relay, "https://queue.fal.run/fal-ai/flux-1", "POST", Some(&relay.key)).await.json();
    let status = submitted["status_url"].as_str().unwrap();
    assert_eq!(status, format!("http://relay.test/fal-ai/flux-1/requests/{ID}/status"));
    assert_eq!(ask(&relay, status, "GET", Some(&relay.key)).await.status, 200);
    assert_eq!(fal.seen().pop().unwrap().target, format!("/queue/fal-ai/flux-1/requests/{ID}/status"));
    // Only these of the relay's own: nothing else is asked of it by its own name.
    for (method, target) in [
        ("POST", "http://relay.test/fal-ai/flux-1"),
        ("POST", "http://relay.test/run/fal-ai/flux-1"),
        ("POST", "http://relay.test/api/fal/proxy"),
        ("GET", "http://relay.test/v1/account"),
        ("GET", "http://relay.test/health"),
        ("GET", "https://relay.test/fal-ai/flux-1/requests/x/status"),
    ] {
        let answer = ask(&relay, target, method, Some(&relay.key)).await;
        assert!(is_invalid(&answer), "{target}: {} {}", answer.status, answer.text());
    }
}

#[tokio::test]
async fn invariant_10_a_target_that_is_no_address_of_fals_is_refused_and_never_dialled() {
    let elsewhere = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let beside = [
        format!("{}/fal-ai/flux-1", elsewhere.base()),
        format!("{}/queue/fal-ai/flux-1", fal.base()),
        format!("http://{}/metrics", relay.admin),
        format!("https://{}/fal-ai/flux-1", relay.http),
        format!("https://queue.fal.run/{}", "a/".repeat(5000)),
    ];
    let targets = BAD.iter().map(|(_, target)| *target).chain(beside.iter().map(String::as_str));
    for target in targets {
        for (method, key) in [("POST", Some(relay.key.as_str())), ("GET", Some(&relay.key)), ("POST", None)] {
            let answer = ask(&relay, target, method, key).await;
            assert!(is_invalid(&answer), "{method} {target:?}: {} {}", answer.status, answer.text());
        }
    }
    for target in NOWHERE {
        let answer = ask(&relay, target, "POST", Some(&relay.key)).await;
        assert_eq!(
            (answer.status, answer.header("x-relay-error")),
            (404, Some("route_not_found")),
            "{target}"
        );
    }
    assert_eq!((elsewhere.accepted(), fal.seen().len()), (0, 0), "a target was dialled");
    assert_eq!(relay.ledger().len(), 0);
}

#[tokio::test]
async fn one_header_that_says_where_is_needed() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let authorization = format!("Key {}", relay.key);
    let good = "https://queue.fal.run/fal-ai/flux-1";
    for targets in [&[][..], &[good, good], &[good, "https://evil.example/"]] {
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(targets.iter().map(|target| ("x-fal-target-url", *target)));
        for path in [ROUTE, "/api/fal/proxy/", "/api/fal/proxy?x-fal-target-url=https://fal.run/a/b"] {
            for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
                let answer = relay.client().send(request(method, path, &headers, b"")).await;
                assert!(is_invalid(&answer), "{method} {path}: {} {}", answer.status, answer.text());
            }
        }
    }
    assert_eq!(fal.seen().len(), 0);
}

#[tokio::test]
async fn a_stranger_hears_what_a_stock_proxy_says() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    for key in [None, Some("fr_live_wrong"), Some("id:secret")] {
        let answer = ask(&relay, "https://fal.run/fal-ai/flux-1", "POST", key).await;
        assert_eq!((answer.status, answer.text().as_str()), (401, r#""Unauthorized""#));
        assert_eq!(answer.header("x-relay-error"), Some("unauthorized"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    // A call that is known is refused as it is without a proxy.
    let answer = ask(&relay, "https://fal.run/fal-ai/flux-1", "GET", Some(&relay.key)).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!(answer.json()["error_type"], "method_not_allowed");
    assert_eq!(fal.seen().len(), 0);
}

#[tokio::test]
async fn invariant_1_no_key_crosses_by_the_convention() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_LOG__LEVEL", "trace")]);
    let key = relay.key.clone();
    let tail = format!("?fal_jwt_token={key}&logs=1");
    for (method, target) in [
        ("POST", format!("https://queue.fal.run/fal-ai/flux-1{tail}")),
        ("GET", format!("https://queue.fal.run/fal-ai/flux-1/requests/{ID}/status{tail}")),
        ("POST", format!("https://fal.run/fal-ai/flux-1/stream{tail}")),
        ("POST", format!("https://evil.example/{key}")),
    ] {
        let answer = ask(&relay, &target, method, Some(&key)).await;
        let shown = format!("{:?} {}", answer.headers, answer.text());
        assert!(!shown.contains("canary"), "a fal key travelled downstream: {shown}");
    }
    assert_eq!(fal.seen().len(), 3);
    for seen in fal.seen() {
        assert_eq!(seen.header("authorization"), Some(format!("Key {FAL_KEY}").as_str()));
        assert!(!format!("{seen:?}").contains(&key), "a tenant's key travelled upstream: {seen:?}");
    }
    until(|| relay.calls().len() == 4).await;
    let logged = relay.output();
    assert!(!logged.lines().any(|line| line.starts_with('{') && line.contains(&key)), "{logged}");
}

#[tokio::test]
async fn invariant_3_not_yours_is_unknown_by_the_convention_too() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let (mine, theirs) = (relay.key_of("mine"), relay.key_of("theirs"));
    ask(&relay, "https://queue.fal.run/fal-ai/flux-1", "POST", Some(&mine)).await;
    let unknown = "00000000-0000-4000-8000-000000000000";
    let address = |id: &str, tail: &str| format!("https://queue.fal.run/fal-ai/flux-1/requests/{id}{tail}");
    for (method, tail) in [("GET", ""), ("GET", "/status"), ("GET", "/status/stream"), ("PUT", "/cancel")] {
        let foreign = ask(&relay, &address(ID, tail), method, Some(&theirs)).await;
        let missing = ask(&relay, &address(unknown, tail), method, Some(&theirs)).await;
        assert_eq!((foreign.status, foreign.text().as_str()), (404, r#"{"status":"NOT_FOUND"}"#));
        assert_eq!(foreign.comparable(), missing.comparable(), "{method} {tail}");
    }
    assert_eq!(fal.seen().len(), 1, "a question about nobody's request reached fal");
}

#[tokio::test]
async fn events_come_as_they_are_made() {
    let (pieces, follow) = mpsc::unbounded_channel();
    let follow = std::sync::Mutex::new(Some(follow));
    let fal =
        Fal::start(move |_: &Seen| follow.lock().unwrap().take().map_or(Step::Close, Step::Follow)).await;
    let relay = Relay::before(&fal.base());
    let mut socket = relay.client().connect().await;
    socket.write_all(&to("https://fal.run/fal-ai/flux-1/stream", "POST", Some(&relay.key))).await.unwrap();
    pieces.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec()).unwrap();
    let mut read = Vec::new();
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        // The next is made only when this one has come.
        pieces.send(event.as_bytes().to_vec()).unwrap();
        while !String::from_utf8_lossy(&read).contains(event) {
            assert!(socket.read_buf(&mut read).await.unwrap() > 0, "the stream ended before {event:?}");
        }
    }
}

#[tokio::test]
async fn the_operator_names_the_route_or_has_none() {
    let fal = fal().await;
    for (path, served) in [("/llm/fal", "/llm/fal"), ("", "")] {
        let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__PROXY_PATH", path)]);
        let authorization = format!("Key {}", relay.key);
        let fields = [
            ("authorization", authorization.as_str()),
            ("x-fal-target-url", "https://fal.run/fal-ai/flux-1/dev"),
        ];
        for (asked, is_served) in [(ROUTE, false), (served, !served.is_empty())] {
            let answer = relay
                .client()
                .send(request("POST", &format!("/{}", asked.trim_start_matches('/')), &fields, b"{}"))
                .await;
            assert_eq!(answer.status == 200, is_served, "{asked}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn below_the_route_there_is_nothing() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let authorization = format!("Key {}", relay.key);
    let fields =
        [("authorization", authorization.as_str()), ("x-fal-target-url", "https://fal.run/fal-ai/flux-1")];
    for path in ["/api/fal/proxy/a/b", "/api/fal/proxyx", "/api/fal", "/api/fal/proxy//"] {
        let answer = relay.client().send(request("POST", path, &fields, b"{}")).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert_ne!(answer.header("x-relay-error"), None);
    }
    assert_eq!(fal.seen().len(), 0);
}
