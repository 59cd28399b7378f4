//! The ledger rolled up by day: counted when a call is settled or corrected, read by any of its dimensions.

use crate::clock::Timestamp;
use crate::ids::{KeyId, TenantId};
use crate::money::Delta;
use crate::store::StoreError;

use super::session::Session;

/// A day of the roll-up, which is one of UTC.
pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// What one call brings to the usage of its day.
pub(super) struct Change<'a> {
    pub(super) tenant_id: TenantId,
    pub(super) key_id: KeyId,
    pub(super) held_at: Timestamp,
    pub(super) endpoint: &'a str,
    pub(super) tags: Option<&'a str>,
    pub(super) calls: i64,
    pub(super) failed: i64,
    pub(super) unpriced: i64,
    pub(super) cost: Delta,
    pub(super) charge: Delta,
}

/// Counts the change by key and endpoint, and once by each of the call's tags.
pub(super) fn count(session: &Session<'_>, change: &Change<'_>) -> Result<(), StoreError> {
    let day = change.held_at.as_micros().div_euclid(DAY_MICROS);
    let counts = (change.calls, change.failed, change.unpriced, change.cost, change.charge);
    let (calls, failed, unpriced, cost, charge) = counts;
    session.execute(
        "INSERT INTO usage_days (day, tenant_id, key_id, endpoint, calls, failed, unpriced, cost_nano, charge_nano)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT DO UPDATE SET calls = calls + ?5, failed = failed + ?6, unpriced = unpriced + ?7,
                                   cost_nano = cost_nano + ?8, charge_nano = charge_nano + ?9",
        (day, change.tenant_id, change.key_id, change.endpoint, calls, failed, unpriced, cost, charge),
    )?;
    let tags: Vec<&str> = change.tags.unwrap_or_default().split(',').filter(|tag| !tag.is_empty()).collect();
    for (place, tag) in tags.iter().enumerate() {
        if tags[..place].contains(tag) {
            continue;
        }
        session.execute(
            "INSERT INTO usage_tags (day, tenant_id, tag, key_id, calls, failed, unpriced, cost_nano, charge_nano)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT DO UPDATE SET calls = calls + ?5, failed = failed + ?6, unpriced = unpriced + ?7,
                                       cost_nano = cost_nano + ?8, charge_nano = charge_nano + ?9",
            (day, change.tenant_id, tag, change.key_id, calls, failed, unpriced, cost, charge),
        )?;
    }
    Ok(())
}
