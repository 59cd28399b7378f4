//! What cannot be brought about through the store's verbs: batches and disks that fail at a chosen moment.

use std::future::Future;
use std::sync::{Arc, Barrier, mpsc};

use futures_util::future::join_all;
use futures_util::poll;
use rusqlite::Connection;

use crate::clock::Timestamp;
use crate::ids::{AccountName, CallId, LeaseId, TenantId};
use crate::key::{KeyDigest, KeyKind};
use crate::money::{Multiplier, Usd};
use crate::rules::Rules;
use crate::store::{
    Author, Books, CallFilter, CallKind, CallRecord, Directory, GroupRecord, HeldCall, Ledger, NewCall,
    NewKey, Settings, Store, StoreError, Terms,
};

use super::session::Session;
use super::{READERS, READS_WAITING, SqliteStore, WRITES_WAITING};

struct Bench {
    folder: tempfile::TempDir,
    store: SqliteStore,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { sqlite_path: folder.path().join("relay.db"), batch_max: 512 };
        let store = SqliteStore::open(&settings).unwrap();
        Self { folder, store }
    }

    /// Another process's connection to the same file.
    fn stranger(&self) -> Connection {
        Connection::open(self.folder.path().join("relay.db")).unwrap()
    }

    /// A call of a new key.
    async fn call(&self) -> NewCall {
        let key = NewKey {
            tenant: "tenant".into(),
            group_id: GroupRecord::DEFAULT,
            name: "key".into(),
            kind: KeyKind::Live,
            digest: KeyDigest([1; 32]),
            last_four: "abcd".into(),
            rules: Rules::default(),
            starts_at: None,
            expires_at: None,
            budgets: Vec::new(),
        };
        let author = Author { name: "test".into(), reason: None, at: Timestamp::from_micros(1) };
        let key = self.store.create_key(key, author).await.unwrap();
        NewCall {
            tenant_id: key.tenant.id,
            key_id: key.id,
            token_id: None,
            account: AccountName::new("main"),
            endpoint: "fal-ai/flux-1/dev".into(),
            kind: CallKind::Queue,
            lease: LeaseId(1),
            tags: None,
            terms: Terms { unit_price: None, unit: None, multiplier: Multiplier::ONE, price_version: None },
            hold: Usd::ZERO,
            hold_basis: "test",
            windows: Vec::new(),
            held_at: Timestamp::from_micros(2),
        }
    }

    async fn calls(&self) -> Vec<CallRecord> {
        self.store.calls(CallFilter::default(), CallId(0), 10_000).await.unwrap()
    }

    /// Lets the writer find all of `verbs` waiting, so that they share a batch: it is kept busy with a batch of its
    /// own until each has been asked.
    async fn together<T>(&self, mut verbs: Vec<impl Future<Output = T> + Unpin>) -> Vec<T> {
        let (busy, is_busy) = mpsc::channel();
        let (free, is_free) = mpsc::channel();
        let mut first = self.store.write(move |_| {
            busy.send(()).unwrap();
            is_free.recv().unwrap();
            Ok(())
        });
        assert!(poll!(&mut first).is_pending());
        is_busy.recv().unwrap();
        for verb in &mut verbs {
            assert!(poll!(verb).is_pending());
        }
        free.send(()).unwrap();
        first.await.unwrap();
        join_all(verbs).await
    }
}

#[tokio::test]
async fn a_verb_that_fails_does_not_spoil_its_batch() {
    let bench = Bench::new();
    let call = bench.call().await;
    let stranger = NewCall { tenant_id: TenantId(99), ..call.clone() };
    let batches_before = bench.store.statistics().batches;
    let calls = [call.clone(), stranger, call];
    let held = bench.together(calls.map(|call| bench.store.hold(call)).into()).await;
    assert!(
        matches!(held[..], [Ok(HeldCall { id: CallId(1), .. }), Err(StoreError::Backend(_)), Ok(_)]),
        "{held:?}"
    );
    assert_eq!(bench.calls().await.len(), 2);
    assert_eq!(bench.store.statistics().batches - batches_before, 2, "the busy one and theirs");
}

