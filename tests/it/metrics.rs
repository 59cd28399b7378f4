//! What operators read at `GET /metrics`. Pages are read by Prometheus's own strict parser, which `tests/run` installs.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fal_relay::admin::{Admin, KeyCreate};
use fal_relay::clock::SystemClock;
use fal_relay::metrics::CONTENT_TYPE;
use fal_relay::random::Random;
use fal_relay::store::{Role, Settings, SqliteStore};
use futures_util::future::join_all;
use serde_json::Value;

use crate::support::{
    Client, FAL_SECRET, Fal, Relay, Seen, Step, get, json, post, reply, request, submit_reply, until,
};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

/// A page of metrics as the parser read it.
struct Page(Value);

impl Page {
    async fn of(relay: &Relay) -> Self {
        let answer = Client::new(relay.admin).send(get("/metrics", "")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(CONTENT_TYPE)));
        let page = answer.text();
        assert!(!page.contains(FAL_SECRET) && !page.contains(&relay.key), "{page}");
        Self(parse(&page))
    }

    /// The sum of the samples of this name whose labels include these.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &Value| labels.iter().all(|(key, value)| sample[1][*key] == **value);
        let named = self.samples().filter(|sample| sample[0] == *name && has(sample));
        named.map(|sample| sample[2].as_f64().unwrap()).sum()
    }

    fn samples(&self) -> impl Iterator<Item = &Value> {
        self.0.as_object().unwrap().values().flat_map(|family| family["samples"].as_array().unwrap())
    }

    /// Each series: its name and labels.
    fn series(&self) -> BTreeSet<String> {
        self.samples().map(|sample| format!("{}{}", sample[0], sample[1])).collect()
    }

    /// Each family: its name and type.
    fn families(&self) -> BTreeSet<(String, String)> {
        let families = self.0.as_object().unwrap().iter();
        families.map(|(name, family)| (name.clone(), family["type"].as_str().unwrap().to_owned())).collect()
    }
}

