//! The states of a row, tried with every verb in any order, as two processes on one store may bring about: whatever
//! happens, a row only moves forward, later truth is taken while the row is open, and nothing reopens a closed one.

use std::sync::Arc;
use std::time::Duration;

use fal_relay::clock::Timestamp;
use fal_relay::ids::{CallId, KeyId, RequestId};
use fal_relay::store::{CallState, Release, SentCall, Settlement, Store, StoreError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::store_sqlite::Sqlite;
use crate::store_story::{Backend, call_of, make_key};

#[derive(Clone, Copy, Debug)]
enum Verb {
    Sent,
    Settle,
    Release,
    Lose,
    /// A process starts beside the one that holds the row.
    Start,
}

/// Where a verb leads, or `None` when it must change nothing.
fn leads_to(from: CallState, verb: Verb) -> Option<CallState> {
    use CallState::{Held, Released, Sent, Settled, Unknown};
    match (verb, from) {
        (_, Settled | Released) => None,
        (Verb::Settle, _) => Some(Settled),
        (Verb::Sent, Held | Unknown) => Some(Sent),
        (Verb::Release, _) => Some(Released),
        (Verb::Lose | Verb::Start, Held) => Some(Unknown),
        _ => None,
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_secs(seconds))
}

/// Does it, and says whether the store says that the row moved.
async fn perform(store: &dyn Store, id: CallId, verb: Verb) -> bool {
    match verb {
        Verb::Sent => {
            let sent = SentCall {
                request_id: RequestId::parse(&format!("job-{id}")).unwrap(),
                app_base: "fal-ai/flux-1".into(),
                body_sha256: None,
                body_bytes: 2,
                sent_at: at(200),
            };
            match store.sent(id, sent).await {
                Ok(()) => true,
                Err(StoreError::State(refused)) => {
                    assert_eq!(refused, id);
                    false
                }
                Err(error) => panic!("{error}"),
            }
        }
        Verb::Settle => {
            let end =
                Settlement { status: 200, billable_units: Some("1".into()), cost: None, settled_at: at(300) };
            store.settle(id, end).await.unwrap()
        }
        Verb::Release => store
            .release(id, Release { status: None, reason: "refused", released_at: at(300) })
            .await
            .unwrap(),
        Verb::Lose => store.lose(id, at(300)).await.unwrap(),
        Verb::Start => store.lose_abandoned(at(1_000)).await.unwrap() > 0,
    }
}

async fn live(store: &dyn Store, verbs: &[Verb]) {
    let keys = store.keys(None, None, KeyId(0), 1).await.unwrap();
    let id = store.hold(call_of(&keys[0])).await.unwrap().id;
    let mut state = CallState::Held;
    for (step, verb) in verbs.iter().enumerate() {
        let said = perform(store, id, *verb).await;
        let expected = leads_to(state, *verb);
        // To say again that fal took a call is well, and moves nothing.
        let again = matches!((*verb, state), (Verb::Sent, CallState::Sent));
        assert_eq!(said, expected.is_some() || again, "step {step} of {verbs:?}, from {state:?}");
        state = expected.unwrap_or(state);
        let row = store.call(id).await.unwrap().unwrap();
        assert_eq!(row.state, state, "step {step} of {verbs:?}");
        assert!(
            row.state != CallState::Settled || row.billable_units.is_some(),
            "units were lost: {verbs:?}"
        );
    }
    // Nothing is left in `held`, so that the next life's start finds only its own row.
    store.lose_abandoned(at(1_000)).await.unwrap();
}

#[test]
fn rows_move_only_forward_in_any_order_of_verbs() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let backend = Sqlite::new();
    let store: Arc<dyn Store> = backend.open().unwrap();
    runtime.block_on(make_key(&*store, "any", 1));
    let verb = prop_oneof![
        Just(Verb::Sent),
        Just(Verb::Settle),
        Just(Verb::Release),
        Just(Verb::Lose),
        Just(Verb::Start),
    ];
    let lives = prop::collection::vec(verb, 1..8);
    let mut runner = TestRunner::new(Config { cases: 128, failure_persistence: None, ..Config::default() });
    runner
        .run(&lives, |verbs| {
            runtime.block_on(live(&*store, &verbs));
            Ok(())
        })
        .unwrap();
}
