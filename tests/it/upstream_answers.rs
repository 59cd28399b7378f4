//! The back door: a fal that lies about its answers, floods, drips or bombs. None of it reaches a client as an answer,
//! none of it reaches the next call, and the relay still serves.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::support::{Fal, Relay, Seen, Step, get, post, read_answer, reply, request, submit_reply, until};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

/// What a fal that means well says to a call: which one it was.
fn own(seen: &Seen) -> Vec<u8> {
    reply("200 OK", &[], seen.target.as_bytes())
}

#[tokio::test]
async fn surplus_bytes_after_an_answer_never_answer_the_next_call() {
    const POISON: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".as_slice();
    let firsts: [(&str, Vec<u8>); 5] = [
        ("/run/a/length", [&reply("200 OK", &[], b"ok"), POISON].concat()),
        ("/run/a/chunks", [chunked, POISON].concat()),
        ("/run/a/nothing", [b"HTTP/1.1 204 No Content\r\n\r\n".as_slice(), POISON].concat()),
        ("/run/a/unmodified", [b"HTTP/1.1 304 Not Modified\r\n\r\n".as_slice(), POISON].concat()),
        ("/run/a/garbage", [&reply("200 OK", &[], b"ok")[..], b"\r\n\r\n\0garbage"].concat()),
    ];
    for (path, first) in firsts {
        let fal = Fal::start(move |seen: &Seen| match seen.target.as_str() == path {
            true => Step::Reply(first.clone()),
            false => Step::Reply(own(seen)),
        })
        .await;
        let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__WORKERS", "1")]);
        let poisoned = relay.client().send(post(path, &relay.key, "{}")).await;
        assert!(!poisoned.text().contains("poison"), "{path}");
        for _ in 0..3 {
            let answer = relay.client().send(post("/run/a/next", &relay.key, "{}")).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "/run/a/next"), "after {path}");
        }
        assert_eq!(fal.accepted(), 2, "the connection of {path} was used again, or a good one was not");
    }
}

#[tokio::test]
async fn a_head_that_two_readers_could_read_differently_is_no_answer() {
    let heads = [
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n: a\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 99 Low\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 1000 High\r\ncontent-length: 2\r\n\r\nok",
        "<html>an answer of HTTP/0.9</html>\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ];
    assert_are_no_answers(&heads.map(str::to_owned)).await;
}

#[tokio::test]
async fn invariant_7_a_head_that_is_too_large_is_no_answer() {
    let long =
        |bytes: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: {}\r\n\r\n", "y".repeat(bytes));
    let many = |fields: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{}\r\n", "a: b\r\n".repeat(fields - 1))
    };
    let early = |answers: usize| "HTTP/1.1 102 Processing\r\n\r\n".repeat(answers);
    let late = |answers: usize| early(answers) + "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    assert_are_no_answers(&[long(33 * 1024), many(129), early(17), early(10_000)]).await;
    for well in [long(31 * 1024), many(128), late(16)] {
        let fal = Fal::start(move |_: &Seen| Step::Reply(well.clone().into_bytes())).await;
        let relay = Relay::before(&fal.base());
        assert_eq!(relay.client().send(post("/run/a/b", &relay.key, "{}")).await.status, 200);
    }
}

/// None of these is passed on as an answer, and a call that follows is served well.
async fn assert_are_no_answers(heads: &[String]) {
    let (heads, count) = (heads.to_vec(), heads.len());
    let (heads, turn) = (Mutex::new(heads.into_iter()), AtomicUsize::new(0));
    let fal = Fal::start(move |seen: &Seen| match seen.target.as_str() {
        "/run/a/well" => Step::Reply(own(seen)),
        _ => {
            turn.fetch_add(1, Ordering::Relaxed);
            Step::Reply(heads.lock().unwrap().next().unwrap().into_bytes())
        }
    })
    .await;
    let relay = Relay::before(&fal.base());
    for number in 0..count {
        let answer = relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
        let what = format!("head {number}: {answer:?}");
        assert_eq!((answer.status, answer.header("x-relay-error")), (504, Some("outcome_unknown")), "{what}");
        let well = relay.client().send(post("/run/a/well", &relay.key, "{}")).await;
        assert_eq!((well.status, well.text().as_str()), (200, "/run/a/well"), "after {what}");
    }
    until(|| relay.ledger().iter().filter(|row| row["state"] == "unknown").count() == count).await;
}

