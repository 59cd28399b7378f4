//! One life of tenants, groups, keys and operators, on every store. A bug found in one backend becomes a line of this
//! story; that of budgets is told in `store_budget_story`.

use std::future::Future;

use fal_relay::clock::Timestamp;
use fal_relay::ids::{AccountName, AuditId, GroupId, KeyId, OperatorId, TenantId};
use fal_relay::key::{ApiKey, KeyKind};
use fal_relay::money::{Multiplier, Usd};
use fal_relay::random::Random;
use fal_relay::rules::Rules;
use fal_relay::store::{
    AuditRecord, Author, CallKind, Deletion, GroupChange, GroupRecord, ImportedKey, KeyChange, KeyRecord,
    NewCall, NewGroup, NewKey, NewOperator, NewTenant, Release, Role, Store, StoreError, TenantChange,
    TenantRecord, TenantStatus, Terms,
};
use futures_util::future::join_all;

use crate::store_sqlite::Sqlite;
use crate::store_story::Backend;

/// Names that break out of quotes, patterns, pages and alphabets.
const NASTY: [&str; 9] = [
    "Robert'); DROP TABLE keys;--",
    "' OR '1'='1",
    "\"; DELETE FROM tenants; --",
    "100%",
    "under_score",
    "back\\slash",
    "=cmd|' /C calc'!A0",
    "Ünïcode 名前 🦊",
    "line\nbreak\ttab",
];

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
    keys_live_and_end(&*store).await;
    a_key_is_replaced(&*store).await;
    what_has_open_calls_stays(&*store).await;
    a_tenant_takes_its_keys_along(&*store).await;
    an_import_is_all_or_nothing(&*store).await;
    operators_come_and_go(&*store).await;
    any_text_is_only_text(&*store).await;
    lists_are_read_in_pages(&*store).await;
    the_audit_log_tells_all_and_no_secrets(&*store).await;

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

