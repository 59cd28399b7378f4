//! The front door over HTTP/2, by raw frames: malformed requests are refused, floods end the connection, and nothing of
//! either reaches fal.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::door_limits::flooding_fal;
use crate::support::{Fal, Relay, Seen, Step, json, post, until};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Header fields without compression (RFC 7541, 6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            match u8::try_from(text.len()).ok().filter(|length| *length < 127) {
                Some(length) => block.push(length),
                None => {
                    let rest = text.len() - 127;
                    block.extend([
                        127,
                        (rest % 128) as u8 | 128,
                        (rest / 128 % 128) as u8 | 128,
                        (rest / 16384) as u8,
                    ]);
                }
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A submit's fields, with the tenant's key.
fn fields<'a>(authorization: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "relay.test"),
        (":path", path),
        ("authorization", authorization),
    ]
}

async fn connect(relay: &Relay) -> TcpStream {
    let mut socket = relay.client().connect().await;
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    socket.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    socket
}

/// The types of frames that came, up to the first that ends stream 1 or the connection.
async fn fate(socket: &mut TcpStream) -> &'static str {
    loop {
        let mut head = [0; 9];
        if socket.read_exact(&mut head).await.is_err() {
            return "closed";
        }
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        if socket.read_exact(&mut payload).await.is_err() {
            return "closed";
        }
        match (head[3], head[8]) {
            (HEADERS, 1) => return "answered",
            (RST_STREAM, 1) => return "reset",
            (GOAWAY, _) => return "closed",
            _ => {}
        }
    }
}

/// The frames of a flood, by number.
type Flood<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;

async fn plain_fal() -> Fal {
    Fal::start(|_: &Seen| json("200 OK", "{}")).await
}

#[tokio::test]
async fn malformed_requests_over_http_2_do_not_reach_fal() {
    let fal = plain_fal().await;
    let relay = Relay::before(&fal.base());
    let key = format!("Key {}", relay.key);
    let good = fields(&key, "/run/a/b");
    let with = |field: (&'static str, &'static str)| [good.clone(), vec![field]].concat();
    let but = |name: &str, value: &'static str| {
        good.iter().map(|(n, v)| if *n == name { (*n, value) } else { (*n, *v) }).collect::<Vec<_>>()
    };
    let without = |name: &str| good.iter().filter(|(n, _)| *n != name).copied().collect::<Vec<_>>();
    let long = "x".repeat(40_000);
    let many: Vec<String> = (0..150).map(|number| format!("x-{number}")).collect();
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("transfer-encoding", with(("transfer-encoding", "chunked"))),
        ("connection", with(("connection", "keep-alive"))),
        ("connection naming the key", with(("connection", "authorization"))),
        ("proxy-connection", with(("proxy-connection", "close"))),
        ("keep-alive", with(("keep-alive", "1"))),
        ("upgrade", with(("upgrade", "websocket"))),
        ("te other than trailers", with(("te", "gzip"))),
        ("a name in capitals", with(("X-Name", "1"))),
        ("a name with a space", with(("x name", "1"))),
        ("a name with a colon", with(("x:name", "1"))),
        ("an empty name", with(("", "1"))),
        ("a line end in a value", with(("x-a", "b\r\ncontent-length: 0"))),
        ("a NUL in a value", with(("x-a", "b\0c"))),
        ("a line end in a name", with(("x-a\r\nx-b", "c"))),
        ("a second path", with((":path", "/smuggled/x"))),
        ("a second method", with((":method", "GET"))),
        ("an unknown pseudo-field", with((":smuggled", "1"))),
        ("an answer's pseudo-field", with((":status", "200"))),
        ("another host", with(("host", "other.test"))),
        ("two hosts", [good.clone(), vec![("host", "relay.test"), ("host", "other.test")]].concat()),
        ("a length that is none", with(("content-length", "+0"))),
        ("a length that is not kept", with(("content-length", "5"))),
        ("two lengths", [good.clone(), vec![("content-length", "0"), ("content-length", "7")]].concat()),
        ("no path", without(":path")),
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("an empty path", but(":path", "")),
        ("a path without a slash", but(":path", "run/a/b")),
        ("a star", but(":path", "*")),
        ("dots", but(":path", "/run/../a/b")),
        ("encoded dots", but(":path", "/run/%2e%2e/a/b")),
        ("an encoded slash", but(":path", "/run/a%2fb")),
        ("a space in a path", but(":path", "/run/a b")),
        ("a line end in a path", but(":path", "/run/a HTTP/1.1\r\nx: y")),
        ("a whole address as path", but(":path", "http://other.test/a")),
        ("an empty authority", but(":authority", "")),
        ("an authority with a user", but(":authority", "user@relay.test")),
        ("an authority with a path", but(":authority", "relay.test/a")),
        ("an authority with a line end", but(":authority", "relay.test\r\nx: y")),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "relay.test:443")]),
        ("TRACE", but(":method", "TRACE")),
        ("a method with a space", but(":method", "POST /a")),
        ("a method with a line end", but(":method", "POST\r\n")),
        ("a pseudo-field after the others", [&good[1..], &good[..1]].concat()),
        ("a head over the limit", [good.clone(), vec![("x-long", long.as_str())]].concat()),
        (
            "a target over the limit",
            good.iter().map(|(n, v)| if *n == ":path" { (*n, &long[..9000]) } else { (*n, *v) }).collect(),
        ),
        ("too many fields", [good.clone(), many.iter().map(|name| (name.as_str(), "1")).collect()].concat()),
    ];
    for (name, fields) in &cases {
        let mut socket = connect(&relay).await;
        let block = block(fields);
        let (first, rest) = block.split_at(block.len().min(16_000));
        let ends = if rest.is_empty() { END_HEADERS } else { 0 };
        drop(socket.write_all(&frame(HEADERS, END_STREAM | ends, 1, first)).await);
        for (at, piece) in rest.chunks(16_000).enumerate() {
            let last = (at + 1) * 16_000 >= rest.len();
            drop(socket.write_all(&frame(CONTINUATION, if last { END_HEADERS } else { 0 }, 1, piece)).await);
        }
        fate(&mut socket).await;
        assert_eq!(fal.seen().len(), 0, "{name} reached fal: {:?}", fal.seen());
    }
    assert!(!relay.calls().iter().any(|call| !(400..500).contains(&call["status"].as_u64().unwrap())));
    let mut socket = connect(&relay).await;
    socket.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&good))).await.unwrap();
    assert_eq!((fate(&mut socket).await, fal.seen().len()), ("answered", 1));
}

