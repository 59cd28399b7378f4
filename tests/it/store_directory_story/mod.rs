//! One life of tenants, groups, keys, operators and budgets, on every store. A bug found in one backend becomes a line of
//! this story.

mod budgets;
mod import;
mod keys;
mod reading;
mod sqlite;
mod tokens;

use std::future::Future;

use fal_relay::clock::Timestamp;
use fal_relay::ids::{AccountName, GroupId, KeyId, OperatorId, TenantId};
use fal_relay::key::{ApiKey, KeyKind};
use fal_relay::money::{Multiplier, Usd};
use fal_relay::random::Random;
use fal_relay::rules::Rules;
use fal_relay::store::{
    AuditRecord, Author, CallKind, Deletion, GroupChange, GroupRecord, ImportedKey, KeyChange, KeyRecord,
    NewCall, NewGroup, NewKey, NewOperator, NewTenant, Role, Store, StoreError, TenantChange, TenantRecord,
    TenantStatus, Terms,
};
use futures_util::future::join_all;

use crate::store_sqlite::Sqlite;
use crate::store_story::Backend;

#[tokio::test]
async fn the_story_of_the_directory_on_sqlite() {
    story(&Sqlite::new()).await;
}

#[tokio::test]
async fn two_processes_see_each_others_changes_on_sqlite() {
    two_processes(&Sqlite::new()).await;
}

async fn story(backend: &dyn Backend) {
    let store = backend.open().unwrap();
    tenants_live_and_end(&*store).await;
    groups_live_and_end(&*store).await;
    keys::keys_live_and_end(&*store).await;
    keys::a_key_is_replaced(&*store).await;
    keys::what_has_open_calls_stays(&*store).await;
    keys::a_tenant_takes_its_keys_along(&*store).await;
    import::an_import_is_all_or_nothing(&*store).await;
    operators_come_and_go(&*store).await;
    budgets::budgets_cap_their_payers(&*store).await;
    budgets::a_zone_decides_which_window_is_capped(&*store).await;
    budgets::a_key_has_budgets_from_the_start(&*store).await;
    budgets::bad_budgets_are_refused(&*store).await;
    budgets::a_clock_that_was_set_back_leaves_no_old_cap(&*store).await;
    tokens::tokens_are_short_lived_children_of_keys(&*store).await;
    tokens::a_key_has_no_more_tokens_than_it_may(&*store).await;
    tokens::origins_are_known_to_be_listed(&*store).await;
    reading::any_text_is_only_text(&*store).await;
    reading::lists_are_read_in_pages(&*store).await;
    reading::the_audit_log_tells_all_and_no_secrets(&*store).await;

    let before = everything(&*store).await;
    drop(store);
    let store = backend.open().unwrap();
    assert_eq!(everything(&*store).await, before, "opening again keeps everything");
}

