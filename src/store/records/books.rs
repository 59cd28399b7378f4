//! What is asked of the ledger afterwards: searches, usage, corrections; and the price list.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::ids::{AdjustmentId, CallId, KeyId, RequestId, TenantId};
use crate::money::{Delta, UnitPrice, Units, Usd};

use super::directory::words;
use super::ledger::CallState;

/// Which rows of the ledger are wanted. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "each names a column and what it must be")]
pub struct CallFilter {
    pub tenant_id: Option<TenantId>,
    pub key_id: Option<KeyId>,
    pub endpoint: Option<String>,
    /// One `k=v` of the tenant's tags.
    pub tag: Option<String>,
    pub state: Option<CallState>,
    pub status: Option<u16>,
    pub request_id: Option<RequestId>,
    /// Held at this moment or later.
    pub from: Option<Timestamp>,
    /// Held before this moment.
    pub until: Option<Timestamp>,
    /// Charged at least this, corrections included.
    pub min_charge: Option<Usd>,
    /// Only closed calls whose cost is not known.
    pub unpriced: bool,
}

/// What was learned of a call's cost after it was closed.
#[derive(Clone, Debug)]
pub struct NewAdjustment {
    /// The call.
    pub call_id: CallId,
    /// What fal bills, from now on.
    pub cost: Usd,
    /// What the tenant pays, from now on.
    pub charge: Usd,
}

/// A correction as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the difference to what was known, and who made it why")]
pub struct AdjustmentRecord {
    pub id: AdjustmentId,
    pub call_id: CallId,
    pub at: Timestamp,
    pub cost_usd: Delta,
    pub charge_usd: Delta,
    pub reason: String,
    pub author: String,
}

words! {
    /// By what usage is told apart.
    Dimension {
        /// The UTC day of the call.
        Day = "day",
        /// The tenant.
        Tenant = "tenant",
        /// The key.
        Key = "key",
        /// The endpoint.
        Endpoint = "endpoint",
        /// The tenant's tags, one row for each `k=v`. Not beside endpoint.
        Tag = "tag",
    }
}

/// Which usage is wanted: settled calls of the days from `from_day` to before `until_day`, which count from the epoch.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each names a column and what it must be")]
pub struct UsageFilter {
    pub from_day: i64,
    pub until_day: i64,
    pub tenant_id: Option<TenantId>,
    pub key_id: Option<KeyId>,
    pub endpoint: Option<String>,
    /// In this order; empty for one sum.
    pub by: Vec<Dimension>,
    /// The most rows.
    pub limit: u32,
}

/// One line of usage; what it was not told apart by is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the dimensions, and sums over the calls that share them")]
pub struct UsageRecord {
    pub day: Option<i64>,
    pub tenant: Option<Arc<str>>,
    pub key_id: Option<KeyId>,
    pub endpoint: Option<Arc<str>>,
    pub tag: Option<Arc<str>>,
    pub calls: u64,
    pub failed: u64,
    /// Calls whose cost is not known; it is not in the sums.
    pub unpriced: u64,
    pub cost: Delta,
    pub charge: Delta,
}

/// One endpoint's price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "as fal's price list has them")]
pub struct PriceRecord {
    pub endpoint: Arc<str>,
    pub unit_price: UnitPrice,
    pub unit: Arc<str>,
}

/// A whole price list.
#[derive(Clone, Debug)]
pub struct NewPriceList {
    /// Where it came from, such as `https://api.fal.ai`.
    pub source: String,
    /// Every endpoint's price.
    pub prices: Vec<PriceRecord>,
}

/// A version of the price list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "counted when it was saved")]
pub struct PriceVersion {
    pub version: i64,
    pub synced_at: Timestamp,
    pub source: String,
    pub endpoints: u64,
    pub changes: u64,
}

/// What one version changed for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PriceChange {
    /// The version that brought the change.
    pub version: i64,
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// Its price before; `None` when it is new.
    pub old: Option<PriceRecord>,
    /// Its price from then on; `None` when it is gone.
    pub new: Option<PriceRecord>,
}

/// An operator's own price for an endpoint or a glob of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "a pattern and its price")]
pub struct PriceOverride {
    pub pattern: String,
    pub unit_price: UnitPrice,
    pub unit: String,
}

/// The prices that are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList {
    /// Its version; 0 when none was ever synced.
    pub version: i64,
    /// When it was synced.
    pub synced_at: Option<Timestamp>,
    /// fal's prices.
    pub prices: Vec<PriceRecord>,
    /// The operator's own.
    pub overrides: Vec<PriceOverride>,
}

/// Units that were billed lately for an endpoint, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BilledUnits {
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// What it was billed.
    pub units: Units,
}