fn parse(page: &str) -> Value {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let mut parser = Command::new(clients.join(".venv/bin/python"))
        .arg(clients.join("openmetrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}; `tests/run` installs the parser"));
    parser.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{page}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Takes jobs, has no results, breaks off runs, and says nothing to uploads.
fn fal(seen: &Seen) -> Step {
    match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", target) if target.starts_with("/queue") => submit_reply("a/b", ID),
        ("POST", target) if target.starts_with("/run") => {
            let whole = reply("200 OK", &[], b"0123456789");
            Step::ReplyAndClose(whole[..whole.len() - 4].to_vec())
        }
        ("POST", _) => Step::Close,
        (_, target) if target.ends_with("/status") => json("200 OK", r#"{"status":"IN_QUEUE"}"#),
        _ => json("500 Internal Server Error", "{}"),
    }
}

#[tokio::test]
async fn calls_are_counted_by_route_outcome_and_account() {
    let fal = Fal::start(fal).await;
    let relay = Relay::before(&fal.base());
    let (client, key) = (relay.client(), relay.key.clone());
    assert_eq!(client.submit("a/b", &key).await, ID);
    for _ in 0..3 {
        client.send(get(&format!("/a/b/requests/{ID}/status"), &key)).await;
    }
    assert_eq!(client.send(get(&format!("/a/b/requests/{ID}"), &key)).await.status, 500);
    assert!(!client.send(post("/run/a/b", &key, "{}")).await.whole);
    assert_eq!(client.send(post("/storage/upload/initiate", &key, "{}")).await.status, 502);
    assert_eq!(client.send(post("/a/b", "no key", "{}")).await.status, 401);
    until(|| relay.calls().len() == 8).await;

    let page = Page::of(&relay).await;
    let calls = |route, status, fault, account| {
        let labels = [("route", route), ("status", status), ("fault", fault), ("account", account)];
        page.value("fal_relay_calls_total", &labels)
    };
    assert_eq!(calls("submit", "2xx", "none", "default"), 1.0);
    assert_eq!(calls("status", "2xx", "none", "default"), 3.0);
    assert_eq!(calls("result", "5xx", "fal", "default"), 1.0);
    assert_eq!(calls("run", "2xx", "fal", "default"), 1.0);
    assert_eq!(calls("storage", "5xx", "fal", "default"), 1.0);
    assert_eq!(calls("none", "4xx", "client", "none"), 1.0);
    assert_eq!(page.value("fal_relay_calls_total", &[]), 8.0);
    assert_eq!(page.value("fal_relay_calls_in_flight", &[]), 0.0);
    assert_eq!(page.value("fal_relay_calls_incomplete_total", &[]), 1.0);
    assert_eq!(page.value("fal_relay_call_duration_seconds_count", &[("route", "status")]), 3.0);
    assert_eq!(page.value("fal_relay_upstream_head_seconds_count", &[("route", "status")]), 3.0);
    let submitted = r#"{"prompt":"a cat"}"#.len() as f64;
    assert_eq!(page.value("fal_relay_request_body_bytes_total", &[("route", "submit")]), submitted);
    let statuses = 3.0 * r#"{"status":"IN_QUEUE"}"#.len() as f64;
    assert_eq!(page.value("fal_relay_response_body_bytes_total", &[("route", "status")]), statuses);
    assert_eq!(page.value("fal_relay_refusals_total", &[("error", "unauthorized")]), 1.0);
    assert_eq!(page.value("fal_relay_refusals_total", &[("error", "upstream_cut")]), 1.0);
}

#[tokio::test]
async fn connections_caches_and_the_ledger_are_counted() {
    let fal = Fal::start(fal).await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_SERVER__MAX_CONNECTIONS_PER_ADDRESS", "1")]);
    let (client, key) = (relay.client(), relay.key.clone());
    let closed = async || while !fetch_open(&relay).await.eq(&0.0) {};
    client.submit("a/b", &key).await;
    closed().await;
    client.send(get(&format!("/a/b/requests/{ID}/status"), &key)).await;
    closed().await;
    client.send(post("/run/a/b", &key, "{}")).await;
    closed().await;
    client.send(post("/storage/upload/initiate", &key, "{}")).await;
    closed().await;
    let held = client.connect().await;
    while fetch_open(&relay).await != 1.0 {}
    let mut refused = client.connect().await;
    let mut rest = Vec::new();
    drop(tokio::io::AsyncReadExt::read_to_end(&mut refused, &mut rest).await);
    assert!(rest.is_empty());
    // The row of the run that broke off is settled by a task of its own.
    until(|| relay.ledger().iter().any(|row| row["state"] == "settled")).await;

    let page = Page::of(&relay).await;
    let value = |name: &str, labels: &[(&str, &str)]| page.value(&format!("fal_relay_{name}"), labels);
    assert_eq!(value("connections_open", &[]), 1.0);
    assert_eq!(value("connections_accepted_total", &[]), 5.0);
    assert_eq!(value("connections_refused_total", &[("reason", "address_limit")]), 1.0);
    assert!(value("upstream_connections_opened_total", &[("host", "queue")]) >= 1.0);
    assert_eq!(
        value("upstream_connections_open", &[("host", "queue")]),
        value("upstream_connections_idle", &[("host", "queue")])
    );
    assert_eq!(value("upstream_failures_total", &[("host", "run"), ("reason", "cut")]), 1.0);
    assert_eq!(value("upstream_failures_total", &[("host", "rest"), ("reason", "lost")]), 1.0);
    assert_eq!(value("upstream_failures_total", &[]), 2.0);
    assert_eq!(value("cache_lookups_total", &[("cache", "owner"), ("result", "hit")]), 1.0);
    assert_eq!(value("cache_lookups_total", &[("cache", "identity")]), 4.0);
    for (verb, rows) in [("hold", 2.0), ("sent", 1.0), ("settle", 1.0), ("lose", 0.0)] {
        assert_eq!(value("ledger_rows_total", &[("verb", verb)]), rows, "{verb}");
        assert_eq!(value("ledger_write_seconds_count", &[("verb", verb)]), rows, "{verb}");
    }
    assert_eq!(value("ledger_failures_total", &[]), 0.0);
    assert_eq!(value("ledger_writes_waiting", &[]), 0.0);
    assert!(value("ledger_batches_total", &[("result", "committed")]) >= 4.0);
    assert_eq!(value("ledger_batch_size_count", &[]), value("ledger_batches_total", &[]));
    assert_eq!(value("outcomes_unknown_total", &[]), 0.0);
    assert_eq!(value("build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    for name in ["start_time_seconds", "resident_memory_bytes", "threads", "open_fds", "max_fds"] {
        assert!(page.value(&format!("process_{name}"), &[]) > 0.0, "{name}");
    }
    drop(held);
}

async fn fetch_open(relay: &Relay) -> f64 {
    fetch(relay, "fal_relay_connections_open").await
}

/// One number, without the trouble of the parser.
pub(crate) async fn fetch(relay: &Relay, series: &str) -> f64 {
    let answer = Client::new(relay.admin).send(get("/metrics", "")).await.text();
    let line = answer.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_host_that_rests_is_told_until_it_is_well() {
    let well = Arc::new(AtomicBool::new(false));
    let answers = well.clone();
    let fal = Fal::start(move |_: &Seen| match answers.load(Ordering::Relaxed) {
        true => json("200 OK", "{}"),
        false => Step::Close,
    })
    .await;
    let relay = Relay::before(&fal.base());
    let resting =
        async |host: &str| fetch(&relay, &format!("fal_relay_upstream_failfast{{host=\"{host}\"}}")).await;
    assert_eq!(resting("run").await, 0.0);
    while resting("run").await != 1.0 {
        relay.client().send(post("/run/a/b", &relay.key, "{}")).await;
    }
    assert_eq!(resting("queue").await, 0.0);
    well.store(true, Ordering::Relaxed);
    while resting("run").await != 0.0 {}
}

#[tokio::test]
async fn calls_that_a_killed_process_left_are_counted_as_unknown() {
    let fal = Fal::start(|_: &Seen| Step::Hang).await;
    let relay = Relay::before(&fal.base());
    let waiting = post("/a/b", &relay.key, "{}");
    let mut socket = relay.client().connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut socket, &waiting).await.unwrap();
    until(|| fal.seen().len() == 1).await;
    let relay = relay.restart();
    assert_eq!(Page::of(&relay).await.value("fal_relay_outcomes_unknown_total", &[]), 1.0);
}

/// What a stranger or a tenant writes never becomes a series.
#[tokio::test]
async fn invariant_7_a_thousand_odd_endpoints_and_tenants_leave_the_series_as_they_were() {
    let fal = Fal::start(fal).await;
    let relay = Relay::before(&fal.base());
    let keys = tenants(&relay, 1_000).await;
    odd_calls(&relay, &keys[..20], 0).await;
    let before = Page::of(&relay).await;
    odd_calls(&relay, &keys, 20).await;
    let after = Page::of(&relay).await;
    assert_eq!(after.series(), before.series());
    assert!(after.value("fal_relay_calls_total", &[]) >= 5_000.0);
    assert!(after.series().len() < 1_000, "{}", after.series().len());
}

/// Keys of so many tenants, made beside the running relay.
pub(crate) async fn tenants(relay: &Relay, count: usize) -> Vec<String> {
    let sqlite_path = relay.folder.path().join("fal-relay-data/relay.db");
    let store = Arc::new(SqliteStore::open(&Settings { sqlite_path, batch_max: 512 }).unwrap());
    let admin = Admin::new(store, Arc::new(SystemClock::new()), Random::system()).by("test", Role::Owner);
    let created = (0..count)
        .map(|nth| admin.create_key(KeyCreate { tenant: format!("tenant {nth}"), ..KeyCreate::default() }));
    join_all(created).await.into_iter().map(|made| made.unwrap().key).collect()
}

/// For each key a job, a look at it, a run and two calls that no route takes, all under names of their own.
async fn odd_calls(relay: &Relay, keys: &[String], first: usize) {
    let client = relay.client();
    let calls = |(nth, key): (usize, &String)| {
        let nth = first + nth;
        [
            post(&format!("/owner-{nth}/model-{nth}"), key, "{}"),
            get(&format!("/owner-{nth}/model-{nth}/requests/{ID}/status"), key),
            post(&format!("/run/owner-{nth}/model-{nth}"), key, "{}"),
            get(&format!("/v1/odd-{nth}"), key),
            post(&format!("/a/b%{nth}"), &format!("odd-key-{nth}"), "{}"),
        ]
    };
    let calls: Vec<_> = keys.iter().enumerate().flat_map(calls).collect();
    for some in calls.chunks(50) {
        join_all(some.iter().map(|call| client.send(call.clone()))).await;
    }
}

#[tokio::test]
async fn every_name_is_documented_and_every_documented_name_is_told() {
    let relay = Relay::before("http://127.0.0.1:1");
    let told = Page::of(&relay).await.families();
    let manual = include_str!("../../docs/metrics.md");
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows = rows.filter(|(name, _)| name.starts_with("fal_relay_") || name.starts_with("process_"));
    let kind = |rest: &str| rest.split(' ').next().unwrap_or_default().to_owned();
    let documented: BTreeSet<_> = rows.map(|(name, rest)| (name.to_owned(), kind(rest))).collect();
    assert_eq!(documented, told);
}

#[tokio::test]
async fn metrics_are_the_operators_alone() {
    let fal = Fal::start(fal).await;
    let relay = Relay::before(&fal.base());
    for method in [get("/metrics", &relay.key), get("/metrics", "")] {
        let answer = relay.client().send(method).await;
        assert!(matches!(answer.status, 401 | 404 | 405), "{}", answer.status);
        assert!(!answer.text().contains("fal_relay_"));
    }
    assert_eq!(Client::new(relay.admin).send(post("/metrics", "", "")).await.status, 405);
}

#[tokio::test]
async fn what_the_gate_refuses_is_counted_and_logged() {
    let relay = Relay::before("http://127.0.0.1:1");
    let both = [("content-length", "2"), ("transfer-encoding", "chunked")];
    let refused = relay.client().send(request("POST", "/a/b", &both, b"0\r\n\r\n")).await;
    assert_eq!((refused.status, refused.header("x-relay-error")), (400, Some("bad_request")));
    until(|| relay.calls().iter().any(|call| call["error"] == "bad_request" && call["status"] == 400)).await;
    let page = Page::of(&relay).await;
    assert_eq!(page.value("fal_relay_connections_refused_total", &[("reason", "refused")]), 1.0);
}

#[tokio::test]
async fn invariant_7_idle_connections_to_fal_are_bounded() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let fal = Fal::start(move |_: &Seen| {
        let (pieces, follow) = tokio::sync::mpsc::unbounded_channel();
        let mut wait = wait.clone();
        tokio::spawn(async move {
            wait.wait_for(|go| *go).await.unwrap();
            pieces.send(reply("200 OK", &[], b"{}")).unwrap();
            // The connection stays open for as long as the other side wants it.
            pieces.closed().await;
        });
        Step::Follow(follow)
    })
    .await;
    let settings = [("FAL_RELAY_UPSTREAM__POOL_MAX_IDLE", "2"), ("FAL_RELAY_SERVER__WORKERS", "1")];
    let relay = Relay::with(&fal.base(), &settings);
    let (client, key) = (relay.client(), relay.key.clone());
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let request = post("/run/a/b", &key, "{}");
            tokio::spawn(async move { client.send(request).await })
        })
        .collect();
    until(|| fal.seen().len() == 8).await;
    go.send(true).unwrap();
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    // Those beyond two are closed, which fal sees.
    until(|| fal.left() == 6).await;
    let page = Page::of(&relay).await;
    assert_eq!(page.value("fal_relay_upstream_connections_idle", &[("host", "run")]), 2.0);
}