async fn tenants_live_and_end(store: &dyn Store) {
    let told = NewTenant {
        alert_url: Some("https://example.com/hook".into()),
        tags: vec!["art".into(), "paid".into()],
        rules: narrow(),
        ..tenant("alpha")
    };
    let made = store.create_tenant(told, author(1)).await.unwrap();
    assert_eq!((made.name.as_ref(), made.status, made.created_at), ("alpha", TenantStatus::Active, at(1)));
    assert_eq!(made.alert_url.as_deref(), Some("https://example.com/hook"));
    assert_eq!((&made.tags[..], &made.rules), (&["art".to_owned(), "paid".into()][..], &narrow()));
    assert_eq!(store.tenant(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(store.tenant_named("alpha".into()).await.unwrap(), Some(made.clone()));
    assert_eq!(store.tenant_named("Alpha".into()).await.unwrap(), None);
    assert_eq!(store.tenant(TenantId(999)).await.unwrap(), None);
    told_of(store, "tenant.create", format!("tenant:{}", made.id), (false, true)).await;

    let again = silent(store, store.create_tenant(tenant("alpha"), author(2))).await;
    assert!(matches!(again, Err(StoreError::NameTaken(name)) if name == "alpha"));
    let other = store.create_tenant(tenant("beta"), author(3)).await.unwrap();

    // What is not said stays; what is said already is no change.
    let change = |change| store.change_tenant(made.id, change, author(4));
    let renamed = TenantChange { name: Some("alpha one".into()), ..Default::default() };
    let changed = change(renamed.clone()).await.unwrap().unwrap();
    assert_eq!(changed, TenantRecord { name: "alpha one".into(), ..made.clone() });
    told_of(store, "tenant.update", format!("tenant:{}", made.id), (true, true)).await;
    for nothing in [renamed, TenantChange::default()] {
        assert_eq!(silent(store, change(nothing)).await.unwrap(), Some(changed.clone()));
    }
    let taken = TenantChange { name: Some("beta".into()), ..Default::default() };
    assert!(matches!(silent(store, change(taken)).await, Err(StoreError::NameTaken(_))));
    let bare = TenantChange {
        status: Some(TenantStatus::Suspended),
        alert_url: Some(None),
        tags: Some(Vec::new()),
        rules: Some(Rules::default()),
        ..Default::default()
    };
    let changed = change(bare).await.unwrap().unwrap();
    assert_eq!((changed.status, changed.alert_url.as_deref()), (TenantStatus::Suspended, None));
    assert_eq!((changed.tags.len(), &changed.rules), (0, &Rules::default()));
    assert_eq!(store.tenant(made.id).await.unwrap(), Some(changed));
    let nobody = store.change_tenant(TenantId(999), TenantChange::default(), author(5));
    assert_eq!(silent(store, nobody).await.unwrap(), None);

    // A name is free again once its tenant is deleted, and the number never comes back.
    assert_eq!(store.delete_tenant(other.id, author(6)).await.unwrap(), Deletion::Done);
    told_of(store, "tenant.delete", format!("tenant:{}", other.id), (true, false)).await;
    assert_eq!(silent(store, store.delete_tenant(other.id, author(7))).await.unwrap(), Deletion::Missing);
    assert_eq!(store.tenant(other.id).await.unwrap(), None);
    assert_eq!(store.change_tenant(other.id, TenantChange::default(), author(7)).await.unwrap(), None);
    let heir = store.create_tenant(tenant("beta"), author(8)).await.unwrap();
    assert_ne!(heir.id, other.id);
    assert_eq!(store.tenant_named("beta".into()).await.unwrap().unwrap().id, heir.id);
}

async fn groups_live_and_end(store: &dyn Store) {
    let default = store.group(GroupRecord::DEFAULT).await.unwrap().unwrap();
    assert_eq!((default.name.as_ref(), default.multiplier), ("default", Multiplier::ONE));
    let told = NewGroup { multiplier: multiplier("1.25"), rules: narrow(), ..group("vip") };
    let made = store.create_group(told, author(1)).await.unwrap();
    assert_eq!((made.multiplier, &made.rules), (multiplier("1.25"), &narrow()));
    assert_eq!(store.group(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(store.group_named("vip".into()).await.unwrap(), Some(made.clone()));
    told_of(store, "group.create", format!("group:{}", made.id), (false, true)).await;
    let again = silent(store, store.create_group(group("vip"), author(2))).await;
    assert!(matches!(again, Err(StoreError::NameTaken(_))));

    let dearer = GroupChange { multiplier: Some(multiplier("2")), ..Default::default() };
    let changed = store.change_group(made.id, dearer.clone(), author(3)).await.unwrap().unwrap();
    assert_eq!(changed, GroupRecord { multiplier: multiplier("2"), ..made.clone() });
    told_of(store, "group.update", format!("group:{}", made.id), (true, true)).await;
    let same = silent(store, store.change_group(made.id, dearer.clone(), author(4))).await;
    assert_eq!(same.unwrap(), Some(changed));
    let taken = GroupChange { name: Some("default".into()), ..Default::default() };
    let refused = silent(store, store.change_group(made.id, taken, author(5))).await;
    assert!(matches!(refused, Err(StoreError::NameTaken(_))));
    assert_eq!(store.change_group(GroupId(999), dearer, author(5)).await.unwrap(), None);

    // Keys keep their group; the default group stays for good.
    let key = NewKey { group_id: made.id, ..new_key("grouped", 100).1 };
    let key = store.create_key(key, author(6)).await.unwrap();
    let delete = || store.delete_group(made.id, author(7));
    assert_eq!(silent(store, delete()).await.unwrap(), Deletion::InUse(1));
    let moved = KeyChange { group_id: Some(GroupRecord::DEFAULT), ..Default::default() };
    assert_eq!(store.change_key(key.id, moved, author(8)).await.unwrap().unwrap().group, default);
    assert_eq!(delete().await.unwrap(), Deletion::Done);
    told_of(store, "group.delete", format!("group:{}", made.id), (true, false)).await;
    assert_eq!(silent(store, delete()).await.unwrap(), Deletion::Missing);
    let default = store.delete_group(GroupRecord::DEFAULT, author(9));
    assert_eq!(silent(store, default).await.unwrap(), Deletion::Never);

    // Nothing can be put into a group that is gone.
    let back = KeyChange { group_id: Some(made.id), ..Default::default() };
    let refused = silent(store, store.change_key(key.id, back, author(10))).await;
    assert!(matches!(refused, Err(StoreError::Missing(what)) if what == format!("group {}", made.id)));
    let late = NewKey { group_id: made.id, ..new_key("never made", 101).1 };
    assert!(matches!(silent(store, store.create_key(late, author(11))).await, Err(StoreError::Missing(_))));
    assert_eq!(store.tenant_named("never made".into()).await.unwrap(), None);
    store.create_group(group("vip"), author(12)).await.unwrap();
}

async fn operators_come_and_go(store: &dyn Store) {
    let token = ApiKey::generate(KeyKind::Admin, &Random::seeded(60)).unwrap();
    let told = NewOperator {
        name: "ada".into(),
        role: Role::Manage,
        digest: token.digest(),
        last_four: token.last_four(),
        expires_at: Some(at(100)),
    };
    let made = store.create_operator(told.clone(), author(60)).await.unwrap();
    assert_eq!((made.name.as_ref(), made.role, made.created_at), ("ada", Role::Manage, at(60)));
    assert!(made.is_active(at(99)) && !made.is_active(at(100)));
    assert_eq!(store.operator_by_digest(token.digest()).await.unwrap(), Some(made.clone()));
    assert_eq!(store.key_by_digest(token.digest()).await.unwrap(), None, "no key of a tenant");
    told_of(store, "operator.create", format!("operator:{}", made.id), (false, true)).await;

    let other = new_key("", 61).0;
    let namesake = NewOperator { digest: other.digest(), ..told.clone() };
    let refused = silent(store, store.create_operator(namesake.clone(), author(61))).await;
    assert!(matches!(refused, Err(StoreError::NameTaken(_))));
    let same_token = NewOperator { name: "grace".into(), ..told };
    let refused = silent(store, store.create_operator(same_token, author(61))).await;
    assert!(matches!(refused, Err(StoreError::KeyTaken(_))));

    let revoked = store.revoke_operator(made.id, author(62)).await.unwrap().unwrap();
    assert_eq!((revoked.revoked_at, revoked.is_active(at(62))), (Some(at(62)), false));
    told_of(store, "operator.revoke", format!("operator:{}", made.id), (true, true)).await;
    let twice = silent(store, store.revoke_operator(made.id, author(63))).await;
    assert_eq!(twice.unwrap(), Some(revoked.clone()));
    assert_eq!(silent(store, store.revoke_operator(OperatorId(999), author(63))).await.unwrap(), None);
    let heir = store.create_operator(namesake, author(64)).await.unwrap();
    assert_eq!(store.operators().await.unwrap(), [revoked, heir]);
}

async fn two_processes(backend: &dyn Backend) {
    let (relay, command_line) = (backend.open().unwrap(), backend.open().unwrap());
    let (key, told) = new_key("alpha", 1);
    let mut seen = relay.keys_revision().await.unwrap();
    let made = command_line.create_key(told, author(1)).await.unwrap();
    assert_eq!(relay.key_by_digest(key.digest()).await.unwrap(), Some(made.clone()));
    let mut grown = async |what: &str| {
        let now = relay.keys_revision().await.unwrap();
        assert!(now > seen, "{what}");
        seen = now;
    };
    grown("a key was made").await;
    let suspended = TenantChange { status: Some(TenantStatus::Suspended), ..Default::default() };
    command_line.change_tenant(made.tenant.id, suspended, author(2)).await.unwrap();
    assert!(!relay.key_by_digest(key.digest()).await.unwrap().unwrap().is_active(at(3)));
    grown("a tenant was changed").await;
    let dearer = GroupChange { multiplier: Some(multiplier("2")), ..Default::default() };
    command_line.change_group(GroupRecord::DEFAULT, dearer, author(3)).await.unwrap();
    grown("a group was changed").await;
    let revoked = KeyChange { revoked_at: Some(at(4)), ..Default::default() };
    command_line.change_key(made.id, revoked, author(4)).await.unwrap();
    grown("a key was revoked").await;
    command_line.delete_key(made.id, author(5)).await.unwrap();
    assert_eq!(relay.key_by_digest(key.digest()).await.unwrap(), None);
    grown("a key was deleted").await;

    // Both make a tenant of the same name at the same time: one does.
    for round in 0..10 {
        let make = |store: &std::sync::Arc<dyn Store>| {
            let store = store.clone();
            async move { store.create_tenant(tenant(&format!("race {round}")), author(6)).await }
        };
        let outcomes = join_all([make(&relay), make(&command_line)]).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(StoreError::NameTaken(_)))));
    }
}

async fn everything(store: &dyn Store) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        store.tenants(None, TenantId(0), 1000).await.unwrap(),
        store.groups(None, GroupId(0), 1000).await.unwrap(),
        store.keys(None, None, KeyId(0), 1000).await.unwrap(),
        store.operators().await.unwrap(),
        store.audit(None, None, 10_000).await.unwrap(),
        store.keys_revision().await.unwrap(),
    )
}

