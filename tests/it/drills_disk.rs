//! A full disk: calls are refused before fal hears of them, questions go on, and all is well again by itself. A limit on
//! the size of the process's files stands for the disk: it needs neither root nor a disk of one's own.

use std::process::Command;

use crate::support::{Fal, Relay, Seen, Step, get, post, reply, submit_reply, until};

/// A fal that gives every job an id of its own.
async fn fal() -> Fal {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Fal::start(move |seen: &Seen| match seen.method.as_str() {
        "POST" => {
            submit_reply("a/b", &format!("job-{}", count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
        }
        _ => Step::Reply(reply("200 OK", &[("x-fal-billable-units", "2")], b"{}")),
    })
    .await
}

/// Lets no file of the relay grow beyond `bytes`.
pub(crate) fn limit_files(relay: &Relay, bytes: &str) {
    let pid = relay.pid().to_string();
    let limit = format!("--fsize={bytes}:unlimited");
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
}

#[tokio::test]
async fn a_full_disk_refuses_calls_before_fal_and_heals_by_itself() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let submit = async || relay.client().send(post("/a/b", &relay.key, r#"{"prompt":"a cat"}"#)).await;
    for _ in 0..3 {
        assert_eq!(submit().await.status, 200);
    }
    // Every file is as long as it may be.
    limit_files(&relay, "0");
    for _ in 0..20 {
        let refused = submit().await;
        assert_eq!((refused.status, refused.header("x-relay-error")), (503, Some("ledger_unavailable")));
        assert_eq!(refused.header("retry-after"), Some("5"));
    }
    assert_eq!(fal.seen().len(), 3, "fal was called with nothing written down");
    // Questions go on, and so do results; what they tell of the cost waits for the disk.
    for number in 0..3 {
        let path = format!("/a/b/requests/job-{number}");
        assert_eq!(relay.client().send(get(&format!("{path}/status"), &relay.key)).await.status, 200);
        assert_eq!(relay.client().send(get(&path, &relay.key)).await.status, 200);
    }
    assert_eq!(relay.client().send(get("/health", "")).await.status, 200);

    limit_files(&relay, "unlimited");
    while submit().await.status != 200 {}
    until(|| relay.ledger().iter().filter(|row| row["state"] == "settled").count() == 3).await;
    let rows = relay.ledger();
    assert!(rows.iter().take(3).all(|row| row["billable_units"] == "2"), "{rows:?}");
    let store = rusqlite::Connection::open(relay.folder.path().join("fal-relay-data/relay.db")).unwrap();
    let check: String = store.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn a_job_that_fal_took_as_the_disk_filled_is_written_down_when_it_can_be() {
    let (pieces, follow) = tokio::sync::mpsc::unbounded_channel();
    let follow = std::sync::Mutex::new(Some(follow));
    let fal =
        Fal::start(move |_: &Seen| follow.lock().unwrap().take().map_or(Step::Close, Step::Follow)).await;
    let relay = Relay::before(&fal.base());
    let (client, key) = (relay.client(), relay.key.clone());
    let waits = tokio::spawn(async move { client.send(post("/a/b", &key, "{}")).await });
    until(|| fal.seen().len() == 1).await;
    limit_files(&relay, "0");
    let Step::Reply(accepted) = submit_reply("a/b", "job") else { unreachable!() };
    pieces.send(accepted).unwrap();
    // The disk is full by now: this write is refused, and the one before it in the queue too.
    assert_eq!(relay.client().send(post("/a/b", &relay.key, "{}")).await.status, 503);
    limit_files(&relay, "unlimited");
    assert_eq!(waits.await.unwrap().status, 200);
    assert_eq!(relay.ledger()[0]["state"], "sent");
}
