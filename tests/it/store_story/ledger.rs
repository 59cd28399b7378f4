//! The journey of a call.

use fal_relay::ids::{AccountName, CallId, KeyId, LeaseId, TenantId};
use fal_relay::money::{Multiplier, UnitPrice};
use fal_relay::pricing::Basis;
use fal_relay::store::{
    CallFilter, CallKind, CallRecord, CallState, NewAdjustment, NewCall, OwnedCall, SentCall, Store,
    StoreError, Terms,
};

use super::{all_calls, at, author, call_of, held, make_key, release, request_id, sent, settlement, usd};

pub(super) async fn rows_move_only_forward(store: &dyn Store) {
    let (_, key) = make_key(store, "ledger", 20).await;
    let first = held(store, call_of(&key)).await;
    let row = store.call(first).await.unwrap().unwrap();
    assert_eq!((row.id, row.state, row.held_at), (first, CallState::Held, at(100)));
    assert_eq!((row.tenant.as_ref(), row.tenant_id, row.key_id), ("ledger", key.tenant.id, key.id));
    assert_eq!(
        (row.account.as_str(), row.endpoint.as_ref(), row.kind),
        ("main", "fal-ai/flux-1/dev", CallKind::Queue)
    );
    assert_eq!((row.request_id, row.status, row.sent_at), (None, None, None));

    store.sent(first, sent("job-1")).await.unwrap();
    let row = store.call(first).await.unwrap().unwrap();
    assert_eq!((row.state, row.sent_at, row.body_bytes), (CallState::Sent, Some(at(101)), Some(17)));
    assert_eq!(row.request_id, Some(request_id("job-1")));
    assert_eq!(row.app_base.as_deref(), Some("fal-ai/flux-1"));
    assert_eq!(row.body_sha256, Some("07".repeat(32)));
    store.sent(first, SentCall { sent_at: at(999), ..sent("job-1") }).await.unwrap();
    assert_eq!(store.call(first).await.unwrap(), Some(row), "saying it again changes nothing");

    assert!(store.settle(first, settlement(200, Some("1.5"))).await.unwrap());
    let row = store.call(first).await.unwrap().unwrap();
    assert_eq!((row.state, row.status, row.settled_at), (CallState::Settled, Some(200), Some(at(102))));
    assert_eq!(row.billable_units.as_deref(), Some("1.5"), "as fal wrote it");

    let released = held(store, call_of(&key)).await;
    assert!(store.release(released, release(Some(422))).await.unwrap());
    let row = store.call(released).await.unwrap().unwrap();
    assert_eq!((row.state, row.status, row.released_at), (CallState::Released, Some(422), Some(at(103))));
    assert_eq!((row.reason.as_deref(), row.cost_usd, row.hold_open), (Some("refused"), None, false));

    // A job that was cancelled before it began is released, too.
    let cancelled = held(store, call_of(&key)).await;
    store.sent(cancelled, sent("job-2")).await.unwrap();
    assert!(store.release(cancelled, release(Some(200))).await.unwrap());
    assert_eq!(store.call(cancelled).await.unwrap().unwrap().state, CallState::Released);

    // A lost call is settled by later truth, and what is not known stays unknown.
    let lost = held(store, call_of(&key)).await;
    assert!(store.lose(lost, at(104)).await.unwrap());
    let row = store.call(lost).await.unwrap().unwrap();
    assert_eq!((row.state, row.lost_at), (CallState::Unknown, Some(at(104))));
    assert!(store.settle(lost, settlement(200, None)).await.unwrap());
    let row = store.call(lost).await.unwrap().unwrap();
    assert_eq!((row.state, row.billable_units, row.lost_at), (CallState::Settled, None, Some(at(104))));

    // A direct run settles from held.
    let run = held(store, NewCall { kind: CallKind::Run, ..call_of(&key) }).await;
    assert!(store.settle(run, settlement(200, Some("3"))).await.unwrap());
}