/// Holds that a verb changes nothing: no line in the audit log, no new revision.
async fn silent<T>(store: &dyn Store, verb: impl Future<Output = T>) -> T {
    let trace = async || (store.keys_revision().await.unwrap(), store.audit(None, None, 1).await.unwrap());
    let before = trace().await;
    let outcome = verb.await;
    assert_eq!(trace().await, before);
    outcome
}

async fn last_line(store: &dyn Store) -> AuditRecord {
    store.audit(None, None, 1).await.unwrap().remove(0)
}

/// Holds that the last line of the audit log is this one, and whether it has an old and a new record.
async fn told_of(store: &dyn Store, action: &str, object: String, sides: (bool, bool)) {
    let line = last_line(store).await;
    assert_eq!((line.action.as_str(), &line.object), (action, &object));
    assert_eq!((line.old.is_some(), line.new.is_some()), sides, "{action}");
    assert_ne!(line.old, line.new);
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn author(seconds: i64) -> Author {
    Author { name: "ada".into(), reason: Some("because".into()), at: at(seconds) }
}

fn multiplier(text: &str) -> Multiplier {
    Multiplier::parse(text).unwrap()
}

fn narrow() -> Rules {
    serde_json::from_str(r#"{"allow": ["fal-ai/flux/**"], "deny": ["fal-ai/flux/dev"]}"#).unwrap()
}

fn tenant(name: &str) -> NewTenant {
    NewTenant {
        name: name.into(),
        alert_url: None,
        tags: Vec::new(),
        rules: Rules::default(),
        budgets: Vec::new(),
    }
}

fn group(name: &str) -> NewGroup {
    NewGroup { name: name.into(), multiplier: Multiplier::ONE, rules: Rules::default() }
}

/// Key number `seed`, and what the store is told of it.
fn new_key(tenant: &str, seed: i64) -> (ApiKey, NewKey) {
    let key = ApiKey::generate(KeyKind::Live, &Random::seeded(seed.unsigned_abs())).unwrap();
    let told = NewKey {
        tenant: tenant.into(),
        group_id: GroupRecord::DEFAULT,
        name: format!("{tenant} {seed}"),
        kind: KeyKind::Live,
        digest: key.digest(),
        last_four: key.last_four(),
        rules: Rules::default(),
        starts_at: None,
        expires_at: None,
        budgets: Vec::new(),
    };
    (key, told)
}

async fn make_key(store: &dyn Store, tenant: &str, seed: i64) -> KeyRecord {
    store.create_key(new_key(tenant, seed).1, author(seed)).await.unwrap()
}

fn imported(tenant: &str, seed: i64, group: &str) -> ImportedKey {
    ImportedKey { key: new_key(tenant, seed).1, group: group.into(), revoked: false }
}

fn call_of(key: &KeyRecord) -> NewCall {
    NewCall {
        tenant_id: key.tenant.id,
        key_id: key.id,
        token_id: None,
        account: AccountName::new("main"),
        endpoint: "fal-ai/flux-1/dev".into(),
        kind: CallKind::Queue,
        lease: fal_relay::ids::LeaseId(1),
        tags: None,
        terms: Terms { unit_price: None, unit: None, multiplier: Multiplier::ONE, price_version: None },
        hold: Usd::ZERO,
        hold_basis: "test",
        windows: Vec::new(),
        held_at: at(100),
    }
}
