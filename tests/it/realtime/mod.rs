//! Realtime sockets, both ends of which a test holds: what passes, what it costs, and how it ends.

mod frames;
mod hold;
mod money;
mod revoked;
mod runs;
mod tokens;
mod waits;

use tokio::io::AsyncWriteExt;

use crate::support::{
    Ends, FAL_KEY, Fal, Relay, Seen, frame, handshake, json, masked, read_answer, read_frame, request,
    switch, until,
};

#[tokio::test]
async fn messages_pass_untouched_both_ways() {
    let (fal, mut sockets) = Ends::fal(&[
        ("sec-websocket-protocol", "one"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("set-cookie", "a=b"),
        ("x-fal-request-id", "live"),
    ])
    .await;
    let relay = Relay::before(&fal.base());
    let target = "/run/fal-ai/lcm/realtime?max_buffering=2&fal_jwt_token=secret&x=%41";
    let mut ends = Ends::open(&relay, target, &relay.key, &mut sockets).await;
    assert_eq!(ends.answer.header("sec-websocket-protocol"), Some("one"));
    assert_eq!(ends.answer.header("x-fal-request-id"), Some("live"));
    assert_eq!(ends.answer.header("set-cookie"), None);
    let seen = fal.seen().remove(0);
    assert_eq!(seen.target, "/run/fal-ai/lcm/realtime?max_buffering=2&x=%41");
    assert_eq!(seen.header("authorization"), Some(format!("Key {FAL_KEY}").as_str()));
    assert!(seen.header("x-fal-tags").unwrap().starts_with("fal-relay="));
    for payload in [&b"\x81\xa1a\x01"[..], &[0xff; 1 << 20], b""] {
        ends.client.write_all(&masked(0x82, payload)).await.unwrap();
        assert_eq!(read_frame(&mut ends.fal).await.unwrap(), (0x82, payload.to_vec()));
        ends.fal.write_all(&frame(0xc2, payload)).await.unwrap();
        assert_eq!(read_frame(&mut ends.client).await.unwrap(), (0xc2, payload.to_vec()));
    }
    let close = [&4007_u16.to_be_bytes()[..], b"done"].concat();
    ends.client.write_all(&masked(0x88, &close)).await.unwrap();
    assert_eq!(read_frame(&mut ends.fal).await.unwrap(), (0x88, close.clone()));
    ends.fal.write_all(&frame(0x88, &close)).await.unwrap();
    assert_eq!(read_frame(&mut ends.client).await.unwrap(), (0x88, close));
    assert_eq!(read_frame(&mut ends.client).await, None);
    until(|| relay.calls().len() == 1).await;
    let line = relay.calls().remove(0);
    let told =
        ["route", "messages_up", "messages_down", "closed", "close_code", "status"].map(|name| &line[name]);
    let wanted = serde_json::json!(["realtime", 3, 3, "agreed", 4007, 101]);
    assert_eq!(serde_json::json!(told), wanted, "{line}");
    assert!(!relay.output().contains("secret"), "a token was logged");
}

/// fal's key goes up and never down, the tenant's never up, also where fal refuses or answers nonsense.
#[tokio::test]
async fn invariant_1_keys_do_not_cross_a_socket() {
    let (sender, mut sockets) = tokio::sync::mpsc::unbounded_channel();
    let fal = Fal::start(move |seen: &Seen| match seen.target.as_str() {
        "/run/a/locked/realtime" => {
            json("403 Forbidden", r#"{"detail":"User is locked. Reason: Exhausted balance."}"#)
        }
        "/run/a/no/realtime" => json("404 Not Found", r#"{"detail":"Application \"no\" not found"}"#),
        _ => switch(seen, &[], &sender),
    })
    .await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_LOG__LEVEL", "trace")]);
    let authorization = format!("Bearer {}", relay.key);
    for (app, status) in [("locked", 503), ("no", 404), ("yes", 101)] {
        let mut client = relay.client().connect().await;
        let target = format!("/run/a/{app}/realtime?fal_jwt_token={}", relay.key);
        client.write_all(&handshake(&target, &[("authorization", &authorization)])).await.unwrap();
        let answer = read_answer(&mut client).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(!format!("{:?} {}", answer.headers, answer.text()).contains("canary"));
    }
    drop(sockets.recv().await.unwrap());
    for seen in fal.seen() {
        assert_eq!(seen.header("authorization"), Some(format!("Key {FAL_KEY}").as_str()));
        assert!(!format!("{seen:?}").contains(&relay.key), "a tenant's key travelled upstream: {seen:?}");
    }
    until(|| relay.calls().len() == 3).await;
    assert!(!format!("{:?}", relay.calls()).contains(&relay.key));
}

/// No part of a handshake chooses where it goes.
#[tokio::test]
async fn invariant_10_a_handshake_goes_to_the_configured_host_alone() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let (elsewhere, _none) = Ends::fal(&[]).await;
    let relay = Relay::before(&fal.base());
    let authorization = format!("Key {}", relay.key);
    for headers in [
        vec![("host", elsewhere.address.to_string())],
        vec![("x-fal-target-url", format!("{}/run/a/b", elsewhere.base()))],
        vec![("origin", elsewhere.base()), ("x-forwarded-host", elsewhere.address.to_string())],
    ] {
        let mut client = relay.client().connect().await;
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
        client.write_all(&handshake("/run/a/b/realtime", &all)).await.unwrap();
        assert_eq!(read_answer(&mut client).await.status, 101);
        drop(sockets.recv().await.unwrap());
    }
    for target in ["/run/a/../b/realtime", "/run/a/b%2frealtime", "/run/a//b/realtime"] {
        let mut client = relay.client().connect().await;
        client.write_all(&handshake(target, &[("authorization", &authorization)])).await.unwrap();
        assert_eq!(read_answer(&mut client).await.status, 400, "{target}");
    }
    assert_eq!((fal.seen().len(), elsewhere.seen().len()), (3, 0));
}

#[tokio::test]
async fn a_bad_handshake_is_refused_before_anything_is_asked() {
    let (fal, _sockets) = Ends::fal(&[]).await;
    let relay = Relay::before(&fal.base());
    let authorization = format!("Key {}", relay.key);
    let good =
        String::from_utf8(handshake("/run/a/b/realtime", &[("authorization", &authorization)])).unwrap();
    for (from, to, status) in [
        ("sec-websocket-version: 13", "sec-websocket-version: 12", 426),
        ("sec-websocket-version: 13\r\n", "", 426),
        ("connection: Upgrade", "connection: close", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "short", 400),
        ("HTTP/1.1", "HTTP/1.0", 426),
        ("upgrade: websocket\r\n", "", 426),
        (&authorization, "Key fr_live_unknown", 401),
    ] {
        let mut client = relay.client().connect().await;
        client.write_all(good.replace(from, to).as_bytes()).await.unwrap();
        let answer = read_answer(&mut client).await;
        assert_eq!(answer.status, status, "{from} -> {to}: {}", answer.text());
        if status == 426 {
            assert_eq!(answer.header("upgrade"), Some("websocket"));
            assert_eq!(answer.header("sec-websocket-version"), Some("13"));
            assert_eq!(answer.json()["error_type"], "upgrade_required");
        }
    }
    let plain =
        relay.client().send(request("POST", "/ws/a/b", &[("authorization", &authorization)], b"{}")).await;
    assert_eq!(plain.status, 426);
    assert_eq!(fal.seen().len(), 0);
    assert_eq!(relay.ledger().len(), 0);
}

/// What fal answers to a handshake must be the answer to this one.
#[tokio::test]
async fn an_answer_that_is_no_sockets_is_not_passed_on() {
    let (sender, _sockets) = tokio::sync::mpsc::unbounded_channel();
    let fal = Fal::start(move |seen: &Seen| {
        let mut other = seen.clone();
        other.headers.retain(|(name, _)| name != "sec-websocket-key");
        other.headers.push(("sec-websocket-key".into(), "AAAAAAAAAAAAAAAAAAAAAA==".into()));
        switch(&other, &[], &sender)
    })
    .await;
    let relay = Relay::before(&fal.base());
    let mut client = relay.client().connect().await;
    let authorization = format!("Key {}", relay.key);
    client.write_all(&handshake("/run/a/b/realtime", &[("authorization", &authorization)])).await.unwrap();
    let answer = read_answer(&mut client).await;
    assert_eq!((answer.status, answer.json()["error_type"].as_str()), (504, Some("outcome_unknown")));
    until(|| relay.ledger()[0]["state"] == "unknown").await;
}
