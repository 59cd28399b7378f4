//! The outbox as operators see it.

use std::time::Duration;

use rusqlite::Row;

use crate::ids::DeliveryId;
use crate::store::sqlite::query::Query;
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{audit, rows};
use crate::store::{AttemptRecord, Author, DeliveryFilter, DeliveryRecord, Outbox, Redelivery, StoreError};

/// A statement that reads a [`DeliveryRecord`] with [`record`].
macro_rules! select_deliveries {
    ($index:literal, $rest:literal) => {
        concat!(
            "SELECT deliveries.id, webhooks.name, deliveries.tenant_id, tenants.name, deliveries.call_id, request_id,
                    target, deliveries.state, bytes, tries, attempts, deliveries.created_at, due_at, ended_at,
                    deliveries.status, deliveries.reason
             FROM deliveries ",
            $index,
            " CROSS JOIN webhooks ON webhooks.call_id = deliveries.call_id
              CROSS JOIN calls ON calls.id = deliveries.call_id
              CROSS JOIN tenants ON tenants.id = deliveries.tenant_id ",
            $rest
        )
    };
}

fn record(row: &Row<'_>) -> Result<DeliveryRecord, StoreError> {
    let id: DeliveryId = row.get(0)?;
    rows::named("delivery", id, || {
        Ok(DeliveryRecord {
            id,
            name: row.get(1)?,
            tenant_id: row.get(2)?,
            tenant: row.get(3)?,
            call_id: row.get(4)?,
            request_id: row.get(5)?,
            target: row.get(6)?,
            state: row.get(7)?,
            bytes: row.get::<_, i64>(8)?.unsigned_abs(),
            tries: row.get(9)?,
            attempts: row.get(10)?,
            created_at: row.get(11)?,
            due_at: row.get(12)?,
            ended_at: row.get(13)?,
            status: row.get(14)?,
            reason: row.get(15)?,
        })
    })
}

pub(super) fn by_id(session: &Session<'_>, id: DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
    rows::one(session, select_deliveries!("", "WHERE deliveries.id = ?1"), (id,), record)
}

/// Through the index of what is asked for: by request, by tenant, of dead ones, or all.
pub(super) fn page(
    session: &Session<'_>,
    filter: &DeliveryFilter,
    before: Option<DeliveryId>,
    limit: u32,
) -> Result<Vec<DeliveryRecord>, StoreError> {
    let before = before.unwrap_or(DeliveryId(i64::MAX));
    let mut query = Query::new(select_deliveries!("", ""));
    query.value(" WHERE deliveries.id < ?", &before);
    query.when(" AND deliveries.tenant_id = ?", filter.tenant_id.as_ref());
    query.when(" AND deliveries.call_id = ?", filter.call_id.as_ref());
    query.when(
        " AND deliveries.call_id IN (SELECT id FROM calls WHERE request_id = ?)",
        filter.request_id.as_ref(),
    );
    query.when(" AND deliveries.state = ?", filter.state.as_ref());
    query.value(" ORDER BY deliveries.id DESC LIMIT ?", &limit);
    query.all(session, record)
}

pub(super) fn attempts(session: &Session<'_>, id: DeliveryId) -> Result<Vec<AttemptRecord>, StoreError> {
    let sql = "SELECT number, at, status, reason, took_micros FROM delivery_attempts
               WHERE delivery_id = ?1 ORDER BY number";
    rows::many(session, sql, (id,), attempt)
}

fn attempt(row: &Row<'_>) -> Result<AttemptRecord, StoreError> {
    let number: u32 = row.get(0)?;
    rows::named("attempt", number, || {
        Ok(AttemptRecord {
            number,
            at: row.get(1)?,
            status: row.get(2)?,
            reason: row.get(3)?,
            took: Duration::from_micros(row.get::<_, i64>(4)?.unsigned_abs()),
        })
    })
}

pub(super) fn redeliver(
    session: &Session<'_>,
    which: Redelivery,
    author: &Author,
) -> Result<u64, StoreError> {
    let begin =
        "UPDATE deliveries SET state = 'waiting', due_at = ?2, ended_at = NULL, tries = 0 WHERE id = ?1";
    let begin_dead = "UPDATE deliveries SET state = 'waiting', due_at = ?2, ended_at = NULL, tries = 0
                      WHERE tenant_id = ?1 AND state = 'dead'";
    let (changed, object) = match which {
        Redelivery::One(id) => (session.execute(begin, (id, author.at))?, format!("delivery:{id}")),
        Redelivery::DeadOf(tenant) => {
            (session.execute(begin_dead, (tenant, author.at))?, format!("tenant:{tenant}"))
        }
    };
    if changed > 0 {
        let told = serde_json::json!({ "deliveries": changed });
        audit::write(session, author, "delivery.redeliver", &object, None, Some(&told))?;
    }
    Ok(changed as u64)
}

pub(super) fn outbox(session: &Session<'_>) -> Result<Outbox, StoreError> {
    Ok(Outbox {
        followed: rows::count(
            session,
            "SELECT count(*) FROM webhooks INDEXED BY webhooks_open WHERE open = 1",
            (),
        )?,
        waiting: rows::count(
            session,
            "SELECT count(*) FROM deliveries INDEXED BY deliveries_due WHERE state = 'waiting'",
            (),
        )?,
        dead: rows::count(
            session,
            "SELECT count(*) FROM deliveries INDEXED BY deliveries_dead WHERE state = 'dead'",
            (),
        )?,
    })
}
