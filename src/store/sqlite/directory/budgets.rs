//! Budgets, and the meters that they cap.

use rusqlite::Row;

use crate::clock::Timestamp;
use crate::ids::{KeyId, TenantId};
use crate::money::Usd;
use crate::period::{Period, Window};
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{audit, meters, rows};
use crate::store::{Author, Budget, BudgetRecord, Meter, Payer, StoreError};

use super::{keys, tenants};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT key_id, period, limit_nano, soft_percent, zone, tenant_id FROM budgets WHERE tenant_id = ?1 ",
            $rest
        )
    };
}

fn record(row: &Row<'_>) -> Result<BudgetRecord, StoreError> {
    let (key, tenant): (KeyId, TenantId) = (row.get(0)?, row.get(5)?);
    rows::named("a budget of tenant", tenant, || {
        let budget = Budget {
            period: row.get(1)?,
            limit_usd: row.get(2)?,
            soft_percent: row.get(3)?,
            zone: row.get(4)?,
        };
        Ok(BudgetRecord { key_id: named_key(key), budget })
    })
}

/// The tenant's budgets and all its keys'.
pub(super) fn of_tenant(session: &Session<'_>, tenant: TenantId) -> Result<Vec<BudgetRecord>, StoreError> {
    rows::many(session, select!("ORDER BY key_id, period"), (tenant,), record)
}

/// The key's budgets and its tenant's.
pub(super) fn of_key(
    session: &Session<'_>,
    tenant: TenantId,
    key: KeyId,
) -> Result<Vec<BudgetRecord>, StoreError> {
    let sql = select!("AND key_id IN (0, ?2) ORDER BY key_id, period");
    rows::many(session, sql, (tenant, key), record)
}

pub(super) fn set(
    session: &Session<'_>,
    payer: Payer,
    period: Period,
    budget: Option<Budget>,
    author: &Author,
) -> Result<(), StoreError> {
    let object = require_payer(session, payer)?;
    let sql = select!("AND key_id = ?2 AND period = ?3");
    let old = rows::one(session, sql, (payer.tenant_id, column(payer.key_id), period), record)?;
    let budget = budget.map(|budget| Budget { period, ..budget });
    let new = budget.map(|budget| BudgetRecord { key_id: payer.key_id, budget });
    if new == old {
        return Ok(());
    }
    put(session, payer, period, new.as_ref().map(|new| &new.budget), author.at)?;
    let action = if new.is_some() { "budget.set" } else { "budget.lift" };
    audit::write(session, author, action, &object, old.as_ref(), new.as_ref())
}

/// The payer's name in the audit log, when there is such a payer.
fn require_payer(session: &Session<'_>, payer: Payer) -> Result<String, StoreError> {
    let (found, object) = match payer.key_id {
        Some(key) => {
            let found = keys::by_id(session, key)?.is_some_and(|found| found.tenant.id == payer.tenant_id);
            (found, keys::object(key))
        }
        None => (tenants::by_id(session, payer.tenant_id)?.is_some(), tenants::object(payer.tenant_id)),
    };
    match found {
        true => Ok(object),
        false => Err(StoreError::Missing(object.replace(':', " "))),
    }
}

/// Writes the budget down and lets the payer's meters of now follow it.
pub(super) fn put(
    session: &Session<'_>,
    payer: Payer,
    period: Period,
    budget: Option<&Budget>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let window = budget.map(|budget| period.window(&budget.zone, now));
    uncap_others(session, payer, period, window, now)?;
    let key = column(payer.key_id);
    let (Some(budget), Some(window)) = (budget, window) else {
        session.execute(
            "DELETE FROM budgets WHERE tenant_id = ?1 AND key_id = ?2 AND period = ?3",
            (payer.tenant_id, key, period),
        )?;
        return Ok(());
    };
    session.execute(
        "INSERT INTO budgets (tenant_id, key_id, period, limit_nano, soft_percent, zone)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET limit_nano = ?4, soft_percent = ?5, zone = ?6",
        (payer.tenant_id, key, period, budget.limit_usd, budget.soft_percent, &budget.zone),
    )?;
    let limit = (budget.limit_usd.nanos(), budget.soft_usd().nanos());
    meters::open(session, payer.tenant_id, payer.key_id, period, window, Some(limit))
}

/// Takes the cap from the payer's meters of now with another window than the budget's: another zone has other windows,
/// and their meters go on without. Meters of windows to come, which a clock that was set back leaves behind, are made anew
/// when their time comes.
fn uncap_others(
    session: &Session<'_>,
    payer: Payer,
    period: Period,
    window: Option<Window>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = column(payer.key_id);
    session.execute(
        "UPDATE meters SET limit_nano = NULL, soft_nano = NULL
         WHERE tenant_id = ?1 AND key_id = ?2 AND period = ?3 AND ends_at > ?4 AND starts_at <= ?4
               AND ends_at IS NOT ?5",
        (payer.tenant_id, key, period, now, window.map(|window| window.ends_at)),
    )?;
    session.execute(
        "DELETE FROM meters WHERE tenant_id = ?1 AND key_id = ?2 AND period = ?3 AND starts_at > ?4",
        (payer.tenant_id, key, period, now),
    )?;
    Ok(())
}

pub(super) fn meters(session: &Session<'_>, payer: Payer, at: Timestamp) -> Result<Vec<Meter>, StoreError> {
    rows::many(
        session,
        "SELECT tenant_id, key_id, period, starts_at, ends_at, spent_nano, held_nano, limit_nano FROM meters
         WHERE tenant_id = ?1 AND key_id IN (0, ?2) AND ends_at > ?3 AND starts_at <= ?3
         ORDER BY key_id, ends_at, period",
        (payer.tenant_id, column(payer.key_id), at),
        meter,
    )
}

fn meter(row: &Row<'_>) -> Result<Meter, StoreError> {
    let (tenant_id, key): (TenantId, KeyId) = (row.get(0)?, row.get(1)?);
    rows::named("a meter of tenant", tenant_id, || {
        Ok(Meter {
            payer: Payer { tenant_id, key_id: named_key(key) },
            period: row.get(2)?,
            window: Window { starts_at: row.get(3)?, ends_at: row.get(4)? },
            spent_nano: row.get(5)?,
            held: row.get(6)?,
            limit: row.get::<_, Option<Usd>>(7)?,
        })
    })
}

/// The key as it lies in its column: 0 is the tenant as a whole.
fn column(key: Option<KeyId>) -> KeyId {
    key.unwrap_or(KeyId(0))
}

fn named_key(column: KeyId) -> Option<KeyId> {
    (column.0 != 0).then_some(column)
}