async fn keys_live_and_end(store: &dyn Store) {
    let (key, told) = new_key("keyed", 1);
    let told = NewKey { rules: narrow(), starts_at: Some(at(5)), expires_at: Some(at(900)), ..told };
    let made = store.create_key(told, author(1)).await.unwrap();
    assert_eq!((made.tenant.name.as_ref(), made.name.as_str(), made.kind), ("keyed", "keyed 1", KeyKind::Live));
    assert_eq!((made.created_at, made.starts_at, made.expires_at), (at(1), Some(at(5)), Some(at(900))));
    assert_eq!((made.revoked_at, made.group.id, &made.rules), (None, GroupRecord::DEFAULT, &narrow()));
    assert_eq!((made.last_four.clone(), made.budgets.len()), (key.last_four(), 0));
    assert_eq!(
        [4, 5, 899, 900].map(|second| made.is_active(at(second))),
        [false, true, true, false],
        "from its start until its end"
    );
    assert_eq!(store.key_by_digest(key.digest()).await.unwrap(), Some(made.clone()));
    assert_eq!(store.key(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(store.key(KeyId(999)).await.unwrap(), None);
    assert_eq!(store.key_by_digest(new_key("keyed", 99).0.digest()).await.unwrap(), None);
    told_of(store, "key.create", format!("key:{}", made.id), (false, true)).await;
    let tenant_lines = store.audit(Some(format!("tenant:{}", made.tenant.id)), None, 9).await.unwrap();
    assert_eq!(tenant_lines[0].action, "tenant.create", "its tenant came with it");

    // A second key joins the tenant; another tenant stays apart.
    let second = make_key(store, "keyed", 2).await;
    let other = make_key(store, "keyed apart", 3).await;
    assert_eq!(second.tenant, made.tenant);
    assert_ne!(other.tenant.id, made.tenant.id);
    let of = |tenant, search: Option<&str>| store.keys(tenant, search.map(Into::into), KeyId(0), 100);
    assert_eq!(of(Some(made.tenant.id), None).await.unwrap(), [made.clone(), second.clone()]);
    assert_eq!(of(Some(made.tenant.id), Some("D 2")).await.unwrap(), [second.clone()]);
    assert_eq!(of(None, Some("Keyed")).await.unwrap(), [made.clone(), second.clone(), other.clone()]);
    assert_eq!(of(Some(TenantId(999)), None).await.unwrap(), []);

    // The same digest twice is refused and leaves nothing behind.
    let again = silent(store, store.create_key(new_key("keyed anew", 1).1, author(2))).await;
    assert!(matches!(again, Err(StoreError::KeyTaken(last_four)) if last_four == key.last_four()));
    assert_eq!(store.tenant_named("keyed anew".into()).await.unwrap(), None);

    // All changes at once; what is not said stays.
    let change = |change| store.change_key(made.id, change, author(10));
    let door = KeyChange {
        name: Some("door".into()),
        rules: Some(Rules::default()),
        starts_at: Some(None),
        expires_at: Some(Some(at(50))),
        ..Default::default()
    };
    let changed = change(door.clone()).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.starts_at, changed.expires_at), ("door", None, Some(at(50))));
    assert_eq!(changed.rules, Rules::default());
    told_of(store, "key.update", format!("key:{}", made.id), (true, true)).await;
    assert_eq!(silent(store, change(door)).await.unwrap(), Some(changed.clone()));
    let endless = KeyChange { expires_at: Some(None), ..Default::default() };
    assert_eq!(change(endless).await.unwrap().unwrap(), KeyRecord { expires_at: None, ..changed });
    assert_eq!(store.change_key(KeyId(999), KeyChange::default(), author(11)).await.unwrap(), None);

    // A suspended tenant's keys stay, and open nothing.
    let suspend = |status| TenantChange { status: Some(status), ..Default::default() };
    let status = |status| store.change_tenant(made.tenant.id, suspend(status), author(12));
    status(TenantStatus::Suspended).await.unwrap();
    let known = store.key_by_digest(key.digest()).await.unwrap().unwrap();
    assert!(!known.is_active(at(12)));
    status(TenantStatus::Active).await.unwrap();
    assert!(store.key_by_digest(key.digest()).await.unwrap().unwrap().is_active(at(12)));

    // Revoking twice keeps the first moment; a revoked key is found but not active.
    let revoke = |moment| KeyChange { revoked_at: Some(moment), ..Default::default() };
    let revoked = store.change_key(second.id, revoke(at(60)), author(60)).await.unwrap().unwrap();
    assert_eq!((revoked.revoked_at, revoked.is_active(at(0))), (Some(at(60)), false));
    told_of(store, "key.revoke", format!("key:{}", second.id), (true, true)).await;
    let twice = silent(store, store.change_key(second.id, revoke(at(61)), author(61))).await;
    assert_eq!(twice.unwrap(), Some(revoked));

    // A deleted key opens nothing and is in no list; one that was made elsewhere may come back by an import.
    assert_eq!(store.delete_key(second.id, author(62)).await.unwrap(), Deletion::Done);
    told_of(store, "key.delete", format!("key:{}", second.id), (true, false)).await;
    assert_eq!(silent(store, store.delete_key(second.id, author(63))).await.unwrap(), Deletion::Missing);
    assert_eq!(store.key(second.id).await.unwrap(), None);
    let digest = new_key("keyed", 2).0.digest();
    assert_eq!(store.key_by_digest(digest).await.unwrap(), None);
    assert_eq!(of(Some(made.tenant.id), None).await.unwrap().len(), 1);
    let back = store.import(Vec::new(), vec![imported("keyed", 2, "default")], author(64)).await.unwrap();
    assert_eq!(store.key_by_digest(digest).await.unwrap(), Some(back[0].clone()));
    assert_ne!(back[0].id, second.id);
}

async fn a_key_is_replaced(store: &dyn Store) {
    let vip = store.group_named("vip".into()).await.unwrap().unwrap();
    let (_, told) = new_key("replaced", 20);
    let old = NewKey { group_id: vip.id, rules: narrow(), ..told };
    let old = store.create_key(old, author(20)).await.unwrap();
    let (key, successor) = new_key("somebody else's", 21);
    let made = store.replace_key(old.id, successor.clone(), at(80), author(21)).await.unwrap().unwrap();
    assert_eq!(store.key_by_digest(key.digest()).await.unwrap(), Some(made.clone()));
    assert_eq!((&made.tenant, &made.group, &made.rules), (&old.tenant, &old.group, &old.rules));
    assert_eq!((made.created_at, made.expires_at), (at(21), None));
    assert_eq!(store.tenant_named("somebody else's".into()).await.unwrap(), None);
    let ended = store.key(old.id).await.unwrap().unwrap();
    assert_eq!(ended, KeyRecord { expires_at: Some(at(80)), ..old.clone() });
    told_of(store, "key.rotate", format!("key:{}", old.id), (true, true)).await;
    let lines = store.audit(Some(format!("key:{}", made.id)), None, 9).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.action.as_str()).collect::<Vec<_>>(), ["key.create"]);

    // A successor that cannot be made leaves the old key as it was.
    let again = silent(store, store.replace_key(old.id, successor, at(70), author(22))).await;
    assert!(matches!(again, Err(StoreError::KeyTaken(_))));
    // A key that ends sooner anyway keeps its end.
    store.replace_key(old.id, new_key("replaced", 22).1, at(90), author(23)).await.unwrap().unwrap();
    assert_eq!(store.key(old.id).await.unwrap(), Some(ended));
    // A revoked key has no successor, nor has one that was never made.
    let revoke = KeyChange { revoked_at: Some(at(24)), ..Default::default() };
    store.change_key(old.id, revoke, author(24)).await.unwrap();
    for id in [old.id, KeyId(999)] {
        let refused = store.replace_key(id, new_key("replaced", 23).1, at(90), author(25));
        assert_eq!(silent(store, refused).await.unwrap(), None);
    }
}