/// Brings a new row into each state and tries every verb that must not move it.
pub(super) async fn every_illegal_move_is_refused(store: &dyn Store) {
    let (_, key) = make_key(store, "stubborn", 30).await;
    for (number, state) in CallState::ALL.into_iter().enumerate() {
        let id = held(store, call_of(&key)).await;
        match state {
            CallState::Held => continue,
            CallState::Sent => store.sent(id, sent("stubborn-sent")).await.unwrap(),
            CallState::Settled => assert!(store.settle(id, settlement(200, None)).await.unwrap()),
            CallState::Released => assert!(store.release(id, release(None)).await.unwrap()),
            CallState::Unknown => assert!(store.lose(id, at(9)).await.unwrap()),
        }
        let before = store.call(id).await.unwrap();
        assert!(!store.lose(id, at(10)).await.unwrap(), "{state:?}");
        if state != CallState::Unknown {
            let again = store.sent(id, sent(&format!("again-{number}"))).await;
            assert!(matches!(again, Err(StoreError::State(refused)) if refused == id), "{state:?}");
        }
        if state.is_closed() {
            assert!(!store.release(id, release(Some(500))).await.unwrap(), "{state:?}");
            assert!(!store.settle(id, settlement(500, Some("9"))).await.unwrap(), "{state:?}");
        }
        assert_eq!(store.call(id).await.unwrap(), before, "{state:?}");
    }

    let nobody = CallId(999_999);
    assert_eq!(store.call(nobody).await.unwrap(), None);
    assert!(matches!(store.sent(nobody, sent("nobody")).await, Err(StoreError::State(_))));
    assert!(matches!(store.settle(nobody, settlement(200, None)).await, Err(StoreError::State(_))));
    assert!(matches!(store.release(nobody, release(None)).await, Err(StoreError::State(_))));
    assert!(matches!(store.lose(nobody, at(1)).await, Err(StoreError::State(_))));
}

pub(super) async fn tenants_own_apart(store: &dyn Store) {
    let (_, mine) = make_key(store, "mine", 40).await;
    let (_, theirs) = make_key(store, "theirs", 41).await;
    let id = held(store, call_of(&mine)).await;
    store.sent(id, sent("mine-1")).await.unwrap();
    let owned = OwnedCall {
        id,
        account: AccountName::new("main"),
        endpoint: "fal-ai/flux-1/dev".into(),
        app_base: "fal-ai/flux-1".into(),
        closed: false,
        lease: LeaseId(1),
        terms: call_of(&mine).terms,
        charge: None,
        webhook: false,
    };
    let ask = |tenant, id| store.owned(tenant, request_id(id));
    assert_eq!(ask(mine.tenant.id, "mine-1").await.unwrap(), Some(owned.clone()));
    assert_eq!(ask(theirs.tenant.id, "mine-1").await.unwrap(), None);
    assert_eq!(ask(TenantId(999), "mine-1").await.unwrap(), None);
    assert_eq!(ask(mine.tenant.id, "MINE-1").await.unwrap(), None);
    assert_eq!(ask(mine.tenant.id, "mine-2").await.unwrap(), None);
    store.settle(id, settlement(200, None)).await.unwrap();
    let owned = OwnedCall { closed: true, ..owned };
    assert_eq!(ask(mine.tenant.id, "mine-1").await.unwrap(), Some(owned.clone()));

    // What it costs is told once it is known, corrected or not.
    let truth = NewAdjustment { call_id: id, cost: usd("0.3"), charge: usd("0.6") };
    store.adjust(truth, author(200)).await.unwrap().unwrap();
    let charge = Some((usd("0.6"), Basis::Billed));
    assert_eq!(ask(mine.tenant.id, "mine-1").await.unwrap(), Some(OwnedCall { charge, ..owned }));

    // A key of one tenant cannot pay for another, nor can one that was never made.
    for (tenant_id, key_id) in [(theirs.tenant.id, mine.id), (mine.tenant.id, KeyId(999))] {
        let mixed = NewCall { tenant_id, key_id, ..call_of(&mine) };
        assert!(matches!(store.hold(mixed).await, Err(StoreError::Backend(_))));
    }
}

pub(super) async fn a_request_id_is_taken_once_per_account(store: &dyn Store) {
    let (_, first) = make_key(store, "first", 50).await;
    let (_, second) = make_key(store, "second", 51).await;
    let one = held(store, call_of(&first)).await;
    let two = held(store, call_of(&second)).await;
    store.sent(one, sent("taken")).await.unwrap();
    let refused = store.sent(two, sent("taken")).await;
    assert!(matches!(refused, Err(StoreError::Taken(id)) if id == request_id("taken")));
    assert_eq!(store.call(two).await.unwrap().unwrap().state, CallState::Held);
    assert_eq!(store.owned(second.tenant.id, request_id("taken")).await.unwrap(), None);

    let elsewhere = NewCall { account: AccountName::new("spare"), ..call_of(&second) };
    let elsewhere = held(store, elsewhere).await;
    store.sent(elsewhere, sent("taken")).await.unwrap();
    let owned = store.owned(second.tenant.id, request_id("taken")).await.unwrap().unwrap();
    assert_eq!((owned.id, owned.account.as_str()), (elsewhere, "spare"));
}

