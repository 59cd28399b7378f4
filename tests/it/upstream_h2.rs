//! The road to fal over TLS and HTTP/2, chosen by ALPN: calls share a connection, and what ends one call ends no other.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Bytes;
use fal_relay::clock::SystemClock;
use fal_relay::tls::LocalCa;
use futures_util::future::join_all;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::support::{Relay, Step, get, post, submit_reply, until};

type Body = UnsyncBoxBody<Bytes, &'static str>;

const FLOOD_BYTES: usize = 64 * 1024 * 1024;
static PIECE: [u8; 16_384] = [b'x'; 16_384];

/// A fal that speaks HTTP/2.
#[derive(Default)]
struct State {
    connections: AtomicUsize,
    streams: AtomicUsize,
    dropped: AtomicUsize,
    /// Bytes of endless answers that the other side had room for.
    poured: AtomicUsize,
    /// Lets the calls that wait at `/run/a/gate` go.
    gate: Notify,
    /// Asks every connection to end once it has carried what it carries.
    go_away: Notify,
    /// Connections that were made before this are neither read nor written any more.
    frozen: AtomicBool,
}

struct Fal {
    address: SocketAddr,
    state: Arc<State>,
    folder: tempfile::TempDir,
}

/// Counts a call that ended because nobody wanted it any more.
struct Dropped(Arc<State>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Response<Body> {
    assert_eq!(request.version(), Version::HTTP_2);
    state.streams.fetch_add(1, Ordering::Relaxed);
    let path = request.uri().path().to_owned();
    let whole = |bytes: Vec<u8>| Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync();
    match path.as_str() {
        "/run/a/gate" => {
            state.gate.notified().await;
            Response::new(whole(b"{}".to_vec()))
        }
        "/run/a/hang" => {
            let _dropped = Dropped(state);
            std::future::pending().await
        }
        "/run/a/cut" => {
            let pieces = futures_util::stream::unfold(false, move |begun| {
                let state = state.clone();
                async move {
                    if !begun {
                        return Some((Ok(Frame::data(Bytes::from_static(b"half"))), true));
                    }
                    state.gate.notified().await;
                    Some((Err("cut"), true))
                }
            });
            Response::new(StreamBody::new(pieces).boxed_unsync())
        }
        "/run/a/flood" => {
            let pieces = futures_util::stream::unfold(0, move |sent| {
                state.poured.fetch_add(PIECE.len(), Ordering::Relaxed);
                let piece = Ok(Frame::data(Bytes::from_static(&PIECE)));
                std::future::ready((sent < FLOOD_BYTES).then(|| (piece, sent + PIECE.len())))
            });
            Response::new(StreamBody::new(pieces).boxed_unsync())
        }
        _ => {
            drop(request.into_body().collect().await);
            let number = state.streams.load(Ordering::Relaxed);
            let Step::Reply(reply) = submit_reply("a/b", &format!("job-{number}")) else { unreachable!() };
            let body = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            Response::new(whole(reply[body..].to_vec()))
        }
    }
}

async fn converse(socket: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let Ok(tls) = acceptor.accept(socket).await else { return };
    state.connections.fetch_add(1, Ordering::Relaxed);
    let calls = state.clone();
    let service = service_fn(move |request| {
        let state = calls.clone();
        async move { Ok::<_, Infallible>(answer(request, state).await) }
    });
    let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let mut connection = pin!(http.serve_connection(TokioIo::new(tls), service));
    let mut go_away = pin!(state.go_away.notified());
    let was_frozen = state.frozen.load(Ordering::Relaxed);
    poll_fn(|cx| {
        if state.frozen.load(Ordering::Relaxed) != was_frozen {
            return Poll::Pending;
        }
        if go_away.as_mut().poll(cx).is_ready() {
            go_away.set(state.go_away.notified());
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx).map(drop)
    })
    .await;
}

impl Fal {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = LocalCa::open_or_make(folder.path(), &[], &SystemClock::new()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(ca.server_config().unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(State::default()));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, acceptor.clone(), shared.clone()));
            }
        });
        Self { address, state, folder }
    }

    fn relay(&self, settings: &[(&str, &str)]) -> Relay {
        let ca = self.folder.path().join("ca.pem").display().to_string();
        let own = [("FAL_RELAY_UPSTREAM__CA_FILE", ca.as_str()), ("FAL_RELAY_SERVER__WORKERS", "1")];
        Relay::with(&format!("https://127.0.0.1:{}", self.address.port()), &[&own, settings].concat())
    }

    fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    fn streams(&self) -> usize {
        self.state.streams.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn invariant_7_calls_share_a_connection_up_to_its_share_of_streams() {
    let fal = Fal::start().await;
    let relay = fal.relay(&[]);
    relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    let (client, key) = (relay.client(), relay.key.clone());
    let calls = join_all((0..100).map(|_| client.send(post("/run/a/gate", &key, "{}"))));
    let open = async {
        until(|| fal.streams() == 101).await;
        fal.state.gate.notify_waiters();
    };
    let (answers, ()) = tokio::join!(calls, open);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(fal.connections() > 1 && fal.connections() < 100, "{}", fal.connections());
    let before = fal.connections();
    relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    assert_eq!(fal.connections(), before);
}

#[tokio::test]
async fn a_client_that_leaves_resets_its_stream_and_no_other() {
    let fal = Fal::start().await;
    let relay = fal.relay(&[]);
    relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    let mut leaves = relay.client().connect().await;
    leaves.write_all(&post("/run/a/hang", &relay.key, "{}")).await.unwrap();
    let mut stays = relay.client().connect().await;
    stays.write_all(&post("/run/a/gate", &relay.key, "{}")).await.unwrap();
    until(|| fal.streams() == 3).await;
    drop(leaves);
    until(|| fal.state.dropped.load(Ordering::Relaxed) == 1).await;
    fal.state.gate.notify_waiters();
    assert_eq!(crate::support::read_answer(&mut stays).await.status, 200);
    relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    assert_eq!(fal.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_says_goodbye_finishes_its_calls_and_takes_no_more() {
    let fal = Fal::start().await;
    let relay = fal.relay(&[]);
    for round in 1..=5 {
        let before = fal.streams();
        let mut waits = relay.client().connect().await;
        waits.write_all(&post("/run/a/gate", &relay.key, "{}")).await.unwrap();
        until(|| fal.streams() == before + 1).await;
        fal.state.go_away.notify_waiters();
        // While it says goodbye, submits go on: each is taken once.
        for _ in 0..5 {
            relay.client().submit("a/b", &relay.key).await;
        }
        assert_eq!(fal.streams(), before + 6, "round {round}");
        fal.state.gate.notify_waiters();
        assert_eq!(crate::support::read_answer(&mut waits).await.status, 200);
    }
    assert!(fal.connections() > 5);
    until(|| relay.ledger().iter().all(|row| row["state"] != "held")).await;
    assert!(relay.ledger().iter().all(|row| row["state"] != "unknown"));
}

#[tokio::test]
async fn a_connection_that_has_died_in_silence_is_left_after_one_call() {
    let fal = Fal::start().await;
    let relay = fal.relay(&[("FAL_RELAY_UPSTREAM__QUEUE_HEAD_TIMEOUT_SECONDS", "1")]);
    relay.client().submit("a/b", &relay.key).await;
    fal.state.frozen.store(true, Ordering::Relaxed);
    let lost = relay.client().send(post("/a/b", &relay.key, "{}")).await;
    assert_eq!(lost.header("x-relay-error"), Some("outcome_unknown"));
    relay.client().submit("a/b", &relay.key).await;
    assert_eq!(fal.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_is_cut_stays_cut_for_clients_of_both_versions() {
    let fal = Fal::start().await;
    let relay = fal.relay(&[]);
    let mut plain = relay.client().connect().await;
    plain.write_all(&post("/run/a/cut", &relay.key, "{}")).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"half\r\n") {
        assert!(plain.read_buf(&mut got).await.unwrap() > 0, "{}", String::from_utf8_lossy(&got));
    }
    fal.state.gate.notify_one();
    let end = got.len();
    drop(plain.read_to_end(&mut got).await);
    assert_eq!(&got[end..], b"", "the chunks were ended as if nothing were missing");

    let socket = TokioIo::new(TcpStream::connect(relay.http).await.unwrap());
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let mut ask = async |path: &str| {
        let request = Request::post(format!("http://relay.test{path}"))
            .header("authorization", format!("Key {}", relay.key))
            .body(Empty::<Bytes>::new())
            .unwrap();
        client.send_request(request).await.unwrap().into_body()
    };
    let mut cut = ask("/run/a/cut").await;
    assert_eq!(cut.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    fal.state.gate.notify_one();
    assert!(cut.frame().await.unwrap().is_err(), "the stream ended as if nothing were missing");
    assert!(ask("/a/b").await.collect().await.is_ok(), "the connection went with the stream");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent() {
    let (fal, stranger) = (Fal::start().await, Fal::start().await);
    let ca = stranger.folder.path().join("ca.pem").display().to_string();
    let relay = fal.relay(&[("FAL_RELAY_UPSTREAM__CA_FILE", &ca)]);
    let answer = relay.client().send(post("/a/b", &relay.key, "{}")).await;
    assert_eq!((answer.status, answer.header("x-relay-error")), (502, Some("upstream_unreachable")));
    assert_eq!((fal.connections(), fal.streams()), (0, 0));
    assert_eq!(relay.client().send(get("/health", "")).await.status, 200);
}

#[tokio::test]
async fn invariant_7_a_tenant_who_reads_nothing_holds_little_and_stops_nobody() {
    let fal = Fal::start().await;
    let relay = fal.relay(&[]);
    relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    let at_rest = relay.resident_kib();
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut socket = relay.client().connect().await;
        socket.write_all(&post("/run/a/flood", &relay.key, "{}")).await.unwrap();
        assert!(socket.read(&mut [0; 256]).await.unwrap() > 0);
        readers.push(socket);
    }
    let read = relay.client().send(post("/run/a/flood", &relay.key, "{}")).await;
    assert_eq!(read.body.len(), FLOOD_BYTES);
    assert_eq!(fal.connections(), 1);
    let (grown, poured) = (relay.resident_kib() - at_rest, fal.state.poured.load(Ordering::Relaxed));
    println!("{grown} KiB for 20 readers of 64 MiB, of which fal could send {poured} bytes");
    assert!(grown < 32 * 1024, "{grown} KiB");
    assert!(poured < FLOOD_BYTES * 21 / 4, "{poured} bytes");
}
