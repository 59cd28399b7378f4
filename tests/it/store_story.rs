//! One life of keys and a ledger, on every store. A bug found in one backend becomes a line of this story.

use std::sync::Arc;
use std::time::Duration;

use fal_relay::clock::Timestamp;
use fal_relay::ids::{AccountName, CallId, KeyId, RequestId, TenantId};
use fal_relay::key::{ApiKey, KeyKind};
use fal_relay::random::Random;
use fal_relay::store::{
    CallKind, CallRecord, CallState, KeyChange, KeyRecord, NewCall, NewKey, OwnedCall, Release, SentCall,
    Settlement, Store, StoreError,
};

use crate::store_sqlite::Sqlite;

/// A backend that the story can run on: empty at first, and opened again with all that was written.
pub(crate) trait Backend {
    fn open(&self) -> Result<Arc<dyn Store>, StoreError>;
}

#[tokio::test]
async fn the_story_on_sqlite() {
    story(&Sqlite::new()).await;
}

async fn story(backend: &dyn Backend) {
    let store = backend.open().unwrap();
    keys_live_and_end(&*store).await;
    revisions_tell_of_every_change(&*store).await;
    rows_move_only_forward(&*store).await;
    every_illegal_move_is_refused(&*store).await;
    tenants_own_apart(&*store).await;
    a_request_id_is_taken_once_per_account(&*store).await;
    what_a_stopped_process_left_is_unknown(&*store).await;
    the_ledger_is_read_in_pages(&*store).await;
    store.ping().await.unwrap();

    let before = everything(&*store).await;
    drop(store);
    let store = backend.open().unwrap();
    assert_eq!(everything(&*store).await, before, "opening again keeps everything");
}

async fn keys_live_and_end(store: &dyn Store) {
    let (key, made) = make_key(store, "alpha", 1).await;
    assert_eq!((made.tenant.as_ref(), made.name.as_str(), made.kind), ("alpha", "alpha 1", KeyKind::Live));
    assert_eq!((made.created_at, made.expires_at, made.revoked_at), (at(1), None, None));
    assert_eq!(made.last_four, key.last_four());
    assert_eq!(store.key_by_digest(key.digest()).await.unwrap(), Some(made.clone()));
    assert_eq!(store.key(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(store.key(KeyId(999)).await.unwrap(), None);
    assert_eq!(store.key_by_digest(new_key("alpha", 99).0.digest()).await.unwrap(), None);

    // A second key joins the tenant; another tenant stays apart.
    let (_, second) = make_key(store, "alpha", 2).await;
    let (_, other) = make_key(store, "beta", 3).await;
    assert_eq!(second.tenant_id, made.tenant_id);
    assert_ne!(other.tenant_id, made.tenant_id);
    let tenants = store.tenants().await.unwrap();
    assert_eq!(tenants.iter().map(|tenant| tenant.name.as_ref()).collect::<Vec<_>>(), ["alpha", "beta"]);
    assert_eq!(store.keys(Some("alpha".into())).await.unwrap(), [made.clone(), second.clone()]);
    assert_eq!(store.keys(Some("nobody".into())).await.unwrap(), []);
    assert_eq!(store.keys(None).await.unwrap().len(), 3);

    // The same digest twice is refused and leaves nothing behind.
    let (_, again) = new_key("gamma", 1);
    assert!(matches!(store.create_key(again).await, Err(StoreError::Backend(_))));
    assert_eq!(store.tenants().await.unwrap().len(), 2);

    // Name and end change together; what is not said stays.
    let change =
        KeyChange { name: Some("door".into()), expires_at: Some(Some(at(50))), ..Default::default() };
    let changed = store.change_key(made.id, change).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.expires_at), ("door", Some(at(50))));
    assert!(changed.is_active(at(49)) && !changed.is_active(at(50)));
    let lifted = KeyChange { expires_at: Some(None), ..Default::default() };
    let changed = store.change_key(made.id, lifted).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.expires_at), ("door", None));
    assert_eq!(store.change_key(KeyId(999), KeyChange::default()).await.unwrap(), None);

    a_key_is_replaced(store, made.id).await;

    // Revoking twice keeps the first moment; a revoked key is found but not active, and has no successor.
    let revoke = |moment| KeyChange { revoked_at: Some(moment), ..Default::default() };
    store.change_key(second.id, revoke(at(60))).await.unwrap();
    let revoked = store.change_key(second.id, revoke(at(61))).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(at(60)));
    assert!(!revoked.is_active(at(0)));
    let successor = new_key("alpha", 5).1;
    assert_eq!(store.replace_key(second.id, successor, at(70)).await.unwrap(), None);
}

