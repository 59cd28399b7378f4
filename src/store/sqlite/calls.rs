//! Rows of the ledger as records.

use rusqlite::Row;

use crate::ids::CallId;
use crate::money::{Delta, Usd};
use crate::store::{CallRecord, OpenCall, StoreError, Terms};

use super::rows;

/// A statement that reads a [`CallRecord`] with [`record`].
macro_rules! select_calls {
    ($index:literal, $rest:literal) => {
        concat!(
            "SELECT calls.id, unit_price, unit, multiplier, price_version,
                    calls.tenant_id, tenants.name, key_id, account, endpoint, kind, state, request_id, app_base,
                    body_sha256, body_bytes, calls.status, reason, calls.tags, hold_nano, hold_basis, hold_open,
                    billable_units, cost_nano, charge_nano, cost_basis, adjusted_cost_nano, adjusted_charge_nano,
                    held_at, sent_at, settled_at, released_at, lost_at, calls.token_id
             FROM calls ",
            $index,
            // CROSS keeps the tenants inside: through them, every row would be read.
            " CROSS JOIN tenants ON tenants.id = calls.tenant_id ",
            $rest
        )
    };
}
pub(super) use select_calls;

/// Reads a row of [`select_calls`].
pub(super) fn record(row: &Row<'_>) -> Result<CallRecord, StoreError> {
    let id = row.get(0)?;
    named(id, || {
        Ok(CallRecord {
            id,
            terms: terms(row)?,
            tenant_id: row.get(5)?,
            tenant: row.get(6)?,
            key_id: row.get(7)?,
            account: row.get(8)?,
            endpoint: row.get(9)?,
            kind: row.get(10)?,
            state: row.get(11)?,
            request_id: row.get(12)?,
            app_base: row.get(13)?,
            body_sha256: row.get::<_, Option<[u8; 32]>>(14)?.map(hex::encode),
            body_bytes: row.get::<_, Option<i64>>(15)?.map(i64::unsigned_abs),
            status: row.get(16)?,
            reason: row.get(17)?,
            tags: row.get(18)?,
            hold_usd: row.get(19)?,
            hold_basis: row.get(20)?,
            hold_open: row.get::<_, Option<bool>>(21)?.is_some(),
            billable_units: row.get(22)?,
            cost_usd: known(row.get(23)?, row.get(26)?),
            charge_usd: known(row.get(24)?, row.get(27)?),
            cost_basis: row.get(25)?,
            adjusted_usd: row.get(27)?,
            held_at: row.get(28)?,
            sent_at: row.get(29)?,
            settled_at: row.get(30)?,
            released_at: row.get(31)?,
            lost_at: row.get(32)?,
            token_id: row.get(33)?,
        })
    })
}

/// A statement that reads an [`OpenCall`] with [`open_call`].
macro_rules! select_open_calls {
    ($rest:literal) => {
        concat!(
            "SELECT id, unit_price, unit, multiplier, price_version, tenant_id, key_id,
                    (SELECT group_id FROM keys WHERE keys.id = key_id), account, endpoint, kind, state, lease,
                    request_id, app_base, held_at, sent_at
             FROM calls ",
            $rest
        )
    };
}
pub(super) use select_open_calls;

/// Reads a row of [`select_open_calls`].
pub(super) fn open_call(row: &Row<'_>) -> Result<OpenCall, StoreError> {
    let id = row.get(0)?;
    named(id, || {
        Ok(OpenCall {
            id,
            terms: terms(row)?,
            tenant_id: row.get(5)?,
            key_id: row.get(6)?,
            group_id: row.get(7)?,
            account: row.get(8)?,
            endpoint: row.get(9)?,
            kind: row.get(10)?,
            state: row.get(11)?,
            lease: row.get(12)?,
            request_id: row.get(13)?,
            app_base: row.get(14)?,
            held_at: row.get(15)?,
            sent_at: row.get(16)?,
        })
    })
}

/// The frozen price, which every statement here reads right behind the row's number.
pub(super) fn terms(row: &Row<'_>) -> rusqlite::Result<Terms> {
    Ok(Terms {
        unit_price: row.get(1)?,
        unit: row.get(2)?,
        multiplier: row.get(3)?,
        price_version: row.get(4)?,
    })
}

/// What a call comes to, corrections included; `None` is unknown.
pub(super) fn known(first: Option<Usd>, adjusted: Option<Delta>) -> Option<Delta> {
    match (first, adjusted) {
        (None, adjusted) => adjusted,
        // A correction leads from one amount to another, so the sum is one, too.
        (Some(first), adjusted) => Delta::from(first).checked_add(adjusted.unwrap_or_default()),
    }
}

/// Reads the row of a call.
pub(super) fn named<T>(id: CallId, read: impl FnOnce() -> rusqlite::Result<T>) -> Result<T, StoreError> {
    rows::named("call", id, read)
}
