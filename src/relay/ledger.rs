//! The ledger's side of a call: nothing that fal may bill leaves without an [`Admitted`], and every `Admitted` ends in
//! exactly one verdict. One that is dropped, because its task was, ends as unknown.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::identity::Caller;
use super::refusal::Refusal;
use crate::clock::Clock;
use crate::fal::Endpoint;
use crate::ids::{AccountName, CallId};
use crate::metrics::{LedgerVerb, Worker};
use crate::money::{Multiplier, Usd};
use crate::store::{CallKind, HeldCall, NewCall, Terms, Release, SentCall, Settlement, Store, StoreError, Verb};

/// How often, and how far apart, what became of a call is written again while the disk takes nothing: half a minute in
/// all, as long as a drain. Few can wait so, because a disk that takes no outcome takes no new call either.
const OUTCOME_TRIES: u32 = 60;
const OUTCOME_PAUSE: Duration = Duration::from_millis(500);

/// Writes calls down. Its tasks outlive the calls that began them, and a drain waits for them.
#[derive(Clone)]
pub(super) struct Ledger {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    counts: Arc<Worker>,
}

/// Proof that a billable call is written down (invariant 4).
pub(super) struct Admitted {
    id: CallId,
    ledger: Option<Ledger>,
}

impl Ledger {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        counts: Arc<Worker>,
    ) -> Self {
        Self { store, clock, tasks, counts }
    }

    pub(super) fn counts(&self) -> &Arc<Worker> {
        &self.counts
    }

    /// Writes the call down; when this has answered, the row is on the disk.
    pub(super) async fn hold(
        &self,
        caller: &Caller,
        account: &AccountName,
        endpoint: &Endpoint,
        kind: CallKind,
    ) -> Result<Admitted, Refusal> {
        let call = NewCall {
            tenant_id: caller.tenant_id(),
            key_id: caller.key_id(),
            account: account.clone(),
            endpoint: endpoint.as_str().into(),
            kind,
            tags: None,
            terms: Terms { unit_price: None, unit: None, multiplier: Multiplier::ONE, price_version: None },
            hold: Usd::ZERO,
            hold_basis: "none",
            windows: Vec::new(),
            held_at: self.clock.now(),
        };
        let HeldCall { id, .. } = self.count(LedgerVerb::Hold, self.store.hold(call)).await?;
        Ok(Admitted { id, ledger: Some(self.clone()) })
    }

    /// Closes the row of a call whose final answer has been seen.
    pub(super) fn settle(&self, id: CallId, status: u16, billable_units: Option<String>) {
        let settled_at = self.clock.now();
        let settlement = Settlement { status, billable_units, cost: None, settled_at };
        self.write(LedgerVerb::Settle, id, move |store| store.settle(id, settlement.clone()));
    }

    /// Writes without keeping anybody waiting.
    fn write(
        &self,
        name: LedgerVerb,
        id: CallId,
        verb: impl for<'a> Fn(&'a dyn Store) -> Verb<'a, bool> + Send + Sync + 'static,
    ) {
        let ledger = self.clone();
        let write = async move {
            if let Err(error) = ledger.count(name, ledger.insist(verb)).await {
                tracing::error!(call_id = %id, %error, "a call's outcome could not be written down");
            }
        };
        // Without a runtime the process is ending; the next start marks the row as unknown.
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.spawn_on(write, &runtime);
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
    pub(super) fn id(&self) -> CallId {
        self.id
    }

    /// fal took the call and gave it an id; when this has answered, that is on the disk. If it cannot be written, the
    /// call ends as unknown.
    pub(super) async fn sent(mut self, sent: SentCall) -> Result<(), StoreError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let id = self.id;
        let written = ledger.insist(move |store| store.sent(id, sent.clone()));
        ledger.count(LedgerVerb::Sent, written).await?;
        self.ledger = None;
        Ok(())
    }

    /// The call ended with this answer.
    pub(super) fn settle(mut self, status: u16, billable_units: Option<String>) {
        if let Some(ledger) = self.ledger.take() {
            ledger.settle(self.id, status, billable_units);
        }
    }

    /// Nothing can have been billed.
    pub(super) fn release(mut self, status: Option<u16>) {
        if let Some(ledger) = self.ledger.take() {
            let id = self.id;
            let release = Release { status, reason: "refused", released_at: ledger.clock.now() };
            ledger.write(LedgerVerb::Release, id, move |store| store.release(id, release.clone()));
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            let (id, at) = (self.id, ledger.clock.now());
            ledger.counts.outcome_unknown();
            ledger.write(LedgerVerb::Lose, id, move |store| store.lose(id, at));
        }
    }
}