pub(super) async fn what_a_stopped_process_left_is_unknown(store: &dyn Store) {
    store.lose_abandoned(at(100_000)).await.unwrap();
    let (_, key) = make_key(store, "stopped", 60).await;
    let held_at = |held_at| NewCall { held_at, ..call_of(&key) };
    let old = held(store, held_at(at(100_000))).await;
    let young = held(store, held_at(at(100_001))).await;
    let gone = held(store, held_at(at(100_000))).await;
    store.sent(gone, sent("gone")).await.unwrap();
    assert_eq!(store.lose_abandoned(at(100_001)).await.unwrap(), 1);
    assert_eq!(store.lose_abandoned(at(100_001)).await.unwrap(), 0);
    let row = store.call(old).await.unwrap().unwrap();
    assert_eq!((row.state, row.lost_at), (CallState::Unknown, Some(at(100_001))));
    assert_eq!(store.call(young).await.unwrap().unwrap().state, CallState::Held);
    assert_eq!(store.call(gone).await.unwrap().unwrap().state, CallState::Sent);
}

pub(super) async fn the_ledger_is_read_in_pages(store: &dyn Store) {
    let whole = all_calls(store).await;
    assert!(whole.len() > 10 && whole.is_sorted_by(|one, two| one.id < two.id));
    let mut paged: Vec<CallRecord> = Vec::new();
    loop {
        let after = paged.last().map_or(CallId(0), |row| row.id);
        let page = store.calls(CallFilter::default(), after, 4).await.unwrap();
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, whole);
    assert_eq!(store.calls(CallFilter::default(), CallId(0), 0).await.unwrap(), []);
}

/// The watch and the sweep go on from where they were.
pub(super) async fn open_calls_are_followed(store: &dyn Store) {
    store.lose_abandoned(at(200_000)).await.unwrap();
    let last = all_calls(store).await.last().unwrap().id;
    let (_, key) = make_key(store, "followed", 70).await;
    let terms = Terms {
        unit_price: Some(UnitPrice::parse("0.025").unwrap()),
        unit: Some("image".into()),
        multiplier: Multiplier::parse("1.2").unwrap(),
        price_version: Some(3),
    };
    let call = NewCall { terms: terms.clone(), hold: usd("0.03"), tags: Some("a=1".into()), ..call_of(&key) };
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(held(store, call.clone()).await);
    }
    store.sent(ids[1], sent("followed-1")).await.unwrap();
    store.lose(ids[2], at(104)).await.unwrap();
    store.release(ids[3], release(None)).await.unwrap();
    let open = store.open_calls(last, 10).await.unwrap();
    assert_eq!(open.iter().map(|call| call.id).collect::<Vec<_>>(), ids[..3]);
    assert_eq!(store.open_calls(ids[0], 1).await.unwrap(), open[1..2]);
    let sent = &open[1];
    assert_eq!((sent.state, &sent.terms, sent.sent_at), (CallState::Sent, &terms, Some(at(101))));
    assert_eq!((sent.request_id.as_ref(), sent.lease), (Some(&request_id("followed-1")), LeaseId(1)));
    assert_eq!((sent.tenant_id, sent.key_id, sent.group_id), (key.tenant.id, key.id, key.group.id));

    // What is closed and has no cost is followed elsewhere, until its cost is known.
    for id in &ids[..3] {
        store.settle(*id, settlement(200, None)).await.unwrap();
    }
    assert_eq!(store.open_calls(last, 10).await.unwrap(), []);
    let unpriced = store.unpriced_calls(last, 10).await.unwrap();
    assert_eq!(unpriced.iter().map(|call| call.id).collect::<Vec<_>>(), ids[..3]);
    assert_eq!(store.unpriced_calls(ids[0], 1).await.unwrap(), unpriced[1..2]);
    let row = store.call(ids[1]).await.unwrap().unwrap();
    assert_eq!((row.hold_usd, row.hold_open, row.cost_usd), (usd("0.03"), true, None));
    assert_eq!((row.tags.as_deref(), &row.terms, row.hold_basis.as_str()), (Some("a=1"), &terms, "test"));
    for id in &ids[..3] {
        let truth = NewAdjustment { call_id: *id, cost: usd("0.025"), charge: usd("0.03") };
        store.adjust(truth, author(200)).await.unwrap().unwrap();
    }
    assert_eq!(store.unpriced_calls(last, 10).await.unwrap(), []);
}
