//! Budgets, and the meters that they cap.

use fal_relay::ids::{KeyId, TenantId};
use fal_relay::money::Usd;
use fal_relay::period::{Period, Zone};
use fal_relay::store::{
    Budget, BudgetRecord, Deletion, KeyRecord, Meter, NewCall, NewKey, Payer, Release, Store, StoreError,
};

use super::{at, author, call_of, make_key, new_key, silent, told_of};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// Late in the morning of Friday, the second of January 1970, UTC; in Tokyo it is evening.
const NOW: i64 = DAY + 10 * HOUR;

pub(super) async fn budgets_cap_their_payers(store: &dyn Store) {
    let key = make_key(store, "budgeted", 80).await;
    let sibling = make_key(store, "budgeted", 81).await;
    let (tenant, of_key) = payers(&key);
    let object = format!("tenant:{}", tenant.tenant_id);
    let whole = Meter {
        payer: tenant,
        period: Period::Total,
        window: Period::Total.window(&Zone::default(), at(NOW)),
        spent_nano: 0,
        held: Usd::ZERO,
        limit: None,
    };
    let meters = |payer| store.meters(payer, at(NOW));
    assert_eq!(meters(tenant).await.unwrap(), std::slice::from_ref(&whole), "every tenant has it");

    let revision = store.keys_revision().await.unwrap();
    let total = budget(Period::Total, "100");
    set(store, tenant, &total).await.unwrap();
    told_of(store, "budget.set", object.clone(), (false, true)).await;
    assert!(store.keys_revision().await.unwrap() > revision, "caches must know");
    assert_eq!(meters(tenant).await.unwrap(), [Meter { limit: Some(usd("100")), ..whole.clone() }]);
    silent(store, set(store, tenant, &total)).await.unwrap();

    set(store, tenant, &budget(Period::Day, "10")).await.unwrap();
    set(store, of_key, &budget(Period::Day, "5")).await.unwrap();
    told_of(store, "budget.set", format!("key:{}", key.id), (false, true)).await;
    let record = |key_id, budget| BudgetRecord { key_id, budget };
    let of_tenant = [record(None, budget(Period::Day, "10")), record(None, total.clone())];
    let all = [&of_tenant[..], &[record(Some(key.id), budget(Period::Day, "5"))]].concat();
    assert_eq!(store.budgets(tenant.tenant_id).await.unwrap(), all);
    assert_eq!(store.key(key.id).await.unwrap().unwrap().budgets, all);
    assert_eq!(store.key(sibling.id).await.unwrap().unwrap().budgets, of_tenant);
    assert_eq!(caps(store, tenant, NOW).await, [("day", Some(usd("10"))), ("total", Some(usd("100")))]);
    let keys = [("day", Some(usd("10"))), ("total", Some(usd("100"))), ("day", Some(usd("5")))];
    assert_eq!(caps(store, of_key, NOW).await, keys, "the tenant's first");
    assert_eq!(caps(store, tenant, NOW + DAY).await, [("total", Some(usd("100")))], "tomorrow has not begun");

    // A new cap holds at once, also one below what is held; a meter that is opened late has what its window had.
    let call = NewCall { hold: usd("0.5"), held_at: at(NOW), ..call_of(&key) };
    let held = store.hold(call).await.unwrap();
    set(store, tenant, &budget(Period::Day, "0.25")).await.unwrap();
    told_of(store, "budget.set", object.clone(), (true, true)).await;
    set(store, tenant, &budget(Period::Week, "50")).await.unwrap();
    for meter in meters(tenant).await.unwrap() {
        assert_eq!(meter.held, usd("0.5"), "{meter:?}");
    }
    let release = Release { status: None, reason: "test", released_at: at(NOW) };
    store.release(held.id, release).await.unwrap();

    let lift = |period| store.set_budget(tenant, period, None, author(NOW));
    for period in [Period::Total, Period::Day, Period::Week] {
        lift(period).await.unwrap();
        told_of(store, "budget.lift", object.clone(), (true, false)).await;
        silent(store, lift(period)).await.unwrap();
    }
    assert!(caps(store, tenant, NOW).await.iter().all(|(_, cap)| cap.is_none()));
    assert_eq!(store.budgets(tenant.tenant_id).await.unwrap(), all[2..]);
}

pub(super) async fn a_zone_decides_which_window_is_capped(store: &dyn Store) {
    let key = make_key(store, "travelling", 82).await;
    let (_, payer) = payers(&key);
    let days = async || {
        let meters = store.meters(payer, at(NOW)).await.unwrap();
        let days = meters.into_iter().filter(|meter| meter.period == Period::Day);
        days.map(|meter| (meter.window.starts_at, meter.limit)).collect::<Vec<_>>()
    };
    let utc = budget(Period::Day, "7");
    let tokyo = Budget { zone: Zone::parse("Asia/Tokyo").unwrap(), ..utc.clone() };
    set(store, payer, &utc).await.unwrap();
    assert_eq!(days().await, [(at(DAY), Some(usd("7")))]);
    set(store, payer, &tokyo).await.unwrap();
    assert_eq!(days().await, [(at(DAY - 9 * HOUR), Some(usd("7"))), (at(DAY), None)]);
    assert_eq!(store.key(key.id).await.unwrap().unwrap().budgets[0].budget, tokyo);
    set(store, payer, &utc).await.unwrap();
    assert_eq!(days().await, [(at(DAY - 9 * HOUR), None), (at(DAY), Some(usd("7")))]);
}

