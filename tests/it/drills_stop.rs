//! SIGTERM under load: what is open finishes, what finished is written down, and the exit is a good one.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::support::{Fal, Relay, Seen, Step, post, read_answer, reply, submit_reply, until};

const STREAMS: usize = 20;
const CALLS: usize = 20;

/// A fal whose streams have begun and whose calls wait, until it is let go.
async fn waiting_fal() -> (Fal, watch::Sender<bool>) {
    let (go, gone) = watch::channel(false);
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let fal = Fal::start(move |seen: &Seen| {
        let (pieces, follow) = tokio::sync::mpsc::unbounded_channel();
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let Step::Reply(accepted) = submit_reply("a/b", &format!("job-{number}")) else { unreachable!() };
        let rest = match seen.target.as_str() {
            "/run/a/b/stream" => {
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                pieces.send([head.as_slice(), b"9\r\ndata: 1\n\n\r\n"].concat()).unwrap();
                b"9\r\ndata: 2\n\n\r\n0\r\n\r\n".to_vec()
            }
            "/run/a/b" => reply("200 OK", &[("x-fal-billable-units", "1")], b"{}"),
            _ => accepted,
        };
        let mut gone = gone.clone();
        tokio::spawn(async move {
            gone.wait_for(|gone| *gone).await.unwrap();
            drop(pieces.send(rest));
        });
        Step::Follow(follow)
    })
    .await;
    (fal, go)
}

#[tokio::test]
async fn a_stop_signal_lets_twenty_streams_and_twenty_calls_finish() {
    let (fal, go) = waiting_fal().await;
    let mut relay = Relay::before(&fal.base());
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut socket = relay.client().connect().await;
        socket.write_all(&post("/run/a/b/stream", &relay.key, "{}")).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"data: 1\n\n\r\n") {
            assert!(socket.read_buf(&mut seen).await.unwrap() > 0);
        }
        streams.push(socket);
    }
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let mut socket = relay.client().connect().await;
        let path = if number % 2 == 0 { "/a/b" } else { "/run/a/b" };
        socket.write_all(&post(path, &relay.key, "{}")).await.unwrap();
        calls.push(socket);
    }
    until(|| fal.seen().len() == STREAMS + CALLS).await;

    relay.signal("-TERM");
    until(|| relay.output().contains("draining")).await;
    while tokio::net::TcpStream::connect(relay.http).await.is_ok() {}
    go.send(true).unwrap();
    for mut socket in streams {
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        assert!(String::from_utf8_lossy(&rest).ends_with("data: 2\n\n\r\n0\r\n\r\n"), "{rest:?}");
    }
    for mut socket in calls {
        let answer = read_answer(&mut socket).await;
        assert_eq!((answer.status, answer.whole), (200, true), "{}", answer.text());
    }
    assert!(relay.wait().success());
    let rows = relay.ledger();
    let count = |state: &str| rows.iter().filter(|row| row["state"] == state).count();
    assert_eq!(
        (count("sent"), count("settled"), rows.len()),
        (CALLS / 2, STREAMS + CALLS / 2, STREAMS + CALLS)
    );
}

#[tokio::test]
async fn invariant_7_what_a_drain_cuts_off_is_written_down_as_unknown() {
    let fal = Fal::start(|_: &Seen| Step::Hang).await;
    let mut relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__DRAIN_SECONDS", "1")]);
    let mut waits = relay.client().connect().await;
    waits.write_all(&post("/a/b", &relay.key, "{}")).await.unwrap();
    until(|| fal.seen().len() == 1).await;
    relay.signal("-TERM");
    assert!(relay.wait().success());
    assert_eq!(relay.ledger()[0]["state"], "unknown");
}

#[tokio::test]
async fn a_process_that_starts_beside_one_that_drains_takes_none_of_its_calls_away() {
    let (fal, go) = waiting_fal().await;
    let mut old = Relay::before(&fal.base());
    let mut submit = old.client().connect().await;
    submit.write_all(&post("/a/b", &old.key, "{}")).await.unwrap();
    let mut run = old.client().connect().await;
    run.write_all(&post("/run/a/b", &old.key, "{}")).await.unwrap();
    until(|| fal.seen().len() == 2).await;
    old.signal("-TERM");
    until(|| old.output().contains("draining")).await;

    let new = old.beside();
    assert!(new.ledger().iter().all(|row| row["state"] == "unknown"), "{:?}", new.ledger());
    go.send(true).unwrap();
    let submitted = read_answer(&mut submit).await;
    assert_eq!(submitted.status, 200, "{}", submitted.text());
    assert_eq!(read_answer(&mut run).await.status, 200);
    assert!(old.wait().success());
    let rows = new.ledger();
    let state = |kind: &str| &rows.iter().find(|row| row["kind"] == kind).unwrap()["state"];
    assert_eq!((state("queue"), state("run")), (&"sent".into(), &"settled".into()));
    // And its owner follows it in the new process.
    let id = submitted.json()["request_id"].as_str().unwrap().to_owned();
    let status =
        new.client().send(crate::support::get(&format!("/a/b/requests/{id}/status"), &old.key)).await;
    assert_eq!(status.status, 200);
}
