//! What a call may cost, and what is held for it.

use fal_relay::money::UnitPrice;
use fal_relay::store::{Books, NewPriceList, PriceRecord};
use serde_json::json;

use super::{PRICED, bill, class, paid, read, submit, till};
use crate::support::{Office, Relay, Wish, author, budget, pause, post, usd};
use fal_relay::period::Period;
use fal_relay::store::{CallRecord, CallState};

#[tokio::test]
async fn one_call_may_cost_only_so_much() {
    let fal = till().await;
    let prices = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.5 images");
    let relay = Relay::with(&fal.base(), &[prices]);
    let office = Office::of(&relay);
    let wish =
        Wish { rules: json!({"max_request_usd": "1"}), multiplier: Some("1.1"), ..Wish::of("careful") };
    let key = office.make(wish).await.key;
    for path in ["/a/b", "/run/a/b", "/run/a/b/stream"] {
        let dear = relay.client().send(post(path, &key, r#"{"num_images":2}"#)).await;
        assert_eq!(class(&dear), (402, "request_price_limit"));
        let said = dear.json();
        assert_eq!((&said["estimate_usd"], &said["limit_usd"]), (&"1.10".into(), &"1.00".into()), "{said}");
        let cheap = relay.client().send(post(path, &key, r#"{"num_images":1}"#)).await;
        assert_eq!(cheap.status, 200, "{}", cheap.text());
    }
    assert_eq!(paid(&fal).len(), 3);
    let rows = office.rows().await;
    assert_eq!(rows.iter().map(|row| row.hold_usd).collect::<Vec<_>>(), [usd("0.55"); 3]);
}

#[tokio::test]
async fn a_call_without_a_price_is_refused_held_for_or_flagged() {
    let fal = till().await;
    for (policy, held) in [("refuse", None), ("ceiling", Some("0.3")), ("flag", Some("0"))] {
        let settings =
            [PRICED, ("FAL_RELAY_PRICING__UNKNOWN", policy), ("FAL_RELAY_PRICING__CEILING_USD", "0.30")];
        let relay = Relay::with(&fal.base(), &settings);
        let office = Office::of(&relay);
        let wish = Wish { tenant_budgets: vec![budget(Period::Total, "1")], ..Wish::of("acme") };
        let made = office.make(wish).await;
        let key = &made.key;
        for path in ["/new/model", "/run/new/model", "/run/new/model/stream"] {
            let answer = relay.client().send(post(path, key, r#"{"units":"4"}"#)).await;
            let wanted = if held.is_some() { (200, "") } else { (403, "price_unknown") };
            assert_eq!(class(&answer), wanted, "{policy} {path} {}", answer.text());
            assert_eq!(answer.header("x-relay-cost-usd"), None, "not known is not zero");
        }
        let rows = office
            .rows_when(|rows| rows.iter().filter(|row| row.state.is_closed()).count() >= rows.len().min(2))
            .await;
        assert_eq!(rows.len(), if held.is_some() { 3 } else { 0 }, "{policy}");
        for row in rows {
            assert_eq!((Some(row.hold_usd), row.charge_usd), (held.map(usd), None), "{policy}");
        }
        if policy == "ceiling" {
            let over = relay.client().send(post("/new/model", key, "{}")).await;
            assert_eq!(class(&over), (402, "budget_exceeded"), "holds of unknown cost count");
            assert_eq!(office.total(made.payer()).await, (0, 900_000_000));
        }
        office.balance().await;
    }
}

#[tokio::test]
async fn a_price_is_that_of_the_submit_whatever_the_list_says_later() {
    let fal = till().await;
    let relay = Relay::before(&fal.base());
    let office = Office::of(&relay);
    let list = async |price: &str| {
        let price = PriceRecord {
            endpoint: "a/b".into(),
            unit_price: UnitPrice::parse(price).unwrap(),
            unit: "requests".into(),
        };
        let list = NewPriceList { source: "test".into(), prices: vec![price] };
        office.store.save_prices(list, author()).await.unwrap().version
    };
    let first = list("0.10").await;
    let made = office.make(Wish { multiplier: Some("1.5"), ..Wish::of("acme") }).await;
    let held = async || {
        submit(&relay, "a/b", &made.key, r#"{"units":"2"}"#).await;
        office.rows().await.pop().unwrap().hold_usd
    };
    // The running relay takes the new list within `relay.key_check_ms`.
    while held().await != usd("0.15") {
        pause().await;
    }
    let old = submit(&relay, "a/b", &made.key, r#"{"units":"2"}"#).await;
    list("0.70").await;
    while held().await != usd("1.05") {
        pause().await;
    }
    let answer = read(&relay, &old, &made.key).await;
    assert_eq!(answer.header("x-relay-cost-usd"), Some("0.30"), "two units at the price of the submit");
    let is_old = |row: &&CallRecord| row.request_id.as_ref().is_some_and(|id| old.ends_with(id.as_str()));
    let settled = |row: &CallRecord| row.state == CallState::Settled;
    let rows = office.rows_when(|rows| rows.iter().find(is_old).is_some_and(settled)).await;
    let row = rows.iter().find(is_old).unwrap();
    assert_eq!(bill(row), (CallState::Settled, Some("0.20".into()), Some("0.30".into())));
    assert_eq!(row.terms.price_version, Some(first));
    office.balance().await;
}

#[tokio::test]
async fn what_was_billed_lately_is_held_for_the_next_also_after_a_restart() {
    let fal = till().await;
    let prices = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.01 compute seconds");
    let mut relay = Relay::with(&fal.base(), &[prices]);
    let key = relay.key.clone();
    let last = async |relay: &Relay| {
        let answer = relay.client().send(post("/run/a/b", &key, r#"{"units":"30"}"#)).await;
        assert_eq!(answer.header("x-relay-cost-usd"), Some("0.30"));
        Office::of(relay).rows().await.pop().unwrap().hold_usd
    };
    assert_eq!(last(&relay).await, usd("1"), "nothing is known yet: the ceiling");
    assert_eq!(last(&relay).await, usd("0.30"));
    Office::of(&relay).closed(2).await;
    relay = relay.restart();
    assert_eq!(last(&relay).await, usd("0.30"));
}

#[tokio::test]
async fn a_body_that_comes_slowly_is_priced_before_anything_is_sent() {
    let fal = till().await;
    let prices = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 1 images");
    let relay = Relay::with(&fal.base(), &[prices]);
    let office = Office::of(&relay);
    let wish = Wish { tenant_budgets: vec![budget(Period::Total, "3")], ..Wish::of("acme") };
    let key = office.make(wish).await.key;
    let whole = post("/a/b", &key, r#"{"prompt":"a cat","num_images":4}"#);
    let mut socket = relay.client().connect().await;
    let (head, tail) = whole.split_at(whole.len() - 6);
    tokio::io::AsyncWriteExt::write_all(&mut socket, head).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut socket, tail).await.unwrap();
    let answer = crate::support::read_answer(&mut socket).await;
    assert_eq!(class(&answer), (402, "budget_exceeded"));
    assert_eq!(paid(&fal).len(), 0);
    // What is let in arrives whole, though its beginning was read for the price.
    let body = format!(r#"{{"num_images":2,"prompt":"{}"}}"#, "x".repeat(200_000));
    assert_eq!(relay.client().send(post("/a/b", &key, &body)).await.status, 200);
    assert_eq!(paid(&fal)[0].body, body.as_bytes());
}