pub(super) async fn a_key_has_budgets_from_the_start(store: &dyn Store) {
    let budgets = vec![budget(Period::Day, "1"), budget(Period::Total, "2")];
    let told = NewKey { budgets: budgets.clone(), ..new_key("equipped", 83).1 };
    let made = store.create_key(told, author(NOW)).await.unwrap();
    let records = |key: &KeyRecord| {
        let own = |budget: &Budget| BudgetRecord { key_id: Some(key.id), budget: budget.clone() };
        budgets.iter().map(own).collect::<Vec<_>>()
    };
    assert_eq!(made.budgets, records(&made));
    let equipped = [("total", None), ("day", Some(usd("1"))), ("total", Some(usd("2")))];
    assert_eq!(caps(store, payers(&made).1, NOW).await, equipped);

    // A successor has them too; a deleted key leaves none behind.
    let plain = new_key("equipped", 84).1;
    let next = store.replace_key(made.id, plain, at(NOW), author(NOW)).await.unwrap().unwrap();
    assert_eq!(next.budgets, records(&next));
    assert_eq!(caps(store, payers(&next).1, NOW).await, equipped);
    assert_eq!(store.delete_key(made.id, author(NOW)).await.unwrap(), Deletion::Done);
    assert_eq!(store.budgets(next.tenant.id).await.unwrap(), records(&next));
    store.delete_tenant(next.tenant.id, author(NOW)).await.unwrap();
    assert_eq!(store.budgets(next.tenant.id).await.unwrap(), []);
}

pub(super) async fn bad_budgets_are_refused(store: &dyn Store) {
    let key = make_key(store, "careful", 85).await;
    let other = make_key(store, "careful too", 86).await;
    let gone = make_key(store, "careful", 87).await;
    store.delete_key(gone.id, author(NOW)).await.unwrap();
    let nobody = Payer { tenant_id: TenantId(999), key_id: None };
    let (tenant, of_key) = payers(&key);
    for payer in [
        nobody,
        Payer { key_id: Some(key.id), ..nobody },
        Payer { key_id: Some(KeyId(999)), ..tenant },
        Payer { key_id: Some(other.id), ..tenant },
        Payer { key_id: Some(gone.id), ..tenant },
    ] {
        let refused = silent(store, set(store, payer, &budget(Period::Day, "1"))).await;
        assert!(matches!(refused, Err(StoreError::Missing(_))), "{payer:?}: {refused:?}");
    }
    for soft_percent in [0, 101] {
        let odd = Budget { soft_percent, ..budget(Period::Day, "1") };
        assert!(matches!(silent(store, set(store, of_key, &odd)).await, Err(StoreError::Backend(_))));
        let told = NewKey { budgets: vec![odd], ..new_key("never made", 88).1 };
        let refused = silent(store, store.create_key(told, author(NOW))).await;
        assert!(matches!(refused, Err(StoreError::Backend(_))));
    }
    for edge in ["0", "0.000000001", "1000000000"] {
        set(store, of_key, &budget(Period::Month, edge)).await.unwrap();
        assert_eq!(caps(store, of_key, NOW).await, [("total", None), ("month", Some(usd(edge)))]);
    }
}

pub(super) async fn a_clock_that_was_set_back_leaves_no_old_cap(store: &dyn Store) {
    let key = make_key(store, "early", 89).await;
    let (_, payer) = payers(&key);
    let tomorrow = |limit| store.set_budget(payer, Period::Day, limit, author(NOW + DAY));
    tomorrow(Some(budget(Period::Day, "9"))).await.unwrap();
    assert_eq!(caps(store, payer, NOW + DAY).await, [("total", None), ("day", Some(usd("9")))]);
    set(store, payer, &budget(Period::Day, "3")).await.unwrap();
    assert_eq!(caps(store, payer, NOW).await, [("total", None), ("day", Some(usd("3")))]);
    assert_eq!(caps(store, payer, NOW + DAY).await, [("total", None)]);
}

fn payers(key: &KeyRecord) -> (Payer, Payer) {
    let tenant = Payer { tenant_id: key.tenant.id, key_id: None };
    (tenant, Payer { key_id: Some(key.id), ..tenant })
}

async fn set(store: &dyn Store, payer: Payer, budget: &Budget) -> Result<(), StoreError> {
    store.set_budget(payer, budget.period, Some(budget.clone()), author(NOW)).await
}

/// The meters that a payer has at a moment, and their caps.
async fn caps(store: &dyn Store, payer: Payer, second: i64) -> Vec<(&'static str, Option<Usd>)> {
    let meters = store.meters(payer, at(second)).await.unwrap();
    let sound = |meter: &Meter| meter.window.starts_at <= at(second) && at(second) < meter.window.ends_at;
    assert!(meters.iter().all(sound), "{meters:?}");
    meters.iter().map(|meter| (meter.period.as_str(), meter.limit)).collect()
}

fn budget(period: Period, limit: &str) -> Budget {
    Budget { period, limit_usd: usd(limit), soft_percent: 80, zone: Zone::default() }
}

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}