async fn a_key_is_replaced(store: &dyn Store, old: KeyId) {
    let (key, successor) = new_key("alpha", 4);
    let made = store.replace_key(old, successor.clone(), at(80)).await.unwrap().unwrap();
    assert_eq!(store.key_by_digest(key.digest()).await.unwrap(), Some(made.clone()));
    assert_eq!(store.key(old).await.unwrap().unwrap().expires_at, Some(at(80)));
    // A successor that cannot be made leaves the old key as it was.
    assert!(store.replace_key(old, successor, at(70)).await.is_err());
    assert_eq!(store.key(old).await.unwrap().unwrap().expires_at, Some(at(80)));
    // A key that ends sooner anyway keeps its end.
    store.replace_key(old, new_key("alpha", 6).1, at(90)).await.unwrap().unwrap();
    assert_eq!(store.key(old).await.unwrap().unwrap().expires_at, Some(at(80)));
    assert_eq!(store.replace_key(KeyId(999), new_key("alpha", 7).1, at(90)).await.unwrap(), None);
}

async fn revisions_tell_of_every_change(store: &dyn Store) {
    let mut last = store.keys_revision().await.unwrap();
    let (_, made) = make_key(store, "revised", 10).await;
    for step in 0..4 {
        let now = store.keys_revision().await.unwrap();
        assert!(now > last, "step {step}");
        last = now;
        let change = match step {
            0 => KeyChange { name: Some("x".into()), ..Default::default() },
            1 => KeyChange { expires_at: Some(Some(at(5))), ..Default::default() },
            _ => KeyChange { revoked_at: Some(at(6)), ..Default::default() },
        };
        store.change_key(made.id, change).await.unwrap();
    }
    let last = store.keys_revision().await.unwrap();
    store.hold(call_of(&made)).await.unwrap();
    assert_eq!(store.keys_revision().await.unwrap(), last, "calls change no key");
}

async fn rows_move_only_forward(store: &dyn Store) {
    let (_, key) = make_key(store, "ledger", 20).await;
    let held = store.hold(call_of(&key)).await.unwrap();
    let row = store.call(held).await.unwrap().unwrap();
    assert_eq!((row.id, row.state, row.held_at), (held, CallState::Held, at(100)));
    assert_eq!((row.tenant.as_ref(), row.tenant_id, row.key_id), ("ledger", key.tenant_id, key.id));
    assert_eq!(
        (row.account.as_str(), row.endpoint.as_ref(), row.kind),
        ("main", "fal-ai/flux-1/dev", CallKind::Queue)
    );
    assert_eq!((row.request_id, row.status, row.sent_at), (None, None, None));

    store.sent(held, sent("job-1")).await.unwrap();
    let row = store.call(held).await.unwrap().unwrap();
    assert_eq!((row.state, row.sent_at, row.body_bytes), (CallState::Sent, Some(at(101)), Some(17)));
    assert_eq!(row.request_id, Some(request_id("job-1")));
    assert_eq!(row.app_base.as_deref(), Some("fal-ai/flux-1"));
    assert_eq!(row.body_sha256, Some("07".repeat(32)));

    assert!(store.settle(held, settlement(200, Some("1.5"))).await.unwrap());
    let row = store.call(held).await.unwrap().unwrap();
    assert_eq!((row.state, row.status, row.settled_at), (CallState::Settled, Some(200), Some(at(102))));
    assert_eq!(row.billable_units.as_deref(), Some("1.5"), "as fal wrote it");

    let released = store.hold(call_of(&key)).await.unwrap();
    assert!(store.release(released, release(Some(422))).await.unwrap());
    let row = store.call(released).await.unwrap().unwrap();
    assert_eq!((row.state, row.status, row.released_at), (CallState::Released, Some(422), Some(at(103))));

    // A lost call is settled by later truth, and what is not known stays unknown.
    let lost = store.hold(call_of(&key)).await.unwrap();
    assert!(store.lose(lost, at(104)).await.unwrap());
    let row = store.call(lost).await.unwrap().unwrap();
    assert_eq!((row.state, row.lost_at), (CallState::Unknown, Some(at(104))));
    assert!(store.settle(lost, settlement(200, None)).await.unwrap());
    let row = store.call(lost).await.unwrap().unwrap();
    assert_eq!((row.state, row.billable_units, row.lost_at), (CallState::Settled, None, Some(at(104))));

    // A direct run settles from held.
    let run = store.hold(NewCall { kind: CallKind::Run, ..call_of(&key) }).await.unwrap();
    assert!(store.settle(run, settlement(200, Some("3"))).await.unwrap());
}

