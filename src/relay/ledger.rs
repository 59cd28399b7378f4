//! The ledger's side of a call: nothing that fal may bill leaves without an [`Admitted`], and every `Admitted` ends in
//! exactly one verdict. One that is dropped, because its task was, ends as unknown, or is released when nothing had left.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::prices::Prices;
use crate::clock::Clock;
use crate::ids::{CallId, DeliveryId, LeaseId};
use crate::limits::Limits;
use crate::metrics::{LedgerVerb, Worker};
use crate::money::{Units, Usd};
use crate::store::{
    Cost, HeldCall, NewCall, NewDelivery, OpenCall, OwnedCall, Release, SentCall, Settlement, Spent, Store,
    StoreError, Terms, TopUp, Verb,
};

/// How often, and how far apart, what became of a call is written again while the disk takes nothing: half a minute in
/// all, as long as a drain. Few can wait so, because a disk that takes no outcome takes no new call either.
const OUTCOME_TRIES: u32 = 60;
const OUTCOME_PAUSE: Duration = Duration::from_millis(500);

/// Writes calls down. Its tasks outlive the calls that began them, and a drain waits for them.
#[derive(Clone)]
pub(super) struct Ledger {
    store: Arc<dyn Store>,
    limits: Arc<dyn Limits>,
    prices: Arc<Prices>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    counts: Arc<Worker>,
}

/// What must be known of a row to close it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: CallId,
    pub(super) lease: LeaseId,
    pub(super) endpoint: Arc<str>,
    pub(super) terms: Terms,
}

impl From<&OpenCall> for Row {
    fn from(call: &OpenCall) -> Self {
        Self { id: call.id, lease: call.lease, endpoint: call.endpoint.clone(), terms: call.terms.clone() }
    }
}

impl From<&OwnedCall> for Row {
    fn from(call: &OwnedCall) -> Self {
        Self { id: call.id, lease: call.lease, endpoint: call.endpoint.clone(), terms: call.terms.clone() }
    }
}

/// Proof that a billable call is written down and its money held (invariants 2 and 4).
pub(super) struct Admitted {
    row: Row,
    /// What was held for it at first.
    hold: Usd,
    /// Whether anything may have left.
    begun: bool,
    ledger: Option<Ledger>,
}

impl Ledger {
    pub(super) fn new(
        store: Arc<dyn Store>,
        limits: Arc<dyn Limits>,
        prices: Arc<Prices>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        counts: Arc<Worker>,
    ) -> Self {
        Self { store, limits, prices, clock, tasks, counts }
    }

    pub(super) fn counts(&self) -> &Arc<Worker> {
        &self.counts
    }

    /// Writes the call down and holds its money; when this has answered, the row is on the disk. Tells the budgets that
    /// it brought past the point where somebody is told.
    pub(super) async fn hold(&self, call: NewCall) -> Result<(Admitted, Vec<Spent>), StoreError> {
        let (lease, endpoint, terms, hold) =
            (call.lease, call.endpoint.clone(), call.terms.clone(), call.hold);
        let HeldCall { id, told } = self.count(LedgerVerb::Hold, self.store.hold(call)).await?;
        let row = Row { id, lease, endpoint, terms };
        Ok((Admitted { row, hold, begun: false, ledger: Some(self.clone()) }, told))
    }

    /// Holds more for a call that is under way; tells budgets as [`Ledger::hold`] does.
    pub(super) async fn top_up(&self, id: CallId, amount: Usd) -> Result<Vec<Spent>, StoreError> {
        let more = TopUp { amount, at: self.clock.now() };
        self.count(LedgerVerb::TopUp, self.store.top_up(id, more)).await
    }

    /// Closes the row of a call whose final answer has been seen; tells what it costs.
    pub(super) fn settle(&self, row: &Row, status: u16, billable_units: Option<String>) -> Option<Cost> {
        self.settle_or(row, status, billable_units, None)
    }

    /// The same, with units of the relay's own counting for where fal names none.
    fn settle_or(
        &self,
        row: &Row,
        status: u16,
        billable_units: Option<String>,
        counted: Option<Units>,
    ) -> Option<Cost> {
        let settled_at = self.clock.now();
        let cost = match (&billable_units, counted) {
            (None, Some(units)) => self.prices.computed(row, units),
            _ => self.prices.cost(row, status, billable_units.as_deref()),
        };
        let settlement = Settlement { status, billable_units, cost, settled_at };
        self.write(LedgerVerb::Settle, row, move |store, id| store.settle(id, settlement.clone()));
        cost
    }

    /// What a final answer costs and says, to be written down.
    pub(super) fn settlement(&self, row: &Row, status: u16, billable_units: Option<String>) -> Settlement {
        let cost = self.prices.cost(row, status, billable_units.as_deref());
        Settlement { status, billable_units, cost, settled_at: self.clock.now() }
    }

