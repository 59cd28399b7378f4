//! One life of a ledger, on every store. A bug found in one backend becomes a line of this story; that of tenants, keys
//! and budgets is told in `store_directory_story`.

mod books;
mod ceilings;
mod invariants;
mod ledger;
mod model;
mod money;
mod prices;
mod secrets;

use std::sync::Arc;
use std::time::Duration;

use fal_relay::clock::Timestamp;
use fal_relay::ids::{AccountName, CallId, LeaseId, RequestId};
use fal_relay::key::{ApiKey, KeyKind};
use fal_relay::money::{Multiplier, Usd};
use fal_relay::period::{Period, Zone};
use fal_relay::pricing::Basis;
use fal_relay::random::Random;
use fal_relay::rules::Rules;
use fal_relay::store::{
    Author, Budget, CallFilter, CallKind, CallRecord, Cost, GroupRecord, KeyRecord, MeterWindow, NewCall,
    NewKey, Payer, Release, SentCall, Settlement, Store, StoreError, Terms,
};

use crate::store_sqlite::Sqlite;

/// A backend that the story can run on: empty at first, and opened again with all that was written.
pub(crate) trait Backend {
    fn open(&self) -> Result<Arc<dyn Store>, StoreError>;
}

#[tokio::test]
async fn the_story_on_sqlite() {
    story(&Sqlite::new()).await;
}

async fn story(backend: &dyn Backend) {
    let store = backend.open().unwrap();
    ledger::rows_move_only_forward(&*store).await;
    ledger::every_illegal_move_is_refused(&*store).await;
    ledger::tenants_own_apart(&*store).await;
    ledger::a_request_id_is_taken_once_per_account(&*store).await;
    ledger::what_a_stopped_process_left_is_unknown(&*store).await;
    ledger::the_ledger_is_read_in_pages(&*store).await;
    ledger::open_calls_are_followed(&*store).await;
    money::budgets_hold_and_give_back(&*store).await;
    money::the_tightest_budget_refuses(&*store).await;
    money::a_budget_is_told_once_in_a_window(&*store).await;
    money::windows_open_when_their_time_comes(&*store).await;
    money::a_meter_opened_late_has_what_its_window_had(&*store).await;
    ceilings::a_token_has_a_ceiling_of_its_own(&*store).await;
    ceilings::an_ended_token_holds_nothing(&*store).await;
    money::sums_beyond_all_numbers_are_refused(&*store).await;
    books::calls_are_found_by_what_is_known_of_them(&*store).await;
    books::later_truth_is_an_adjustment(&*store).await;
    books::a_released_call_may_be_billed_after_all(&*store).await;
    books::usage_is_told_apart(&*store).await;
    books::invariant_7_of_what_was_billed_lately_so_many_calls_are_read(&*store).await;
    prices::a_price_list_has_versions(&*store).await;
    prices::own_prices_come_and_go(&*store).await;
    secrets::secrets_are_drawn_once_and_replaced(&*store).await;
    store.ping().await.unwrap();

    let before = everything(&*store).await;
    drop(store);
    let store = backend.open().unwrap();
    assert_eq!(everything(&*store).await, before, "opening again keeps everything");
}

async fn everything(store: &dyn Store) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        all_calls(store).await,
        store.prices().await.unwrap(),
        store.price_changes(0, 1000).await.unwrap(),
        store.instance().await.unwrap(),
        secrets::kept(store, at(50)).await,
    )
}

async fn all_calls(store: &dyn Store) -> Vec<CallRecord> {
    store.calls(CallFilter::default(), CallId(0), 1000).await.unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_secs(seconds))
}

fn author(seconds: u64) -> Author {
    Author { name: "ada".into(), reason: Some("because".into()), at: at(seconds) }
}

