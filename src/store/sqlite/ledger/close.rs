//! The last step of a row, and where its money goes.

use std::sync::Arc;

use rusqlite::Row;

use crate::clock::Timestamp;
use crate::ids::{CallId, KeyId, TenantId, TokenId};
use crate::money::{Delta, Usd};
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{meters, usage};
use crate::store::{Release, Settlement, StoreError};

use super::lookup;

/// What a row that was just closed says of its money.
struct Closed {
    tenant_id: TenantId,
    key_id: KeyId,
    token_id: Option<TokenId>,
    held_at: Timestamp,
    hold: Usd,
    endpoint: Arc<str>,
    tags: Option<Arc<str>>,
}

/// Reads the row that the statement before has just closed. Not by RETURNING, for which SQLite builds a temporary tree at
/// each statement, at several times the cost of this.
fn closed(session: &Session<'_>, id: CallId) -> Result<Option<Closed>, StoreError> {
    let sql =
        "SELECT tenant_id, key_id, held_at, hold_nano, endpoint, tags, token_id FROM calls WHERE id = ?1";
    let read = |row: &Row<'_>| {
        Ok(Closed {
            tenant_id: row.get(0)?,
            key_id: row.get(1)?,
            held_at: row.get(2)?,
            hold: row.get(3)?,
            endpoint: row.get(4)?,
            tags: row.get(5)?,
            token_id: row.get(6)?,
        })
    };
    Ok(session.first(sql, (id,), read)?)
}

pub(super) fn settle(session: &Session<'_>, id: CallId, end: &Settlement) -> Result<bool, StoreError> {
    let cost = end.cost;
    let changed = session.execute(
        "UPDATE calls SET state = 'settled', open = NULL, status = ?2, billable_units = ?3, settled_at = ?4,
                          cost_nano = ?5, charge_nano = ?6, cost_basis = ?7,
                          hold_open = CASE WHEN ?5 IS NULL THEN 1 END
         WHERE id = ?1 AND open = 1",
        (
            id,
            end.status,
            &end.billable_units,
            end.settled_at,
            cost.map(|cost| cost.cost),
            cost.map(|cost| cost.charge),
            cost.map(|cost| cost.basis),
        ),
    )?;
    let Some(closed) = moved(session, id, changed)? else { return Ok(false) };
    if let Some(cost) = cost {
        free(session, &closed, cost.charge)?;
    }
    usage::count(
        session,
        &usage::Change {
            tenant_id: closed.tenant_id,
            key_id: closed.key_id,
            held_at: closed.held_at,
            endpoint: &closed.endpoint,
            tags: closed.tags.as_deref(),
            calls: 1,
            failed: i64::from(end.status >= 400),
            unpriced: i64::from(cost.is_none()),
            cost: cost.map_or(Delta::default(), |cost| cost.cost.into()),
            charge: cost.map_or(Delta::default(), |cost| cost.charge.into()),
        },
    )?;
    Ok(true)
}

pub(super) fn release(session: &Session<'_>, id: CallId, release: &Release) -> Result<bool, StoreError> {
    let changed = session.execute(
        "UPDATE calls SET state = 'released', open = NULL, hold_open = NULL, status = ?2, reason = ?3, released_at = ?4
         WHERE id = ?1 AND open = 1",
        (id, release.status, release.reason, release.released_at),
    )?;
    match moved(session, id, changed)? {
        Some(closed) => free(session, &closed, Usd::ZERO).map(|()| true),
        None => Ok(false),
    }
}

/// The row, if the statement before has closed it; `None` when it was closed already.
fn moved(session: &Session<'_>, id: CallId, changed: usize) -> Result<Option<Closed>, StoreError> {
    match changed {
        0 => lookup::require(session, id).map(|()| None),
        _ => closed(session, id),
    }
}

/// Lets the charge take the hold's place in the meters.
fn free(session: &Session<'_>, closed: &Closed, charge: Usd) -> Result<(), StoreError> {
    let &Closed { tenant_id, key_id, token_id, held_at, hold, .. } = closed;
    let charged = charge.into();
    meters::count(session, &meters::Moved { tenant_id, key_id, token_id, held_at, freed: hold, charged })
}
