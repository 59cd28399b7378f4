//! stub
use super::SqliteStore;
use crate::clock::Timestamp;
use crate::ids::*;
use crate::key::KeyDigest;
use crate::period::Period;
use crate::store::*;
impl Books for SqliteStore {
    fn call(&self, _id: CallId) -> Verb<'_, Option<CallRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn calls(&self, _filter: CallFilter, _after: CallId, _limit: u32) -> Verb<'_, Vec<CallRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn search(&self, _filter: CallFilter, _before: Option<CallId>, _limit: u32) -> Verb<'_, Vec<CallRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn unpriced_calls(&self, _after: CallId, _limit: u32) -> Verb<'_, Vec<OpenCall>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn adjust(&self, _adjustment: NewAdjustment, _author: Author) -> Verb<'_, Option<AdjustmentRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn adjustments(&self, _call: CallId) -> Verb<'_, Vec<AdjustmentRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn usage(&self, _filter: UsageFilter) -> Verb<'_, Vec<UsageRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn billed_units(&self, _limit: u32) -> Verb<'_, Vec<BilledUnits>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn prices(&self) -> Verb<'_, PriceList> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn prices_revision(&self) -> Verb<'_, i64> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn save_prices(&self, _list: NewPriceList, _author: Author) -> Verb<'_, PriceVersion> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn price_versions(&self, _limit: u32) -> Verb<'_, Vec<PriceVersion>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn price_changes(&self, _after: i64, _limit: u32) -> Verb<'_, Vec<PriceChange>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn override_price(
        &self,
        _pattern: String,
        _price: Option<PriceOverride>,
        _author: Author,
    ) -> Verb<'_, ()> {
        Box::pin(async { Err(StoreError::Closed) })
    }
}
