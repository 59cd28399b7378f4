//! Client tokens: made, found with their keys, swept, ended.

use fal_relay::ids::{KeyId, TokenId};
use fal_relay::key::KeyDigest;
use fal_relay::store::{NewToken, RevokedTokens};

use super::*;

/// A token that is made at `made` and works for `life`.
fn token(key: &KeyRecord, number: u8, made: i64, life: i64) -> NewToken {
    NewToken {
        key_id: key.id,
        digest: KeyDigest([number; 32]),
        rules: Rules::default(),
        limit: None,
        created_at: at(made),
        expires_at: at(made + life),
        live_max: 3,
    }
}

pub(super) async fn tokens_are_short_lived_children_of_keys(store: &dyn Store) {
    let key = make_key(store, "of tokens", 900).await;
    let before = store.keys_revision().await.unwrap();
    let id = store.create_token(token(&key, 1, 100, 60)).await.unwrap().unwrap();
    let made = store.token_by_digest(KeyDigest([1; 32])).await.unwrap().unwrap();
    assert_eq!((made.id, made.key.id, made.expires_at), (id, key.id, at(160)));
    assert!(made.is_active(at(159)) && !made.is_active(at(160)));
    assert_eq!(store.token_by_digest(KeyDigest([9; 32])).await.unwrap(), None);
    assert_eq!(store.keys_revision().await.unwrap(), before, "a new token is nobody else's matter");

    assert_eq!(store.live_tokens(key.id, at(159)).await.unwrap(), 1);
    assert_eq!(store.live_tokens(key.id, at(160)).await.unwrap(), 0);
    assert_eq!(store.live_tokens(KeyId(key.id.0 + 1), at(159)).await.unwrap(), 0);
    assert_eq!(store.revoke_tokens(key.id, author(120)).await.unwrap(), 1);
    told_of(store, "key.revoke_tokens", format!("key:{}", key.id), (true, true)).await;
    assert!(store.keys_revision().await.unwrap() > before);
    let ended = store.token_by_digest(KeyDigest([1; 32])).await.unwrap().unwrap();
    assert_eq!((ended.revoked_at, ended.is_active(at(121))), (Some(at(120)), false));
    let revoked = store.revoked_tokens(key.id).await.unwrap();
    assert_eq!((revoked.made_until, &revoked.ids[..]), (Some(at(120)), &[id][..]));
    assert!(revoked.contain(TokenId(id.0 + 1), at(120)) && !revoked.contain(TokenId(id.0 + 1), at(121)));
    assert_eq!(store.revoke_tokens(key.id, author(121)).await.unwrap(), 0, "they end once");
    let revoked = store.revoked_tokens(key.id).await.unwrap();
    assert_eq!(revoked.made_until, Some(at(121)), "and what they have opened with them, again");
    assert_eq!(store.revoked_tokens(KeyId(key.id.0 + 1)).await.unwrap(), RevokedTokens::default());

    // A key takes its tokens along.
    store.create_token(token(&key, 2, 130, 60)).await.unwrap().unwrap();
    store.delete_key(key.id, author(131)).await.unwrap();
    assert_eq!(store.token_by_digest(KeyDigest([2; 32])).await.unwrap(), None);
}

pub(super) async fn a_key_has_no_more_tokens_than_it_may(store: &dyn Store) {
    let key = make_key(store, "of many tokens", 901).await;
    for number in 10..13 {
        assert!(store.create_token(token(&key, number, 200, 60)).await.unwrap().is_some());
    }
    assert_eq!(store.create_token(token(&key, 13, 259, 60)).await.unwrap(), None);
    assert_eq!(store.token_by_digest(KeyDigest([13; 32])).await.unwrap(), None, "nothing is made");
    assert!(store.create_token(token(&key, 13, 260, 60)).await.unwrap().is_some(), "the first have ended");
    assert_eq!(store.token_by_digest(KeyDigest([10; 32])).await.unwrap(), None, "and were swept");
}

/// Those who answer browsers must know whether any page may call.
pub(super) async fn origins_are_known_to_be_listed(store: &dyn Store) {
    let rules =
        || serde_json::from_value::<Rules>(serde_json::json!({"origins": ["https://a.example"]})).unwrap();
    let key = make_key(store, "of origins", 902).await;
    assert!(!store.lists_origins().await.unwrap());
    for rules in [rules(), Rules::default()] {
        let lists = !rules.origins.is_empty();
        let change = KeyChange { rules: Some(rules), ..KeyChange::default() };
        store.change_key(key.id, change, author(300)).await.unwrap();
        assert_eq!(store.lists_origins().await.unwrap(), lists);
    }
    let before = store.keys_revision().await.unwrap();
    for number in [20, 21] {
        let of_page = NewToken { rules: rules(), ..token(&key, number, 300, 60) };
        store.create_token(of_page).await.unwrap().unwrap();
        assert!(store.lists_origins().await.unwrap());
        assert_eq!(store.keys_revision().await.unwrap(), before + 1, "the first one is told, and no other");
    }
}
