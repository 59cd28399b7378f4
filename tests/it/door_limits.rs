//! Invariant 7 at the front door: nothing grows without bound, nothing waits without end. A test for each buffer and
//! each wait. Those that measure memory compare with the relay at rest.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    Client, Fal, Relay, Seen, Step, get, json, post, read_answer, reply, request, submit_reply, until,
};

/// What any of these may add to the relay's memory.
const GROWTH_MAX_KIB: i64 = 32 * 1024;

const SHORT_HEADS: (&str, &str) = ("FAL_RELAY_SERVER__HEAD_TIMEOUT_SECONDS", "2");

/// Reads until the relay closes, and returns what came.
async fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    drop(socket.read_to_end(&mut bytes).await);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The relay's memory once it has worked a little: its threads have begun and their heaps are there.
async fn at_rest(relay: &Relay) -> i64 {
    for _ in 0..20 {
        assert_eq!(relay.client().send(get("/health", "")).await.status, 200);
    }
    relay.resident_kib()
}

async fn plain_fal() -> Fal {
    Fal::start(|_: &Seen| json("200 OK", "{}")).await
}

/// A fal that never stops sending and never reads on: `bytes` of answer for each connection.
pub(crate) async fn flooding_fal(bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 1024];
                drop(socket.read(&mut head).await);
                drop(
                    socket
                        .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").as_bytes())
                        .await,
                );
                let piece = vec![b'x'; 64 * 1024];
                for _ in 0..bytes / piece.len() {
                    if socket.write_all(&piece).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    base
}

#[tokio::test]
async fn invariant_7_a_silent_connection_is_closed() {
    let fal = plain_fal().await;
    let relay = Relay::with(&fal.base(), &[SHORT_HEADS]);
    let mut socket = relay.client().connect().await;
    assert_eq!(rest(&mut socket).await, "");
}

#[tokio::test]
async fn invariant_7_the_head_of_every_request_has_its_deadline() {
    let fal = plain_fal().await;
    let relay = Relay::with(&fal.base(), &[SHORT_HEADS]);
    let mut first = relay.client().connect().await;
    first.write_all(b"GET /health HTTP/1.1\r\nhost: re").await.unwrap();
    let mut second = relay.client().connect().await;
    second.write_all(&get("/health", "")).await.unwrap();
    assert_eq!(read_answer(&mut second).await.status, 200);
    second.write_all(b"G").await.unwrap();
    for socket in [&mut first, &mut second] {
        let said = rest(socket).await;
        assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("head_timeout"), "{said}");
    }
}

#[tokio::test]
async fn invariant_7_an_idle_connection_is_closed() {
    let fal = plain_fal().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__KEEP_ALIVE_SECONDS", "2")]);
    for _ in 0..2 {
        let mut socket = relay.client().connect().await;
        socket.write_all(&get("/health", "")).await.unwrap();
        assert_eq!(read_answer(&mut socket).await.status, 200);
        assert_eq!(rest(&mut socket).await, "");
    }
}

#[tokio::test]
async fn a_call_that_takes_longer_than_idleness_may_is_not_cut() {
    let slow = Fal::start(|_: &Seen| crate::support::Step::Hang).await;
    let relay = Relay::with(
        &slow.base(),
        &[
            ("FAL_RELAY_SERVER__KEEP_ALIVE_SECONDS", "1"),
            SHORT_HEADS,
            ("FAL_RELAY_UPSTREAM__QUEUE_HEAD_TIMEOUT_SECONDS", "3"),
        ],
    );
    assert_eq!(relay.client().send(post("/a/b", &relay.key, "{}")).await.status, 504);
}

#[tokio::test]
async fn a_parked_connection_goes_on_where_it_was() {
    let fal = plain_fal().await;
    let relay = Relay::with(&fal.base(), &[SHORT_HEADS]);
    let mut idle = relay.client().connect().await;
    for round in 0..2 {
        let whole = post("/run/a/b", &relay.key, "{\"a\": 1}");
        let (head, body) = whole.split_at(20 + round);
        idle.write_all(head).await.unwrap();
        idle.write_all(body).await.unwrap();
        assert_eq!(read_answer(&mut idle).await.status, 200);
        // This one is closed after two seconds; until then the other has given its buffers back.
        let mut silent = relay.client().connect().await;
        rest(&mut silent).await;
    }
    assert_eq!(fal.seen().len(), 2);
}

