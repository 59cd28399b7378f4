//! Sums over calls, and what fal billed lately.

use rusqlite::Row;

use crate::money::{Delta, Units};
use crate::store::sqlite::rows;
use crate::store::sqlite::session::Session;
use crate::store::{BilledUnits, Dimension, StoreError, UsageFilter, UsageRecord};

use crate::store::sqlite::query::Query;

/// One stretch of the roll-up for each tenant: the days of a tenant lie side by side.
pub(super) fn usage(session: &Session<'_>, filter: &UsageFilter) -> Result<Vec<UsageRecord>, StoreError> {
    let by_tag = filter.by.contains(&Dimension::Tag);
    if by_tag && (filter.by.contains(&Dimension::Endpoint) || filter.endpoint.is_some()) {
        return Err(StoreError::Unanswerable("usage by tag is not kept by endpoint"));
    }
    let mut query = Query::new("SELECT ");
    for dimension in Dimension::ALL {
        query.text(if filter.by.contains(&dimension) { column(dimension) } else { "NULL" });
        query.text(", ");
    }
    query.text(
        "coalesce(sum(calls), 0), coalesce(sum(failed), 0), coalesce(sum(unpriced), 0),
         coalesce(sum(cost_nano), 0), coalesce(sum(charge_nano), 0)
         FROM tenants CROSS JOIN ",
    );
    query.text(if by_tag { "usage_tags" } else { "usage_days" });
    query.value(" AS used ON used.tenant_id = tenants.id WHERE day >= ?", &filter.from_day);
    query.value(" AND day < ?", &filter.until_day);
    query.when(" AND tenants.id = ?", filter.tenant_id.as_ref());
    query.when(" AND key_id = ?", filter.key_id.as_ref());
    query.when(" AND endpoint = ?", filter.endpoint.as_ref());
    group(&mut query, &filter.by);
    query.value(" LIMIT ?", &filter.limit);
    query.all(session, record)
}

/// Tells the sums apart, and puts them in the same order.
fn group(query: &mut Query<'_>, by: &[Dimension]) {
    for (opening, dimensions) in [(" GROUP BY ", grouped as fn(_) -> _), (" ORDER BY ", column)] {
        for (place, &dimension) in by.iter().enumerate() {
            query.text(if place == 0 { opening } else { ", " });
            query.text(dimensions(dimension));
        }
    }
}

/// What a dimension shows.
fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Day => "day",
        Dimension::Tenant => "tenants.name",
        Dimension::Key => "key_id",
        Dimension::Endpoint => "endpoint",
        Dimension::Tag => "tag",
    }
}

/// What tells it apart: a tenant's name may be that of another who was deleted.
fn grouped(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Tenant => "tenants.id",
        other => column(other),
    }
}

fn record(row: &Row<'_>) -> Result<UsageRecord, StoreError> {
    let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(UsageRecord {
        day: row.get(0)?,
        tenant: row.get(1)?,
        key_id: row.get(2)?,
        endpoint: row.get(3)?,
        tag: row.get(4)?,
        calls: count(5)?,
        failed: count(6)?,
        unpriced: count(7)?,
        cost: row.get::<_, Delta>(8)?,
        charge: row.get(9)?,
    })
}

/// Of the newest `limit` rows, those that tell: a start must not read the whole ledger.
pub(super) fn billed_units(session: &Session<'_>, limit: u32) -> Result<Vec<BilledUnits>, StoreError> {
    let sql = "SELECT endpoint, billable_units FROM
                   (SELECT endpoint, billable_units, status, cost_basis FROM calls ORDER BY id DESC LIMIT ?1)
               WHERE billable_units IS NOT NULL AND status < 400 AND cost_basis = 'billed'";
    let found = rows::many(session, sql, (limit,), |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let sound =
        |(endpoint, units): (_, String)| Some(BilledUnits { endpoint, units: Units::parse(&units).ok()? });
    Ok(found.into_iter().filter_map(sound).collect())
}
