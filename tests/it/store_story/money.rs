//! Budgets: what is held, given back and charged, and in which windows it counts.

use fal_relay::money::{Delta, Usd};
use fal_relay::period::{Period, Zone};
use fal_relay::store::{Budget, NewAdjustment, Spent, Store, StoreError};

use super::{
    all_calls, at, author, budget, call_at, call_of, held, make_key, meter, of_key, of_tenant, paid, release,
    set, settlement, usd,
};

const DAY: u64 = 86_400;

/// The morning of a Wednesday, in a month's middle.
pub(super) const NOW: u64 = 20_000 * DAY + 10 * 3_600;

pub(super) const NANOS: i64 = 1_000_000_000;

async fn refused(store: &dyn Store, call: fal_relay::store::NewCall) -> Spent {
    let before = all_calls(store).await.len();
    match store.hold(call).await {
        Err(StoreError::OverBudget(spent)) => {
            assert_eq!(all_calls(store).await.len(), before, "nothing is written");
            *spent
        }
        other => panic!("{other:?}"),
    }
}

pub(super) async fn budgets_hold_and_give_back(store: &dyn Store) {
    let (_, key) = make_key(store, "saver", 200).await;
    set(store, of_key(&key), budget(Period::Total, "10"), NOW).await;
    let both = async || {
        let of_tenant = meter(store, of_tenant(&key), Period::Total, NOW).await;
        assert_eq!(of_tenant, meter(store, of_key(&key), Period::Total, NOW).await);
        of_tenant.unwrap()
    };
    let one = held(store, call_at(store, &key, "4", NOW).await).await;
    let two = held(store, call_at(store, &key, "6", NOW).await).await;
    assert_eq!(both().await, (0, 10 * NANOS));
    let spent = refused(store, call_at(store, &key, "0.000000001", NOW).await).await;
    let expected = Spent {
        payer: of_key(&key),
        token_id: None,
        period: Period::Total,
        limit: usd("10"),
        left: Usd::ZERO,
        resets_at: None,
    };
    assert_eq!(spent, expected);
    assert_eq!(both().await, (0, 10 * NANOS), "a refusal holds nothing");

    // A charge takes its hold's place, once; what is released is given back, once.
    assert!(store.settle(one, paid("1", "1.5")).await.unwrap());
    assert!(!store.settle(one, paid("9", "9")).await.unwrap());
    assert_eq!(both().await, (1_500_000_000, 6 * NANOS));
    assert!(store.release(two, release(None)).await.unwrap());
    assert!(!store.release(two, release(None)).await.unwrap());
    assert!(!store.settle(two, paid("9", "9")).await.unwrap());
    assert_eq!(both().await, (1_500_000_000, 0));
    let row = store.call(one).await.unwrap().unwrap();
    assert_eq!((row.cost_usd, row.charge_usd), (Some(usd("1").into()), Some(usd("1.5").into())));
    assert_eq!((row.hold_open, row.adjusted_usd), (false, None));

    // A cost that is not known is not zero: its hold stays.
    let unknown = held(store, call_at(store, &key, "2", NOW).await).await;
    store.lose(unknown, at(NOW)).await.unwrap();
    assert_eq!(both().await, (1_500_000_000, 2 * NANOS));
    store.settle(unknown, settlement(200, None)).await.unwrap();
    assert_eq!(both().await, (1_500_000_000, 2 * NANOS));
    assert!(store.call(unknown).await.unwrap().unwrap().hold_open);

    // A charge may be more than its hold: then the budget is spent beyond, and even what is free waits.
    let dear = held(store, call_at(store, &key, "6.5", NOW).await).await;
    store.settle(dear, paid("7", "7")).await.unwrap();
    let spent = refused(store, call_at(store, &key, "0", NOW).await).await;
    assert_eq!(spent.left, Usd::ZERO);
}

