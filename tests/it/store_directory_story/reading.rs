//! Searches, pages and the audit log.

use fal_relay::ids::{AuditId, GroupId, KeyId, TenantId};
use fal_relay::store::{Author, ImportedKey, KeyChange, NewTenant, Store, TenantRecord};

use super::{at, author, group, imported, last_line, make_key, new_key, tenant};

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

pub(super) async fn any_text_is_only_text(store: &dyn Store) {
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

pub(super) async fn lists_are_read_in_pages(store: &dyn Store) {
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

pub(super) async fn the_audit_log_tells_all_and_no_secrets(store: &dyn Store) {
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
