//! kill -9 while money moves, again and again: after each start every meter is the sum of its rows, no row is closed twice,
//! and no hold belongs to nobody. `tests/drills/run money` does fifty rounds.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fal_relay::period::Period;
use fal_relay::store::CallState;
use tokio::io::AsyncWriteExt;

use super::{PRICED, paid, till};
use crate::drills_start::rounds;
use crate::support::{Answer, Client, Office, Relay, Wish, budget, get, post, read_answer_if_any, request};

/// Clients that spend all the time.
const CALLERS: usize = 12;

/// What they do, one after the other: every end that a call can have.
const CALLS: &[(&str, &str, &str)] = &[
    ("/a/b", r#"{"units":"1"}"#, "read"),
    ("/a/b", r#"{"units":"2"}"#, "leave"),
    ("/run/a/b", r#"{"units":"0.4"}"#, ""),
    ("/a/b", r#"{"cancel":"OK"}"#, "cancel"),
    ("/run/a/b/stream", r#"{"units":"1.5"}"#, ""),
    ("/a/b", r#"{"units":"nonsense"}"#, "read"),
    ("/a/b", r#"{"refuse":422,"status":422}"#, "leave"),
    ("/a/b", r#"{"status":500}"#, "read"),
    ("/run/a/b", "{}", ""),
    ("/a/b", r#"{"gone":true}"#, "leave"),
];

async fn send(client: Client, request: Vec<u8>) -> Option<Answer> {
    let mut socket = tokio::net::TcpStream::connect(client.address()).await.ok()?;
    socket.write_all(&request).await.ok()?;
    read_answer_if_any(&mut socket).await
}

/// Spends until the relay is gone.
async fn spend(client: Client, key: String, first: usize, answers: Arc<AtomicUsize>) -> Option<()> {
    for (path, body, then) in CALLS.iter().cycle().skip(first) {
        let answer = send(client, post(path, &key, body)).await?;
        answers.fetch_add(1, Ordering::Relaxed);
        if answer.status != 200 || !answer.whole || then.is_empty() {
            continue;
        }
        let job = format!("/a/b/requests/{}", answer.json()["request_id"].as_str()?);
        let authorization = format!("Key {key}");
        let cancel = || request("PUT", &format!("{job}/cancel"), &[("authorization", &authorization)], b"");
        match *then {
            "read" => send(client, get(&job, &key)).await?,
            "cancel" => send(client, cancel()).await?,
            _ => continue,
        };
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_leave_every_meter_the_sum_of_its_rows() {
    let rounds = rounds(3);
    let fal = till().await;
    let mut relay = Relay::with(&fal.base(), &[PRICED, ("FAL_RELAY_RELAY__WATCH_AFTER_SECONDS", "1")]);
    let office = Office::of(&relay);
    let mut keys = Vec::new();
    for number in 0..3 {
        let all = vec![budget(Period::Day, "1000000"), budget(Period::Week, "1000000")];
        let tenant = format!("tenant {}", number % 2);
        keys.push(
            office.make(Wish { tenant_budgets: all.clone(), budgets: all, ..Wish::of(&tenant) }).await.key,
        );
    }
    let answers: Arc<AtomicUsize> = Arc::default();
    for round in 0..rounds {
        let callers: Vec<_> = (0..CALLERS)
            .map(|n| tokio::spawn(spend(relay.client(), keys[n % 3].clone(), n, answers.clone())))
            .collect();
        let enough = answers.load(Ordering::Relaxed) + 20 + (round * 37) % 101;
        while answers.load(Ordering::Relaxed) < enough {
            tokio::task::yield_now().await;
        }
        relay = relay.restart();
        for caller in callers {
            caller.await.unwrap();
        }
        office.balance().await;
    }
    // Whatever fal still knows is followed to its end.
    let is_final = |state: CallState| state.is_closed() || state == CallState::Unknown;
    office.rows_when(|rows| rows.iter().all(|row| is_final(row.state))).await;
    let rows = office.balance().await;

    let tags: Vec<_> = paid(&fal).iter().map(|seen| seen.header("x-fal-tags").unwrap().to_owned()).collect();
    let known: HashSet<String> = rows.iter().map(|row| row.id.to_string()).collect();
    let calls: HashSet<&str> = tags.iter().map(|tag| tag.split_once('.').unwrap().1).collect();
    assert_eq!(calls.len(), tags.len(), "a call was sent twice");
    assert!(calls.iter().all(|call| known.contains(*call)), "fal saw a call that is not written down");
    println!("{rounds} kills: {} calls, {} rows, every meter the sum of its rows", tags.len(), rows.len());
}
