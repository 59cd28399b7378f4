//! What calls cost here: the prices in force, the policy for those that are not known, and what was billed lately.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::ledger::Row;
use crate::money::{self, Multiplier, Units, Usd};
use crate::pricing::{
    self, Basis, History, Outcome, Policy, Price, PriceBook, Quote, QuoteError, Sample, Unknown,
};
use crate::rules::Glob;
use crate::store::{Cost, PriceList, PriceOverride, Store, StoreError, Terms};

/// Settled calls whose units are looked at after a start.
const HISTORY_CALLS: u32 = 10_000;

impl Default for Pricing {
    /// The values of `config/fal-relay.toml`: models of today can be called today, and a budget holds all the same.
    fn default() -> Self {
        let ceiling = Usd::from_nanos(1_000_000_000).unwrap_or_default();
        Self { policy: Policy { unknown: Unknown::Ceiling, ceiling }, overrides: Vec::new() }
    }
}

/// The prices in force.
pub(super) struct Prices {
    book: ArcSwap<PriceBook>,
    /// The endpoints that have a price by their own name, in order.
    endpoints: ArcSwap<Vec<Arc<str>>>,
    history: History,
    settings: Pricing,
}

/// What the operator said of prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pricing {
    /// What to do where a cost cannot be told.
    pub policy: Policy,
    /// His own prices from the configuration. They win over those in the store, and those over fal's.
    pub overrides: Vec<(Glob, Price)>,
}

impl Prices {
    pub(super) fn new(settings: Pricing) -> Self {
        Self {
            book: ArcSwap::from_pointee(PriceBook::new(Vec::new())),
            endpoints: ArcSwap::default(),
            history: History::default(),
            settings,
        }
    }

    /// Reads what was billed lately, once, at the start.
    pub(super) async fn remember(&self, store: &dyn Store) -> Result<(), StoreError> {
        // Newest first in the store, so the newest is recorded last.
        for billed in store.billed_units(HISTORY_CALLS).await?.into_iter().rev() {
            self.history.note(&billed.endpoint, billed.units);
        }
        Ok(())
    }

    /// Takes the prices as the store has them now.
    pub(super) async fn reload(&self, store: &dyn Store) -> Result<(), StoreError> {
        let list = store.prices().await?;
        self.endpoints.store(Arc::new(endpoints(&self.settings, &list)));
        self.book.store(Arc::new(book(&self.settings, list)));
        Ok(())
    }

    /// The endpoints that have a price by their own name, not by a pattern alone; in order.
    pub(super) fn endpoints(&self) -> Arc<Vec<Arc<str>>> {
        self.endpoints.load_full()
    }

    /// What happens to calls of which nobody knows what they cost.
    pub(super) fn unknown(&self) -> Unknown {
        self.settings.policy.unknown
    }

    /// The prices as they are now.
    pub(super) fn book(&self) -> Arc<PriceBook> {
        self.book.load_full()
    }

    /// Whether a quote for this endpoint looks at the body.
    pub(super) fn needs_body(&self, endpoint: &str) -> bool {
        pricing::needs_body(&self.book.load(), endpoint)
    }

    /// What a call may cost, and by which version of the list.
    pub(super) fn quote(
        &self,
        endpoint: &str,
        multiplier: Multiplier,
        sample: Sample<'_>,
    ) -> Result<(Quote, u64), QuoteError> {
        let book = self.book.load();
        let quote = pricing::quote(&book, &self.history, self.settings.policy, multiplier, endpoint, sample)?;
        Ok((quote, book.version()))
    }

    /// What these units cost, which the relay has counted and not fal; `None` when that is not known.
    pub(super) fn computed(&self, row: &Row, units: Units) -> Option<Cost> {
        let unit_price = row.terms.unit_price?;
        let cost = money::cost(units, unit_price, Multiplier::ONE).ok()?;
        let charge = money::cost(units, unit_price, row.terms.multiplier).ok()?;
        Some(Cost { cost, charge, basis: Basis::Computed })
    }

    /// What a call cost; `None` when that is not known.
    pub(super) fn cost(&self, row: &Row, status: u16, units: Option<&str>) -> Option<Cost> {
        let Terms { unit_price, multiplier, .. } = row.terms;
        let charge = pricing::charge(&Outcome { status, units, unit_price, multiplier });
        if let Some(complaint) = charge.complaint {
            tracing::warn!(call_id = %row.id, endpoint = %row.endpoint, %complaint, "fal's billed units cannot be read; the cost is not known");
        }
        if let Some(units) = charge.units {
            self.history.note(&row.endpoint, units);
        }
        Some(Cost { cost: charge.cost?, charge: charge.charge?, basis: charge.basis? })
    }
}

fn endpoints(settings: &Pricing, list: &PriceList) -> Vec<Arc<str>> {
    let stored = list.overrides.iter().filter_map(override_of);
    let overridden = settings.overrides.iter().cloned().chain(stored).map(|(glob, _)| glob);
    let named = overridden.filter(Glob::is_exact).map(|glob| glob.as_str().into());
    let all: BTreeSet<Arc<str>> =
        list.prices.iter().map(|price| price.endpoint.clone()).chain(named).collect();
    all.into_iter().collect()
}

fn book(settings: &Pricing, list: PriceList) -> PriceBook {
    let said = settings.overrides.iter().map(|(glob, price)| (glob.clone(), price.clone()));
    // A pattern that cannot be read was written by another version; it prices nothing.
    let stored = list.overrides.iter().filter_map(override_of);
    let overrides = said.chain(stored).map(|(glob, price)| {
        let matcher: pricing::Matcher = Box::new(move |endpoint: &str| glob.matches(endpoint));
        (matcher, price)
    });
    let prices = list
        .prices
        .into_iter()
        .map(|price| (price.endpoint, Price { unit_price: price.unit_price, unit: price.unit }));
    let (version, book) = (u64::try_from(list.version).unwrap_or(0), PriceBook::new(overrides.collect()));
    match list.synced_at {
        Some(at) => book.synced(version, at.as_micros(), prices.collect()),
        None => book,
    }
}

fn override_of(stored: &PriceOverride) -> Option<(Glob, Price)> {
    let glob = Glob::parse(&stored.pattern).ok()?;
    Some((glob, Price { unit_price: stored.unit_price, unit: stored.unit.as_str().into() }))
}
