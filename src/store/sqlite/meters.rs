//! Meters: what was spent and is held in one window of one payer.
//!
//! A meter is the sum of the rows whose `held_at` lies in its window, whenever it was opened: one that is opened late adds
//! up what is there, and from then on each step of a call is counted in the transaction that writes it.

use rusqlite::{Row, named_params};

use crate::clock::Timestamp;
use crate::ids::{KeyId, TenantId, TokenId};
use crate::money::{Delta, Usd};
use crate::period::{Period, Window};
use crate::store::{Budget, MeterWindow, NewCall, Payer, Spent, StoreError};

use super::ceiling;
use super::session::Session;
use super::usage::DAY_MICROS;

/// The key of the meters of a tenant as a whole.
const OF_TENANT: KeyId = KeyId(0);

/// Money that a row takes on hold, when it is made or later.
pub(super) struct Holding {
    pub(super) tenant_id: TenantId,
    pub(super) key_id: KeyId,
    pub(super) token_id: Option<TokenId>,
    pub(super) amount: Usd,
    /// When the row was made: it counts in the meters of that moment for ever.
    pub(super) held_at: Timestamp,
    pub(super) now: Timestamp,
}

impl From<&NewCall> for Holding {
    fn from(call: &NewCall) -> Self {
        let NewCall { tenant_id, key_id, token_id, held_at, hold, .. } = *call;
        Self { tenant_id, key_id, token_id, amount: hold, held_at, now: held_at }
    }
}

/// A meter's row as it stands after a hold.
struct Reading {
    key_id: KeyId,
    period: Period,
    window: Window,
    used_nano: i128,
    limit_nano: Option<i64>,
    soft_nano: Option<i64>,
    told: bool,
}

/// The columns of a [`Reading`], in the order in which [`reading`] reads them.
macro_rules! columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " key_id, period, starts_at, ends_at, spent_nano, held_nano, limit_nano, soft_nano, told_at ",
            $after
        )
    };
}

impl Reading {
    /// How far the budget is spent, while there is one; `before` is what the hold brought.
    fn spent(&self, tenant_id: TenantId, before: Usd) -> Option<Spent> {
        let limit = self.limit_nano?;
        let left = i128::from(limit) - self.used_nano + i128::from(before.nanos());
        let left = i64::try_from(left.max(0)).unwrap_or(i64::MAX);
        Some(Spent {
            payer: Payer { tenant_id, key_id: (self.key_id != OF_TENANT).then_some(self.key_id) },
            token_id: None,
            period: self.period,
            limit: Usd::from_nanos(limit)?,
            left: Usd::from_nanos(left)?,
            resets_at: self.window.resets_at(),
        })
    }

    fn is_over(&self) -> bool {
        self.limit_nano.is_some_and(|limit| self.used_nano > i128::from(limit))
    }

    fn is_to_be_told(&self) -> bool {
        !self.told && self.soft_nano.is_some_and(|soft| self.used_nano >= i128::from(soft))
    }

    fn is_of(&self, wanted: &MeterWindow) -> bool {
        (self.key_id != OF_TENANT, self.period, self.window) == (wanted.of_key, wanted.period, wanted.window)
    }
}

fn reading(row: &Row<'_>) -> rusqlite::Result<Reading> {
    Ok(Reading {
        key_id: row.get(0)?,
        period: row.get(1)?,
        window: Window { starts_at: row.get(2)?, ends_at: row.get(3)? },
        used_nano: i128::from(row.get::<_, i64>(4)?) + i128::from(row.get::<_, i64>(5)?),
        limit_nano: row.get(6)?,
        soft_nano: row.get(7)?,
        told: row.get::<_, Option<Timestamp>>(8)?.is_some(),
    })
}

/// Gives the meter of a window the limit and the point where somebody is told, or takes them away; opens it when it is
/// not there.
pub(super) fn open(
    session: &Session<'_>,
    tenant_id: TenantId,
    key_id: Option<KeyId>,
    period: Period,
    window: Window,
    limit: Option<(i64, i64)>,
) -> Result<(), StoreError> {
    let key_id = key_id.unwrap_or(OF_TENANT);
    let (limit_nano, soft_nano) = limit.unzip();
    let changed = session.execute(
        "UPDATE meters SET limit_nano = ?6, soft_nano = ?7,
                           told_at = CASE WHEN soft_nano IS ?7 THEN told_at END
         WHERE tenant_id = ?1 AND key_id = ?2 AND period = ?3 AND ends_at = ?5 AND starts_at = ?4",
        (tenant_id, key_id, period, window.starts_at, window.ends_at, limit_nano, soft_nano),
    )?;
    match changed {
        0 => add_up(session, (tenant_id, key_id), period, window, (limit_nano, soft_nano)),
        _ => Ok(()),
    }
}