/// Brings a new row into each state and tries every verb that must not move it.
async fn every_illegal_move_is_refused(store: &dyn Store) {
    let (_, key) = make_key(store, "stubborn", 30).await;
    for (number, state) in CallState::ALL.into_iter().enumerate() {
        let id = store.hold(call_of(&key)).await.unwrap();
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
            assert!(!store.release(id, release(Some(500))).await.unwrap(), "{state:?}");
        }
        if state.is_closed() {
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

async fn tenants_own_apart(store: &dyn Store) {
    let (_, mine) = make_key(store, "mine", 40).await;
    let (_, theirs) = make_key(store, "theirs", 41).await;
    let id = store.hold(call_of(&mine)).await.unwrap();
    store.sent(id, sent("mine-1")).await.unwrap();
    let owned = OwnedCall {
        id,
        account: AccountName::new("main"),
        endpoint: "fal-ai/flux-1/dev".into(),
        app_base: "fal-ai/flux-1".into(),
        closed: false,
    };
    let ask = |tenant, id| store.owned(tenant, request_id(id));
    assert_eq!(ask(mine.tenant_id, "mine-1").await.unwrap(), Some(owned.clone()));
    assert_eq!(ask(theirs.tenant_id, "mine-1").await.unwrap(), None);
    assert_eq!(ask(TenantId(999), "mine-1").await.unwrap(), None);
    assert_eq!(ask(mine.tenant_id, "MINE-1").await.unwrap(), None);
    assert_eq!(ask(mine.tenant_id, "mine-2").await.unwrap(), None);
    store.settle(id, settlement(200, None)).await.unwrap();
    assert_eq!(ask(mine.tenant_id, "mine-1").await.unwrap(), Some(OwnedCall { closed: true, ..owned }));

    // A key of one tenant cannot pay for another, nor can one that was never made.
    for (tenant_id, key_id) in [(theirs.tenant_id, mine.id), (mine.tenant_id, KeyId(999))] {
        let mixed = NewCall { tenant_id, key_id, ..call_of(&mine) };
        assert!(matches!(store.hold(mixed).await, Err(StoreError::Backend(_))));
    }
}

async fn a_request_id_is_taken_once_per_account(store: &dyn Store) {
    let (_, first) = make_key(store, "first", 50).await;
    let (_, second) = make_key(store, "second", 51).await;
    let one = store.hold(call_of(&first)).await.unwrap();
    let two = store.hold(call_of(&second)).await.unwrap();
    store.sent(one, sent("taken")).await.unwrap();
    let refused = store.sent(two, sent("taken")).await;
    assert!(matches!(refused, Err(StoreError::Taken(id)) if id == request_id("taken")));
    assert_eq!(store.call(two).await.unwrap().unwrap().state, CallState::Held);
    assert_eq!(store.owned(second.tenant_id, request_id("taken")).await.unwrap(), None);

    let elsewhere = NewCall { account: AccountName::new("spare"), ..call_of(&second) };
    let elsewhere = store.hold(elsewhere).await.unwrap();
    store.sent(elsewhere, sent("taken")).await.unwrap();
    let owned = store.owned(second.tenant_id, request_id("taken")).await.unwrap().unwrap();
    assert_eq!((owned.id, owned.account.as_str()), (elsewhere, "spare"));
}

async fn what_a_stopped_process_left_is_unknown(store: &dyn Store) {
    store.lose_abandoned(at(100_000)).await.unwrap();
    let (_, key) = make_key(store, "stopped", 60).await;
    let held_at = |held_at| NewCall { held_at, ..call_of(&key) };
    let old = store.hold(held_at(at(100_000))).await.unwrap();
    let young = store.hold(held_at(at(100_001))).await.unwrap();
    let gone = store.hold(held_at(at(100_000))).await.unwrap();
    store.sent(gone, sent("gone")).await.unwrap();
    assert_eq!(store.lose_abandoned(at(100_001)).await.unwrap(), 1);
    assert_eq!(store.lose_abandoned(at(100_001)).await.unwrap(), 0);
    let row = store.call(old).await.unwrap().unwrap();
    assert_eq!((row.state, row.lost_at), (CallState::Unknown, Some(at(100_001))));
    assert_eq!(store.call(young).await.unwrap().unwrap().state, CallState::Held);
    assert_eq!(store.call(gone).await.unwrap().unwrap().state, CallState::Sent);
}

async fn the_ledger_is_read_in_pages(store: &dyn Store) {
    let whole = store.calls(CallId(0), 1000).await.unwrap();
    assert!(whole.len() > 10 && whole.is_sorted_by(|one, two| one.id < two.id));
    let mut paged: Vec<CallRecord> = Vec::new();
    loop {
        let after = paged.last().map_or(CallId(0), |row| row.id);
        let page = store.calls(after, 4).await.unwrap();
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, whole);
    assert_eq!(store.calls(CallId(0), 0).await.unwrap(), []);
}

async fn everything(store: &dyn Store) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        store.tenants().await.unwrap(),
        store.keys(None).await.unwrap(),
        store.calls(CallId(0), 1000).await.unwrap(),
        store.keys_revision().await.unwrap(),
    )
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_secs(seconds))
}