#[tokio::test]
async fn invariant_7_floods_of_frames_end_the_connection() {
    let fal = plain_fal().await;
    // No deadline ends these connections: only the flood does.
    let patient = ["HEAD_TIMEOUT", "KEEP_ALIVE"].map(|wait| format!("FAL_RELAY_SERVER__{wait}_SECONDS"));
    let relay = Relay::with(&fal.base(), &[(&patient[0], "3600"), (&patient[1], "3600")]);
    let key = format!("Key {}", relay.key);
    let head = block(&fields(&key, "/run/a/b"));
    let at_rest = relay.resident_kib();
    let stream = |number: u32| number * 2 + 1;
    let rapid_reset = |number: u32| {
        let begun = frame(HEADERS, END_STREAM | END_HEADERS, stream(number), &head);
        [begun, frame(RST_STREAM, 0, stream(number), &8_u32.to_be_bytes())].concat()
    };
    let malformed = block(&[fields(&key, "/run/a/b"), vec![("connection", "close")]].concat());
    let bomb = [block(&[("x-bomb", &"b".repeat(4000))]), vec![0xbe; 10_000]].concat();
    let floods: Vec<(&str, Flood<'_>)> = vec![
        ("pings", Box::new(|_| frame(PING, 0, 0, &[0; 8]))),
        ("settings", Box::new(|_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]))),
        ("priorities", Box::new(|number| frame(PRIORITY, 0, stream(number), &[0, 0, 0, 0, 1]))),
        ("window updates", Box::new(|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]))),
        ("unknown frames", Box::new(|_| frame(77, 0, 0, &[]))),
        ("rapid resets", Box::new(rapid_reset)),
        (
            "continuations",
            Box::new(|number| match number {
                0 => frame(HEADERS, END_STREAM, 1, &head),
                _ => frame(CONTINUATION, 0, 1, &[]),
            }),
        ),
        (
            "empty data",
            Box::new(|number| match number {
                0 => frame(HEADERS, END_HEADERS, 1, &head),
                _ => frame(DATA, 0, 1, &[]),
            }),
        ),
        (
            "malformed requests",
            Box::new(|number| frame(HEADERS, END_STREAM | END_HEADERS, stream(number), &malformed)),
        ),
        (
            "compressed bombs",
            Box::new(|number| frame(HEADERS, END_STREAM | END_HEADERS, stream(number), &bomb)),
        ),
    ];
    for (name, flood) in &floods {
        let before = fal.seen().len();
        let mut socket = connect(&relay).await;
        let all: Vec<u8> = (0..2000).flat_map(flood).collect();
        drop(socket.write_all(&all).await);
        // Only a connection that is closed comes to an end here.
        drop(socket.read_to_end(&mut Vec::new()).await);
        let reached = fal.seen().len() - before;
        assert!(reached <= 20, "{name}: {reached} of 2000 reached fal");
    }
    let grown = relay.resident_kib() - at_rest;
    assert!(grown < 32 * 1024, "{grown} KiB");
}

