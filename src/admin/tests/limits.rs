//! Invariant 7: whatever is given has a longest form, and whatever is answered a longest one.

use super::*;
use crate::ids::{AccountName, LeaseId};
use crate::money::{Multiplier, Usd};
use crate::store::{CallKind, NewCall, NewPriceList, Settlement, Terms};

impl Office {
    /// A call of the first key.
    async fn call(&self, endpoint: &str) -> NewCall {
        let key = self.owner.key(KeyId(1)).await.unwrap();
        NewCall {
            tenant_id: key.tenant_id,
            key_id: key.id,
            token_id: None,
            account: AccountName::new("main"),
            endpoint: endpoint.into(),
            kind: CallKind::Run,
            lease: LeaseId(1),
            tags: None,
            terms: Terms { unit_price: None, unit: None, multiplier: Multiplier::ONE, price_version: None },
            hold: Usd::ZERO,
            hold_basis: "test",
            windows: Vec::new(),
            held_at: self.admin.now(),
        }
    }
}

#[tokio::test]
async fn invariant_7_texts_of_administration_have_a_longest_form() {
    let office = Office::new();
    let (owner, x) = (&office.owner, |count| "x".repeat(count));
    let named = |name| TenantCreate { name, ..TenantCreate::default() };
    owner.create_tenant(named(x(64))).await.unwrap();
    assert_eq!(field(owner.create_tenant(named(x(65))).await), "name");
    let tagged = |count, name: &str| TenantCreate { tags: vec!["t".into(); count], ..named(name.into()) };
    owner.create_tenant(tagged(32, "a")).await.unwrap();
    assert_eq!(field(owner.create_tenant(tagged(33, "b")).await), "tags");
    let url = |count: usize| format!("https://example.com/{}", x(count - 20));
    let told = |url, name: &str| TenantCreate { alert_url: Some(url), ..named(name.into()) };
    owner.create_tenant(told(url(2048), "c")).await.unwrap();
    assert_eq!(field(owner.create_tenant(told(url(2049), "d")).await), "alert_url");
    let because = |count| owner.clone().because(Some(x(count)));
    because(500).create_tenant(named("e".into())).await.unwrap();
    assert_eq!(field(because(501).create_tenant(named("f".into())).await), "reason");
    let search = |count| ListQuery { search: Some(x(count)), ..ListQuery::default() };
    owner.tenants(search(64)).await.unwrap();
    assert_eq!(field(owner.tenants(search(65)).await), "search");
    let at = |count| CallQuery { endpoint: Some(x(count)), ..CallQuery::default() };
    owner.calls(at(512)).await.unwrap();
    assert_eq!(field(owner.calls(at(513)).await), "endpoint");
}

#[tokio::test]
async fn keys_live_a_hundred_years_or_for_ever() {
    let office = Office::new();
    let lives = |days| KeyCreate { expires_in: Some(format!("{days}d")), ..create("alpha") };
    office.owner.create_key(lives(36_525)).await.unwrap();
    assert_eq!(field(office.owner.create_key(lives(36_526)).await), "expires_in");
}

#[tokio::test]
async fn invariant_7_answers_of_administration_come_in_pages() {
    let office = Office::new();
    let of = |limit| ListQuery { limit, ..ListQuery::default() };
    for _ in 0..101 {
        office.owner.create_key(create("alpha")).await.unwrap();
    }
    let keys = |limit| office.owner.keys(KeyQuery { limit, ..KeyQuery::default() });
    assert_eq!(keys(None).await.unwrap().items.len(), 100);
    assert_eq!(keys(Some(1000)).await.unwrap().items.len(), 101);
    assert_eq!(field(keys(Some(1001)).await), "limit");
    assert_eq!(field(office.owner.prices(of(Some(1001))).await), "limit");

    let call = office.call("a/b").await;
    let holds = (0..1001).map(|_| office.admin.store.hold(call.clone()));
    futures_util::future::join_all(holds).await;
    let page =
        async |after| office.owner.export_page(&ExportQuery::default(), CallId(after)).await.unwrap().len();
    assert_eq!((page(0).await, page(1000).await, page(1001).await), (1000, 1, 0));
}

#[tokio::test]
async fn invariant_7_usage_has_a_longest_answer() {
    let office = Office::new();
    office.owner.create_key(create("alpha")).await.unwrap();
    let (store, now) = (&office.admin.store, office.admin.now());
    let call = office.call("a/b").await;
    let tags =
        |nth: usize| (0..100).map(|tag| format!("t={}", nth * 100 + tag)).collect::<Vec<_>>().join(",");
    let tagged = (0..101).map(|nth| NewCall { tags: Some(tags(nth).into()), ..call.clone() });
    let calls = tagged.map(async |call| {
        let id = store.hold(call).await.unwrap().id;
        let done = Settlement { status: 500, billable_units: None, cost: None, settled_at: now };
        store.settle(id, done).await.unwrap()
    });
    futures_util::future::join_all(calls).await;
    let query = UsageQuery { by: Some("tag".into()), ..UsageQuery::default() };
    let report = office.owner.usage(query).await.unwrap();
    assert_eq!((report.rows.len(), report.truncated, report.total.calls), (10_000, true, 101));

    let list = NewPriceList { source: "test".into(), prices: Vec::new() };
    let author = Author { name: "test".into(), reason: None, at: now };
    let saved = (0..1001).map(|_| store.save_prices(list.clone(), author.clone()));
    futures_util::future::join_all(saved).await;
    let versions = office.owner.price_versions().await.unwrap();
    assert_eq!((versions.len(), versions[0].version), (1000, 1001));
}

#[tokio::test]
async fn invariant_7_an_import_has_a_greatest_size() {
    let office = Office::new();
    let line = |nth: usize| format!(r#"{{"key": "{nth:048}", "user_id": 1}}"#);
    let input = ImportInput {
        tokens: (0..=10_000).map(line).collect::<Vec<_>>().join("\n"),
        dry_run: true,
        ..ImportInput::default()
    };
    let report = office.owner.import(input).await.unwrap();
    assert_eq!(report.imported, 10_000);
    let [problem] = &report.problems[..] else { panic!("{:?}", report.problems) };
    assert_eq!(
        (problem.line, problem.reason.as_str()),
        (10_001, "begins after 10000 others; import the file in parts")
    );
}
