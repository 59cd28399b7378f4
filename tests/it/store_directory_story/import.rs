//! Keys come from another gateway.

use fal_relay::store::{ImportedKey, NewGroup, Store, StoreError};

use super::{at, author, group, imported, multiplier, new_key, silent};

pub(super) async fn an_import_is_all_or_nothing(store: &dyn Store) {
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
    assert!(matches!(
        silent(store, store.import(twice, whole(), author(53))).await,
        Err(StoreError::NameTaken(_))
    ));
    for name in ["import a", "import b", "import c"] {
        assert_eq!(store.tenant_named(name.into()).await.unwrap(), None);
    }

    let ended = ImportedKey { revoked: true, ..imported("import a", 54, "gold") };
    let keys = [whole(), vec![ended]].concat();
    let made = store.import(gold(), keys, author(54)).await.unwrap();
    let told: Vec<_> =
        made.iter().map(|key| (key.tenant.name.as_ref(), key.group.name.as_ref(), key.revoked_at)).collect();
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