#[tokio::test]
async fn invariant_7_a_body_that_trickles_is_ended() {
    let fal = plain_fal().await;
    let settings = [
        ("FAL_RELAY_SERVER__BODY_IDLE_SECONDS", "1"),
        ("FAL_RELAY_SERVER__BODY_MIN_BYTES_PER_SECOND", "100000"),
    ];
    let relay = Relay::with(&fal.base(), &settings);
    let authorization = format!("Key {}", relay.key);
    let fields = [("authorization", authorization.as_str()), ("content-length", "100000000")];
    let mut socket = relay.client().connect().await;
    socket.write_all(&request("POST", "/run/a/b", &fields, b"x")).await.unwrap();
    let (mut reading, mut writing) = socket.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            let moment = std::time::Duration::from_millis(50);
            tokio::time::timeout(moment, std::future::pending::<()>()).await.ok();
        }
    });
    let mut said = Vec::new();
    drop(reading.read_to_end(&mut said).await);
    assert!(String::from_utf8_lossy(&said).contains("body_stalled"));
    drop(reading);
    trickle.await.unwrap();
    assert_eq!(fal.seen().len(), 0);
}

#[tokio::test]
async fn invariant_7_a_reader_who_takes_nothing_is_dropped() {
    let base = flooding_fal(64 * 1024 * 1024).await;
    let relay = Relay::with(&base, &[("FAL_RELAY_SERVER__WRITE_IDLE_SECONDS", "1")]);
    let mut socket = relay.client().connect().await;
    socket.write_all(&post("/run/a/b", &relay.key, "{}")).await.unwrap();
    until(|| relay.calls().iter().any(|call| call["complete"] == false)).await;
}

#[tokio::test]
async fn invariant_7_connections_are_counted_for_each_address() {
    let fal = plain_fal().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__MAX_CONNECTIONS_PER_ADDRESS", "2")]);
    let (first, second) = (relay.client().connect().await, relay.client().connect().await);
    let mut third = relay.client().connect().await;
    assert_eq!(rest(&mut third).await, "");
    drop((first, second));
    // A place is free again as soon as the relay has seen the leaving.
    loop {
        let mut socket = relay.client().connect().await;
        drop(socket.write_all(&get("/health", "")).await);
        if rest_or_answer(&mut socket).await {
            break;
        }
    }
}

/// Whether an answer came before the end.
async fn rest_or_answer(socket: &mut TcpStream) -> bool {
    let mut byte = [0];
    matches!(socket.read(&mut byte).await, Ok(1))
}

#[tokio::test]
async fn invariant_7_connections_beyond_all_places_wait_for_one() {
    let fal = plain_fal().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__MAX_CONNECTIONS", "3"), SHORT_HEADS]);
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(relay.client().connect().await);
    }
    assert_eq!(relay.client().send(get("/health", "")).await.status, 200);
}

#[tokio::test]
async fn invariant_7_the_refusal_of_a_large_body_arrives_though_it_is_still_being_sent() {
    let fal = plain_fal().await;
    let relay = Relay::before(&fal.base());
    let authorization = format!("Key {}", relay.key);
    for (fields, status) in [
        (vec![("authorization", authorization.as_str()), ("content-length", "1073741824")], 413),
        (vec![("authorization", "Key nobody"), ("content-length", "1073741824")], 401),
        (vec![("authorization", "Key nobody"), ("transfer-encoding", "chunked")], 401),
    ] {
        let mut socket = relay.client().connect().await;
        let chunked = fields[1].0 == "transfer-encoding";
        let head = if chunked { &b"1000000\r\n"[..] } else { b"" };
        socket.write_all(&request("POST", "/a/b", &fields, head)).await.unwrap();
        socket.write_all(&vec![b'x'; 1024 * 1024]).await.unwrap();
        let answer = read_answer(&mut socket).await;
        assert_eq!((answer.status, answer.whole), (status, true));
        // What follows on this connection could be the rest of that body, so nothing of it is a request.
        drop(socket.write_all(&post("/a/b", &relay.key, "{}")).await);
        assert_eq!(rest(&mut socket).await, "");
    }
    assert_eq!((fal.seen().len(), relay.ledger().len()), (0, 0));
}