async fn what_has_open_calls_stays(store: &dyn Store) {
    let key = make_key(store, "busy", 30).await;
    let idle = make_key(store, "busy", 31).await;
    let first = store.hold(call_of(&key)).await.unwrap();
    let second = store.hold(call_of(&key)).await.unwrap();
    let delete_key = || store.delete_key(key.id, author(32));
    let delete_tenant = || store.delete_tenant(key.tenant.id, author(33));
    assert_eq!(silent(store, delete_key()).await.unwrap(), Deletion::InUse(2));
    assert_eq!(silent(store, delete_tenant()).await.unwrap(), Deletion::InUse(2));
    assert_eq!(store.delete_key(idle.id, author(34)).await.unwrap(), Deletion::Done);
    let release = || Release { status: None, reason: "test", released_at: at(101) };
    store.release(first.id, release()).await.unwrap();
    assert_eq!(silent(store, delete_tenant()).await.unwrap(), Deletion::InUse(1));
    store.release(second.id, release()).await.unwrap();
    assert_eq!(delete_tenant().await.unwrap(), Deletion::Done);
    let row = store.call(first.id).await.unwrap().unwrap();
    assert_eq!((row.tenant.as_ref(), row.key_id), ("busy", key.id), "the ledger still names them");
}

async fn a_tenant_takes_its_keys_along(store: &dyn Store) {
    let keys = [make_key(store, "ended", 40).await, make_key(store, "ended", 41).await];
    let bystander = make_key(store, "stays", 42).await;
    store.delete_tenant(keys[0].tenant.id, author(43)).await.unwrap();
    for (seed, key) in [40, 41].into_iter().zip(&keys) {
        assert_eq!(store.key_by_digest(new_key("ended", seed).0.digest()).await.unwrap(), None);
        assert_eq!(store.key(key.id).await.unwrap(), None);
        let lines = store.audit(Some(format!("key:{}", key.id)), None, 9).await.unwrap();
        assert_eq!(lines[0].action, "key.delete");
    }
    assert_eq!(store.keys(Some(keys[0].tenant.id), None, KeyId(0), 9).await.unwrap(), []);
    assert_eq!(store.key(bystander.id).await.unwrap(), Some(bystander));
}

