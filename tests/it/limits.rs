//! Invariant 7 behind the front door: the waits for fal, for the disk and for handshakes, and the memories. The table in
//! `docs/reliability.md` tells which test holds which limit.

use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fal_relay::call_log::{CallLog, Form};
use fal_relay::clock::{Clock, HandClock, SystemClock, Timestamp};
use fal_relay::config::Config;
use fal_relay::ids::AccountName;
use fal_relay::random::Random;
use fal_relay::secret::Secret;
use fal_relay::serve::{Given, House};
use fal_relay::upstream::{Account, Host, Outgoing, RequestBody, Settings, Upstream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::metrics::{fetch, tenants};
use crate::support::{
    Client, FAL_KEY, Fal, Relay, Seen, Step, get, json, post, read_answer, request, submit_reply, until,
};

/// What any of these may add to the relay's memory.
const GROWTH_MAX_KIB: i64 = 32 * 1024;

/// A fal that takes connections, reads the first bytes of each and nothing more, and says nothing.
async fn deaf_fal() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            drop(socket.read(&mut [0; 64]).await);
            kept.push(socket);
        }
    });
    address
}

#[tokio::test]
async fn invariant_7_a_tls_handshake_that_stalls_is_ended() {
    let relay = Relay::sandbox(&[("FAL_RELAY_SERVER__HEAD_TIMEOUT_SECONDS", "1")]);
    let mut silent = TcpStream::connect(relay.https.unwrap()).await.unwrap();
    let mut slow = TcpStream::connect(relay.https.unwrap()).await.unwrap();
    // The beginning of a record that says it is half a kilobyte long.
    slow.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    for socket in [&mut silent, &mut slow] {
        assert_eq!(socket.read(&mut [0]).await.unwrap_or(0), 0);
    }
    assert_eq!(fetch(&relay, "fal_relay_connections_refused_total{reason=\"tls_failed\"}").await, 2.0);
}

#[tokio::test]
async fn invariant_7_a_connection_to_fal_that_is_not_made_is_given_up() {
    let address = deaf_fal().await;
    let settings = [("FAL_RELAY_UPSTREAM__CONNECT_TIMEOUT_MS", "200")];
    let relay = Relay::with(&format!("https://{address}"), &settings);
    let refused = relay.client().send(post("/a/b", &relay.key, "{}")).await;
    assert_eq!((refused.status, refused.header("x-relay-error")), (502, Some("upstream_unreachable")));
    until(|| relay.ledger()[0]["state"] == "released").await;
}

#[tokio::test]
async fn invariant_7_an_answer_that_pauses_for_too_long_is_cut() {
    let (pieces, follow) = tokio::sync::mpsc::unbounded_channel();
    let follow = std::sync::Mutex::new(Some(follow));
    let fal =
        Fal::start(move |_: &Seen| follow.lock().unwrap().take().map_or(Step::Close, Step::Follow)).await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_UPSTREAM__BODY_IDLE_SECONDS", "1")]);
    pieces.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()).unwrap();
    let answer = relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    assert_eq!((answer.text().as_str(), answer.whole), ("half", false));
    until(|| fal.left() == 1).await;
}

#[tokio::test]
async fn invariant_7_a_body_that_fal_does_not_take_is_neither_kept_nor_waited_for() {
    let settings = [
        ("FAL_RELAY_UPSTREAM__QUEUE_HEAD_TIMEOUT_SECONDS", "1"),
        ("FAL_RELAY_RELAY__MAX_BODY_BYTES", "2000000000"),
    ];
    let relay = Relay::with(&format!("http://{}", deaf_fal().await), &settings);
    assert_eq!(relay.client().send(get("/health", "")).await.status, 200);
    let at_rest = relay.resident_kib();
    let authorization = format!("Key {}", relay.key);
    let fields = [("authorization", authorization.as_str()), ("content-length", "1073741824")];
    let mut socket = relay.client().connect().await;
    socket.write_all(&request("POST", "/a/b", &fields, b"")).await.unwrap();
    let (mut hears, mut sends) = socket.split();
    let mut said = [0; 12];
    tokio::select! {
        biased;
        heard = hears.read_exact(&mut said) => drop(heard.unwrap()),
        () = async { while sends.write_all(&[0; 65_536]).await.is_ok() {} } => panic!("closed without a word"),
    }
    assert_eq!(&said, b"HTTP/1.1 504");

    let socket = TokioIo::new(TcpStream::connect(relay.http).await.unwrap());
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let endless = futures_util::stream::repeat_with(|| {
        Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(&[0; 16_384])))
    });
    let request = http::Request::post("http://relay.test/a/b")
        .header("authorization", authorization)
        .body(StreamBody::new(endless))
        .unwrap();
    assert_eq!(client.send_request(request).await.unwrap().status(), 504);
    let grown = relay.most_resident_kib() - at_rest;
    println!("{grown} KiB at most for two bodies that fal did not take");
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB");
}