#[tokio::test]
async fn a_body_that_breaks_its_framing_stays_visibly_cut() {
    let chunks =
        |body: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n{body}");
    let bodies: Vec<String> = vec![
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfirst".into(),
        chunks(""),
        chunks("zz\r\n"),
        chunks("fffffffffffffffff\r\n"),
        chunks("-1\r\n"),
        chunks("5\r\nwrongly long\r\n0\r\n\r\n"),
        chunks(&format!("5;{}", "x".repeat(40_000))),
        chunks(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(5_000))),
    ];
    for body in bodies {
        let sent = body.clone();
        let fal = Fal::start(move |_: &Seen| Step::ReplyAndClose(sent.clone().into_bytes())).await;
        let relay = Relay::before(&fal.base());
        let answer = relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
        let what = body.chars().take(90).collect::<String>();
        assert_eq!((answer.status, answer.whole), (200, false), "{what}: {:?}", answer.text().len());
        assert!(answer.text().starts_with("first"), "{what}");
        until(|| relay.calls().iter().any(|call| call["error"] == "upstream_cut")).await;
    }
}

#[tokio::test]
async fn invariant_7_a_submit_that_fal_answers_with_a_drip_ends_in_time() {
    let (drops, follow) = mpsc::unbounded_channel();
    let follow = Mutex::new(Some(follow));
    let fal =
        Fal::start(move |_: &Seen| follow.lock().unwrap().take().map_or(Step::Close, Step::Follow)).await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_UPSTREAM__QUEUE_HEAD_TIMEOUT_SECONDS", "1")]);
    let drip = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        drops.send(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n{".to_vec()).unwrap();
        while drops.send(b" ".to_vec()).is_ok() {
            pace.tick().await;
        }
    });
    let answer = relay.client().send(post("/a/b", &relay.key, "{}")).await;
    assert_eq!((answer.status, answer.header("x-relay-error")), (504, Some("outcome_unknown")));
    until(|| fal.left() == 1).await;
    drip.await.unwrap();
}

#[tokio::test]
async fn invariant_7_an_answer_that_is_read_whole_has_a_longest_form() {
    let fal = Fal::start(|seen: &Seen| {
        let Step::Reply(accepted) = submit_reply("a/b", ID) else { unreachable!() };
        let body = String::from_utf8(accepted).unwrap().split_once("\r\n\r\n").unwrap().1.to_owned();
        let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
        match seen.target.as_str() {
            "/queue/a/longest" => Step::Reply(reply("200 OK", &[], padded(64 * 1024).as_bytes())),
            "/queue/a/long" => Step::Reply(reply("200 OK", &[], padded(64 * 1024 + 1).as_bytes())),
            _ => {
                let piece = format!("1000\r\n{}\r\n", padded(4096));
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                Step::ReplyAndClose(format!("{head}{}0\r\n\r\n", piece.repeat(1000)).into_bytes())
            }
        }
    })
    .await;
    let relay = Relay::before(&fal.base());
    assert_eq!(relay.client().send(post("/a/longest", &relay.key, "{}")).await.status, 200);
    for path in ["/a/long", "/a/endless"] {
        let answer = relay.client().send(post(path, &relay.key, "{}")).await;
        assert_eq!((answer.status, answer.header("x-relay-error")), (504, Some("outcome_unknown")), "{path}");
    }
}

