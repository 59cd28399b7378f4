//! What is asked of the ledger afterwards, its corrections, and the price list, in SQLite.

mod adjust;
mod prices;
mod search;
mod spent;

use crate::ids::CallId;
use crate::store::{
    AdjustmentRecord, Author, BilledUnits, Books, CallFilter, CallRecord, NewAdjustment, NewPriceList,
    OpenCall, PriceChange, PriceList, PriceOverride, PriceVersion, UsageFilter, UsageRecord, Verb,
};

use super::SqliteStore;

impl Books for SqliteStore {
    fn call(&self, id: CallId) -> Verb<'_, Option<CallRecord>> {
        self.read(move |session| search::by_id(session, id))
    }

    fn calls(&self, filter: CallFilter, after: CallId, limit: u32) -> Verb<'_, Vec<CallRecord>> {
        self.read(move |session| search::oldest_first(session, &filter, after, limit))
    }

    fn search(&self, filter: CallFilter, before: Option<CallId>, limit: u32) -> Verb<'_, Vec<CallRecord>> {
        self.read(move |session| search::newest_first(session, &filter, before, limit))
    }

    fn unpriced_calls(&self, after: CallId, limit: u32) -> Verb<'_, Vec<OpenCall>> {
        self.read(move |session| search::unpriced(session, after, limit))
    }

    fn adjust(&self, adjustment: NewAdjustment, author: Author) -> Verb<'_, Option<AdjustmentRecord>> {
        self.write(move |session| adjust::adjust(session, &adjustment, &author))
    }

    fn adjustments(&self, call: CallId) -> Verb<'_, Vec<AdjustmentRecord>> {
        self.read(move |session| adjust::of_call(session, call))
    }

    fn usage(&self, filter: UsageFilter) -> Verb<'_, Vec<UsageRecord>> {
        self.read(move |session| spent::usage(session, &filter))
    }

    fn billed_units(&self, limit: u32) -> Verb<'_, Vec<BilledUnits>> {
        self.read(move |session| spent::billed_units(session, limit))
    }

    fn prices(&self) -> Verb<'_, PriceList> {
        self.read(prices::in_force)
    }

    fn prices_revision(&self) -> Verb<'_, i64> {
        self.read(prices::revision)
    }

    fn save_prices(&self, list: NewPriceList, author: Author) -> Verb<'_, PriceVersion> {
        self.write(move |session| prices::save(session, list, &author))
    }

    fn price_versions(&self, limit: u32) -> Verb<'_, Vec<PriceVersion>> {
        self.read(move |session| prices::versions(session, limit))
    }

    fn price_changes(&self, after: i64, limit: u32) -> Verb<'_, Vec<PriceChange>> {
        self.read(move |session| prices::changes(session, after, limit))
    }

    fn override_price(&self, pattern: String, price: Option<PriceOverride>, author: Author) -> Verb<'_, ()> {
        self.write(move |session| prices::set_override(session, &pattern, price, &author))
    }
}