#[tokio::test]
async fn a_commit_that_fails_fails_its_whole_batch_and_the_next_is_well() {
    let bench = Bench::new();
    let call = bench.call().await;
    // Foreign keys that are checked only at the end make the commit itself fail.
    let spoiler = bench.store.write(|session| {
        session.execute("PRAGMA defer_foreign_keys = ON", ())?;
        session.execute(
            "INSERT INTO keys (tenant_id, name, kind, digest, last_four, created_at)
             VALUES (99, 'x', 'live', zeroblob(32), 'abcd', 0)",
            (),
        )?;
        Ok(HeldCall { id: CallId(0), told: Vec::new() })
    });
    let verbs = vec![bench.store.hold(call.clone()), spoiler, bench.store.hold(call.clone())];
    for outcome in bench.together(verbs).await {
        assert!(matches!(outcome, Err(StoreError::Unwritable(_))), "{outcome:?}");
    }
    assert_eq!(bench.calls().await, []);
    bench.store.hold(call).await.unwrap();
    assert_eq!(bench.calls().await.len(), 1);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_answers_reads_and_heals_by_itself() {
    let bench = Bench::new();
    let call = bench.call().await;
    // No page more than there are now: a disk that is full once these are.
    let fill = "PRAGMA max_page_count = 1";
    bench.store.write(move |session| Ok(session.first(fill, (), |_| Ok(()))?)).await.unwrap();
    let mut held = 0;
    let refusal = loop {
        match bench.store.hold(call.clone()).await {
            Ok(_) => held += 1,
            Err(error) => break error,
        }
        assert!(held < 10_000, "the disk never filled");
    };
    assert!(matches!(refusal, StoreError::Unwritable(_)), "{refusal:?}");
    assert_eq!(bench.calls().await.len(), held);

    let lift = "PRAGMA max_page_count = 1000000";
    bench.store.write(move |session| Ok(session.first(lift, (), |_| Ok(()))?)).await.unwrap();
    bench.store.hold(call).await.unwrap();
    assert_eq!(bench.calls().await.len(), held + 1);
    let check: String = bench.stranger().query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn a_verb_that_nobody_waits_for_any_more_still_happens() {
    let bench = Bench::new();
    let call = bench.call().await;
    let mut hold = bench.store.hold(call);
    // Whether it is answered by now or not, it is taken up.
    let _ = poll!(&mut hold);
    drop(hold);
    bench.store.ping().await.unwrap();
    assert_eq!(bench.calls().await.len(), 1);
}

#[tokio::test]
async fn a_commit_is_flushed_before_it_is_answered() {
    let bench = Bench::new();
    let settings = "SELECT journal_mode, synchronous, foreign_keys
                    FROM pragma_journal_mode, pragma_synchronous, pragma_foreign_keys";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found = bench.store.write(move |session| Ok(session.first(settings, (), read)?)).await.unwrap();
    const FULL: i64 = 2;
    assert_eq!(found, Some(("wal".to_owned(), FULL, 1_i64)));
}

#[tokio::test]
async fn invariant_7_no_more_verbs_are_taken_in_than_there_is_room_for() {
    let bench = Bench::new();
    let (busy, is_busy) = mpsc::channel();
    let go_on = Arc::new(Barrier::new(1 + READERS + 1));
    let stop = || {
        let (busy, go_on) = (busy.clone(), go_on.clone());
        move |_: &Session<'_>| {
            busy.send(()).unwrap();
            go_on.wait();
            Ok(())
        }
    };
    let mut stopped: Vec<_> = (0..READERS).map(|_| bench.store.read(stop())).collect();
    stopped.push(bench.store.write(stop()));
    for verb in &mut stopped {
        assert!(poll!(verb).is_pending());
        is_busy.recv().unwrap();
    }
    let before = bench.store.statistics();
    let mut waiting: Vec<_> = (0..2 * WRITES_WAITING).map(|_| bench.store.write(|_| Ok(()))).collect();
    waiting.extend((0..2 * READS_WAITING).map(|_| bench.store.read(|_| Ok(()))));
    let ask = async {
        for verb in &mut waiting {
            assert!(poll!(verb).is_pending());
        }
    };
    tokio::task::unconstrained(ask).await;
    assert_eq!((bench.store.writes.capacity(), bench.store.reads.capacity()), (0, 0));
    // Those that are in, and the one at which the writer stands. The others have not come in.
    assert_eq!(bench.store.counts.waiting.get(), 1 + WRITES_WAITING as i64);
    go_on.wait();
    assert!(join_all(stopped).await.iter().all(Result::is_ok));
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    let batches = bench.store.statistics().batches - before.batches;
    assert!(batches as usize > 2 * WRITES_WAITING / 512, "{batches} batches: one was larger than it may be");
}
