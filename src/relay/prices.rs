//! What calls cost here: the prices in force, the policy for those that are not known, and what was billed lately.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::ledger::Row;
use crate::money::Multiplier;
use crate::pricing::{self, History, Outcome, Policy, PriceBook, PriceUnknown, Quote, Sample};
use crate::store::{Cost, Store, StoreError, Terms};

/// Settled calls whose units are looked at after a start.
const HISTORY_CALLS: u32 = 10_000;

/// The prices in force.
pub(super) struct Prices {
    book: ArcSwap<PriceBook>,
    history: History,
    policy: Policy,
}

impl Prices {
    pub(super) fn new(policy: Policy) -> Self {
        Self { book: ArcSwap::from_pointee(PriceBook::default()), history: History::default(), policy }
    }

    /// Reads what was billed lately, once, at the start.
    pub(super) async fn remember(&self, store: &dyn Store) -> Result<(), StoreError> {
        // Newest first in the store, so the newest is recorded last.
        for billed in store.billed_units(HISTORY_CALLS).await?.into_iter().rev() {
            self.history.record(&billed.endpoint, billed.units);
        }
        Ok(())
    }

    /// Takes the prices as the store has them now.
    pub(super) async fn reload(&self, store: &dyn Store) -> Result<(), StoreError> {
        self.book.store(Arc::new(self.policy.book(store.prices().await?)));
        Ok(())
    }

    /// The prices as they are now.
    pub(super) fn book(&self) -> Arc<PriceBook> {
        self.book.load_full()
    }

    /// Whether a quote for this endpoint looks at the body.
    pub(super) fn needs_body(&self, endpoint: &str) -> bool {
        pricing::needs_body(&self.book.load(), endpoint)
    }

    /// What a call may cost.
    pub(super) fn quote(
        &self,
        endpoint: &str,
        multiplier: Multiplier,
        sample: Sample<'_>,
    ) -> Result<Quote, PriceUnknown> {
        pricing::quote(&self.book.load(), &self.history, &self.policy, multiplier, endpoint, sample)
    }

    /// What a call cost; `None` when that is not known.
    pub(super) fn cost(&self, row: &Row, status: u16, units: Option<&str>) -> Option<Cost> {
        let Terms { unit_price, multiplier, .. } = row.terms;
        let charge = pricing::charge(&Outcome { status, units, unit_price, multiplier });
        if let Some(complaint) = charge.complaint {
            tracing::warn!(call_id = %row.id, endpoint = %row.endpoint, %complaint, "fal's billed units cannot be read; the cost is not known");
        }
        if let Some(units) = charge.units {
            self.history.record(&row.endpoint, units);
        }
        Some(Cost { cost: charge.cost?, charge: charge.charge?, basis: charge.basis? })
    }
}
