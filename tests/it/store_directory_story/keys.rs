//! Keys live, are replaced, and end.

use fal_relay::ids::{KeyId, TenantId};
use fal_relay::key::KeyKind;
use fal_relay::rules::Rules;
use fal_relay::store::{
    Deletion, GroupRecord, KeyChange, KeyRecord, NewKey, Release, Store, StoreError, TenantChange,
    TenantStatus,
};

use super::{at, author, call_of, imported, make_key, narrow, new_key, silent, told_of};

pub(super) async fn keys_live_and_end(store: &dyn Store) {
    let (key, told) = new_key("keyed", 1);
    let told = NewKey { rules: narrow(), starts_at: Some(at(5)), expires_at: Some(at(900)), ..told };
    let made = store.create_key(told, author(1)).await.unwrap();
    assert_eq!(
        (made.tenant.name.as_ref(), made.name.as_str(), made.kind),
        ("keyed", "keyed 1", KeyKind::Live)
    );
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
    assert_eq!(of(Some(made.tenant.id), Some("D 2")).await.unwrap(), std::slice::from_ref(&second));
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

pub(super) async fn a_key_is_replaced(store: &dyn Store) {
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

pub(super) async fn what_has_open_calls_stays(store: &dyn Store) {
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

pub(super) async fn a_tenant_takes_its_keys_along(store: &dyn Store) {
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