#[tokio::test]
async fn invariant_7_slow_heads_cost_little_and_end() {
    let fal = plain_fal().await;
    let relay = Relay::with(&fal.base(), &[SHORT_HEADS]);
    assert_eq!(relay.client().send(get("/health", "")).await.status, 200);
    let at_rest = at_rest(&relay).await;
    let mut slow = Vec::new();
    for number in 0..500 {
        let mut socket = relay.client().connect().await;
        socket.write_all(format!("GET /health HTTP/1.1\r\nx-number: {number}\r\n").as_bytes()).await.unwrap();
        slow.push(socket);
    }
    assert_eq!(relay.client().send(get("/health", "")).await.status, 200);
    let grown = relay.resident_kib() - at_rest;
    assert!(grown < 500 * 16, "{grown} KiB for 500 slow heads");
    for socket in &mut slow {
        assert!(rest(socket).await.starts_with("HTTP/1.1 408 "));
    }
}

/// How many of the relay's connections there are of a kind.
async fn connections(relay: &Relay, kind: &str) -> usize {
    let page = Client::new(relay.admin).send(get("/metrics", "")).await.text();
    let name = format!("fal_relay_connections_{kind} ");
    page.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn invariant_7_idle_connections_cost_little() {
    let fal = plain_fal().await;
    let relay = Relay::before(&fal.base());
    let at_rest = at_rest(&relay).await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        let mut socket = relay.client().connect().await;
        socket.write_all(&get("/health", "")).await.unwrap();
        assert_eq!(read_answer(&mut socket).await.status, 200);
        idle.push(socket);
    }
    // Each gives its buffers back, and takes others only while it has a call.
    while connections(&relay, "parked").await < 400 {}
    let grown = relay.resident_kib() - at_rest;
    println!("{grown} KiB for 400 idle connections");
    // When freed pages go back to the system is the allocator's affair, so this is only the general bound.
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB for 400 idle connections");
    for (at, socket) in idle.iter_mut().enumerate().take(100) {
        socket.write_all(&get("/health", "")).await.unwrap();
        assert_eq!(read_answer(socket).await.status, 200);
        assert!(connections(&relay, "parked").await >= 400 - 1 - at, "one call woke several");
    }
    assert!(connections(&relay, "open").await >= 400);
    drop(idle);
    while connections(&relay, "parked").await > 0 {}
}

#[tokio::test]
async fn invariant_7_endless_heads_and_masses_of_fields_are_not_kept() {
    let fal = plain_fal().await;
    let relay = Relay::before(&fal.base());
    let at_rest = at_rest(&relay).await;
    for _ in 0..20 {
        for head in [
            format!("GET /{} HTTP/1.1\r\n", "x".repeat(4 * 1024 * 1024)),
            format!("GET /a HTTP/1.1\r\nx: {}", "x".repeat(4 * 1024 * 1024)),
            format!("GET /a HTTP/1.1\r\n{}", "x: y\r\n".repeat(20_000)),
        ] {
            let mut socket = relay.client().connect().await;
            drop(socket.write_all(head.as_bytes()).await);
            let said = rest(&mut socket).await;
            assert!(said.starts_with("HTTP/1.1 431 ") || said.starts_with("HTTP/1.1 414 "), "{said}");
        }
    }
    let grown = relay.resident_kib() - at_rest;
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB");
}

#[tokio::test]
async fn invariant_7_readers_who_do_not_read_cost_no_memory() {
    let base = flooding_fal(64 * 1024 * 1024).await;
    let relay = Relay::before(&base);
    let at_rest = at_rest(&relay).await;
    let mut readers = Vec::new();
    for _ in 0..40 {
        let mut socket = relay.client().connect().await;
        socket.write_all(&post("/run/a/b", &relay.key, "{}")).await.unwrap();
        let mut head = [0; 256];
        assert!(socket.read(&mut head).await.unwrap() > 0);
        readers.push(socket);
    }
    // One that does read: by the time it is done, the others have filled whatever they can fill.
    assert_eq!(relay.client().send(post("/run/a/b", &relay.key, "{}")).await.body.len(), 64 * 1024 * 1024);
    let grown = relay.resident_kib() - at_rest;
    println!("{grown} KiB for 40 readers of 64 MiB");
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB");
}

