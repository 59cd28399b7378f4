//! The ceiling of a client token: one more owner of a call's money, as long as the token lives.

use fal_relay::ids::TokenId;
use fal_relay::key::KeyDigest;
use fal_relay::money::Usd;
use fal_relay::period::Period;
use fal_relay::rules::Rules;
use fal_relay::store::{KeyRecord, NewAdjustment, NewCall, NewToken, Spent, Store, StoreError};

use super::money::NOW;
use super::{all_calls, at, author, call_of, held, make_key, of_key, paid, release, usd};

async fn token(store: &dyn Store, key: &KeyRecord, number: u8, limit: &str) -> TokenId {
    let token = NewToken {
        key_id: key.id,
        digest: KeyDigest([number; 32]),
        rules: Rules::default(),
        limit: Some(usd(limit)),
        created_at: at(NOW),
        expires_at: at(NOW + 60),
        live_max: 10,
    };
    store.create_token(token).await.unwrap().unwrap()
}

fn call(key: &KeyRecord, token: TokenId, hold: &str, now: u64) -> NewCall {
    NewCall { token_id: Some(token), hold: usd(hold), held_at: at(now), ..call_of(key) }
}

/// What the ceiling has left, when a call asks for more than that.
async fn left(store: &dyn Store, key: &KeyRecord, token: TokenId) -> Usd {
    let before = all_calls(store).await.len();
    let refused = store.hold(call(key, token, "1000", NOW)).await;
    assert_eq!(all_calls(store).await.len(), before, "nothing is written");
    match refused {
        Err(StoreError::OverBudget(spent)) => {
            let Spent { payer, token_id, period, resets_at, left, .. } = *spent;
            assert_eq!((payer, token_id), (of_key(key), Some(token)));
            assert_eq!((period, resets_at), (Period::Total, None));
            left
        }
        other => panic!("{other:?}"),
    }
}

pub(super) async fn a_token_has_a_ceiling_of_its_own(store: &dyn Store) {
    let (_, key) = make_key(store, "of ceilings", 290).await;
    let (one, other) = (token(store, &key, 101, "10").await, token(store, &key, 102, "10").await);
    let first = held(store, call(&key, one, "4", NOW)).await;
    let second = held(store, call(&key, one, "6", NOW)).await;
    assert_eq!(left(store, &key, one).await, Usd::ZERO);
    assert_eq!(left(store, &key, other).await, usd("10"), "each has its own");

    assert!(store.settle(first, paid("1", "1.5")).await.unwrap());
    assert!(!store.settle(first, paid("9", "9")).await.unwrap());
    assert_eq!(left(store, &key, one).await, usd("2.5"));
    assert!(store.release(second, release(None)).await.unwrap());
    assert_eq!(left(store, &key, one).await, usd("8.5"));
    let more = NewAdjustment { call_id: first, cost: usd("2"), charge: usd("3.5") };
    store.adjust(more, author(NOW)).await.unwrap().unwrap();
    assert_eq!(left(store, &key, one).await, usd("6.5"), "what is learned later counts, too");
}

pub(super) async fn an_ended_token_holds_nothing(store: &dyn Store) {
    let (_, key) = make_key(store, "of ended tokens", 291).await;
    let (short, revoked) = (token(store, &key, 103, "10").await, token(store, &key, 104, "10").await);
    let open = held(store, call(&key, short, "4", NOW + 59)).await;
    let before = all_calls(store).await.len();
    let late = store.hold(call(&key, short, "1", NOW + 60)).await;
    assert!(matches!(late, Err(StoreError::TokenEnded)), "{late:?}");
    store.revoke_tokens(key.id, author(NOW)).await.unwrap();
    let ended = store.hold(call(&key, revoked, "1", NOW)).await;
    assert!(matches!(ended, Err(StoreError::TokenEnded)), "{ended:?}");
    assert_eq!(all_calls(store).await.len(), before, "nothing is written");
    // A call that had begun goes to its end, though its token is gone.
    assert!(store.settle(open, paid("1", "1")).await.unwrap());
}