    /// Closes a row and puts its webhook into the outbox, both or neither.
    pub(super) async fn finish(
        &self,
        row: &Row,
        settlement: Option<Settlement>,
        delivery: NewDelivery,
    ) -> Result<Option<DeliveryId>, StoreError> {
        let finished = self.store.finish(row.id, settlement, delivery);
        let finished = self.count(LedgerVerb::Settle, finished).await?;
        if finished.closed {
            self.leave(row.lease).await;
        }
        Ok(finished.delivery)
    }

    /// Closes the row of a call that cannot have been billed.
    pub(super) fn release(&self, row: &Row, status: Option<u16>, reason: &'static str) {
        let release = Release { status, reason, released_at: self.clock.now() };
        self.write(LedgerVerb::Release, row, move |store, id| store.release(id, release.clone()));
    }

    /// Writes without keeping anybody waiting, and gives back the place among the jobs in flight.
    fn write(
        &self,
        name: LedgerVerb,
        row: &Row,
        verb: impl for<'a> Fn(&'a dyn Store, CallId) -> Verb<'a, bool> + Send + Sync + 'static,
    ) {
        let (ledger, id, lease) = (self.clone(), row.id, row.lease);
        let write = async move {
            if let Err(error) = ledger.count(name, ledger.insist(|store| verb(store, id))).await {
                tracing::error!(call_id = %id, %error, "a call's outcome could not be written down");
            }
            ledger.leave(lease).await;
        };
        // Without a runtime the process is ending; the next start marks the row as unknown.
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.spawn_on(write, &runtime);
        }
    }

    /// The job is not in flight any more. A place that cannot be given back frees itself in time.
    pub(super) async fn leave(&self, lease: LeaseId) {
        if let Err(error) = self.limits.release(lease).await {
            tracing::warn!(%error, "a job's place could not be given back; it frees itself later");
        }
    }

    /// Writes again while the disk takes nothing: an outcome that fal has told is told once.
    async fn insist<T>(&self, verb: impl for<'a> Fn(&'a dyn Store) -> Verb<'a, T>) -> Result<T, StoreError> {
        for _ in 1..OUTCOME_TRIES {
            match verb(&*self.store).await {
                Err(StoreError::Unwritable(_)) => self.clock.sleep(OUTCOME_PAUSE).await,
                done => return done,
            }
        }
        verb(&*self.store).await
    }

    /// Counts what becomes of a change, and how long that takes.
    async fn count<T>(
        &self,
        verb: LedgerVerb,
        change: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let start = self.clock.elapsed();
        let outcome = change.await;
        let took = self.clock.elapsed().saturating_sub(start);
        self.counts.written(verb, took, outcome.is_ok());
        outcome
    }
}

impl Admitted {
    /// Its row.
    pub(super) fn row(&self) -> &Row {
        &self.row
    }

    /// What was held for it at first.
    pub(super) fn hold(&self) -> Usd {
        self.hold
    }

    /// Its first byte is about to leave.
    pub(super) fn begins(&mut self) {
        self.begun = true;
    }

    /// fal took the call and gave it an id; when this has answered, that is on the disk. If it cannot be written, the
    /// call ends as unknown.
    pub(super) async fn sent(mut self, sent: SentCall) -> Result<(), StoreError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let id = self.row.id;
        let written = ledger.insist(move |store| store.sent(id, sent.clone()));
        ledger.count(LedgerVerb::Sent, written).await?;
        self.ledger = None;
        Ok(())
    }

    /// The call ended with this answer; tells what it costs.
    pub(super) fn settle(mut self, status: u16, billable_units: Option<String>) -> Option<Cost> {
        self.ledger.take()?.settle(&self.row, status, billable_units)
    }

    /// The same for a call that the relay itself has measured; fal's units come first.
    pub(super) fn settle_counted(
        mut self,
        status: u16,
        billable_units: Option<String>,
        counted: Option<Units>,
    ) -> Option<Cost> {
        self.ledger.take()?.settle_or(&self.row, status, billable_units, counted)
    }

    /// Nothing can have been billed.
    pub(super) fn release(mut self, status: Option<u16>, reason: &'static str) {
        if let Some(ledger) = self.ledger.take() {
            ledger.release(&self.row, status, reason);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(ledger) = self.ledger.take() else { return };
        if self.begun {
            let at = ledger.clock.now();
            ledger.counts.outcome_unknown();
            ledger.write(LedgerVerb::Lose, &self.row, move |store, id| store.lose(id, at));
        } else {
            ledger.release(&self.row, None, "not_sent");
        }
    }
}