const GIB: usize = 1024 * 1024 * 1024;

/// A fal that throws away the `GIB` of a submit and takes it, and answers a run with as much.
async fn boundless_fal() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let upload_url = format!(r#"{{"upload_url":"{base}/uploads/file"}}"#);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let begun = reply("200 OK", &[], upload_url.as_bytes());
            tokio::spawn(async move {
                let head = read_head(&mut socket).await;
                if head.starts_with("PUT /uploads/file ") {
                    discard(&mut socket, GIB).await;
                    return socket.write_all(&reply("200 OK", &[], b"{}")).await.unwrap();
                }
                if head.starts_with("POST /rest/") {
                    discard(&mut socket, b"{}".len()).await;
                    return socket.write_all(&begun).await.unwrap();
                }
                if head.starts_with("POST /queue/") {
                    discard(&mut socket, GIB).await;
                    let Step::Reply(accepted) = submit_reply("a/b", "job") else { unreachable!() };
                    return socket.write_all(&accepted).await.unwrap();
                }
                discard(&mut socket, b"{}".len()).await;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {GIB}\r\n\r\n");
                socket.write_all(head.as_bytes()).await.unwrap();
                pour(&mut socket, GIB).await;
            });
        }
    });
    base
}

/// Reads a head and not one byte more.
async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Sends so many bytes out of one small buffer.
async fn pour(socket: &mut TcpStream, bytes: usize) {
    let piece = vec![0; 256 * 1024];
    for _ in 0..bytes / piece.len() {
        socket.write_all(&piece).await.unwrap();
    }
}

/// Reads so many bytes into one small buffer.
async fn discard(socket: &mut TcpStream, bytes: usize) {
    let (mut piece, mut left) = (vec![0; 256 * 1024], bytes);
    while left > 0 {
        let room = piece.len().min(left);
        let read = socket.read(&mut piece[..room]).await.unwrap();
        assert!(read > 0, "{left} bytes are missing");
        left -= read;
    }
}

#[tokio::test]
async fn invariant_7_a_gibibyte_passes_either_way_without_being_kept() {
    let base = boundless_fal().await;
    let relay = Relay::with(&base, &[("FAL_RELAY_RELAY__MAX_BODY_BYTES", "2000000000")]);
    let at_rest = at_rest(&relay).await;
    let (authorization, length) = (format!("Key {}", relay.key), GIB.to_string());
    let fields = [("authorization", authorization.as_str()), ("content-length", length.as_str())];
    let mut up = relay.client().connect().await;
    up.write_all(&request("POST", "/a/b", &fields, b"")).await.unwrap();
    pour(&mut up, GIB).await;
    assert_eq!(read_answer(&mut up).await.json()["request_id"], "job");
    let mut down = relay.client().connect().await;
    down.write_all(&post("/run/a/b", &relay.key, "{}")).await.unwrap();
    assert!(read_head(&mut down).await.starts_with("HTTP/1.1 200 "));
    discard(&mut down, GIB).await;
    let grown = relay.most_resident_kib() - at_rest;
    println!("{grown} KiB at most for 1 GiB up and 1 GiB down");
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB");
    let row = &relay.ledger()[0];
    assert_eq!((&row["state"], &row["body_bytes"]), (&"sent".into(), &GIB.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_7_a_gibibyte_of_a_file_passes_without_being_kept() {
    let base = boundless_fal().await;
    let relay = Relay::with(&base, &[("FAL_RELAY_UPLOADS__THROUGH_RELAY", "true")]);
    let at_rest = at_rest(&relay).await;
    let begun = relay.client().send(post("/storage/upload/initiate", &relay.key, "{}")).await.json();
    let path = begun["upload_url"].as_str().unwrap().strip_prefix("http://relay.test").unwrap();
    let mut up = relay.client().connect().await;
    let length = GIB.to_string();
    up.write_all(&request("PUT", path, &[("content-length", &length)], b"")).await.unwrap();
    pour(&mut up, GIB).await;
    assert_eq!(read_answer(&mut up).await.status, 200);
    let grown = relay.most_resident_kib() - at_rest;
    println!("{grown} KiB at most for a file of 1 GiB");
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB");
}