/// Opens a meter with the sums of its window. Whole days come from the usage that is rolled up, the window's edges
/// from their rows: this runs in the writer, where no window may take longer than its days are many.
fn add_up(
    session: &Session<'_>,
    (tenant_id, key_id): (TenantId, KeyId),
    period: Period,
    window: Window,
    (limit_nano, soft_nano): (Option<i64>, Option<i64>),
) -> Result<(), StoreError> {
    let days = Days::within(window);
    session.execute(
        "INSERT OR REPLACE INTO meters
             (tenant_id, key_id, period, starts_at, ends_at, limit_nano, soft_nano, spent_nano, held_nano)
         VALUES (:tenant, :key, :period, :starts_at, :ends_at, :limit, :soft,
             (SELECT coalesce(sum(charge_nano), 0) FROM usage_days
              WHERE tenant_id = :tenant AND (:key = 0 OR key_id = :key)
                    AND day >= :first_day AND day < :end_day)
             + (SELECT coalesce(sum(coalesce(charge_nano, 0) + coalesce(adjusted_charge_nano, 0)), 0) FROM calls
                WHERE tenant_id = :tenant AND (:key = 0 OR key_id = :key)
                      AND held_at >= :starts_at AND held_at < :first_edge)
             + (SELECT coalesce(sum(coalesce(charge_nano, 0) + coalesce(adjusted_charge_nano, 0)), 0) FROM calls
                WHERE tenant_id = :tenant AND (:key = 0 OR key_id = :key)
                      AND held_at >= :last_edge AND held_at < :ends_at),
             (SELECT coalesce(sum(hold_nano), 0) FROM calls INDEXED BY calls_open
              WHERE open = 1 AND tenant_id = :tenant AND (:key = 0 OR key_id = :key)
                    AND held_at >= :starts_at AND held_at < :ends_at)
             + (SELECT coalesce(sum(hold_nano), 0) FROM calls INDEXED BY calls_unpriced
                WHERE open IS NULL AND hold_open = 1 AND tenant_id = :tenant AND (:key = 0 OR key_id = :key)
                      AND held_at >= :starts_at AND held_at < :ends_at))",
        named_params! {
            ":tenant": tenant_id,
            ":key": key_id,
            ":period": period,
            ":starts_at": window.starts_at,
            ":ends_at": window.ends_at,
            ":limit": limit_nano,
            ":soft": soft_nano,
            ":first_day": days.first,
            ":end_day": days.end,
            ":first_edge": days.first_edge,
            ":last_edge": days.last_edge,
        },
    )?;
    Ok(())
}

/// Where the whole UTC days of a window begin and end: as days, and as moments inside the window.
struct Days {
    first: i64,
    end: i64,
    first_edge: Timestamp,
    last_edge: Timestamp,
}

impl Days {
    fn within(window: Window) -> Self {
        let (starts_at, ends_at) = (window.starts_at.as_micros(), window.ends_at.as_micros());
        // Rounded up; the least moment of all is no day's beginning.
        let first = -starts_at.saturating_neg().div_euclid(DAY_MICROS);
        let end = ends_at.div_euclid(DAY_MICROS);
        // A window without a whole day is all edge.
        let first_edge = first.saturating_mul(DAY_MICROS).min(ends_at);
        let last_edge = end.saturating_mul(DAY_MICROS).max(first_edge);
        Self {
            first,
            end,
            first_edge: Timestamp::from_micros(first_edge),
            last_edge: Timestamp::from_micros(last_edge),
        }
    }
}

/// Holds the money of a row that was just written in every meter of now. Says which budgets it brought past the point
/// where somebody is told; refused when a budget has not enough left, and then all of the verb must be taken back.
pub(super) fn hold(session: &Session<'_>, call: &NewCall) -> Result<Vec<Spent>, StoreError> {
    let holding = Holding::from(call);
    let mut readings = add(session, &holding)?;
    for wanted in &call.windows {
        if !readings.iter().any(|reading| reading.is_of(wanted)) {
            let opened = open_missing(session, call, wanted, &readings)?;
            readings.extend(opened);
        }
    }
    accept(session, &holding, &readings)
}

/// The same for a row that has its meters already.
pub(super) fn hold_more(session: &Session<'_>, holding: &Holding) -> Result<Vec<Spent>, StoreError> {
    let readings = add(session, holding)?;
    accept(session, holding, &readings)
}

/// Refuses when a budget has not enough left.
fn accept(session: &Session<'_>, holding: &Holding, readings: &[Reading]) -> Result<Vec<Spent>, StoreError> {
    let over = readings.iter().filter(|reading| reading.is_over());
    let spent = over.filter_map(|reading| reading.spent(holding.tenant_id, holding.amount));
    match spent.min_by_key(|spent| spent.left) {
        Some(spent) => Err(StoreError::OverBudget(Box::new(spent))),
        None => tell(session, holding, readings),
    }
}

