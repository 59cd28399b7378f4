//! The outbox as the deliverer and listeners read it, and what the deliverer writes.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::Row;

use crate::clock::Timestamp;
use crate::ids::{DeliveryId, TenantId};
use crate::store::sqlite::query::Query;
use crate::store::sqlite::rows;
use crate::store::sqlite::session::Session;
use crate::store::{Attempt, DueDelivery, DueQuery, Message, Next, StoreError};

/// Tries of a delivery that are kept: the whole ladder, and some redeliveries.
const ATTEMPTS_KEPT: u32 = 50;
pub(super) fn due(session: &Session<'_>, query: &DueQuery) -> Result<Vec<DueDelivery>, StoreError> {
    let mut found = select_due(session, query, " AND due_at <= ?", &query.now)?;
    if found.len() < query.limit as usize {
        found.extend(select_due(session, query, " AND due_at > ?", &query.horizon)?);
        found.truncate(query.limit as usize);
    }
    Ok(found)
}

fn select_due(
    session: &Session<'_>,
    query: &DueQuery,
    when: &'static str,
    moment: &Timestamp,
) -> Result<Vec<DueDelivery>, StoreError> {
    let mut statement = Query::new(
        "SELECT id, host, bytes FROM deliveries INDEXED BY deliveries_due WHERE state = 'waiting'",
    );
    statement.value(when, moment);
    for host in &query.without {
        statement.value(" AND host <> ?", host);
    }
    statement.value(" ORDER BY due_at LIMIT ?", &query.limit);
    statement.all(session, due_delivery)
}

fn due_delivery(row: &Row<'_>) -> Result<DueDelivery, StoreError> {
    let id: DeliveryId = row.get(0)?;
    rows::named("delivery", id, || {
        Ok(DueDelivery { id, host: row.get(1)?, bytes: row.get::<_, i64>(2)?.unsigned_abs() })
    })
}

pub(super) fn next(session: &Session<'_>, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT due_at FROM deliveries INDEXED BY deliveries_due
               WHERE state = 'waiting' AND due_at > ?1 ORDER BY due_at LIMIT 1";
    Ok(session.first(sql, (now,), |row| row.get(0))?)
}

/// A statement that reads a [`Message`] with [`read_message`].
macro_rules! select_messages {
    ($rest:literal) => {
        concat!(
            "SELECT deliveries.id, webhooks.name, target, deliveries.tenant_id, request_id, tries, body
             FROM deliveries CROSS JOIN delivery_bodies ON delivery_bodies.id = deliveries.id
             CROSS JOIN webhooks ON webhooks.call_id = deliveries.call_id
             CROSS JOIN calls ON calls.id = deliveries.call_id ",
            $rest
        )
    };
}

pub(super) fn message(session: &Session<'_>, id: DeliveryId) -> Result<Option<Message>, StoreError> {
    let sql = select_messages!("WHERE deliveries.id = ?1 AND deliveries.state = 'waiting'");
    rows::one(session, sql, (id,), read_message)
}

pub(super) fn message_after(
    session: &Session<'_>,
    tenant: TenantId,
    after: DeliveryId,
) -> Result<Option<Message>, StoreError> {
    let sql = select_messages!(
        "WHERE deliveries.id = (SELECT id FROM deliveries INDEXED BY deliveries_by_tenant
                                WHERE tenant_id = ?1 AND id > ?2 ORDER BY id LIMIT 1)"
    );
    rows::one(session, sql, (tenant, after), read_message)
}

fn read_message(row: &Row<'_>) -> Result<Message, StoreError> {
    let id: DeliveryId = row.get(0)?;
    rows::named("delivery", id, || {
        Ok(Message {
            id,
            name: row.get(1)?,
            target: row.get(2)?,
            tenant_id: row.get(3)?,
            request_id: row.get(4)?,
            tries: row.get(5)?,
            body: Bytes::from(row.get::<_, Vec<u8>>(6)?),
        })
    })
}

pub(super) fn last(session: &Session<'_>) -> Result<DeliveryId, StoreError> {
    rows::number(session, "SELECT coalesce(max(id), 0) FROM deliveries", ()).map(DeliveryId)
}

pub(super) fn attempted(
    session: &Session<'_>,
    id: DeliveryId,
    attempt: &Attempt,
    next: Next,
) -> Result<bool, StoreError> {
    let (state, due_at, ended_at) = match next {
        Next::Delivered => ("delivered", None, Some(attempt.at.plus(attempt.took))),
        Next::Again(at) => ("waiting", Some(at), None),
        Next::Dead => ("dead", None, Some(attempt.at.plus(attempt.took))),
    };
    let changed = session.execute(
        "UPDATE deliveries SET state = ?2, due_at = ?3, ended_at = ?4, status = ?5, reason = ?6, tries = tries + 1,
                               attempts = attempts + 1
         WHERE id = ?1",
        (id, state, due_at, ended_at, attempt.status, &attempt.reason),
    )?;
    if changed == 0 {
        return Ok(false);
    }
    session.execute(
        "INSERT INTO delivery_attempts (delivery_id, number, at, status, reason, took_micros)
         SELECT id, attempts, ?2, ?3, ?4, ?5 FROM deliveries WHERE id = ?1",
        (id, attempt.at, attempt.status, &attempt.reason, micros(attempt.took)),
    )?;
    session.execute(
        "DELETE FROM delivery_attempts
         WHERE delivery_id = ?1 AND number <= (SELECT attempts FROM deliveries WHERE id = ?1) - ?2",
        (id, ATTEMPTS_KEPT),
    )?;
    Ok(true)
}

fn micros(took: Duration) -> i64 {
    i64::try_from(took.as_micros()).unwrap_or(i64::MAX)
}
