//! What is asked of the ledger afterwards, and its corrections.

use fal_relay::ids::CallId;
use fal_relay::money::{Delta, Units, Usd};
use fal_relay::period::Period;
use fal_relay::pricing::Basis;
use fal_relay::store::{
    BilledUnits, CallFilter, CallState, Dimension, KeyRecord, NewAdjustment, NewCall, Store, StoreError,
    UsageFilter, UsageRecord,
};

use super::{
    all_calls, at, author, call_of, held, make_key, meter, of_tenant, paid, release, request_id, sent,
    settlement, usd,
};

const DAY: u64 = 86_400;

async fn found(store: &dyn Store, filter: CallFilter) -> Vec<CallId> {
    let mut newest: Vec<_> = Vec::new();
    // In pages of two: no row is lost or comes twice.
    loop {
        let page = store.search(filter.clone(), newest.last().copied(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        newest.extend(page.iter().map(|row| row.id));
    }
    let mut oldest: Vec<_> =
        store.calls(filter, CallId(0), 1000).await.unwrap().iter().map(|row| row.id).collect();
    oldest.sort();
    let mut sorted = newest.clone();
    sorted.sort();
    assert_eq!(sorted, oldest, "both ways find the same");
    newest
}

pub(super) async fn calls_are_found_by_what_is_known_of_them(store: &dyn Store) {
    let (_, key) = make_key(store, "sought", 300).await;
    let (_, other) = make_key(store, "sought", 301).await;
    let (_, stranger) = make_key(store, "stranger", 302).await;
    let call = |key: &KeyRecord, endpoint: &str, tags: &str, seconds| NewCall {
        endpoint: endpoint.into(),
        tags: Some(tags.into()),
        held_at: at(seconds),
        ..call_of(key)
    };
    let a = held(store, call(&key, "fal-ai/a", "team=art,job=1", 5 * DAY)).await;
    let b = held(store, call(&other, "fal-ai/b", "team=artists", 7 * DAY)).await;
    // Its clock was behind.
    let c = held(store, call(&key, "fal-ai/b", "team=100%,x_y=1", 6 * DAY)).await;
    let d = held(store, call(&stranger, "fal-ai/a", "team=art", 7 * DAY)).await;
    store.sent(a, sent("sought-a")).await.unwrap();
    store.settle(b, paid("1", "2")).await.unwrap();
    store.settle(c, settlement(422, None)).await.unwrap();
    let of = |key: &KeyRecord| CallFilter { tenant_id: Some(key.tenant.id), ..Default::default() };

    assert_eq!(found(store, of(&key)).await, [b, c, a], "the newest first, by when they were held");
    assert_eq!(found(store, CallFilter { key_id: Some(key.id), ..Default::default() }).await, [c, a]);
    let mixed = CallFilter { key_id: Some(stranger.id), ..of(&key) };
    assert_eq!(found(store, mixed).await, []);
    let stretch = CallFilter { from: Some(at(5 * DAY + 1)), until: Some(at(7 * DAY)), ..of(&key) };
    assert_eq!(found(store, stretch).await, [c]);
    let everybody =
        CallFilter { from: Some(at(5 * DAY)), until: Some(at(7 * DAY + 1)), ..Default::default() };
    assert_eq!(found(store, everybody).await, [d, b, c, a]);
    let endpoint = CallFilter { endpoint: Some("fal-ai/b".into()), ..of(&key) };
    assert_eq!(found(store, endpoint).await, [b, c]);
    let by_id = |id| CallFilter { request_id: Some(request_id(id)), ..Default::default() };
    assert_eq!(found(store, by_id("sought-a")).await, [a]);
    assert_eq!(
        found(store, CallFilter { tenant_id: Some(stranger.tenant.id), ..by_id("sought-a") }).await,
        []
    );
    assert_eq!(found(store, by_id("nothing")).await, []);
    for (state, expected) in [(CallState::Sent, vec![a]), (CallState::Settled, vec![b, c])] {
        assert_eq!(found(store, CallFilter { state: Some(state), ..of(&key) }).await, expected);
    }
    assert_eq!(found(store, CallFilter { status: Some(422), ..of(&key) }).await, [c]);
    assert_eq!(found(store, CallFilter { unpriced: true, ..of(&key) }).await, [c]);
    for (least, expected) in [("0", vec![b]), ("2", vec![b]), ("2.000000001", vec![])] {
        assert_eq!(found(store, CallFilter { min_charge: Some(usd(least)), ..of(&key) }).await, expected);
    }

    // A tag is found whole, whatever is in it.
    let tag = |tag: &str| CallFilter { tag: Some(tag.into()), ..of(&key) };
    for (asked, expected) in [
        ("team=art", vec![a]),
        ("job=1", vec![a]),
        ("team=artists", vec![b]),
        ("team=100%", vec![c]),
        ("x_y=1", vec![c]),
        ("team=%", vec![]),
        ("x%y=1", vec![]),
        ("xay=1", vec![]),
        ("team=art,job=1", vec![]),
        ("TEAM=art", vec![]),
        ("", vec![]),
        ("' OR 1=1 --", vec![]),
    ] {
        assert_eq!(found(store, tag(asked)).await, expected, "{asked}");
    }
    assert_eq!(store.search(of(&key), Some(CallId(999_999)), 10).await.unwrap(), []);
    for id in [a, d] {
        store.release(id, release(None)).await.unwrap();
    }
}

fn truth(call_id: CallId, cost: &str, charge: &str) -> NewAdjustment {
    NewAdjustment { call_id, cost: usd(cost), charge: usd(charge) }
}

async fn day_of(store: &dyn Store, key: &KeyRecord, by: &[Dimension]) -> Vec<UsageRecord> {
    let filter = UsageFilter {
        from_day: 0,
        until_day: 1,
        tenant_id: Some(key.tenant.id),
        key_id: None,
        endpoint: None,
        by: by.to_vec(),
        limit: 100,
    };
    store.usage(filter).await.unwrap()
}

pub(super) async fn later_truth_is_an_adjustment(store: &dyn Store) {
    let (_, key) = make_key(store, "corrected", 310).await;
    let call = NewCall { hold: usd("5"), tags: Some("t=1".into()), ..call_of(&key) };
    let id = held(store, call).await;
    let sums = async || meter(store, of_tenant(&key), Period::Total, 100).await.unwrap();
    assert_eq!(store.adjust(truth(id, "1", "1"), author(1)).await.unwrap(), None, "it is open");
    assert_eq!(store.adjust(truth(CallId(999_999), "1", "1"), author(1)).await.unwrap(), None);
    store.settle(id, settlement(200, None)).await.unwrap();
    let unknown = UsageRecord { calls: 1, unpriced: 1, ..Default::default() };
    assert_eq!(day_of(store, &key, &[]).await, std::slice::from_ref(&unknown));

    // What was not known becomes known: the kept hold is given back.
    let first = store.adjust(truth(id, "0", "0"), author(300)).await.unwrap().unwrap();
    assert_eq!((first.call_id, first.at, first.charge_usd), (id, at(300), Delta::default()));
    assert_eq!((first.reason.as_str(), first.author.as_str()), ("because", "ada"));
    assert_eq!(sums().await, (0, 0));
    let row = store.call(id).await.unwrap().unwrap();
    assert_eq!(
        (row.cost_usd, row.cost_basis, row.hold_open),
        (Some(Delta::default()), Some(Basis::Billed), false)
    );
    assert_eq!(store.adjust(truth(id, "0", "0"), author(301)).await.unwrap(), None, "it says so already");

    // Up and down again: every step is kept, nothing is edited.
    store.adjust(truth(id, "2", "3"), author(302)).await.unwrap().unwrap();
    let last = store.adjust(truth(id, "0.5", "0.75"), author(303)).await.unwrap().unwrap();
    assert_eq!(
        (last.cost_usd, last.charge_usd),
        (Delta::from_nanos(-1_500_000_000), Delta::from_nanos(-2_250_000_000))
    );
    assert_eq!(sums().await, (750_000_000, 0));
    let all = store.adjustments(id).await.unwrap();
    assert_eq!((all.len(), &all[0], &all[2]), (3, &first, &last));
    let row = store.call(id).await.unwrap().unwrap();
    assert_eq!((row.charge_usd, row.adjusted_usd), (Some(usd("0.75").into()), Some(usd("0.75").into())));
    assert_eq!((row.billable_units, row.settled_at), (None, Some(at(102))), "what was said then stays");
    let known = UsageRecord { unpriced: 0, cost: usd("0.5").into(), charge: usd("0.75").into(), ..unknown };
    assert_eq!(day_of(store, &key, &[]).await, std::slice::from_ref(&known));
    let tagged = UsageRecord { tag: Some("t=1".into()), ..known };
    assert_eq!(day_of(store, &key, &[Dimension::Tag]).await, [tagged]);

    let line = store.audit(Some(format!("call:{id}")), None, 10).await.unwrap();
    assert_eq!((line.len(), line[0].action.as_str(), line[0].at), (3, "call.adjust", at(303)));
    let old = serde_json::json!({"cost_usd": "2.00", "charge_usd": "3.00"});
    let new = serde_json::json!({"cost_usd": "0.50", "charge_usd": "0.75"});
    assert_eq!((line[0].old.as_ref(), line[0].new.as_ref()), (Some(&old), Some(&new)));
    assert_eq!(line[2].old, Some(serde_json::json!({"cost_usd": null, "charge_usd": null})));

    // A call whose cost was known from the start keeps how it was known.
    let computed = held(store, call_of(&key)).await;
    let mut end = paid("1", "1");
    end.cost.as_mut().unwrap().basis = Basis::Computed;
    store.settle(computed, end).await.unwrap();
    store.adjust(truth(computed, "2", "2"), author(304)).await.unwrap().unwrap();
    let row = store.call(computed).await.unwrap().unwrap();
    assert_eq!((row.charge_usd, row.adjusted_usd), (Some(usd("2").into()), Some(usd("1").into())));
    assert_eq!(row.cost_basis, Some(Basis::Computed));
}

pub(super) async fn a_released_call_may_be_billed_after_all(store: &dyn Store) {
    let (_, key) = make_key(store, "surprised", 320).await;
    let id = held(store, NewCall { hold: usd("5"), ..call_of(&key) }).await;
    store.release(id, release(None)).await.unwrap();
    assert_eq!(store.adjust(truth(id, "0", "0"), author(1)).await.unwrap(), None, "it costs nothing already");
    store.adjust(truth(id, "1", "1"), author(400)).await.unwrap().unwrap();
    let row = store.call(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.charge_usd), (CallState::Released, Some(usd("1").into())));
    assert_eq!(meter(store, of_tenant(&key), Period::Total, 100).await, Some((1_000_000_000, 0)));
    let billed = UsageRecord { cost: usd("1").into(), charge: usd("1").into(), ..Default::default() };
    assert_eq!(day_of(store, &key, &[]).await, [billed], "the sums are those of the rows");
}

/// Settles a call of the `key` on a day, for cents.
async fn spend(
    store: &dyn Store,
    key: &KeyRecord,
    endpoint: &str,
    tags: Option<&str>,
    day: u64,
    charge: Option<u32>,
) {
    let call = NewCall {
        endpoint: endpoint.into(),
        tags: tags.map(Into::into),
        held_at: at(day * DAY + 7),
        ..call_of(key)
    };
    let id = held(store, call).await;
    let end = match charge {
        Some(cents) => paid("0.01", &format!("0.{cents:02}")),
        None => settlement(500, None),
    };
    store.settle(id, end).await.unwrap();
}

fn line(calls: u64, cents: i64) -> UsageRecord {
    let cent = 10_000_000;
    let (cost, charge) = (Delta::from_nanos(calls as i64 * cent), Delta::from_nanos(cents * cent));
    UsageRecord { calls, cost, charge, ..Default::default() }
}

pub(super) async fn usage_is_told_apart(store: &dyn Store) {
    let (_, one) = make_key(store, "usage a", 330).await;
    let (_, two) = make_key(store, "usage a", 331).await;
    let (_, other) = make_key(store, "usage b", 332).await;
    spend(store, &one, "e/1", Some("t=1,u=1,t=1"), 1000, Some(1)).await;
    spend(store, &one, "e/2", Some("t=1"), 1000, Some(2)).await;
    spend(store, &two, "e/1", Some("t=2"), 1001, Some(4)).await;
    spend(store, &other, "e/1", None, 1001, Some(8)).await;
    spend(store, &other, "e/3", None, 1002, None).await;
    // What is open or was released is no usage.
    held(store, NewCall { held_at: at(1000 * DAY), ..call_of(&one) }).await;
    let released = held(store, NewCall { held_at: at(1000 * DAY), ..call_of(&one) }).await;
    store.release(released, release(None)).await.unwrap();

    let filter = |by: &[Dimension]| UsageFilter {
        from_day: 1000,
        until_day: 1003,
        tenant_id: None,
        key_id: None,
        endpoint: None,
        by: by.to_vec(),
        limit: 100,
    };
    let usage = |filter| store.usage(filter);
    let (a, b) = (Some("usage a".into()), Some("usage b".into()));
    let whole = UsageRecord { calls: 5, failed: 1, unpriced: 1, cost: line(4, 0).cost, ..line(5, 15) };
    assert_eq!(usage(filter(&[])).await.unwrap(), [whole]);
    let until = UsageFilter { until_day: 1002, ..filter(&[]) };
    assert_eq!(usage(until).await.unwrap(), [line(4, 15)]);
    let of_b = UsageRecord { calls: 2, failed: 1, unpriced: 1, tenant: b.clone(), ..line(1, 8) };
    let by_tenant = [UsageRecord { tenant: a.clone(), ..line(3, 7) }, of_b];
    assert_eq!(usage(filter(&[Dimension::Tenant])).await.unwrap(), by_tenant);
    let first = UsageFilter { limit: 1, ..filter(&[Dimension::Tenant]) };
    assert_eq!(usage(first).await.unwrap(), by_tenant[..1]);

    let of_a = |by: &[Dimension]| UsageFilter { tenant_id: Some(one.tenant.id), ..filter(by) };
    let by_key = [
        UsageRecord { key_id: Some(one.id), ..line(2, 3) },
        UsageRecord { key_id: Some(two.id), ..line(1, 4) },
    ];
    assert_eq!(usage(of_a(&[Dimension::Key])).await.unwrap(), by_key);
    let row = |endpoint: &str, day, calls, cents| UsageRecord {
        day: Some(day),
        endpoint: Some(endpoint.into()),
        ..line(calls, cents)
    };
    let by_endpoint = usage(of_a(&[Dimension::Endpoint, Dimension::Day])).await.unwrap();
    assert_eq!(by_endpoint, [row("e/1", 1000, 1, 1), row("e/1", 1001, 1, 4), row("e/2", 1000, 1, 2)]);
    let by_day = usage(of_a(&[Dimension::Day, Dimension::Endpoint])).await.unwrap();
    assert_eq!(by_day, [row("e/1", 1000, 1, 1), row("e/2", 1000, 1, 2), row("e/1", 1001, 1, 4)]);
    let narrow = UsageFilter { key_id: Some(one.id), endpoint: Some("e/2".into()), ..filter(&[]) };
    assert_eq!(usage(narrow).await.unwrap(), [line(1, 2)]);

    // By tag a call counts in each of its own, once.
    let tag = |tag: &str, calls, cents| UsageRecord { tag: Some(tag.into()), ..line(calls, cents) };
    let by_tag = usage(of_a(&[Dimension::Tag])).await.unwrap();
    assert_eq!(by_tag, [tag("t=1", 2, 3), tag("t=2", 1, 4), tag("u=1", 1, 1)]);
    let both = usage(filter(&[Dimension::Tag, Dimension::Tenant])).await.unwrap();
    assert_eq!(both[0], UsageRecord { tenant: a, ..tag("t=1", 2, 3) });
    let of_one = UsageFilter { key_id: Some(one.id), ..filter(&[Dimension::Tag]) };
    assert_eq!(usage(of_one).await.unwrap(), [tag("t=1", 2, 3), tag("u=1", 1, 1)]);
    let of_two = UsageRecord { key_id: Some(two.id), ..tag("t=2", 1, 4) };
    assert_eq!(usage(of_a(&[Dimension::Key, Dimension::Tag])).await.unwrap()[2], of_two);
    let refused = usage(filter(&[Dimension::Tag, Dimension::Endpoint])).await;
    assert!(matches!(refused, Err(StoreError::Unanswerable(_))), "{refused:?}");
    let nothing = UsageFilter { from_day: 5000, until_day: 5001, ..filter(&[]) };
    assert_eq!(usage(nothing).await.unwrap(), [UsageRecord::default()]);
    let nothing = UsageFilter { from_day: 5000, until_day: 5001, ..filter(&[Dimension::Day]) };
    assert_eq!(usage(nothing).await.unwrap(), []);

    // What usage says is what the rows say.
    let rows = all_calls(store).await;
    let sum: i64 = rows.iter().filter_map(|row| row.charge_usd).map(Delta::nanos).sum();
    let all = UsageFilter { from_day: i64::MIN, until_day: i64::MAX, ..filter(&[]) };
    let all = usage(all).await.unwrap().remove(0);
    let settled = rows.iter().filter(|row| row.state == CallState::Settled).count() as u64;
    let unpriced = rows.iter().filter(|row| row.state == CallState::Settled && row.charge_usd.is_none());
    assert_eq!((all.charge.nanos(), all.calls, all.unpriced), (sum, settled, unpriced.count() as u64));
}

pub(super) async fn what_was_billed_lately_is_remembered(store: &dyn Store) {
    let (_, key) = make_key(store, "history", 340).await;
    for (units, status) in [("1", 200), ("2.5", 200), ("NaN", 200), ("7", 422), ("3", 200)] {
        let mut end = paid("1", "1");
        (end.billable_units, end.status) = (Some(units.into()), status);
        let id = held(store, call_of(&key)).await;
        store.settle(id, end).await.unwrap();
    }
    let open = held(store, call_of(&key)).await;
    let billed =
        |units| BilledUnits { endpoint: "fal-ai/flux-1/dev".into(), units: Units::parse(units).unwrap() };
    assert_eq!(store.billed_units(5).await.unwrap(), [billed("3"), billed("2.5")], "of five calls");
    assert_eq!(store.billed_units(6).await.unwrap(), [billed("3"), billed("2.5"), billed("1")]);
    assert_eq!(store.billed_units(0).await.unwrap(), []);
    store.settle(open, paid("0", "0")).await.unwrap();
    assert_eq!(store.call(open).await.unwrap().unwrap().cost_usd, Some(Usd::ZERO.into()), "zero is known");
}