#[tokio::test]
async fn invariant_7_an_idle_connection_to_fal_is_kept_for_its_time_only() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let hand = HandClock::new(Timestamp::from_micros(0));
    let clock: Arc<dyn Clock> = Arc::new(hand.clone());
    let settings = Settings { run_url: fal.base(), ..Settings::default() };
    let counts = fal_relay::metrics::Metrics::new(clock.now(), Vec::new(), Arc::default()).worker();
    let upstream = Upstream::new(&settings, None, &Arc::default(), &clock, &counts).unwrap();
    let account = Account::new(AccountName::new("main"), &Secret::new("id:secret")).unwrap();
    let call = async || {
        let outgoing = Outgoing {
            host: Host::Run,
            method: http::Method::POST,
            path_and_query: "/a/b".into(),
            headers: http::HeaderMap::new(),
            body: RequestBody::empty(&*clock),
        };
        let answer = upstream.send(&account, outgoing).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "{}");
        // The connection notices that it is free.
        others_turn().await;
    };
    for _ in 0..3 {
        call().await;
        hand.advance(settings.pool_idle - Duration::from_millis(1));
    }
    assert_eq!(fal.accepted(), 1);
    hand.advance(Duration::from_millis(1));
    call().await;
    assert_eq!(fal.accepted(), 2);
}

#[tokio::test]
async fn invariant_7_memories_forget_and_the_store_still_knows() {
    const MANY: usize = 40;
    let count = std::sync::atomic::AtomicUsize::new(0);
    let fal = Fal::start(move |seen: &Seen| match seen.method.as_str() {
        "POST" => {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            submit_reply("a/b", &format!("job-{number}"))
        }
        _ => json("200 OK", "{}"),
    })
    .await;
    let settings =
        [("FAL_RELAY_RELAY__IDENTITY_CACHE_ENTRIES", "4"), ("FAL_RELAY_RELAY__OWNER_CACHE_ENTRIES", "4")];
    let relay = Relay::with(&fal.base(), &settings);
    let keys = tenants(&relay, MANY).await;
    let mut jobs = Vec::new();
    for key in &keys {
        jobs.push((relay.client().submit("a/b", key).await, key));
    }
    let missed = async |cache: &str| {
        fetch(&relay, &format!("fal_relay_cache_lookups_total{{cache=\"{cache}\",result=\"miss\"}}")).await
    };
    let before = (missed("identity").await, missed("owner").await);
    for (id, key) in &jobs {
        let answer = relay.client().send(get(&format!("/a/b/requests/{id}/status"), key)).await;
        assert_eq!(answer.status, 200);
    }
    // With room for all, the owners would be known from their submits and the keys too.
    let (identity, owner) = (missed("identity").await - before.0, missed("owner").await - before.1);
    assert!(identity >= 30.0 && owner >= 30.0, "{identity} and {owner} of {MANY} were looked up again");
}

#[tokio::test]
async fn invariant_7_whether_the_ledger_is_there_is_not_asked_for_every_stranger() {
    let relay = Relay::before("http://127.0.0.1:1");
    let batches = async || fetch(&relay, "fal_relay_ledger_batches_total{result=\"committed\"}").await;
    let before = batches().await;
    for _ in 0..300 {
        assert_eq!(relay.client().send(get("/ready", "")).await.status, 200);
    }
    let asked = batches().await - before;
    assert!((1.0..100.0).contains(&asked), "{asked} writes for 300 questions");
}

