//! kill -9 under load, again and again: nothing that was answered is lost, nothing that fal took is unknown to the
//! ledger, and owners still follow their jobs. `tests/drills/run kill9` does a hundred rounds.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;

use super::drills_start::rounds;
use crate::support::{Client, Fal, Relay, Seen, get, json, post, read_answer_if_any, submit_reply};

/// Clients that submit all the time.
const CALLERS: usize = 16;

/// What the callers have learnt: the ids that they were given. And how far they are, which paces the killing.
#[derive(Default)]
struct Learnt {
    ids: Mutex<Vec<String>>,
    answers: AtomicUsize,
}

/// Submits until the relay is gone.
async fn submit_until_it_ends(client: Client, key: String, learnt: Arc<Learnt>) {
    while let Ok(mut socket) = tokio::net::TcpStream::connect(client.address()).await {
        if socket.write_all(&post("/a/b", &key, r#"{"prompt":"a cat"}"#)).await.is_err() {
            return;
        }
        let Some(answer) = read_answer_if_any(&mut socket).await else { return };
        if answer.status == 200 && answer.whole {
            let id = answer.json()["request_id"].as_str().unwrap().to_owned();
            learnt.ids.lock().unwrap().push(id);
        }
        learnt.answers.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_kills_lose_nothing_that_was_answered() {
    let rounds = rounds(5);
    let count = AtomicUsize::new(0);
    let taken: Arc<Mutex<HashSet<String>>> = Arc::default();
    let takes = taken.clone();
    let fal = Fal::start(move |seen: &Seen| match seen.method.as_str() {
        "POST" => {
            let id = format!("job-{}", count.fetch_add(1, Ordering::Relaxed));
            takes.lock().unwrap().insert(id.clone());
            submit_reply("a/b", &id)
        }
        _ => json("200 OK", r#"{"status":"COMPLETED"}"#),
    })
    .await;
    let mut relay = Relay::before(&fal.base());
    let learnt: Arc<Learnt> = Arc::default();
    for round in 0..rounds {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| tokio::spawn(submit_until_it_ends(relay.client(), relay.key.clone(), learnt.clone())))
            .collect();
        // Each round ends at another moment: after so many answers, in the middle of the next ones.
        let enough = learnt.answers.load(Ordering::Relaxed) + 20 + (round * 37) % 101;
        while learnt.answers.load(Ordering::Relaxed) < enough {
            tokio::task::yield_now().await;
        }
        relay = relay.restart();
        for caller in callers {
            caller.await.unwrap();
        }
    }
    let rows = relay.ledger();
    let by_id: HashMap<&str, &serde_json::Value> =
        rows.iter().filter_map(|row| row["request_id"].as_str().map(|id| (id, row))).collect();
    let ids = learnt.ids.lock().unwrap().clone();
    let taken = taken.lock().unwrap().clone();
    // After a start the watch looks after the jobs from before, and may find that they have ended.
    let kept = |row: &serde_json::Value| row["state"] == "sent" || row["state"] == "settled";
    let lost: Vec<_> = ids.iter().filter(|id| by_id.get(id.as_str()).is_none_or(|row| !kept(row))).collect();
    assert_eq!(lost, Vec::<&String>::new(), "answered and then lost");
    // Every job that fal took has a row: under its id, or as one of those whose answer never came.
    let nameless = rows.iter().filter(|row| row["state"] == "unknown").count();
    let unnamed = taken.iter().filter(|id| !by_id.contains_key(id.as_str())).count();
    assert!(unnamed <= nameless, "fal took {unnamed} jobs that have no id here, and {nameless} are unknown");
    assert!(rows.iter().all(|row| kept(row) || row["state"] == "unknown"), "a row is left open");
    let submits = fal.seen().iter().filter(|seen| seen.method == "POST").count();
    assert_eq!(taken.len(), submits, "a job was sent twice");
    for id in ids.iter().step_by(1 + ids.len() / 50) {
        let status = relay.client().send(get(&format!("/a/b/requests/{id}/status"), &relay.key)).await;
        assert_eq!(status.status, 200, "{id} is not its owner's any more");
    }
    println!(
        "{rounds} kills: {} answered, 0 lost; fal took {}, {unnamed} of them without an answer here; {nameless} rows unknown",
        ids.len(),
        taken.len()
    );
}
