//! Secrets that the installation made for itself.

use fal_relay::clock::Timestamp;
use fal_relay::secret::Seed;
use fal_relay::store::Store;
use futures_util::future::join_all;

use super::{at, author};

const NAME: &str = "webhook_key";

/// Each secret by its first byte, with when it begins and ends; none is made that is looked at here.
pub(super) async fn kept(store: &dyn Store, now: Timestamp) -> Vec<(u8, Timestamp, Option<Timestamp>)> {
    let found = store.secrets(NAME, Seed::new([99; 32]), now).await.unwrap();
    found.iter().map(|secret| (secret.value.expose()[0], secret.begins_at, secret.ends_at)).collect()
}

pub(super) async fn secrets_are_drawn_once_and_replaced(store: &dyn Store) {
    let ask = async |seed: u8| {
        let found = store.secrets(NAME, Seed::new([seed; 32]), at(1)).await.unwrap();
        found.iter().map(|secret| secret.value.expose()[0]).collect::<Vec<_>>()
    };
    let all = join_all([1, 2, 3].map(ask)).await;
    assert!(all[0].len() == 1 && all.iter().all(|found| *found == all[0]), "all have the same one: {all:?}");
    let first = all[0][0];
    let other = store.secrets("other", Seed::new([9; 32]), at(1)).await.unwrap();
    assert_eq!(other[0].value.expose()[0], 9, "each name has its own");

    let before = store.keys_revision().await.unwrap();
    store.replace_secret(NAME, Seed::new([7; 32]), at(20), at(40), author(10)).await.unwrap();
    assert!(store.keys_revision().await.unwrap() > before, "others are told");
    assert_eq!(kept(store, at(10)).await, [(7, at(20), None), (first, at(1), Some(at(40)))]);
    assert_eq!(kept(store, at(40)).await, [(7, at(20), None)], "the old one has ended");
    store.replace_secret(NAME, Seed::new([8; 32]), at(45), at(60), author(12)).await.unwrap();
    assert_eq!(kept(store, at(12)).await[1..], [(7, at(20), Some(at(60))), (first, at(1), Some(at(40)))]);

    let line = store.audit(Some("secret:webhook_key".into()), None, 1).await.unwrap().remove(0);
    assert_eq!((line.action.as_str(), line.author.as_str()), ("secret.replace", "ada"));
    assert!(!format!("{line:?}").contains("value"), "{line:?}");
}
