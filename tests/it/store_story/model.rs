//! The books beside a plain model, whatever is done in whatever order.

use std::collections::BTreeSet;

use fal_relay::ids::CallId;
use fal_relay::money::{Delta, Usd};
use fal_relay::period::{Period, Zone};
use fal_relay::store::{
    Budget, CallFilter, CallState, Dimension, KeyRecord, NewAdjustment, Payer, Store, StoreError, TopUp,
    UsageFilter,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{
    all_calls, at, author, call_at, make_key, of_key, of_tenant, paid, release, sent, settlement, usd,
};
use crate::store_sqlite::Sqlite;
use crate::store_story::Backend;

#[derive(Clone, Debug)]
enum Step {
    /// A call of one of the keys, with so many cents held.
    Hold(usize, u32),
    /// What happens to one of the rows.
    Sent(usize),
    /// So many cents more are held for it.
    TopUp(usize, u32),
    Settle(usize, Option<u32>),
    Release(usize),
    Lose(usize),
    Adjust(usize, u32),
    /// Sets or lifts a budget of the tenant or of one of the keys.
    Budget(Option<usize>, Period, Option<u32>, bool),
    /// Hours pass.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = || 0..12_usize;
    let period = || prop::sample::select(Period::ALL.to_vec());
    let budget = (prop::option::of(0..2_usize), period(), prop::option::of(0..60_u32), any::<bool>());
    let step = prop_oneof![
        6 => (0..2_usize, 0..20_u32).prop_map(|(key, cents)| Step::Hold(key, cents)),
        2 => row().prop_map(Step::Sent),
        2 => (row(), 0..20_u32).prop_map(|(row, cents)| Step::TopUp(row, cents)),
        3 => (row(), prop::option::of(0..30_u32)).prop_map(|(row, cents)| Step::Settle(row, cents)),
        2 => row().prop_map(Step::Release),
        1 => row().prop_map(Step::Lose),
        2 => (row(), 0..30_u32).prop_map(|(row, cents)| Step::Adjust(row, cents)),
        3 => budget.prop_map(|(key, period, limit, tokyo)| Step::Budget(key, period, limit, tokyo)),
        2 => (1..40_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

fn cents(cents: u32) -> Usd {
    usd(&format!("{}.{:02}", cents / 100, cents % 100))
}

/// A row as the model has it.
struct Row {
    id: CallId,
    key: usize,
    held_at: u64,
    hold: i64,
    state: CallState,
    holding: bool,
    charge: i64,
    known: bool,
}

struct Model {
    keys: [KeyRecord; 2],
    rows: Vec<Row>,
    budgets: Vec<(Payer, Budget)>,
    now: u64,
}

impl Model {
    /// What is charged and held in the window of now, and the window's end.
    fn sums(&self, payer: Payer, budget: &Budget) -> (i64, i64) {
        let window = budget.period.window(&budget.zone, at(self.now));
        let of_payer = |row: &&Row| payer.key_id.is_none_or(|key| key == self.keys[row.key].id);
        let inside: Vec<_> =
            self.rows.iter().filter(of_payer).filter(|row| window.contains(at(row.held_at))).collect();
        let held = inside.iter().filter(|row| row.holding).map(|row| row.hold).sum();
        (inside.iter().map(|row| row.charge).sum(), held)
    }

    /// The least that is left of a budget that `hold` more is too much for.
    fn refusal(&self, key: usize, hold: i64) -> Option<i64> {
        let payers = [of_tenant(&self.keys[key]), of_key(&self.keys[key])];
        let of_caller = self.budgets.iter().filter(|(payer, _)| payers.contains(payer));
        let left = of_caller.filter_map(|(payer, budget)| {
            let (spent, held) = self.sums(*payer, budget);
            let left = budget.limit_usd.nanos() - spent - held;
            (left < hold).then_some(left.max(0))
        });
        left.min()
    }

    async fn step(&mut self, store: &dyn Store, step: &Step) {
        match step {
            Step::Hold(key, amount) => self.hold(store, *key, cents(*amount)).await,
            Step::Budget(key, period, limit, tokyo) => {
                let payer = key.map_or(of_tenant(&self.keys[0]), |key| of_key(&self.keys[key]));
                let zone = Zone::parse(if *tokyo { "Asia/Tokyo" } else { "UTC" }).unwrap();
                let budget = limit.map(|limit| Budget {
                    period: *period,
                    limit_usd: cents(limit),
                    soft_percent: 80,
                    zone,
                });
                store.set_budget(payer, *period, budget.clone(), author(self.now)).await.unwrap();
                self.budgets.retain(|(other, old)| (*other, old.period) != (payer, *period));
                self.budgets.extend(budget.map(|budget| (payer, budget)));
            }
            Step::Wait(hours) => self.now += hours * 3_600,
            Step::TopUp(row, amount) => self.top_up(store, *row, cents(*amount)).await,
            Step::Sent(row) => self.follow(store, *row, Step::Sent(0)).await,
            Step::Settle(row, _) | Step::Release(row) | Step::Lose(row) | Step::Adjust(row, _) => {
                self.follow(store, *row, step.clone()).await;
            }
        }
    }

    async fn hold(&mut self, store: &dyn Store, key: usize, hold: Usd) {
        let expected = self.refusal(key, hold.nanos());
        let call = call_at(store, &self.keys[key], &hold.to_string(), self.now).await;
        match store.hold(call).await {
            Ok(held) => {
                assert_eq!(expected, None, "over-held");
                self.rows.push(Row {
                    id: held.id,
                    key,
                    held_at: self.now,
                    hold: hold.nanos(),
                    state: CallState::Held,
                    holding: true,
                    charge: 0,
                    known: false,
                });
            }
            Err(StoreError::OverBudget(spent)) => assert_eq!(Some(spent.left.nanos()), expected),
            Err(error) => panic!("{error}"),
        }
    }

    /// A row that was made now counts in the windows of now; an older one's budgets are those of then.
    async fn top_up(&mut self, store: &dyn Store, row: usize, amount: Usd) {
        let Some(Row { id, key, held_at, state, .. }) = self.rows.get(row) else { return };
        if *held_at != self.now {
            return;
        }
        let expected = self.refusal(*key, amount.nanos());
        let is_held = *state == CallState::Held;
        match store.top_up(*id, TopUp { amount, at: at(self.now) }).await {
            Ok(_) => {
                assert_eq!((expected, is_held), (None, true), "over-held");
                self.rows[row].hold += amount.nanos();
            }
            Err(StoreError::OverBudget(spent)) => assert_eq!(Some(spent.left.nanos()), expected),
            Err(StoreError::State(_)) => assert!(!is_held),
            Err(error) => panic!("{error}"),
        }
    }

    /// Does to a row what may be done, and holds that the rest changes nothing.
    async fn follow(&mut self, store: &dyn Store, row: usize, step: Step) {
        let Some(row) = self.rows.get_mut(row) else { return };
        let (id, open) = (row.id, !row.state.is_closed());
        match step {
            Step::Sent(_) => {
                let moves = matches!(row.state, CallState::Held | CallState::Unknown);
                let said = store.sent(id, sent(&format!("model-{id}"))).await;
                assert_eq!(said.is_ok(), moves || row.state == CallState::Sent);
                row.state = if moves { CallState::Sent } else { row.state };
            }
            Step::Settle(_, charge) => {
                let text = charge.map(|charge| cents(charge).to_string());
                let end = text.map_or(settlement(200, None), |text| paid(&text, &text));
                assert_eq!(store.settle(id, end).await.unwrap(), open, "closed once");
                if open {
                    (row.state, row.holding, row.known) =
                        (CallState::Settled, charge.is_none(), charge.is_some());
                    row.charge = charge.map_or(0, |charge| cents(charge).nanos());
                }
            }
            Step::Release(_) => {
                assert_eq!(store.release(id, release(None)).await.unwrap(), open, "closed once");
                if open {
                    (row.state, row.holding, row.known) = (CallState::Released, false, true);
                }
            }
            Step::Lose(_) => {
                let moves = row.state == CallState::Held;
                assert_eq!(store.lose(id, at(self.now)).await.unwrap(), moves);
                row.state = if moves { CallState::Unknown } else { row.state };
            }
            Step::Adjust(_, charge) => {
                let truth = NewAdjustment { call_id: id, cost: cents(charge), charge: cents(charge) };
                let says = cents(charge).nanos();
                let says_so = row.known && row.charge == says;
                let moves = !open && !says_so;
                let said = store.adjust(truth, author(self.now)).await.unwrap();
                assert_eq!(said.is_some(), moves);
                if moves {
                    (row.charge, row.holding, row.known) = (says, false, true);
                }
            }
            Step::Hold(..) | Step::TopUp(..) | Step::Budget(..) | Step::Wait(_) => {}
        }
    }

    /// Every meter of now is the sum of its rows.
    async fn check_meters(&self, store: &dyn Store) {
        for payer in [of_tenant(&self.keys[0]), of_key(&self.keys[0]), of_key(&self.keys[1])] {
            let meters = store.meters(payer, at(self.now)).await.unwrap();
            let own = meters.iter().filter(|meter| meter.payer == payer);
            for meter in own.clone() {
                let of_payer = |row: &&Row| payer.key_id.is_none_or(|key| key == self.keys[row.key].id);
                let rows = self.rows.iter().filter(of_payer);
                let inside: Vec<_> = rows.filter(|row| meter.window.contains(at(row.held_at))).collect();
                let spent: i64 = inside.iter().map(|row| row.charge).sum();
                let held: i64 = inside.iter().filter(|row| row.holding).map(|row| row.hold).sum();
                assert_eq!((meter.spent_nano, meter.held.nanos()), (spent, held), "{meter:?}");
            }
            let periods: BTreeSet<_> = own.map(|meter| meter.period).collect();
            assert!(payer.key_id.is_some() || periods.contains(&Period::Total));
        }
    }

    /// Every row is as it should be, and their sums are what usage says.
    async fn check_books(&self, store: &dyn Store) {
        let tenant = self.keys[0].tenant.id;
        let mine = CallFilter { tenant_id: Some(tenant), ..CallFilter::default() };
        let rows = store.calls(mine, CallId(0), 1000).await.unwrap();
        assert_eq!(rows.len(), self.rows.len());
        for (found, row) in rows.iter().zip(&self.rows) {
            assert_eq!((found.id, found.state, found.hold_open), (row.id, row.state, row.holding));
            let charge = found.charge_usd.map(Delta::nanos);
            assert_eq!(charge.unwrap_or(0), row.charge);
            assert!(charge.is_some() == row.known || row.state == CallState::Released, "unknown is not zero");
        }
        let all = UsageFilter {
            from_day: 0,
            until_day: i64::MAX,
            tenant_id: Some(tenant),
            key_id: None,
            endpoint: None,
            by: vec![Dimension::Tenant],
            limit: 10,
        };
        let usage = store.usage(all).await.unwrap();
        let settled = || self.rows.iter().filter(|row| row.state == CallState::Settled);
        let unknown = settled().filter(|row| !row.known).count() as u64;
        let sum: i64 = self.rows.iter().map(|row| row.charge).sum();
        let told = usage.first().map_or((0, 0, 0), |line| (line.calls, line.unpriced, line.charge.nanos()));
        assert_eq!(told, (settled().count() as u64, unknown, sum));
    }
}

async fn live(store: &dyn Store, life: u64, steps: &[Step]) {
    let tenant = format!("model {life}");
    let keys = [
        make_key(store, &tenant, 10_000 + 2 * life).await.1,
        make_key(store, &tenant, 10_001 + 2 * life).await.1,
    ];
    let mut model = Model { keys, rows: Vec::new(), budgets: Vec::new(), now: 20_000 * 86_400 };
    for step in steps {
        model.step(store, step).await;
        model.check_meters(store).await;
    }
    model.check_books(store).await;
}

/// Invariants 5 and 8 are held on the way: a row closes once, and what is not known is not zero.
#[test]
fn invariant_9_no_hold_and_no_charge_is_forgotten_whatever_is_done_on_sqlite() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let backend = Sqlite::new();
    let store = backend.open().unwrap();
    let life = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    runner
        .run(&steps(), |steps| {
            life.set(life.get() + 1);
            runtime.block_on(live(&*store, life.get(), &steps));
            Ok(())
        })
        .unwrap();
    let before = runtime.block_on(all_calls(&*store));
    drop(store);
    let store = backend.open().unwrap();
    assert_eq!(runtime.block_on(all_calls(&*store)), before, "opening again keeps everything");
}