pub(super) async fn the_tightest_budget_refuses(store: &dyn Store) {
    let (_, key) = make_key(store, "layers", 210).await;
    let (_, sibling) = make_key(store, "layers", 211).await;
    set(store, of_tenant(&key), budget(Period::Month, "5"), NOW).await;
    set(store, of_tenant(&key), budget(Period::Total, "50"), NOW).await;
    set(store, of_key(&key), budget(Period::Day, "2"), NOW).await;
    held(store, call_at(store, &key, "1.5", NOW).await).await;
    let spent = refused(store, call_at(store, &key, "1", NOW).await).await;
    assert_eq!((spent.payer, spent.period, spent.left), (of_key(&key), Period::Day, usd("0.5")));
    assert_eq!(spent.resets_at, Some(at(20_001 * DAY)));

    // The sibling has no budget of its own; its tenant's counts both. Of several, the one with the least left is told.
    held(store, call_at(store, &sibling, "3.2", NOW).await).await;
    let spent = refused(store, call_at(store, &key, "0.4", NOW).await).await;
    assert_eq!((spent.payer, spent.period, spent.left), (of_tenant(&key), Period::Month, usd("0.3")));
    let spent = refused(store, call_at(store, &key, "100", NOW).await).await;
    assert_eq!((spent.period, spent.left), (Period::Month, usd("0.3")));
    held(store, call_at(store, &key, "0.3", NOW).await).await;

    // A budget that is lifted holds nobody up.
    let lift = store.set_budget(of_tenant(&key), Period::Month, None, author(NOW));
    lift.await.unwrap();
    held(store, call_at(store, &sibling, "40", NOW).await).await;
    assert_eq!(refused(store, call_at(store, &sibling, "6", NOW).await).await.period, Period::Total);
}

pub(super) async fn a_budget_is_told_once_in_a_window(store: &dyn Store) {
    let (_, key) = make_key(store, "warned", 220).await;
    set(store, of_key(&key), budget(Period::Day, "10"), NOW).await;
    let told = async |hold: &str, now| store.hold(call_at(store, &key, hold, now).await).await.unwrap().told;
    assert_eq!(told("7.999999999", NOW).await, []);
    let spent = Spent {
        payer: of_key(&key),
        token_id: None,
        period: Period::Day,
        limit: usd("10"),
        left: usd("2"),
        resets_at: Some(at(20_001 * DAY)),
    };
    assert_eq!(told("0.000000001", NOW).await, std::slice::from_ref(&spent));
    assert_eq!(told("1", NOW).await, []);
    let next = Spent { left: usd("1"), resets_at: Some(at(20_002 * DAY)), ..spent.clone() };
    assert_eq!(told("9", NOW + DAY).await, [next], "the next day is told of again");

    // A refusal tells nobody: the point is passed by what is held.
    let (_, other) = make_key(store, "warned", 221).await;
    set(store, of_key(&other), budget(Period::Day, "10"), NOW).await;
    refused(store, call_at(store, &other, "11", NOW).await).await;
    let held = store.hold(call_at(store, &other, "8", NOW).await).await.unwrap();
    assert_eq!(held.told, [Spent { payer: of_key(&other), ..spent }]);
}

pub(super) async fn windows_open_when_their_time_comes(store: &dyn Store) {
    let (_, key) = make_key(store, "calendar", 230).await;
    let tokyo = Budget { zone: Zone::parse("Asia/Tokyo").unwrap(), ..budget(Period::Day, "5") };
    set(store, of_key(&key), tokyo, NOW).await;
    held(store, call_at(store, &key, "5", NOW).await).await;
    refused(store, call_at(store, &key, "1", NOW).await).await;
    // Midnight in Tokyo is three in the afternoon, UTC.
    let midnight = 20_000 * DAY + 15 * 3_600;
    assert_eq!(
        refused(store, call_at(store, &key, "1", midnight - 1).await).await.resets_at,
        Some(at(midnight))
    );
    assert_eq!(meter(store, of_key(&key), Period::Day, midnight).await, None);
    let late = held(store, call_at(store, &key, "4", midnight).await).await;
    assert_eq!(meter(store, of_key(&key), Period::Day, midnight).await, Some((0, 4 * NANOS)));
    assert_eq!(refused(store, call_at(store, &key, "2", midnight).await).await.left, usd("1"));

    // What ends in another window than its own counts in its own.
    let settled = NOW + 3 * DAY;
    store.settle(late, paid("3", "3")).await.unwrap();
    held(store, call_at(store, &key, "5", settled).await).await;
    assert_eq!(meter(store, of_key(&key), Period::Day, midnight).await, Some((3 * NANOS, 0)));
    assert_eq!(meter(store, of_key(&key), Period::Day, settled).await, Some((0, 5 * NANOS)));

    // Whoever knows a budget of yesterday only is held to that of today.
    let stale = call_at(store, &key, "5", NOW + 10 * DAY).await;
    set(store, of_key(&key), budget(Period::Day, "1"), NOW).await;
    assert_eq!(refused(store, stale).await.limit, usd("1"));
    let stale = call_at(store, &key, "5", NOW + 20 * DAY).await;
    store.set_budget(of_key(&key), Period::Day, None, author(NOW)).await.unwrap();
    held(store, stale).await;
}