pub(crate) async fn make_key(store: &dyn Store, tenant: &str, seed: u64) -> (ApiKey, KeyRecord) {
    // Told apart from the keys of the directory's story, which may share a store some day.
    let key = ApiKey::generate(KeyKind::Live, &Random::seeded(1_000_000 + seed)).unwrap();
    let told = NewKey {
        tenant: tenant.into(),
        group_id: GroupRecord::DEFAULT,
        name: format!("{tenant} {seed}"),
        kind: KeyKind::Live,
        digest: key.digest(),
        last_four: key.last_four(),
        rules: Rules::default(),
        starts_at: None,
        expires_at: None,
        budgets: Vec::new(),
    };
    let record = store.create_key(told, author(seed)).await.unwrap();
    (key, record)
}

pub(crate) fn call_of(key: &KeyRecord) -> NewCall {
    NewCall {
        tenant_id: key.tenant.id,
        key_id: key.id,
        token_id: None,
        account: AccountName::new("main"),
        endpoint: "fal-ai/flux-1/dev".into(),
        kind: CallKind::Queue,
        lease: LeaseId(1),
        tags: None,
        terms: Terms { unit_price: None, unit: None, multiplier: Multiplier::ONE, price_version: None },
        hold: Usd::ZERO,
        hold_basis: "test",
        windows: Vec::new(),
        webhook: None,
        held_at: at(100),
    }
}

async fn held(store: &dyn Store, call: NewCall) -> CallId {
    store.hold(call).await.unwrap().id
}

fn request_id(id: &str) -> RequestId {
    RequestId::parse(id).unwrap()
}

fn sent(id: &str) -> SentCall {
    SentCall {
        request_id: request_id(id),
        app_base: "fal-ai/flux-1".into(),
        body_sha256: Some([7; 32]),
        body_bytes: 17,
        sent_at: at(101),
    }
}

/// A call that ended, and its cost is not known.
fn settlement(status: u16, units: Option<&str>) -> Settlement {
    Settlement { status, billable_units: units.map(Into::into), cost: None, settled_at: at(102) }
}

/// A call that ended well, for what fal bills and what the tenant pays.
fn paid(cost: &str, charge: &str) -> Settlement {
    let cost = Cost { cost: usd(cost), charge: usd(charge), basis: Basis::Billed };
    Settlement { cost: Some(cost), ..settlement(200, Some("1")) }
}

fn release(status: Option<u16>) -> Release {
    Release { status, reason: "refused", released_at: at(103) }
}

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

fn of_tenant(key: &KeyRecord) -> Payer {
    Payer { tenant_id: key.tenant.id, key_id: None }
}

fn of_key(key: &KeyRecord) -> Payer {
    Payer { tenant_id: key.tenant.id, key_id: Some(key.id) }
}

fn budget(period: Period, limit: &str) -> Budget {
    Budget { period, limit_usd: usd(limit), soft_percent: 80, zone: Zone::default() }
}

async fn set(store: &dyn Store, payer: Payer, budget: Budget, now: u64) {
    store.set_budget(payer, budget.period, Some(budget), author(now)).await.unwrap();
}

/// A call at a moment, told the windows of the caller's budgets as they are then.
async fn call_at(store: &dyn Store, key: &KeyRecord, hold: &str, now: u64) -> NewCall {
    let key = store.key(key.id).await.unwrap().unwrap();
    let window = |record: &fal_relay::store::BudgetRecord| MeterWindow {
        of_key: record.key_id.is_some(),
        period: record.budget.period,
        window: record.budget.period.window(&record.budget.zone, at(now)),
    };
    let windows = key.budgets.iter().map(window).collect();
    NewCall { hold: usd(hold), windows, held_at: at(now), ..call_of(&key) }
}

/// What the payer's own meter of the period says at a moment: spent and held, in nano-dollars.
async fn meter(store: &dyn Store, payer: Payer, period: Period, now: u64) -> Option<(i64, i64)> {
    let meters = store.meters(payer, at(now)).await.unwrap();
    let own = meters.iter().find(|meter| meter.payer == payer && meter.period == period)?;
    Some((own.spent_nano, own.held.nanos()))
}
