//! What only the embedded store promises of its directory: few statements, and a clear word on a row that cannot be read.

use fal_relay::ids::KeyId;
use fal_relay::store::{Directory, Settings, SqliteStore, StoreError};

use super::{author, make_key, new_key};

/// A store, and another process's connection to its file.
fn open() -> (tempfile::TempDir, SqliteStore, rusqlite::Connection) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite_path = folder.path().join("relay.db");
    let store = SqliteStore::open(&Settings { sqlite_path: sqlite_path.clone(), batch_max: 512 }).unwrap();
    let stranger = rusqlite::Connection::open(sqlite_path).unwrap();
    (folder, store, stranger)
}

/// What a key opens is asked on the way of a call whose key is not remembered.
#[tokio::test]
async fn a_key_is_looked_up_in_two_statements() {
    let (_folder, store, _stranger) = open();
    let (key, told) = new_key("alpha", 1);
    store.create_key(told, author(1)).await.unwrap();
    let before = store.statistics().reads;
    assert!(store.key_by_digest(key.digest()).await.unwrap().is_some());
    assert_eq!(store.statistics().reads - before, 2);
    assert!(store.key_by_digest(new_key("alpha", 2).0.digest()).await.unwrap().is_none());
    assert_eq!(store.statistics().reads - before, 3, "one that is not there has no budgets to look up");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    let (_folder, store, stranger) = open();
    let (key, told) = new_key("alpha", 1);
    let made = store.create_key(told, author(1)).await.unwrap();
    let bystander = make_key(&store, "beta", 2).await;
    for (spoil, named, heal) in [
        ("UPDATE tenants SET rules = '{' WHERE id = 1", "tenant 1", "UPDATE tenants SET rules = '{}'"),
        (
            "UPDATE tenants SET rules = '{\"x\":1}' WHERE id = 1",
            "tenant 1",
            "UPDATE tenants SET rules = '{}'",
        ),
        ("UPDATE tenants SET tags = '7' WHERE id = 1", "tenant 1", "UPDATE tenants SET tags = '[]'"),
        ("UPDATE groups SET multiplier = '-1'", "group 1", "UPDATE groups SET multiplier = '1'"),
        ("UPDATE keys SET rules = 'x' WHERE id = 1", "key 1", "UPDATE keys SET rules = '{}'"),
        (
            "INSERT INTO budgets VALUES (1, 0, 'day', 5, 80, 'Nowhere/Land')",
            "budget of tenant 1",
            "DELETE FROM budgets",
        ),
    ] {
        stranger.execute(spoil, ()).unwrap();
        let refusals = [
            store.key_by_digest(key.digest()).await.err(),
            store.key(made.id).await.err(),
            store.keys(None, None, KeyId(0), 9).await.err(),
        ];
        for refusal in refusals {
            let Some(StoreError::Backend(said)) = &refusal else { panic!("{spoil}: {refusal:?}") };
            assert!(said.contains(named), "{spoil}: {said}");
        }
        if !named.contains("group") {
            store.key(bystander.id).await.unwrap();
        }
        stranger.execute(heal, ()).unwrap();
        assert_eq!(store.key(made.id).await.unwrap().as_ref(), Some(&made), "{heal}");
    }
    stranger.execute("UPDATE audit SET new = '{' WHERE id = 2", ()).unwrap();
    let refusal = store.audit(None, None, 9).await.unwrap_err();
    assert!(refusal.to_string().contains("line of the audit log 2"), "{refusal}");
}