/// Adds the hold to the token's ceiling and to every meter of its row, and says how they then stand. By the tenant's and the
/// key's own place each, and without RETURNING: for that, as for IN, SQLite builds a temporary tree at each statement, which
/// cost more than both.
fn add(session: &Session<'_>, holding: &Holding) -> Result<Vec<Reading>, StoreError> {
    if let Some(token) = holding.token_id {
        ceiling::hold(session, holding, token)?;
    }
    let update = "UPDATE meters SET held_nano = held_nano + ?3
                  WHERE tenant_id = ?1 AND key_id = ?2 AND ends_at > ?4 AND starts_at <= ?4";
    let select = columns!(
        "SELECT",
        "FROM meters WHERE tenant_id = ?1 AND key_id = ?2 AND ends_at > ?3 AND starts_at <= ?3"
    );
    let mut readings = Vec::new();
    let Holding { tenant_id, held_at, amount, .. } = *holding;
    for key_id in [OF_TENANT, holding.key_id] {
        if session.execute(update, (tenant_id, key_id, amount, held_at))? > 0 {
            readings.extend(session.all(select, (tenant_id, key_id, held_at), reading)?);
        }
    }
    Ok(readings)
}

/// Opens the meter of a budget whose window is new. The budget is read here: what the caller knows of it may be old. The
/// row that is being held is written already, so the sums have it.
fn open_missing(
    session: &Session<'_>,
    call: &NewCall,
    wanted: &MeterWindow,
    there: &[Reading],
) -> Result<Option<Reading>, StoreError> {
    let (key_id, period) = (wanted.of_key.then_some(call.key_id), wanted.period);
    let key = key_id.unwrap_or(OF_TENANT);
    let Some(budget) = budget(session, call.tenant_id, key, period)? else { return Ok(None) };
    let window = period.window(&budget.zone, call.held_at);
    if there.iter().any(|reading| reading.is_of(&MeterWindow { window, ..*wanted })) {
        return Ok(None);
    }
    let limit = (budget.limit_usd.nanos(), budget.soft_usd().nanos());
    open(session, call.tenant_id, key_id, period, window, Some(limit))?;
    let sql = columns!(
        "SELECT",
        "FROM meters WHERE tenant_id = ?1 AND key_id = ?2 AND period = ?3 AND ends_at = ?4"
    );
    Ok(session.first(sql, (call.tenant_id, key, period, window.ends_at), reading)?)
}

fn budget(
    session: &Session<'_>,
    tenant_id: TenantId,
    key: KeyId,
    period: Period,
) -> Result<Option<Budget>, StoreError> {
    let sql = "SELECT limit_nano, soft_percent, zone FROM budgets WHERE tenant_id = ?1 AND key_id = ?2 AND period = ?3";
    let read = |row: &Row<'_>| {
        Ok(Budget { period, limit_usd: row.get(0)?, soft_percent: row.get(1)?, zone: row.get(2)? })
    };
    Ok(session.first(sql, (tenant_id, key, period), read)?)
}

/// Marks what is told, so that it is told once in a window.
fn tell(session: &Session<'_>, holding: &Holding, readings: &[Reading]) -> Result<Vec<Spent>, StoreError> {
    let mut told = Vec::new();
    for reading in readings.iter().filter(|reading| reading.is_to_be_told()) {
        session.execute(
            "UPDATE meters SET told_at = ?5 WHERE tenant_id = ?1 AND key_id = ?2 AND period = ?3 AND ends_at = ?4",
            (holding.tenant_id, reading.key_id, reading.period, reading.window.ends_at, holding.now),
        )?;
        told.extend(reading.spent(holding.tenant_id, Usd::ZERO));
    }
    Ok(told)
}

/// A row whose money moves in the meters.
pub(super) struct Moved {
    pub(super) tenant_id: TenantId,
    pub(super) key_id: KeyId,
    pub(super) token_id: Option<TokenId>,
    pub(super) held_at: Timestamp,
    /// What is given back of the hold.
    pub(super) freed: Usd,
    /// What is charged more, or less.
    pub(super) charged: Delta,
}

/// Brings a row's new amounts to every meter in whose window it was held.
pub(super) fn count(session: &Session<'_>, moved: &Moved) -> Result<(), StoreError> {
    if moved.freed == Usd::ZERO && moved.charged == Delta::default() {
        return Ok(());
    }
    if let Some(token) = moved.token_id {
        ceiling::count(session, moved, token)?;
    }
    for key_id in [OF_TENANT, moved.key_id] {
        session.execute(
            "UPDATE meters SET held_nano = held_nano - ?3, spent_nano = spent_nano + ?4
             WHERE tenant_id = ?1 AND key_id = ?2 AND ends_at > ?5 AND starts_at <= ?5",
            (moved.tenant_id, key_id, moved.freed, moved.charged, moved.held_at),
        )?;
    }
    Ok(())
}
