//! What must hold when many come at once, and after the process is gone.

use std::sync::Arc;

use fal_relay::period::Period;
use fal_relay::store::{CallFilter, CallState, NewCall, Store, StoreError};
use futures_util::future::join_all;

use super::money::{NANOS, NOW};
use super::{
    all_calls, budget, call_at, call_of, held, make_key, meter, of_key, of_tenant, paid, release, set,
    settlement, usd,
};
use crate::store_sqlite::Sqlite;
use crate::store_story::Backend;

#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_a_row_closes_once_whoever_comes_first_on_sqlite() {
    let backend = Sqlite::new();
    closes_once(backend.open().unwrap()).await;
}

async fn closes_once(store: Arc<dyn Store>) {
    let (_, key) = make_key(&*store, "raced", 400).await;
    for _ in 0..20 {
        let before = meter(&*store, of_tenant(&key), Period::Total, 100).await.unwrap();
        let id = held(&*store, NewCall { hold: usd("9"), ..call_of(&key) }).await;
        let ends = (0..30).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                match number % 3 {
                    0 => store.settle(id, paid("1", "2")).await.unwrap(),
                    1 => store.release(id, release(None)).await.unwrap(),
                    _ => store.settle(id, paid("3", "4")).await.unwrap(),
                }
            })
        });
        let said: Vec<_> = join_all(ends).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(said.iter().filter(|moved| **moved).count(), 1, "{said:?}");
        let charged = [2, 0, 4][said.iter().position(|moved| *moved).unwrap() % 3] * NANOS;
        let after = meter(&*store, of_tenant(&key), Period::Total, 100).await.unwrap();
        assert_eq!((after.0 - before.0, after.1), (charged, 0));
    }
}

#[tokio::test]
async fn invariant_8_a_cost_that_is_not_known_is_null_and_keeps_its_hold_on_sqlite() {
    let backend = Sqlite::new();
    let store = backend.open().unwrap();
    let (_, key) = make_key(&*store, "unknown", 410).await;
    set(&*store, of_key(&key), budget(Period::Total, "3"), NOW).await;
    for lost in [false, true] {
        let id = held(&*store, call_at(&*store, &key, "1", NOW).await).await;
        if lost {
            store.lose(id, super::at(NOW)).await.unwrap();
        }
        store.settle(id, settlement(200, Some("NaN"))).await.unwrap();
        let row = store.call(id).await.unwrap().unwrap();
        assert_eq!((row.state, row.cost_usd, row.charge_usd), (CallState::Settled, None, None));
        assert_eq!((row.cost_basis, row.hold_open), (None, true));
    }
    assert_eq!(meter(&*store, of_key(&key), Period::Total, NOW).await, Some((0, 2 * NANOS)));
    let more = store.hold(call_at(&*store, &key, "2", NOW).await).await;
    assert!(matches!(more, Err(StoreError::OverBudget(_))), "what is not known is not free: {more:?}");
    let unpriced = CallFilter { unpriced: true, ..CallFilter::default() };
    assert_eq!(store.search(unpriced, None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn invariant_9_holds_and_charges_outlive_the_process_on_sqlite() {
    let backend = Sqlite::new();
    let store = backend.open().unwrap();
    let (_, key) = make_key(&*store, "kept", 420).await;
    set(&*store, of_key(&key), budget(Period::Day, "5"), NOW).await;
    let charged = held(&*store, call_at(&*store, &key, "2", NOW).await).await;
    store.settle(charged, paid("1", "1")).await.unwrap();
    held(&*store, call_at(&*store, &key, "3", NOW).await).await;
    let before = all_calls(&*store).await;
    drop(store);
    let store = backend.open().unwrap();
    assert_eq!(all_calls(&*store).await, before);
    assert_eq!(meter(&*store, of_key(&key), Period::Day, NOW).await, Some((NANOS, 3 * NANOS)));
    let refused = store.hold(call_at(&*store, &key, "1.01", NOW).await).await;
    assert!(matches!(refused, Err(StoreError::OverBudget(spent)) if spent.left == usd("1")));
}

/// Every one of two hundred asks at once, and there is money for seven.
async fn seven_pass(store: Arc<dyn Store>) {
    let (_, key) = make_key(&*store, "crowd", 430).await;
    set(&*store, of_tenant(&key), budget(Period::Month, "7.99"), NOW).await;
    let call = call_at(&*store, &key, "1", NOW).await;
    let holds = (0..200).map(|_| {
        let (store, call) = (store.clone(), call.clone());
        tokio::spawn(async move { store.hold(call).await })
    });
    let outcomes: Vec<_> = join_all(holds).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 7);
    let over =
        |outcome: &&_| matches!(outcome, Err(StoreError::OverBudget(spent)) if spent.left == usd("0.99"));
    assert_eq!(outcomes.iter().filter(over).count(), 193, "{outcomes:?}");
    assert_eq!(meter(&*store, of_tenant(&key), Period::Month, NOW).await, Some((0, 7 * NANOS)));
    assert_eq!(all_calls(&*store).await.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_of_two_hundred_holds_at_once_exactly_seven_pass_on_sqlite() {
    let backend = Sqlite::new();
    seven_pass(backend.open().unwrap()).await;
}
