//! Client tokens in the address of a socket.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{
    Ends, FAL_KEY, Office, Relay, Wish, handshake, masked, post, read_answer, read_frame, until,
};

const DOLLAR: (&str, &str) = ("FAL_RELAY_PRICING__OVERRIDES", "a/b = 1 requests");

pub(super) async fn token(relay: &Relay, key: &str, wish: &Value) -> String {
    let answer = relay.client().send(post("/v1/tokens", key, &wish.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["token"].as_str().unwrap().to_owned()
}

pub(super) async fn knock(relay: &Relay, target: &str) -> (TcpStream, u16) {
    let mut client = relay.client().connect().await;
    client.write_all(&handshake(target, &[])).await.unwrap();
    let status = read_answer(&mut client).await.status;
    (client, status)
}

#[tokio::test]
async fn invariant_1_a_token_opens_a_socket_and_goes_no_further() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let made = Office::of(&relay).make(Wish::of("shop")).await;
    for allow in ["a/b", "a/b/realtime", "a/**"] {
        let token = token(&relay, &made.key, &json!({"allow": [allow], "seconds": 60})).await;
        let (_client, status) = knock(&relay, &format!("/run/a/b/realtime?fal_jwt_token={token}&x=1")).await;
        assert_eq!(status, 101, "{allow}");
        drop(sockets.recv().await.unwrap());
        let (_client, status) = knock(&relay, &format!("/run/other/b/realtime?fal_jwt_token={token}")).await;
        assert_eq!(status, 403, "{allow}");
    }
    for seen in fal.seen() {
        assert_eq!(seen.target, "/run/a/b/realtime?x=1");
        assert_eq!(seen.header("authorization"), Some(format!("Key {FAL_KEY}").as_str()));
    }
    until(|| relay.ledger().iter().all(|row| row["state"] == "settled")).await;
    // By whichever name it was allowed, it has one price.
    for row in relay.ledger() {
        assert_eq!((&row["endpoint"], &row["cost_usd"]), (&"a/b".into(), &"0.00".into()), "{row}");
    }
}

/// As fal has it: a client asks for another token when it is told so on the socket, and by nothing else.
#[tokio::test]
async fn a_token_that_opens_nothing_is_told_so_on_the_socket() {
    let (fal, _sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    for credential in ["unknown", relay.key.as_str()] {
        let target = format!("/run/a/b/realtime?fal_jwt_token={credential}");
        let (mut client, status) = knock(&relay, &target).await;
        assert_eq!(status, 101);
        let (first, said) = read_frame(&mut client).await.unwrap();
        let said: Value = serde_json::from_slice(&said).unwrap();
        assert_eq!((first, said), (0x81, json!({"status": "error", "error": "Unauthorized"})));
        let (first, payload) = read_frame(&mut client).await.unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &1008_u16.to_be_bytes()[..]));
        assert_eq!(read_frame(&mut client).await, None);
    }
    let (_client, status) = knock(&relay, "/run/a/b/realtime").await;
    assert_eq!(status, 401, "without any token there is nothing to renew");
    assert_eq!((fal.seen().len(), relay.ledger().len()), (0, 0));
    until(|| relay.calls().iter().filter(|line| line["error"] == "unauthorized").count() == 3).await;
    assert!(!relay.output().contains("fal_jwt_token"), "an address with a token was logged");
}

#[tokio::test]
async fn a_token_carries_runs_until_its_money_is_spent() {
    let fal = crate::support::Fal::start(|_| {
        crate::support::Step::Reply(crate::support::reply("200 OK", &[("x-fal-billable-units", "1")], b"{}"))
    })
    .await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let made = Office::of(&relay).make(Wish::of("shop")).await;
    let token = token(&relay, &made.key, &json!({"allow": ["a/b"], "seconds": 60, "max_usd": "2"})).await;
    let (mut client, status) = knock(&relay, &format!("/ws/a/b?fal_jwt_token={token}")).await;
    assert_eq!(status, 101);
    for status in [200, 200, 402] {
        client.write_all(&masked(0x81, b"{}")).await.unwrap();
        let (_, start) = read_frame(&mut client).await.unwrap();
        let start: Value = serde_json::from_slice(&start).unwrap();
        assert_eq!(start["status"], status, "{start}");
        let (_body, _end) = (read_frame(&mut client).await.unwrap(), read_frame(&mut client).await.unwrap());
    }
    assert!(fal.seen().iter().all(|seen| !seen.target.contains("token")));
}