#[tokio::test]
async fn invariant_7_a_system_that_is_out_of_sockets_is_asked_again_later() {
    let relay = Relay::before("http://127.0.0.1:1");
    let mut before = relay.client().connect().await;
    before.write_all(&get("/health", "")).await.unwrap();
    assert_eq!(read_answer(&mut before).await.status, 200);
    let open = std::fs::read_dir(format!("/proc/{}/fd", relay.pid())).unwrap().count();
    limit("nofile", relay.pid(), &(open + 5).to_string());
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(relay.client().connect().await);
    }
    until(|| relay.output().contains("cannot accept a connection")).await;
    before.write_all(&get("/health", "")).await.unwrap();
    assert_eq!(read_answer(&mut before).await.status, 200);
    // As soon as there is room again, it is given to those who wait.
    let mut last = crowd.pop().unwrap();
    drop(crowd);
    last.write_all(&get("/health", "")).await.unwrap();
    assert_eq!(read_answer(&mut last).await.status, 200);
}

/// Lets the other tasks and threads get on.
async fn others_turn() {
    let mut mine = true;
    until(|| !std::mem::take(&mut mine)).await;
}

/// Sets a limit of a process.
fn limit(what: &str, pid: u32, to: &str) {
    let arguments = ["--pid", &pid.to_string(), &format!("--{what}={to}:")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
}

/// A whole relay in this process, with its time in the test's hand. The tests' runner gives each test a process, so that
/// what is done to this one's files is nobody else's trouble.
async fn house(fal: &Fal, folder: &tempfile::TempDir, clock: Arc<dyn Clock>) -> House {
    let store = format!("sqlite://{}/relay.db", folder.path().display());
    let said = [
        ("FAL_KEY", FAL_KEY.to_owned()),
        ("FAL_RELAY_UPSTREAM__QUEUE_URL", format!("{}/queue", fal.base())),
        ("FAL_RELAY_SERVER__LISTEN", "127.0.0.1:0".to_owned()),
        ("FAL_RELAY_SERVER__ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("FAL_RELAY_SERVER__WORKERS", "1".to_owned()),
        ("FAL_RELAY_PRICING__SYNC", "off".to_owned()),
        ("FAL_RELAY_STORE__URL", store),
    ];
    let said = said.into_iter().map(|(name, value)| (name.to_owned(), value));
    let config = Config::load(None, said, false).unwrap();
    let log = CallLog::new(Form::Json, tracing::Level::INFO, clock.clone(), Box::new(io::sink()));
    House::build(config, false, Given { log, clock, random: Random::system() }).await.unwrap()
}

#[tokio::test]
async fn invariant_7_an_outcome_is_not_written_again_for_ever() {
    let (pieces, follow) = tokio::sync::mpsc::unbounded_channel();
    let follow = std::sync::Mutex::new(Some(follow));
    let fal =
        Fal::start(move |_: &Seen| follow.lock().unwrap().take().map_or(Step::Close, Step::Follow)).await;
    let folder = tempfile::tempdir().unwrap();
    let clock = HandClock::new(SystemClock::new().now());
    let house = house(&fal, &folder, Arc::new(clock.clone())).await;
    let (client, key) = (Client::new(house.welcome.http), house.welcome.first_key.clone().unwrap());
    let running = tokio::spawn(house.run(CancellationToken::new()));
    let submit = post("/a/b", key.expose(), "{}");
    let first = submit.clone();
    let waits = tokio::spawn(async move { client.send(first).await });
    until(|| fal.seen().len() == 1).await;
    // SIGXFSZ is what a full disk is, as in the binary: a write that fails.
    let signal = tokio::signal::unix::SignalKind::from_raw(25);
    let _survives = tokio::signal::unix::signal(signal).unwrap();
    limit("fsize", std::process::id(), "0");
    let Step::Reply(accepted) = submit_reply("a/b", "job") else { unreachable!() };
    pieces.send(accepted).unwrap();
    // This write is refused, and the one before it in the queue too.
    assert_eq!(client.send(submit).await.status, 503);
    let mut pauses = 0;
    while !waits.is_finished() {
        clock.advance(Duration::from_millis(500));
        pauses += 1;
        others_turn().await;
    }
    limit("fsize", std::process::id(), "unlimited");
    let answer = waits.await.unwrap();
    assert_eq!((answer.status, answer.header("x-relay-error")), (504, Some("outcome_unknown")));
    assert!(pauses >= 59, "given up after {pauses} pauses");
    running.abort();
}

#[tokio::test]
async fn invariant_7_a_name_has_a_longest_form() {
    let relay = Relay::before("http://127.0.0.1:1");
    relay.key_of(&"x".repeat(64));
    let mut command = crate::support::binary(relay.folder.path());
    let refused = command.args(["key", "create", "--tenant", &"x".repeat(65)]).output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("at most 64 characters"));
}