#[tokio::test]
async fn invariant_7_half_a_head_over_http_2_has_its_deadline() {
    let fal = plain_fal().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__HEAD_TIMEOUT_SECONDS", "1")]);
    let key = format!("Key {}", relay.key);
    let head = block(&fields(&key, "/run/a/b"));
    for first in
        [frame(HEADERS, END_STREAM, 1, &head), frame(HEADERS, END_STREAM, 1, &head)[..5].to_vec(), vec![]]
    {
        let mut socket = connect(&relay).await;
        socket.write_all(&first).await.unwrap();
        drop(socket.read_to_end(&mut Vec::new()).await);
    }
    assert_eq!(fal.seen().len(), 0);
}

#[tokio::test]
async fn invariant_7_a_connection_carries_no_more_streams_than_it_may() {
    let fal = Fal::start(|_: &Seen| Step::Hang).await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__MAX_STREAMS", "2")]);
    let key = format!("Key {}", relay.key);
    let head = block(&fields(&key, "/run/a/b"));
    let mut socket = connect(&relay).await;
    for stream in [1, 3, 5] {
        socket.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &head)).await.unwrap();
    }
    const REFUSED_STREAM: [u8; 4] = 7_u32.to_be_bytes();
    let (kind, stream, payload) = loop {
        let (kind, stream, payload) = read_frame(&mut socket).await;
        if kind != SETTINGS && kind != WINDOW_UPDATE {
            break (kind, stream, payload);
        }
    };
    assert_eq!((kind, stream, &payload[..]), (RST_STREAM, 5, &REFUSED_STREAM[..]));
    until(|| fal.seen().len() == 2).await;
}

/// The type, the stream and the payload of the next frame.
async fn read_frame(socket: &mut TcpStream) -> (u8, u8, Vec<u8>) {
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.unwrap();
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    socket.read_exact(&mut payload).await.unwrap();
    (head[3], head[8], payload)
}

#[tokio::test]
async fn invariant_7_readers_of_http_2_who_do_not_read_cost_no_memory() {
    const WIDE: [u8; 4] = (i32::MAX as u32).to_be_bytes();
    let base = flooding_fal(64 * 1024 * 1024).await;
    let relay = Relay::before(&base);
    let key = format!("Key {}", relay.key);
    let head = block(&fields(&key, "/run/a/b"));
    let at_rest = relay.resident_kib();
    let mut readers = Vec::new();
    for number in 0..40 {
        let mut socket = connect(&relay).await;
        // Half of them have room for everything and do not read their sockets, half give no room.
        if number % 2 == 0 {
            let wide = [&[0, 4], &WIDE[..]].concat();
            socket.write_all(&frame(SETTINGS, 0, 0, &wide)).await.unwrap();
            let more = (i32::MAX as u32 - 65_535).to_be_bytes();
            socket.write_all(&frame(WINDOW_UPDATE, 0, 0, &more)).await.unwrap();
        }
        socket.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head)).await.unwrap();
        while read_frame(&mut socket).await.0 != HEADERS {}
        readers.push(socket);
    }
    // One that does read: by the time it is done, the others have filled whatever they can fill.
    assert_eq!(relay.client().send(post("/run/a/b", &relay.key, "{}")).await.body.len(), 64 * 1024 * 1024);
    let grown = relay.resident_kib() - at_rest;
    println!("{grown} KiB for 40 readers of 64 MiB over HTTP/2");
    assert!(grown < 32 * 1024, "{grown} KiB");
}
