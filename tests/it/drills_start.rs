//! The start over a long ledger, right after kill -9. `tests/drills/run start` does it over a million rows.

use std::time::Instant;

use crate::support::{Fal, Relay, Seen, Step, get, post, submit_reply, until};

/// How often, or how much: little in CI, and what `DRILL_ROUNDS` says in the long form.
pub(crate) fn rounds(in_ci: usize) -> usize {
    std::env::var("DRILL_ROUNDS").map_or(in_ci, |rounds| rounds.parse().unwrap())
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the long form reports how long a start takes")]
async fn a_long_ledger_is_ready_at_once_after_a_kill() {
    let rows = rounds(20_000);
    let fal = Fal::start(|seen: &Seen| match seen.target.as_str() {
        "/queue/a/hang" => Step::Hang,
        _ => submit_reply("a/b", "job"),
    })
    .await;
    let relay = Relay::before(&fal.base());
    let (client, key) = (relay.client(), relay.key.clone());
    client.submit("a/b", &key).await;
    let store = rusqlite::Connection::open(relay.folder.path().join("fal-relay-data/relay.db")).unwrap();
    store
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO calls (tenant_id, key_id, account, endpoint, kind, state, open, request_id, app_base, body_sha256,
                                body_bytes, status, lease, multiplier, hold_nano, hold_basis, hold_open,
                                billable_units, cost_nano, charge_nano, cost_basis, held_at, sent_at, settled_at)
             SELECT tenant_id, key_id, account, endpoint, kind, 'settled', NULL, printf('%08x-made', i), app_base,
                    randomblob(32), body_bytes, 200, i, '1', 0, 'request', NULL,
                    '1', 0, 0, 'billed', held_at + i, sent_at + i, sent_at + i
             FROM n, calls WHERE calls.id = 1",
            [i64::try_from(rows).unwrap()],
        )
        .unwrap();
    drop(store);
    let mut hangs = relay.client().connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut hangs, &post("/a/hang", &relay.key, "{}")).await.unwrap();
    until(|| fal.seen().len() == 2).await;

    let start = Instant::now();
    let relay = relay.restart();
    assert_eq!(relay.client().send(get("/ready", "")).await.status, 200);
    println!("{rows} rows: ready {} ms after the kill", start.elapsed().as_millis());
    let open =
        relay.store().query_row("SELECT count(*) FROM calls WHERE state = 'held'", (), |row| row.get(0));
    assert_eq!(open, Ok(0));
    let status = relay.client().send(get("/a/b/requests/job/status", &relay.key)).await;
    assert_eq!(status.status, 200);
}