async fn an_import_is_all_or_nothing(store: &dyn Store) {
    let whole = || vec![imported("import a", 50, "gold"), imported("import b", 51, "default")];
    let gold = || vec![NewGroup { multiplier: multiplier("3"), ..group("gold") }];
    let known = new_key("known", 52);
    store.create_key(known.1.clone(), author(50)).await.unwrap();
    let spoilers = [imported("import c", 50, "gold"), imported("import c", 52, "gold")];
    for (spoiler, seed) in spoilers.into_iter().zip([50, 52]) {
        let keys = [whole(), vec![spoiler]].concat();
        let refused = silent(store, store.import(gold(), keys, author(51))).await;
        let last_four = new_key("", seed).0.last_four();
        assert!(matches!(refused, Err(StoreError::KeyTaken(said)) if said == last_four));
    }
    let lost = [whole(), vec![imported("import c", 53, "nowhere")]].concat();
    let refused = silent(store, store.import(gold(), lost, author(52))).await;
    assert!(matches!(refused, Err(StoreError::Missing(what)) if what == "group `nowhere`"));
    let twice = [gold(), gold()].concat();
    assert!(matches!(silent(store, store.import(twice, whole(), author(53))).await, Err(StoreError::NameTaken(_))));
    for name in ["import a", "import b", "import c"] {
        assert_eq!(store.tenant_named(name.into()).await.unwrap(), None);
    }

    let ended = ImportedKey { revoked: true, ..imported("import a", 54, "gold") };
    let keys = [whole(), vec![ended]].concat();
    let made = store.import(gold(), keys, author(54)).await.unwrap();
    let told: Vec<_> = made
        .iter()
        .map(|key| (key.tenant.name.as_ref(), key.group.name.as_ref(), key.revoked_at))
        .collect();
    assert_eq!(
        told,
        [("import a", "gold", None), ("import b", "default", None), ("import a", "gold", Some(at(54)))]
    );
    assert_eq!(made[0].tenant, made[2].tenant);
    assert_eq!(made[0].group.multiplier, multiplier("3"));
    for (key, seed) in made.iter().zip([50, 51, 54]) {
        assert_eq!(store.key_by_digest(new_key("", seed).0.digest()).await.unwrap().as_ref(), Some(key));
        let lines = store.audit(Some(format!("key:{}", key.id)), None, 9).await.unwrap();
        assert_eq!(lines[0].action, "key.import");
    }
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

async fn any_text_is_only_text(store: &dyn Store) {
    for (seed, name) in (200..).zip(NASTY) {
        let told = NewTenant { tags: vec![name.into(), format!("{name}\0")], ..tenant(name) };
        let made = store.create_tenant(told.clone(), author(seed)).await.unwrap();
        assert_eq!((made.name.as_ref(), &made.tags), (name, &told.tags));
        assert_eq!(store.tenant_named(name.into()).await.unwrap(), Some(made.clone()));
        store.create_group(group(name), author(seed)).await.unwrap();
        let key = ImportedKey { group: name.into(), ..imported(name, seed, name) };
        let key = store.import(Vec::new(), vec![key], author(seed)).await.unwrap().remove(0);
        assert_eq!((&key.tenant, key.group.name.as_ref()), (&made, name));
        let lines = store.audit(Some(name.into()), None, 9).await.unwrap();
        assert_eq!(lines, []);
    }
    // A search finds what contains it, sign by sign; only letters of ASCII are found in either case.
    let tenants = store.tenants(None, TenantId(0), 1000).await.unwrap();
    for search in [&NASTY[..], &["%", "_", "\\", "'", "rob", "名", "", "é", "\n", "%%", "a_c"]].concat() {
        let found = store.tenants(Some(search.into()), TenantId(0), 1000).await.unwrap();
        let folded = search.to_ascii_lowercase();
        let expected: Vec<_> = tenants
            .iter()
            .filter(|tenant| tenant.name.to_ascii_lowercase().contains(&folded))
            .cloned()
            .collect();
        assert_eq!(found, expected, "{search:?}");
        let keys = store.keys(None, Some(search.into()), KeyId(0), 1000).await.unwrap();
        assert!(keys.iter().all(|key| key.name.to_ascii_lowercase().contains(&folded)), "{search:?}");
        let groups = store.groups(Some(search.into()), GroupId(0), 1000).await.unwrap();
        assert!(groups.iter().all(|group| group.name.to_ascii_lowercase().contains(&folded)), "{search:?}");
        assert_eq!(groups.is_empty(), expected.iter().all(|tenant| !NASTY.contains(&&*tenant.name)));
    }
    let long = "x".repeat(100_000);
    assert_eq!(store.tenants(Some(long), TenantId(0), 9).await.unwrap(), []);
}

async fn lists_are_read_in_pages(store: &dyn Store) {
    let tenants = store.tenants(None, TenantId(0), 1000).await.unwrap();
    let mut paged: Vec<TenantRecord> = Vec::new();
    loop {
        let after = paged.last().map_or(TenantId(0), |tenant| tenant.id);
        let page = store.tenants(None, after, 4).await.unwrap();
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert!(paged.len() > 8 && paged.is_sorted_by(|one, two| one.id < two.id));
    assert_eq!(paged, tenants);

    let keys = store.keys(None, None, KeyId(0), 1000).await.unwrap();
    assert_eq!(store.keys(None, None, keys[2].id, 2).await.unwrap(), keys[3..5]);
    let groups = store.groups(None, GroupId(0), 1000).await.unwrap();
    assert_eq!(store.groups(None, groups[0].id, 1).await.unwrap(), groups[1..2]);
    assert_eq!(store.tenants(None, TenantId(0), 0).await.unwrap(), []);
    assert_eq!(store.tenants(None, TenantId(i64::MAX), 9).await.unwrap(), []);

    let lines = store.audit(None, None, 10_000).await.unwrap();
    assert!(lines.len() > 50 && lines.is_sorted_by(|one, two| one.id > two.id));
    assert_eq!(store.audit(None, Some(lines[4].id), 3).await.unwrap(), lines[5..8]);
    assert_eq!(store.audit(None, Some(AuditId(1)), 3).await.unwrap(), []);
    let object = &lines[0].object;
    let of_object: Vec<_> = lines.iter().filter(|line| line.object == *object).cloned().collect();
    assert_eq!(store.audit(Some(object.clone()), None, 10_000).await.unwrap(), of_object);
    let older = store.audit(Some(object.clone()), Some(of_object[0].id), 10_000).await.unwrap();
    assert_eq!(older, of_object[1..]);
}

async fn the_audit_log_tells_all_and_no_secrets(store: &dyn Store) {
    let lines = store.audit(None, None, 10_000).await.unwrap();
    assert!(lines.iter().all(|line| line.author == "ada" && line.reason.as_deref() == Some("because")));
    let text = serde_json::to_string(&lines).unwrap();
    assert!(text.contains("last_four") && !text.contains("digest"));
    for seed in 0..70 {
        let key = new_key("", seed).0;
        assert!(!text.contains(key.expose()) && !text.contains(&key.expose()[8..20]), "{seed}");
    }

    // A line tells how the record was and how it is.
    let key = make_key(store, "told", 70).await;
    let renamed = KeyChange { name: Some("renamed".into()), ..Default::default() };
    let new = store.change_key(key.id, renamed, Author { reason: None, ..author(71) }).await.unwrap();
    let line = last_line(store).await;
    assert_eq!((line.at, line.author.as_str(), line.reason), (at(71), "ada", None));
    assert_eq!(line.old, Some(serde_json::to_value(&key).unwrap()));
    assert_eq!(line.new, Some(serde_json::to_value(new).unwrap()));
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
pub(crate) async fn silent<T>(store: &dyn Store, verb: impl Future<Output = T>) -> T {
    let trace = async || (store.keys_revision().await.unwrap(), store.audit(None, None, 1).await.unwrap());
    let before = trace().await;
    let outcome = verb.await;
    assert_eq!(trace().await, before);
    outcome
}

pub(crate) async fn last_line(store: &dyn Store) -> AuditRecord {
    store.audit(None, None, 1).await.unwrap().remove(0)
}

/// Holds that the last line of the audit log is this one, and whether it has an old and a new record.
pub(crate) async fn told_of(store: &dyn Store, action: &str, object: String, sides: (bool, bool)) {
    let line = last_line(store).await;
    assert_eq!((line.action.as_str(), &line.object), (action, &object));
    assert_eq!((line.old.is_some(), line.new.is_some()), sides, "{action}");
    assert_ne!(line.old, line.new);
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

pub(crate) fn author(seconds: i64) -> Author {
    Author { name: "ada".into(), reason: Some("because".into()), at: at(seconds) }
}

fn multiplier(text: &str) -> Multiplier {
    Multiplier::parse(text).unwrap()
}

fn narrow() -> Rules {
    serde_json::from_str(r#"{"allow": ["fal-ai/flux/**"], "deny": ["fal-ai/flux/dev"]}"#).unwrap()
}

pub(crate) fn tenant(name: &str) -> NewTenant {
    NewTenant { name: name.into(), alert_url: None, tags: Vec::new(), rules: Rules::default() }
}

fn group(name: &str) -> NewGroup {
    NewGroup { name: name.into(), multiplier: Multiplier::ONE, rules: Rules::default() }
}

/// Key number `seed`, and what the store is told of it.
pub(crate) fn new_key(tenant: &str, seed: i64) -> (ApiKey, NewKey) {
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

pub(crate) async fn make_key(store: &dyn Store, tenant: &str, seed: i64) -> KeyRecord {
    store.create_key(new_key(tenant, seed).1, author(seed)).await.unwrap()
}

fn imported(tenant: &str, seed: i64, group: &str) -> ImportedKey {
    ImportedKey { key: new_key(tenant, seed).1, group: group.into(), revoked: false }
}

fn call_of(key: &KeyRecord) -> NewCall {
    NewCall {
        tenant_id: key.tenant.id,
        key_id: key.id,
        account: AccountName::new("main"),
        endpoint: "fal-ai/flux-1/dev".into(),
        kind: CallKind::Queue,
        tags: None,
        terms: Terms { unit_price: None, unit: None, multiplier: Multiplier::ONE, price_version: None },
        hold: Usd::ZERO,
        hold_basis: "test",
        windows: Vec::new(),
        held_at: at(100),
    }
}
