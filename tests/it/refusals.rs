//! Bad input and bad luck: each is a clear error, nothing is lost, nothing goes to fal that should not, and the relay
//! still serves.

use tokio::io::AsyncWriteExt;

use crate::support::{
    Answer, Fal, Relay, Seen, Step, get, json, post, read_answer, reply, request, submit_reply, until,
};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

/// The relay's own error: this status and type, JSON with a sentence, marked as its own.
fn assert_refused(answer: &Answer, status: u16, kind: &str) {
    assert_eq!((answer.status, answer.header("x-relay-error")), (status, Some(kind)), "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["error_type"], kind);
    assert!(answer.json()["detail"].as_str().unwrap().len() > 10);
}

#[tokio::test]
async fn strangers_get_one_answer_whatever_they_show() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::before(&fal.base());
    let mut made_up = relay.key.clone();
    made_up.pop();
    let revoked = relay.key_of("gone");
    let id = relay.cli(&["key", "list", "--json"]);
    let keys: serde_json::Value = serde_json::from_str(&id).unwrap();
    let number =
        keys.as_array().unwrap().iter().find(|key| key["tenant"] == "gone").unwrap()["id"].to_string();
    relay.cli(&["key", "revoke", &number]);

    let values = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Key id:secret".to_owned()),
        Some(format!("Basic {}", relay.key)),
        Some(format!("Bearer {made_up}")),
        Some(format!("Bearer {}x", relay.key)),
        Some(format!("Bearer {revoked}")),
        Some("Bearer \u{e9}".to_owned()),
    ];
    let mut answers = Vec::new();
    for value in &values {
        for (method, path) in
            [("POST", "/a/b"), ("GET", "/a/b/requests/x"), ("POST", "/run/a/b"), ("DELETE", "/v1/x")]
        {
            let fields: Vec<_> = value.iter().map(|value| ("authorization", value.as_str())).collect();
            let answer = relay.client().send(request(method, path, &fields, b"")).await;
            assert_refused(&answer, 401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            answers.push(answer.comparable());
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    let twice = [("authorization", "Key a"), ("authorization", "Key b")];
    assert_refused(&relay.client().send(request("POST", "/a/b", &twice, b"")).await, 400, "bad_request");
    assert_eq!(fal.seen().len(), 0);
}

#[tokio::test]
async fn invariant_7_a_revoked_key_dies_while_the_relay_runs() {
    let fal = Fal::start(|_: &Seen| submit_reply("a/b", ID)).await;
    let relay = Relay::before(&fal.base());
    assert_eq!(relay.client().send(post("/a/b", &relay.key, "{}")).await.status, 200);
    relay.cli(&["key", "revoke", "1"]);
    loop {
        let answer = relay.client().send(get("/a/b/requests/x", &relay.key)).await;
        if answer.status == 401 {
            break;
        }
        assert_eq!(answer.status, 404);
    }
}

#[tokio::test]
async fn a_connection_that_knew_a_key_believes_no_other_and_not_that_one_for_ever() {
    let fal = Fal::start(|_: &Seen| submit_reply("a/b", ID)).await;
    let relay = Relay::before(&fal.base());
    let neighbour = relay.key_of("neighbour");
    let mut socket = relay.client().connect().await;
    let mut status = async |request: Vec<u8>| {
        socket.write_all(&request).await.unwrap();
        read_answer(&mut socket).await.status
    };
    let poll = format!("/a/b/requests/{ID}/status");
    assert_eq!(status(post("/a/b", &relay.key, "{}")).await, 200);
    assert_eq!(status(get(&poll, &relay.key)).await, 200);
    assert_eq!(status(get(&poll, &relay.key)).await, 200);
    assert_eq!(status(get(&poll, &neighbour)).await, 404);
    assert_eq!(status(get(&poll, &neighbour)).await, 404);
    assert_eq!(status(get(&poll, &relay.key)).await, 200);
    assert_eq!(status(get(&poll, &relay.key[..relay.key.len() - 1])).await, 401);
    assert_eq!(status(request("GET", &poll, &[], b"")).await, 401);
    assert_eq!(status(get(&poll, &relay.key)).await, 200);
    relay.cli(&["key", "revoke", "1"]);
    while status(get(&poll, &relay.key)).await != 401 {}
    assert_eq!(status(get(&poll, &neighbour)).await, 404);
}

#[tokio::test]
async fn malformed_paths_and_wrong_methods_never_reach_fal() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::before(&fal.base());
    for path in ["/a/../b", "/a/b/%2e%2e/c", "/a//b", "/a/b%2fc", "/a/b%00", "/./a/b", "/a/b;c", "/a/~b"] {
        let answer = relay.client().send(post(path, &relay.key, "{}")).await;
        assert_refused(&answer, 400, "bad_request");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    for (method, path, allow) in [
        ("GET", "/a/b", "POST"),
        ("DELETE", "/a/b", "POST"),
        ("POST", "/a/b/requests/x", "GET"),
        ("POST", "/a/b/requests/x/cancel", "PUT"),
        ("PATCH", "/run/a/b", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("POST", "/v1/models", "GET, HEAD"),
    ] {
        let authorization = format!("Key {}", relay.key);
        let answer =
            relay.client().send(request(method, path, &[("authorization", &authorization)], b"")).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    for path in ["/", "/a", "/v1/other", "/tokens/other", "/a/b/requests/x/unknown"] {
        assert_refused(&relay.client().send(post(path, &relay.key, "{}")).await, 404, "route_not_found");
    }
    assert_eq!(fal.seen().len(), 0);
    assert_eq!(relay.ledger().len(), 0);
}

#[tokio::test]
async fn invariant_7_a_body_that_is_too_large_is_refused_before_and_while_it_comes() {
    let fal = Fal::start(|_: &Seen| submit_reply("a/b", ID)).await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_RELAY__MAX_BODY_BYTES", "1000")]);
    let announced = relay.client().send(post("/a/b", &relay.key, &"x".repeat(1001))).await;
    assert_refused(&announced, 413, "body_too_large");
    assert_eq!(announced.json()["max_bytes"], 1000);
    assert_eq!(relay.ledger().len(), 0);

    let authorization = format!("Key {}", relay.key);
    let fields = [("authorization", authorization.as_str()), ("transfer-encoding", "chunked")];
    let chunked = format!("3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001));
    let answer = relay.client().send(request("POST", "/a/b", &fields, chunked.as_bytes())).await;
    assert_refused(&answer, 413, "body_too_large");
    until(|| relay.ledger()[0]["state"] == "released").await;
    assert_eq!(fal.seen().len(), 0, "fal took a call whose body was not whole");

    assert_eq!(relay.client().send(post("/a/b", &relay.key, &"x".repeat(1000))).await.status, 200);
}

#[tokio::test]
async fn invariant_7_a_client_that_breaks_off_or_stalls_is_not_fals_fault() {
    let fal = Fal::start(|_: &Seen| submit_reply("a/b", ID)).await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__BODY_IDLE_SECONDS", "1")]);
    let authorization = format!("Key {}", relay.key);
    let fields = [("authorization", authorization.as_str()), ("content-length", "100")];
    let stalled = relay.client().send(request("POST", "/run/a/b", &fields, b"half")).await;
    assert_refused(&stalled, 400, "body_stalled");

    let mut socket = relay.client().connect().await;
    socket.write_all(&request("POST", "/a/b", &fields, b"half")).await.unwrap();
    until(|| relay.ledger().len() == 2).await;
    drop(socket);
    until(|| relay.ledger().iter().all(|row| row["state"] == "released")).await;
    assert_eq!(fal.seen().len(), 0);
}

#[tokio::test]
async fn a_fal_that_refuses_connections_costs_nothing() {
    let relay = Relay::before("http://127.0.0.1:1");
    for path in ["/a/b", "/run/a/b"] {
        assert_refused(&relay.client().send(post(path, &relay.key, "{}")).await, 502, "upstream_unreachable");
    }
    until(|| relay.ledger().iter().all(|row| row["state"] == "released")).await;
    assert_eq!(relay.client().send(get("/health", "")).await.status, 200);
}

#[tokio::test]
async fn invariant_7_a_fal_that_does_not_answer_is_given_up_in_time() {
    let fal = Fal::start(|seen: &Seen| match seen.method.as_str() {
        "POST" if seen.target.ends_with("/ok") => submit_reply("a/ok", ID),
        _ => Step::Hang,
    })
    .await;
    let limits = ["QUEUE", "RUN"].map(|host| format!("FAL_RELAY_UPSTREAM__{host}_HEAD_TIMEOUT_SECONDS"));
    let relay = Relay::with(&fal.base(), &[(&limits[0], "1"), (&limits[1], "1")]);
    let client = relay.client();
    let submit = client.send(post("/a/b", &relay.key, "{}"));
    let (submitted, ran) = tokio::join!(submit, client.send(post("/run/a/b", &relay.key, "{}")));
    assert_refused(&submitted, 504, "outcome_unknown");
    assert_refused(&ran, 504, "outcome_unknown");
    relay.client().submit("a/ok", &relay.key).await;
    let question = relay.client().send(get(&format!("/a/ok/requests/{ID}/status"), &relay.key)).await;
    assert_refused(&question, 504, "upstream_timeout");
}

#[tokio::test]
async fn an_answer_that_is_cut_stays_visibly_cut() {
    let fal = Fal::start(|_: &Seen| {
        Step::ReplyAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nonly this".to_vec())
    })
    .await;
    let relay = Relay::before(&fal.base());
    let answer = relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    assert_eq!((answer.status, answer.text().as_str(), answer.whole), (200, "only this", false));
    until(|| relay.calls().iter().any(|call| call["error"] == "upstream_cut")).await;
}

#[tokio::test]
async fn an_account_that_fal_refuses_is_the_operators_trouble() {
    let fal = Fal::start(|seen: &Seen| match seen.target.as_str() {
        "/queue/a/locked" => json("403 Forbidden", r#"{"detail":"User is locked. Reason: TOP_UP."}"#),
        "/run/a/key" => json("401 Unauthorized", r#"{"detail":"No user found for Key ID and Secret"}"#),
        _ => json("401 Unauthorized", r#"{"detail":"Cannot access application \"a/private\""}"#),
    })
    .await;
    let relay = Relay::before(&fal.base());
    for path in ["/a/locked", "/run/a/key"] {
        let answer = relay.client().send(post(path, &relay.key, "{}")).await;
        assert_refused(&answer, 503, "account_unavailable");
        assert!(!answer.text().contains("locked") && !answer.text().contains("No user"));
    }
    until(|| relay.output().contains("fal refuses the account")).await;
    // What fal says about the call, not about the account, is the tenant's to read.
    let private = relay.client().send(post("/a/private", &relay.key, "{}")).await;
    assert_eq!((private.status, private.header("x-relay-error")), (401, None));
    until(|| relay.ledger().iter().all(|row| row["state"] == "released")).await;
}

#[tokio::test]
async fn an_id_that_fal_gave_before_is_never_taken_over() {
    let fal = Fal::start(|_: &Seen| submit_reply("a/b", ID)).await;
    let relay = Relay::before(&fal.base());
    let (one, two) = (relay.key_of("one"), relay.key_of("two"));
    relay.client().submit("a/b", &one).await;
    assert_refused(&relay.client().send(post("/a/b", &two, "{}")).await, 504, "outcome_unknown");
    assert_eq!(relay.client().send(get(&format!("/a/b/requests/{ID}"), &two)).await.status, 404);
    assert_eq!(relay.client().send(get(&format!("/a/b/requests/{ID}"), &one)).await.status, 200);
}

#[tokio::test]
async fn ids_and_addresses_from_fal_are_checked_before_they_are_used() {
    let fal = Fal::start(|seen: &Seen| match seen.target.as_str() {
        "/queue/a/none" => json("200 OK", r#"{"status":"IN_QUEUE"}"#),
        "/queue/a/odd" => json("200 OK", r#"{"request_id":"../../x"}"#),
        "/queue/a/list" => json("200 OK", "[]"),
        "/queue/a/elsewhere" => {
            json("200 OK", r#"{"request_id":"good","response_url":"https://evil.example/x/y/requests/good"}"#)
        }
        _ => json("200 OK", r#"{"status":"COMPLETED"}"#),
    })
    .await;
    let relay = Relay::before(&fal.base());
    for path in ["/a/none", "/a/odd", "/a/list"] {
        assert_refused(&relay.client().send(post(path, &relay.key, "{}")).await, 504, "outcome_unknown");
    }
    // An address of nobody's is not followed: the app base is the endpoint's own.
    relay.client().submit("a/elsewhere", &relay.key).await;
    assert_eq!(relay.client().send(get("/a/elsewhere/requests/good/status", &relay.key)).await.status, 200);
    assert_eq!(fal.seen().pop().unwrap().target, "/queue/a/elsewhere/requests/good/status");
}

#[tokio::test]
async fn hostile_headers_of_an_answer_stay_here() {
    let fal = Fal::start(|_: &Seen| {
        let headers = [
            ("set-cookie", "a=b"),
            ("x-fal-cdn-token", "secret"),
            ("x-relay-cost-usd", "0"),
            ("access-control-allow-origin", "*"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("content-type", "text/html"),
            ("x-kept", "1"),
        ];
        Step::Reply(reply("200 OK", &headers, b"<script>"))
    })
    .await;
    let relay = Relay::before(&fal.base());
    let answer = relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    for gone in ["set-cookie", "x-fal-cdn-token", "x-relay-cost-usd", "access-control-allow-origin", "x-hop"]
    {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert_eq!(
        (answer.header("x-kept"), answer.header("x-content-type-options")),
        (Some("1"), Some("nosniff"))
    );
}
