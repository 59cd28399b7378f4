//! What only the embedded store promises: shared flushes, a file that several processes open, permissions.

use std::sync::Arc;

use fal_relay::ids::CallId;
use fal_relay::store::{Books, CallFilter, CallState, Ledger, Settings, SqliteStore, Store, StoreError};
use futures_util::future::join_all;
use futures_util::poll;

use crate::store_story::{Backend, call_of, make_key};

/// A store in a folder of its own, which ends with this value.
pub(crate) struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("data").join("relay.db")
    }

    fn open_sqlite(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&Settings { sqlite_path: self.path(), batch_max: 512 })
    }
}

impl Backend for Sqlite {
    fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(self.open_sqlite()?))
    }
}

/// The writer stands at another process's lock while all ask, so what waits shares a flush.
#[tokio::test]
async fn two_hundred_holds_share_batches() {
    let backend = Sqlite::new();
    let store = backend.open_sqlite().unwrap();
    let (_, key) = make_key(&store, "crowd", 1).await;
    let before = store.statistics();
    let stranger = rusqlite::Connection::open(backend.path()).unwrap();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut holds: Vec<_> = (0..200).map(|_| store.hold(call_of(&key))).collect();
    for hold in &mut holds {
        assert!(poll!(hold).is_pending());
    }
    stranger.execute_batch("COMMIT").unwrap();
    let mut ids: Vec<_> = join_all(holds).await.into_iter().map(|held| held.unwrap().id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 200);
    let after = store.statistics();
    assert_eq!(after.writes - before.writes, 800, "four statements each");
    assert!(after.batches - before.batches <= 2, "{after:?}");
}

/// More verbs than the channels hold, from many tasks: all wait their turn, all are answered.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_7_a_crowd_larger_than_every_channel_is_served() {
    let backend = Sqlite::new();
    let store = Arc::new(backend.open_sqlite().unwrap());
    let (_, key) = make_key(&*store, "crowd", 1).await;
    let tasks = (0..3000).map(|_| {
        let (store, call) = (store.clone(), call_of(&key));
        tokio::spawn(async move {
            let id = store.hold(call).await.unwrap().id;
            assert_eq!(store.call(id).await.unwrap().unwrap().state, CallState::Held);
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let statistics = store.statistics();
    assert!(statistics.batches < 3000 && statistics.reads == 3000, "{statistics:?}");
}

#[tokio::test]
async fn two_processes_share_a_store() {
    let backend = Sqlite::new();
    let (relay, command_line) = (backend.open().unwrap(), backend.open().unwrap());
    let before = relay.keys_revision().await.unwrap();
    let (key, made) = make_key(&*command_line, "alpha", 1).await;
    assert_eq!(relay.key_by_digest(key.digest()).await.unwrap(), Some(made.clone()));
    assert!(relay.keys_revision().await.unwrap() > before);
    relay.hold(call_of(&made)).await.unwrap();
    assert_eq!(command_line.calls(CallFilter::default(), CallId(0), 10).await.unwrap().len(), 1);
}

#[test]
fn first_starts_at_the_same_time_make_one_store() {
    let backend = Sqlite::new();
    let start = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                backend.open_sqlite().unwrap();
            });
        }
    });
}

#[tokio::test]
async fn a_newer_store_is_refused_and_left_alone() {
    let backend = Sqlite::new();
    drop(backend.open().unwrap());
    let stranger = rusqlite::Connection::open(backend.path()).unwrap();
    stranger.pragma_update(None, "user_version", 4711).unwrap();
    let refused = backend.open().err().unwrap();
    assert!(matches!(refused, StoreError::TooNew { found: 4711, known: 1, .. }), "{refused:?}");
    assert!(refused.to_string().contains("start the newer fal-relay"), "{refused}");
    let version: i64 = stranger.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 4711);
}

#[tokio::test]
async fn what_cannot_be_opened_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(
        &file,
        "this is a plain file, long enough to be taken for the head of a database".repeat(20),
    )
    .unwrap();
    for path in [file.join("relay.db"), file.clone(), folder.path().to_owned(), "/proc/relay/relay.db".into()]
    {
        let settings = Settings { sqlite_path: path.clone(), batch_max: 512 };
        match SqliteStore::open(&settings) {
            Err(StoreError::Open { path: said, reason }) => {
                assert_eq!(said, path.display().to_string());
                assert!(reason.contains("store.url"), "{reason}");
            }
            other => panic!("{}: {other:?}", path.display()),
        }
    }
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("this is a plain file"));
}

#[cfg(unix)]
#[tokio::test]
async fn the_data_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let backend = Sqlite::new();
    let store = backend.open().unwrap();
    make_key(&*store, "alpha", 1).await;
    let folder = backend.path().parent().unwrap().to_owned();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 1, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Both waits at once, since each takes its five seconds.
#[tokio::test]
async fn invariant_7_other_processes_are_waited_for_but_not_for_ever() {
    let (open, opening) = (Sqlite::new(), Sqlite::new());
    let store = open.open_sqlite().unwrap();
    let (_, key) = make_key(&store, "alpha", 1).await;
    let stranger = rusqlite::Connection::open(open.path()).unwrap();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    drop(opening.open_sqlite().unwrap());
    let lock = std::fs::File::open(opening.path().with_added_extension("lock")).unwrap();
    lock.lock().unwrap();
    let opening = std::thread::spawn(move || opening.open_sqlite().err());
    match store.hold(call_of(&key)).await {
        Err(StoreError::Unwritable(reason)) => assert!(reason.contains("write lock"), "{reason}"),
        other => panic!("{other:?}"),
    }
    match opening.join().unwrap() {
        Some(StoreError::Open { reason, .. }) => assert!(reason.contains("another process"), "{reason}"),
        other => panic!("{other:?}"),
    }
}
