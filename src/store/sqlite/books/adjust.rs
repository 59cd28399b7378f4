//! What was learned of a call's cost after it was closed.

use rusqlite::Row;
use serde::Serialize;

use crate::ids::{AdjustmentId, CallId};
use crate::money::{Delta, Usd};
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{audit, meters, rows, usage};
use crate::store::{AdjustmentRecord, Author, CallRecord, CallState, NewAdjustment, StoreError};

use super::search;

/// A statement that reads an [`AdjustmentRecord`] with [`record`].
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, call_id, at, cost_nano, charge_nano, reason, author FROM adjustments ", $rest)
    };
}

/// What a call comes to, as the audit log shows it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
struct Known {
    cost_usd: Option<Delta>,
    charge_usd: Option<Delta>,
}

impl Known {
    /// A call that was released costs nothing, which nobody had to write down.
    fn of(call: &CallRecord) -> Self {
        let free = (call.state == CallState::Released).then(Delta::default);
        Self { cost_usd: call.cost_usd.or(free), charge_usd: call.charge_usd.or(free) }
    }
}

/// What leads from the one to the other; what was not known begins at zero.
fn difference(from: Option<Delta>, to: Usd) -> Delta {
    Delta::from_nanos(to.nanos().saturating_sub(from.unwrap_or_default().nanos()))
}

pub(super) fn adjust(
    session: &Session<'_>,
    adjustment: &NewAdjustment,
    author: &Author,
) -> Result<Option<AdjustmentRecord>, StoreError> {
    let Some(call) = search::by_id(session, adjustment.call_id)?.filter(|call| call.state.is_closed()) else {
        return Ok(None);
    };
    let old = Known::of(&call);
    let new = Known { cost_usd: Some(adjustment.cost.into()), charge_usd: Some(adjustment.charge.into()) };
    if new == old {
        return Ok(None);
    }
    let cost = difference(old.cost_usd, adjustment.cost);
    let charge = difference(old.charge_usd, adjustment.charge);
    session.execute(
        "UPDATE calls SET adjusted_cost_nano = coalesce(adjusted_cost_nano, 0) + ?2,
                          adjusted_charge_nano = coalesce(adjusted_charge_nano, 0) + ?3,
                          cost_basis = coalesce(cost_basis, 'billed'), hold_open = NULL
         WHERE id = ?1",
        (call.id, cost, charge),
    )?;
    count(session, &call, old.charge_usd.is_none(), cost, charge)?;
    audit::write(session, author, "call.adjust", &format!("call:{}", call.id), Some(&old), Some(&new))?;
    write(session, call.id, cost, charge, author)
}

/// Brings the differences to the meters and to the usage of the call's day.
fn count(
    session: &Session<'_>,
    call: &CallRecord,
    was_unknown: bool,
    cost: Delta,
    charge: Delta,
) -> Result<(), StoreError> {
    let &CallRecord { tenant_id, key_id, token_id, held_at, .. } = call;
    let freed = if call.hold_open { call.hold_usd } else { Usd::ZERO };
    meters::count(session, &meters::Moved { tenant_id, key_id, token_id, held_at, freed, charged: charge })?;
    let change = usage::Change {
        tenant_id,
        key_id,
        held_at,
        endpoint: &call.endpoint,
        tags: call.tags.as_deref(),
        calls: 0,
        failed: 0,
        unpriced: -i64::from(was_unknown),
        cost,
        charge,
    };
    usage::count(session, &change)
}

fn write(
    session: &Session<'_>,
    call: CallId,
    cost: Delta,
    charge: Delta,
    author: &Author,
) -> Result<Option<AdjustmentRecord>, StoreError> {
    let reason = author.reason.as_deref().unwrap_or_default();
    let id = session.insert(
        "INSERT INTO adjustments (call_id, at, cost_nano, charge_nano, reason, author) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (call, author.at, cost, charge, reason, &author.name),
    )?;
    rows::one(session, select!("WHERE id = ?1"), (id,), record)
}

fn record(row: &Row<'_>) -> Result<AdjustmentRecord, StoreError> {
    let id: AdjustmentId = row.get(0)?;
    rows::named("adjustment", id, || {
        Ok(AdjustmentRecord {
            id,
            call_id: row.get(1)?,
            at: row.get(2)?,
            cost_usd: row.get(3)?,
            charge_usd: row.get(4)?,
            reason: row.get(5)?,
            author: row.get(6)?,
        })
    })
}

pub(super) fn of_call(session: &Session<'_>, call: CallId) -> Result<Vec<AdjustmentRecord>, StoreError> {
    rows::many(session, select!("WHERE call_id = ?1 ORDER BY id"), (call,), record)
}
