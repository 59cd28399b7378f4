//! The price list.

use fal_relay::money::UnitPrice;
use fal_relay::store::{NewPriceList, PriceOverride, PriceRecord, PriceVersion, Store};

use super::{at, author};

fn price(endpoint: &str, unit_price: &str) -> PriceRecord {
    let unit_price = UnitPrice::parse(unit_price).unwrap();
    PriceRecord { endpoint: endpoint.into(), unit_price, unit: "image".into() }
}

fn list(prices: &[PriceRecord]) -> NewPriceList {
    NewPriceList { source: "https://api.fal.ai".into(), prices: prices.to_vec() }
}

pub(super) async fn a_price_list_has_versions(store: &dyn Store) {
    let none = store.prices().await.unwrap();
    assert_eq!((none.version, none.synced_at, none.prices.len()), (0, None, 0));
    let revision = store.prices_revision().await.unwrap();
    let (a, b, c) = (price("fal-ai/a", "0.5"), price("fal-ai/b", "1"), price("fal-ai/c", "2"));
    let first = store.save_prices(list(&[b.clone(), a.clone()]), author(1)).await.unwrap();
    let expected = PriceVersion {
        version: 1,
        synced_at: at(1),
        source: "https://api.fal.ai".into(),
        endpoints: 2,
        changes: 2,
    };
    assert_eq!(first, expected);
    assert!(store.prices_revision().await.unwrap() > revision);
    let now = store.prices().await.unwrap();
    assert_eq!((now.version, now.synced_at, now.prices), (1, Some(at(1)), vec![a.clone(), b.clone()]));

    // The same list, in another order, spelt otherwise and with a line twice, changes nothing and says that it is right.
    let same = list(&[price("fal-ai/a", "0.50"), b.clone(), b.clone()]);
    let second = store.save_prices(same, author(2)).await.unwrap();
    assert_eq!((second.version, second.endpoints, second.changes), (2, 2, 0));

    // Dearer, new and gone.
    let dearer = price("fal-ai/a", "0.75");
    let third = store.save_prices(list(&[dearer.clone(), c.clone()]), author(3)).await.unwrap();
    assert_eq!((third.version, third.endpoints, third.changes), (3, 2, 3));
    assert_eq!(store.prices().await.unwrap().prices, [dearer.clone(), c.clone()]);
    let changes = store.price_changes(1, 100).await.unwrap();
    let told: Vec<_> =
        changes.iter().map(|change| (change.version, change.old.clone(), change.new.clone())).collect();
    assert_eq!(told, [(3, Some(a), Some(dearer)), (3, Some(b), None), (3, None, Some(c))]);
    assert_eq!(store.price_changes(0, 100).await.unwrap().len(), 5);
    assert_eq!(store.price_changes(0, 1).await.unwrap().len(), 1);
    assert_eq!(store.price_changes(3, 100).await.unwrap(), []);
    assert_eq!(store.price_versions(2).await.unwrap(), [third, second]);
    let line = store.audit(Some("prices".into()), None, 10).await.unwrap();
    assert_eq!((line.len(), line[0].action.as_str(), line[2].old.as_ref()), (3, "price.sync", None));
}

pub(super) async fn own_prices_come_and_go(store: &dyn Store) {
    let own = |pattern: &str, unit_price: &str| PriceOverride {
        pattern: pattern.into(),
        unit_price: UnitPrice::parse(unit_price).unwrap(),
        unit: "second".into(),
    };
    let set = |pattern: &str, price| store.override_price(pattern.into(), price, author(10));
    set("fal-ai/*", Some(own("fal-ai/*", "1"))).await.unwrap();
    let revision = store.prices_revision().await.unwrap();
    set("fal-ai/*", Some(own("fal-ai/*", "1.0"))).await.unwrap();
    set("nothing", None).await.unwrap();
    assert_eq!(store.prices_revision().await.unwrap(), revision, "neither changed anything");
    set("fal-ai/*", Some(own("whatever", "2"))).await.unwrap();
    set("'; DROP TABLE prices; --", Some(own("", "3"))).await.unwrap();
    assert!(store.prices_revision().await.unwrap() > revision);
    let overrides = store.prices().await.unwrap().overrides;
    assert_eq!(overrides, [own("'; DROP TABLE prices; --", "3"), own("fal-ai/*", "2")]);
    set("'; DROP TABLE prices; --", None).await.unwrap();
    assert_eq!(store.prices().await.unwrap().overrides, [own("fal-ai/*", "2")]);
    let lines = store.audit(Some("price:fal-ai/*".into()), None, 10).await.unwrap();
    assert_eq!((lines.len(), lines[0].action.as_str()), (2, "price.override"));
    assert_eq!(
        lines[0].old,
        Some(serde_json::json!({"pattern": "fal-ai/*", "unit_price": "1", "unit": "second"}))
    );
}
