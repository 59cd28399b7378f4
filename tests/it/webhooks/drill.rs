//! kill -9 again and again, and a receiver that fails half the time: each webhook arrives at least once, none is sent for a job
//! that did not end, and copies carry the same id (invariants 4 and 11). `tests/drills/run webhooks` does 5,000 jobs and 20 kills.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;

use super::{HERE, body_of, path_for};
use crate::drills_start::rounds;
use crate::support::{
    Client, Fal, Relay, Seen, Step, json, post, read_answer_if_any, reply, submit_reply, until,
};

/// Jobs for each kill.
const JOBS: usize = 250;
/// Clients that submit all the time.
const CALLERS: usize = 8;
/// So many tries, none far from the next, that half of them may fail.
const OFTEN: &str = "50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,\
                     50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms";

/// What a receiver was told of one job.
#[derive(Default)]
struct Told {
    delivery_ids: HashSet<String>,
    tries: usize,
    taken: usize,
}

type Book = Arc<Mutex<HashMap<String, Told>>>;

/// Every tenth job never ends.
fn ends(id: &str) -> bool {
    !id.ends_with('7')
}

async fn fal() -> Fal {
    let count = AtomicUsize::new(0);
    Fal::start(move |seen: &Seen| {
        let id = seen.target.trim_end_matches("/status");
        match (seen.method.as_str(), seen.target.ends_with("/status")) {
            ("POST", _) => submit_reply("a/b", &format!("job-{}", count.fetch_add(1, Ordering::Relaxed))),
            (_, true) if !ends(id) => json("202 Accepted", r#"{"status":"IN_PROGRESS"}"#),
            (_, true) => json("200 OK", r#"{"status":"COMPLETED"}"#),
            _ => Step::Reply(reply(
                "200 OK",
                &[("x-fal-billable-units", "1")],
                br#"{"seed":196619188014358660}"#,
            )),
        }
    })
    .await
}

async fn receiver(book: Book) -> Fal {
    let count = AtomicUsize::new(0);
    Fal::start(move |seen: &Seen| {
        let fails = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
        let id = body_of(seen)["request_id"].as_str().unwrap().to_owned();
        let mut book = book.lock().unwrap();
        let told = book.entry(id).or_default();
        told.delivery_ids.insert(seen.header("x-relay-delivery-id").unwrap().to_owned());
        told.tries += 1;
        told.taken += usize::from(!fails);
        if fails { json("500 Internal Server Error", "{}") } else { json("200 OK", "{}") }
    })
    .await
}

/// Submits until the relay is gone, or there are enough jobs.
async fn submit_some(client: Client, request: Vec<u8>, ids: Arc<Mutex<Vec<String>>>, enough: usize) {
    while ids.lock().unwrap().len() < enough
        && let Ok(mut socket) = tokio::net::TcpStream::connect(client.address()).await
    {
        if socket.write_all(&request).await.is_err() {
            return;
        }
        let Some(answer) = read_answer_if_any(&mut socket).await else { return };
        if answer.status == 200 && answer.whole {
            ids.lock().unwrap().push(answer.json()["request_id"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_4_kills_and_a_bad_receiver_lose_no_webhook_and_make_none_up() {
    let rounds = rounds(2);
    let jobs = if rounds > 2 { JOBS } else { JOBS / 5 };
    let (book, ids) = (Book::default(), Arc::<Mutex<Vec<String>>>::default());
    let (fal, receiver) = (fal().await, receiver(book.clone()).await);
    let mut relay = Relay::with(&fal.base(), &[HERE, ("FAL_RELAY_WEBHOOKS__RETRY_AFTER", OFTEN)]);
    let request = post(&path_for(&receiver.base()), &relay.key, "{}");
    for round in 1..=rounds {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| tokio::spawn(submit_some(relay.client(), request.clone(), ids.clone(), round * jobs)))
            .collect();
        // Each round ends at another moment of submits and deliveries, and the last one when there are as many jobs as are wanted.
        let early = if round < rounds { (round * 37) % 40 } else { 0 };
        let enough = (round * jobs).saturating_sub(early);
        let taken = || book.lock().unwrap().values().filter(|told| told.taken > 0).count();
        let begun = taken();
        until(|| ids.lock().unwrap().len() >= enough && taken() > begun).await;
        relay = relay.restart();
        for caller in callers {
            caller.await.unwrap();
        }
    }
    let ids = ids.lock().unwrap().clone();
    let wanted: Vec<_> = ids.iter().filter(|id| ends(id)).collect();
    until(|| {
        let book = book.lock().unwrap();
        wanted.iter().all(|id| book.get(*id).is_some_and(|told| told.taken > 0))
    })
    .await;
    drop(relay);
    let book = book.lock().unwrap();
    assert!(book.keys().all(|id| ends(id)), "a job that did not end was told of");
    assert!(book.values().all(|told| told.delivery_ids.len() == 1), "a copy has an id of its own");
    let tries: usize = book.values().map(|told| told.tries).sum();
    let copies: usize = book.values().map(|told| told.taken.saturating_sub(1)).sum();
    println!(
        "{rounds} kills: {} jobs, {} of them ended and all were told, each under one id; {tries} tries, {copies} copies of what had \
         arrived",
        ids.len(),
        wanted.len()
    );
}

/// `tests/drills/run drain` does ten thousand and says how fast.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the long form reports how long it takes")]
async fn a_full_outbox_drains() {
    let count = rounds(300);
    let arrived = Arc::new(AtomicUsize::new(0));
    let (counted, first) = (arrived.clone(), Arc::new(Mutex::new(None)));
    let begun = first.clone();
    let receiver = Fal::start(move |_: &Seen| {
        begun.lock().unwrap().get_or_insert_with(std::time::Instant::now);
        counted.fetch_add(1, Ordering::Relaxed);
        json("200 OK", "{}")
    })
    .await;
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[HERE]);
    relay.client().submit("a/b", &relay.key).await;
    fill_outbox(&relay.store(), i64::try_from(count).unwrap(), &receiver);
    let delivered = "SELECT count(*) FROM deliveries WHERE state = 'delivered'";
    let all = i64::try_from(count).unwrap();
    let store = relay.store();
    until(|| arrived.load(Ordering::Relaxed) >= count).await;
    let took = first.lock().unwrap().unwrap().elapsed();
    until(|| store.query_row(delivered, (), |row| row.get::<_, i64>(0)) == Ok(all)).await;
    assert_eq!(arrived.load(Ordering::Relaxed), count, "something was sent twice");
    println!("{count} webhooks arrived in {} ms", took.as_millis());
}

/// Puts `count` webhooks of ended jobs into the outbox, due now.
fn fill_outbox(store: &rusqlite::Connection, count: i64, receiver: &Fal) {
    let numbers =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO ";
    let host = receiver.address.to_string();
    let target = format!("{}/hook", receiver.base());
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let calls = "calls (id, tenant_id, key_id, account, endpoint, kind, state, open, request_id, app_base, status, lease, multiplier,
                        hold_nano, hold_basis, hold_open, cost_nano, charge_nano, cost_basis, held_at, sent_at, settled_at)
                 SELECT 1000 + i, tenant_id, key_id, account, endpoint, 'queue', 'settled', NULL, printf('made-%d', i), 'a/b', 200,
                        i, '1', 0, 'request', NULL, 0, 0, 'billed', held_at, sent_at, sent_at FROM n, calls WHERE calls.id = 1";
    store.execute(&[numbers, calls].concat(), (count,)).unwrap();
    let webhooks = "webhooks (call_id, tenant_id, target, host, name, open) SELECT 1000 + i, 1, ?2, ?3, printf('whd_%d', i), NULL FROM n";
    store.execute(&[numbers, webhooks].concat(), (count, target, &host)).unwrap();
    let deliveries = "deliveries (id, call_id, tenant_id, host, bytes, created_at, due_at) SELECT i, 1000 + i, 1, ?2, 1000, 1, 1 FROM n";
    store.execute(&[numbers, deliveries].concat(), (count, &host)).unwrap();
    let body = format!(r#"{{"payload":"{}"}}"#, "x".repeat(1000));
    let bodies = "delivery_bodies (id, body) SELECT i, CAST(?2 AS BLOB) FROM n";
    store.execute(&[numbers, bodies].concat(), (count, body)).unwrap();
    store.execute_batch("COMMIT").unwrap();
}