pub(super) async fn a_meter_opened_late_has_what_its_window_had(store: &dyn Store) {
    let (_, key) = make_key(store, "late", 240).await;
    let (_, sibling) = make_key(store, "late", 241).await;
    // Charges, corrections, holds and holds that were kept, before, in and after several days and their edges.
    let week = 20_000 * DAY - 2 * DAY;
    for (place, now) in (week - 3 * DAY..week + 9 * DAY).step_by(7 * 3_600).enumerate() {
        for (caller, cents) in [(&key, 7), (&sibling, 11)] {
            let id = held(store, call_at(store, caller, &format!("0.{cents:02}"), now).await).await;
            match place % 5 {
                0 => assert!(store.settle(id, paid("0.01", "0.03")).await.unwrap()),
                1 => assert!(store.settle(id, settlement(200, None)).await.unwrap()),
                2 => assert!(store.release(id, release(None)).await.unwrap()),
                3 => {
                    assert!(store.settle(id, settlement(200, None)).await.unwrap());
                    let truth = NewAdjustment { call_id: id, cost: usd("0.04"), charge: usd("0.05") };
                    store.adjust(truth, author(now)).await.unwrap().unwrap();
                }
                _ => {}
            }
        }
    }
    let rows: Vec<_> =
        all_calls(store).await.into_iter().filter(|row| row.tenant_id == key.tenant.id).collect();
    for zone in ["UTC", "Asia/Tokyo", "America/New_York", "Asia/Kathmandu", "Africa/Monrovia"] {
        for period in Period::ALL {
            for payer in [of_tenant(&key), of_key(&key)] {
                let budget = Budget { zone: Zone::parse(zone).unwrap(), ..budget(period, "1000") };
                let window = period.window(&budget.zone, at(NOW));
                set(store, payer, budget, NOW).await;
                let mine = rows.iter().filter(|row| payer.key_id.is_none_or(|key| key == row.key_id));
                let mine: Vec<_> = mine.filter(|row| window.contains(row.held_at)).collect();
                let charge = |row: &&fal_relay::store::CallRecord| row.charge_usd.map_or(0, Delta::nanos);
                let spent: i64 = mine.iter().map(charge).sum();
                let open: i64 = mine.iter().filter(|row| row.hold_open).map(|row| row.hold_usd.nanos()).sum();
                assert!(spent > 0 || open > 0, "{zone} {period}");
                let meters = store.meters(payer, at(NOW)).await.unwrap();
                let found = meters.iter().find(|meter| (meter.payer, meter.window) == (payer, window));
                let found = found.map(|meter| (meter.spent_nano, meter.held.nanos()));
                assert_eq!(found, Some((spent, open)), "{zone} {period} {payer:?}");
            }
        }
    }
}

pub(super) async fn sums_beyond_all_numbers_are_refused(store: &dyn Store) {
    let (_, key) = make_key(store, "boundless", 250).await;
    let most = || fal_relay::store::NewCall { hold: usd("1000000000"), ..call_of(&key) };
    for _ in 0..9 {
        held(store, most()).await;
    }
    let before = all_calls(store).await;
    let refused = store.hold(most()).await;
    assert!(matches!(refused, Err(StoreError::Backend(_))), "{refused:?}");
    assert_eq!(all_calls(store).await, before);
    for row in before.iter().filter(|row| row.tenant_id == key.tenant.id) {
        assert!(store.release(row.id, release(None)).await.unwrap());
    }
    assert_eq!(meter(store, of_tenant(&key), Period::Total, 100).await, Some((0, 0)));
}