#[tokio::test]
async fn invariant_7_a_bomb_is_not_inflated_into_memory() {
    // A flushed piece of a deflate stream can be written again and again.
    let mut piece = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    piece.write_all(&[b' '; 1024 * 1024]).unwrap();
    piece.flush().unwrap();
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let bomb = [head.as_slice(), &piece.get_ref().repeat(200)].concat();
    let headers = [("content-encoding", "gzip"), ("content-type", "application/json")];
    let accepted = reply("200 OK", &headers, &bomb[..60_000]);
    let early = reply("400 Bad Request", &headers, &bomb);
    let fal = Fal::start(move |seen: &Seen| match seen.target.as_str() {
        "/queue/a/bomb" => Step::Reply(accepted.clone()),
        "/queue/a/b" => submit_reply("a/b", ID),
        _ => Step::Reply(early.clone()),
    })
    .await;
    let relay = Relay::before(&fal.base());
    relay.client().submit("a/b", &relay.key).await;
    let idle = relay.resident_kib();
    let answer = relay.client().send(post("/a/bomb", &relay.key, "{}")).await;
    assert_eq!((answer.status, answer.header("x-relay-error")), (504, Some("outcome_unknown")));
    // The early result is inflated as it streams: read some of it, then nothing more, then leave.
    let mut slow = relay.client().connect().await;
    let authorization = format!("Key {}", relay.key);
    let fields = [("authorization", authorization.as_str()), ("accept-encoding", "gzip")];
    slow.write_all(&request("GET", &format!("/a/b/requests/{ID}"), &fields, b"")).await.unwrap();
    let mut read = vec![0; 65_536];
    for _ in 0..64 {
        assert!(slow.read(&mut read).await.unwrap() > 0);
    }
    let grown = relay.most_resident_kib() - idle;
    assert!(grown < 32 * 1024, "{grown} KiB at most");
}

#[tokio::test]
async fn an_answer_before_the_bodys_end_does_not_hold_up_the_next_call() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                    socket.read_buf(&mut head).await.unwrap();
                }
                socket.write_all(&reply("200 OK", &[], b"early")).await.unwrap();
                // The connection stays, and what is left of the body is never read.
                std::future::pending::<()>().await;
            });
        }
    });
    let settings = [("FAL_RELAY_SERVER__BODY_IDLE_SECONDS", "3600"), ("FAL_RELAY_SERVER__WORKERS", "1")];
    let relay = Relay::with(&base, &settings);
    let authorization = format!("Key {}", relay.key);
    let fields = [("authorization", authorization.as_str()), ("content-length", "1000")];
    let mut stalled = relay.client().connect().await;
    stalled.write_all(&request("POST", "/run/a/b", &fields, b"half")).await.unwrap();
    assert_eq!(read_answer(&mut stalled).await.text(), "early");
    let next = relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    assert_eq!((next.status, next.text().as_str()), (200, "early"));
}

#[tokio::test]
async fn a_submit_on_a_connection_that_fal_has_closed_goes_on_a_new_one_once() {
    let count = AtomicUsize::new(0);
    let fal = Fal::start(move |_: &Seen| {
        let id = format!("job-{}", count.fetch_add(1, Ordering::Relaxed));
        let Step::Reply(answer) = submit_reply("a/b", &id) else { unreachable!() };
        Step::ReplyAndClose(answer)
    })
    .await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__WORKERS", "1")]);
    for number in 0..50 {
        assert_eq!(relay.client().submit("a/b", &relay.key).await, format!("job-{number}"));
    }
    assert_eq!((fal.seen().len(), fal.accepted()), (50, 50));
    assert!(relay.ledger().iter().all(|row| row["state"] == "sent"));
}

#[tokio::test]
async fn pages_of_a_models_making_are_defused() {
    let fal = Fal::start(|_: &Seen| {
        let headers = [("content-type", "text/html"), ("content-security-policy", "default-src 'self'")];
        Step::Reply(reply("200 OK", &headers, b"<script>fetch('/')</script>"))
    })
    .await;
    let relay = Relay::before(&fal.base());
    let answer = relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    let policies: Vec<_> =
        answer.headers.iter().filter(|(name, _)| name == "content-security-policy").collect();
    assert_eq!(
        policies.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(),
        ["default-src 'self'", "sandbox"]
    );
    let refused = relay.client().send(get("/a/b/requests/none", &relay.key)).await;
    assert_eq!(refused.header("content-security-policy"), Some("sandbox"));
}
