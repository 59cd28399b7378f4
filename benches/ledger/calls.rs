//! Calls per second: many callers, each waiting for its own flush.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fal_relay::clock::{Clock, SystemClock, Timestamp};
use fal_relay::ids::{AccountName, GroupId, LeaseId, RequestId, TenantId};
use fal_relay::key::{KeyDigest, KeyKind};
use fal_relay::money::{Multiplier, UnitPrice, Usd};
use fal_relay::period::{Period, Zone};
use fal_relay::pricing::Basis;
use fal_relay::rules::Rules;
use fal_relay::store::{
    Author, Budget, CallKind, Cost, Directory, ImportedKey, KeyRecord, Ledger, MeterWindow, NewCall, NewKey,
    SentCall, Settlement, SqliteStore, Terms,
};

/// How long each is measured.
const ROUND: Duration = Duration::from_secs(5);

/// Tenants, each with two keys.
const TENANTS: usize = 200;

pub(crate) async fn measure(path: &Path) {
    let store = crate::open(path);
    let clock = SystemClock::new();
    let keys = make_keys(&store, clock.now()).await;
    println!("| verbs | callers | calls/s | batch | p50 ms | p99 ms | CPU us/call | statements/call |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for callers in [1, 32, 256, 1024] {
        round(&store, &clock, "hold", &keys, callers).await;
    }
    round(&store, &clock, "hold, sent, settle", &keys, 256).await;
    let capped = cap(&store, &keys, clock.now()).await;
    round(&store, &clock, "hold, 3 budgets", &capped, 256).await;
    round(&store, &clock, "hold, sent, settle, 3 budgets", &capped, 256).await;
}

/// Two keys for each tenant.
pub(crate) async fn make_keys(store: &SqliteStore, now: Timestamp) -> Vec<KeyRecord> {
    let key = |number: usize| {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        let key = NewKey {
            tenant: format!("tenant {}", number % TENANTS),
            group_id: GroupId(1),
            name: format!("key {number}"),
            kind: KeyKind::Live,
            digest: KeyDigest(digest),
            last_four: "abcd".into(),
            rules: Rules::default(),
            starts_at: None,
            expires_at: None,
            budgets: Vec::new(),
        };
        ImportedKey { key, group: "default".into(), revoked: false }
    };
    let keys = (0..2 * TENANTS).map(key).collect();
    store.import(Vec::new(), keys, author(now)).await.unwrap()
}

fn author(at: Timestamp) -> Author {
    Author { name: "bench".into(), reason: None, at }
}

/// Gives every key a budget for the day, every tenant one for the month and one for good.
async fn cap(store: &SqliteStore, keys: &[KeyRecord], now: Timestamp) -> Vec<KeyRecord> {
    let budget = |period| Budget {
        period,
        limit_usd: Usd::parse("1000000").unwrap(),
        soft_percent: 80,
        zone: Zone::default(),
    };
    let mut capped = Vec::new();
    for key in keys {
        let of_key = fal_relay::store::Payer { tenant_id: key.tenant.id, key_id: Some(key.id) };
        let of_tenant = fal_relay::store::Payer { key_id: None, ..of_key };
        for (payer, period) in [(of_key, Period::Day), (of_tenant, Period::Month), (of_tenant, Period::Total)]
        {
            store.set_budget(payer, period, Some(budget(period)), author(now)).await.unwrap();
        }
        capped.push(store.key(key.id).await.unwrap().unwrap());
    }
    capped
}

async fn round(
    store: &Arc<SqliteStore>,
    clock: &SystemClock,
    verbs: &str,
    keys: &[KeyRecord],
    callers: usize,
) {
    let (before, cpu, start) = (store.statistics(), cpu(), clock.elapsed());
    let callers_at_work: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, clock, key) = (store.clone(), clock.clone(), keys[caller % keys.len()].clone());
            let whole = verbs.contains("settle");
            tokio::spawn(async move { work(&store, &clock, &key, whole, start + ROUND).await })
        })
        .collect();
    let mut waits = Vec::new();
    for caller in callers_at_work {
        waits.extend(caller.await.unwrap());
    }
    let seconds = (clock.elapsed() - start).as_secs_f64();
    let after = store.statistics();
    waits.sort();
    let calls = waits.len() as f64;
    let wait = |part: f64| waits[(part * (calls - 1.0)) as usize].as_secs_f64() * 1e3;
    println!(
        "| {verbs} | {callers} | {:.0} | {:.0} | {:.2} | {:.2} | {:.1} | {:.2} |",
        calls / seconds,
        (after.batched - before.batched) as f64 / (after.batches - before.batches) as f64,
        wait(0.5),
        wait(0.99),
        (self::cpu() - cpu) / calls * 1e6,
        (after.writes - before.writes) as f64 / calls,
    );
}

/// Calls one after another until the time is over; says how long each hold took.
async fn work(
    store: &SqliteStore,
    clock: &SystemClock,
    key: &KeyRecord,
    whole: bool,
    until: Duration,
) -> Vec<Duration> {
    let mut waits = Vec::new();
    while clock.elapsed() < until {
        let start = clock.elapsed();
        let held = store.hold(call_of(key, clock.now())).await.unwrap();
        waits.push(clock.elapsed() - start);
        if whole {
            store.sent(held.id, sent(&format!("{:032x}", held.id.0), clock.now())).await.unwrap();
            assert!(store.settle(held.id, settlement(clock.now())).await.unwrap());
        }
    }
    waits
}

fn call_of(key: &KeyRecord, now: Timestamp) -> NewCall {
    let window = |record: &fal_relay::store::BudgetRecord| MeterWindow {
        of_key: record.key_id.is_some(),
        period: record.budget.period,
        window: record.budget.period.window(&record.budget.zone, now),
    };
    NewCall {
        tenant_id: TenantId(key.tenant.id.0),
        key_id: key.id,
        token_id: None,
        account: AccountName::new("main"),
        endpoint: "fal-ai/flux-1/dev".into(),
        kind: CallKind::Queue,
        lease: LeaseId(key.id.0),
        tags: Some("team=art".into()),
        terms: Terms {
            unit_price: Some(UnitPrice::parse("0.025").unwrap()),
            unit: Some("megapixels".into()),
            multiplier: Multiplier::ONE,
            price_version: Some(1),
        },
        hold: Usd::parse("0.025").unwrap(),
        hold_basis: "request",
        windows: key.budgets.iter().map(window).collect(),
        held_at: now,
    }
}

fn sent(request_id: &str, sent_at: Timestamp) -> SentCall {
    SentCall {
        request_id: RequestId::parse(request_id).unwrap(),
        app_base: "fal-ai/flux-1".into(),
        body_sha256: Some([7; 32]),
        body_bytes: 100,
        sent_at,
    }
}

fn settlement(settled_at: Timestamp) -> Settlement {
    let amount = Usd::parse("0.025").unwrap();
    let cost = Cost { cost: amount, charge: amount, basis: Basis::Billed };
    Settlement { status: 200, billable_units: Some("1".into()), cost: Some(cost), settled_at }
}

/// Processor time of this process so far, in seconds; nothing where the system does not tell.
fn cpu() -> f64 {
    /// The kernel's unit for times it shows.
    const TICKS_PER_SECOND: f64 = 100.0;
    let told = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may have blanks; user and system time are the twelfth and thirteenth behind it.
    let fields = told.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
    fields.take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}
