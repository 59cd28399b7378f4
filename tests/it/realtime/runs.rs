//! HTTP over WebSocket (protocol 4.3).

use serde_json::{Value, json as value};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{
    FAL_KEY, Fal, Relay, Seen, Step, frame, handshake, json, masked, read_answer, read_frame, reply, until,
};

async fn open(relay: &Relay, target: &str, host: &str) -> TcpStream {
    let mut socket = relay.client().connect().await;
    let authorization = format!("Key {}", relay.key);
    socket.write_all(&handshake(target, &[("host", host), ("authorization", &authorization)])).await.unwrap();
    assert_eq!(read_answer(&mut socket).await.status, 101);
    socket
}

/// One answer: start, body, end.
async fn answer(socket: &mut TcpStream) -> (Value, Vec<u8>, Value) {
    let (first, start) = read_frame(socket).await.unwrap();
    assert_eq!(first, 0x81);
    let mut body = Vec::new();
    loop {
        match read_frame(socket).await.unwrap() {
            (0x82, piece) => body.extend(piece),
            (0x81, end) => {
                return (
                    serde_json::from_slice(&start).unwrap(),
                    body,
                    serde_json::from_slice(&end).unwrap(),
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn echo() -> Fal {
    Fal::start(|seen: &Seen| match seen.body.as_slice() {
        br#"{"fail":1}"# => json("422 Unprocessable Entity", r#"{"detail":[]}"#),
        br#"{"hang":1}"# => Step::Hang,
        body => {
            let headers = [
                ("content-type", "application/json"),
                ("x-fal-request-id", "run-1"),
                ("x-fal-billable-units", "2"),
            ];
            Step::Reply(reply("200 OK", &headers, body))
        }
    })
    .await
}

#[tokio::test]
async fn each_message_is_a_run_answered_in_order() {
    let fal = echo().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.5 images")]);
    for (target, host) in [("/ws/a/b", "relay.test"), ("/a/b", "ws.fal.run")] {
        let mut socket = open(&relay, target, host).await;
        let inputs = [r#"{"prompt":"1"}"#, r#"{"fail":1}"#, r#"{"prompt":"3"}"#];
        let all = inputs.map(|input| masked(0x81, input.as_bytes())).concat();
        socket.write_all(&all).await.unwrap();
        for (input, status) in inputs.iter().zip([200, 422, 200]) {
            let (start, body, end) = answer(&mut socket).await;
            assert_eq!((&start["type"], &start["status"]), (&"start".into(), &status.into()), "{start}");
            assert_eq!(start["headers"]["Content-Type"], "application/json");
            assert_eq!(
                (&end["type"], &end["status"], &end["request_id"]),
                (&"end".into(), &status.into(), &start["request_id"])
            );
            assert!(end["time_to_first_byte_seconds"].is_f64());
            if status == 200 {
                assert_eq!(body, input.as_bytes());
                assert_eq!(start["request_id"], "run-1");
                assert_eq!(start["headers"]["x-relay-cost-usd"], "1.00");
            }
        }
        socket.write_all(&masked(0x89, b"hi")).await.unwrap();
        assert_eq!(read_frame(&mut socket).await.unwrap(), (0x8a, b"hi".to_vec()));
        socket.write_all(&masked(0x88, &1000_u16.to_be_bytes())).await.unwrap();
        assert_eq!(read_frame(&mut socket).await.unwrap().0, 0x88);
    }
    for seen in fal.seen() {
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/run/a/b"));
        assert_eq!(seen.header("authorization"), Some(format!("Key {FAL_KEY}").as_str()));
        assert_eq!(seen.header("upgrade").or(seen.header("sec-websocket-key")), None);
    }
    until(|| relay.ledger().iter().all(|row| row["state"] != "held")).await;
    let costs: Vec<Value> = relay.ledger().iter().map(|row| value!([row["kind"], row["cost_usd"]])).collect();
    let (one, unknown) = (value!(["run", "1.00"]), value!(["run", null]));
    assert_eq!(costs, [&one, &unknown, &one, &one, &unknown, &one].map(Clone::clone));
    until(|| relay.calls().len() == 8).await;
}

/// A client that leaves drops the run under way, and those that wait are not begun.
#[tokio::test]
async fn invariant_11_a_client_that_leaves_a_socket_of_runs_drops_its_run() {
    let fal = echo().await;
    let relay = Relay::before(&fal.base());
    let mut socket = open(&relay, "/ws/a/b", "relay.test").await;
    let both = [masked(0x81, br#"{"hang":1}"#), masked(0x81, br#"{"prompt":"never"}"#)].concat();
    socket.write_all(&both).await.unwrap();
    until(|| fal.seen().len() == 1).await;
    drop(socket);
    until(|| fal.left() == 1).await;
    until(|| relay.ledger()[0]["state"] == "unknown").await;
    assert_eq!((fal.seen().len(), relay.ledger().len()), (1, 1));
}

/// A client that says more than may wait is read no further.
#[tokio::test]
async fn invariant_7_no_more_messages_wait_than_may() {
    let fal = echo().await;
    let relay = Relay::before(&fal.base());
    let mut socket = open(&relay, "/ws/a/b", "relay.test").await;
    let mut all = masked(0x81, br#"{"hang":1}"#);
    for _ in 0..100 {
        all.extend(masked(0x81, &vec![b' '; 512 * 1024]));
    }
    let before = relay.resident_kib();
    let sending = async {
        drop(socket.write_all(&all).await);
    };
    tokio::select! {
        () = sending => panic!("all of it was taken"),
        () = until(|| fal.seen().len() == 1 && relay.resident_kib() - before > 0) => {}
    }
    assert!(relay.resident_kib() - before < 16 * 1024);
}

#[tokio::test]
async fn what_is_no_input_closes_the_socket() {
    let fal = echo().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_REALTIME__MAX_MESSAGE_BYTES", "1000")]);
    for (bytes, code) in [
        (masked(0x82, b"binary"), 1003_u16),
        (masked(0x81, &[0xff]), 1007),
        (masked(0x81, &[b' '; 1001]), 1009),
        (frame(0x81, b"{}"), 1002),
        (masked(0x83, b""), 1002),
    ] {
        let mut socket = open(&relay, "/ws/a/b", "relay.test").await;
        socket.write_all(&bytes).await.unwrap();
        let (first, payload) = read_frame(&mut socket).await.unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &code.to_be_bytes()[..]));
        assert_eq!(read_frame(&mut socket).await, None);
    }
    assert_eq!(fal.seen().len(), 0);
}
