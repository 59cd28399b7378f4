//! Questions to the long ledger, as a console asks them.

use std::path::Path;
use std::time::Duration;

use fal_relay::clock::{Clock, SystemClock, Timestamp};
use fal_relay::ids::{CallId, KeyId, TenantId};
use fal_relay::money::Usd;
use fal_relay::period::{Period, Zone};
use fal_relay::store::{
    Author, Books, Budget, CallFilter, CallState, Dimension, Directory, Payer, SqliteStore, UsageFilter,
};

use crate::long::{DAYS, FIRST_DAY, endpoint_name};

/// How often each is asked; the first finds nothing prepared.
const TIMES: usize = 5;

const END: i64 = FIRST_DAY + DAYS;

pub(crate) async fn measure(path: &Path) {
    let store = crate::open(path);
    println!("| question | lines | first ms | median ms |");
    println!("| --- | --- | --- | --- |");
    usage(&store).await;
    search(&store).await;
    meter(&store).await;
}

async fn usage(store: &SqliteStore) {
    let last = |days, by: &[Dimension]| UsageFilter {
        from_day: END - days,
        until_day: END,
        tenant_id: None,
        key_id: None,
        endpoint: None,
        by: by.to_vec(),
        limit: 10_000,
    };
    for (name, filter) in [
        ("usage of 30 days by tenant", last(30, &[Dimension::Tenant])),
        ("usage of 30 days by key", last(30, &[Dimension::Key])),
        ("usage of 30 days by endpoint", last(30, &[Dimension::Endpoint])),
        ("usage of 30 days by day", last(30, &[Dimension::Day])),
        ("usage of 30 days by tag", last(30, &[Dimension::Tag])),
        ("usage of 30 days by day and tenant", last(30, &[Dimension::Day, Dimension::Tenant])),
        ("usage of all time by tenant", last(DAYS, &[Dimension::Tenant])),
        ("usage of all time by endpoint", last(DAYS, &[Dimension::Endpoint])),
        ("usage of all time by day", last(DAYS, &[Dimension::Day])),
        (
            "one tenant's usage of all time by day and endpoint",
            UsageFilter {
                tenant_id: Some(TenantId(1)),
                ..last(DAYS, &[Dimension::Day, Dimension::Endpoint])
            },
        ),
    ] {
        time(name, async || store.usage(filter.clone()).await.unwrap().len()).await;
    }
}

async fn search(store: &SqliteStore) {
    let all = CallFilter::default;
    let middle = CallId(1_000_000);
    let some = store.search(all(), Some(middle), 1).await.unwrap();
    let known = some.first().and_then(|row| row.request_id.clone());
    let day = |day: i64| Some(Timestamp::from_micros((FIRST_DAY + day) * 86_400_000_000));
    let tenant = Some(TenantId(150));
    for (name, filter) in [
        ("the newest calls", all()),
        ("a request id", CallFilter { request_id: known, ..all() }),
        ("a tenant's newest calls", CallFilter { tenant_id: tenant, ..all() }),
        ("a key's newest calls", CallFilter { key_id: Some(KeyId(399)), ..all() }),
        (
            "a tenant's calls of a day",
            CallFilter { tenant_id: tenant, from: day(200), until: day(201), ..all() },
        ),
        (
            "an endpoint's calls of a day",
            CallFilter { endpoint: Some(endpoint_name(7)), from: day(100), until: day(101), ..all() },
        ),
        (
            "a tenant's failed calls with a tag",
            CallFilter { tenant_id: tenant, status: Some(422), tag: Some("team=t19".into()), ..all() },
        ),
        (
            "a tenant's calls that cost more than any",
            CallFilter { tenant_id: tenant, min_charge: Usd::parse("9").ok(), ..all() },
        ),
        (
            "calls of 30 days that cost more than any",
            CallFilter { from: day(300), until: day(330), min_charge: Usd::parse("9").ok(), ..all() },
        ),
        ("calls without a cost", CallFilter { unpriced: true, ..all() }),
        ("open calls", CallFilter { state: Some(CallState::Sent), ..all() }),
        (
            "calls of all time that cost more than any",
            CallFilter { min_charge: Usd::parse("9").ok(), ..all() },
        ),
    ] {
        time(name, async || store.search(filter.clone(), None, 50).await.unwrap().len()).await;
    }
    let export = async || store.calls(all(), middle, 1000).await.unwrap().len();
    time("a page of 1,000 for an export", export).await;
}

/// The meter of a budget that is set late adds up its window.
async fn meter(store: &SqliteStore) {
    let now = Timestamp::from_micros((END - 1) * 86_400_000_000);
    let zones = ["Asia/Tokyo", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "UTC"];
    let mut zones = zones.iter();
    let payer = Payer { tenant_id: TenantId(1), key_id: None };
    let set = async || {
        let zone = Zone::parse(zones.next().unwrap()).unwrap();
        let limit_usd = Usd::parse("1000000").unwrap();
        let budget = Budget { period: Period::Month, limit_usd, soft_percent: 80, zone };
        let author = Author { name: "bench".into(), reason: None, at: now };
        store.set_budget(payer, Period::Month, Some(budget), author).await.unwrap();
        1
    };
    time("a month's budget set for the largest tenant", set).await;
}

async fn time(name: &str, mut ask: impl AsyncFnMut() -> usize) {
    let clock = SystemClock::new();
    let mut times = Vec::new();
    let mut lines = 0;
    for _ in 0..TIMES {
        let start = clock.elapsed();
        lines = ask().await;
        times.push(clock.elapsed() - start);
    }
    let first = times[0];
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("| {name} | {lines} | {:.1} | {:.1} |", ms(first), ms(times[TIMES / 2]));
}