/// Key number `seed`, and what the store is told of it.
fn new_key(tenant: &str, seed: u64) -> (ApiKey, NewKey) {
    let key = ApiKey::generate(KeyKind::Live, &Random::seeded(seed)).unwrap();
    let told = NewKey {
        tenant: tenant.into(),
        name: format!("{tenant} {seed}"),
        kind: KeyKind::Live,
        digest: key.digest(),
        last_four: key.last_four(),
        expires_at: None,
        created_at: at(seed),
    };
    (key, told)
}

pub(crate) async fn make_key(store: &dyn Store, tenant: &str, seed: u64) -> (ApiKey, KeyRecord) {
    let (key, told) = new_key(tenant, seed);
    let record = store.create_key(told).await.unwrap();
    (key, record)
}

pub(crate) fn call_of(key: &KeyRecord) -> NewCall {
    NewCall {
        tenant_id: key.tenant_id,
        key_id: key.id,
        account: AccountName::new("main"),
        endpoint: "fal-ai/flux-1/dev".into(),
        kind: CallKind::Queue,
        held_at: at(100),
    }
}

fn request_id(id: &str) -> RequestId {
    RequestId::parse(id).unwrap()
}

fn sent(id: &str) -> SentCall {
    SentCall {
        request_id: request_id(id),
        app_base: "fal-ai/flux-1".into(),
        body_sha256: Some([7; 32]),
        body_bytes: 17,
        sent_at: at(101),
    }
}

fn settlement(status: u16, units: Option<&str>) -> Settlement {
    Settlement { status, billable_units: units.map(Into::into), settled_at: at(102) }
}

fn release(status: Option<u16>) -> Release {
    Release { status, released_at: at(103) }
}
