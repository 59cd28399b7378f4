//! From a webhook's submit to its place in the outbox, and its end.

use rusqlite::Row;

use crate::clock::Timestamp;
use crate::ids::{CallId, DeliveryId, TenantId};
use crate::store::sqlite::calls::{self, select_open_calls};
use crate::store::sqlite::ledger::settle;
use crate::store::sqlite::rows;
use crate::store::sqlite::session::Session;
use crate::store::{Finished, FollowedCall, NewDelivery, NewWebhook, Settlement, StoreError};

/// Writes a webhook down beside its call.
pub(in crate::store::sqlite) fn begin(
    session: &Session<'_>,
    id: CallId,
    tenant: TenantId,
    webhook: &NewWebhook,
) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO webhooks (call_id, tenant_id, target, host, name) VALUES (?1, ?2, ?3, ?4, ?5)",
        (id, tenant, &webhook.target, &webhook.host, &webhook.name),
    )?;
    Ok(())
}

/// A call that fal never had has no end to tell of.
pub(in crate::store::sqlite) fn drop_unsent(session: &Session<'_>, id: CallId) -> Result<(), StoreError> {
    session.execute(
        "DELETE FROM webhooks WHERE call_id = ?1 AND open = 1
         AND NOT EXISTS (SELECT 1 FROM calls WHERE id = ?1 AND request_id IS NOT NULL)",
        (id,),
    )?;
    Ok(())
}

pub(super) fn followed_calls(
    session: &Session<'_>,
    after: CallId,
    limit: u32,
) -> Result<Vec<FollowedCall>, StoreError> {
    let sql = select_open_calls!(
        "WHERE request_id IS NOT NULL AND calls.id IN
             (SELECT call_id FROM webhooks INDEXED BY webhooks_open WHERE open = 1 AND call_id > ?1)
         ORDER BY calls.id LIMIT ?2"
    );
    rows::many(session, sql, (after, limit), followed)
}

pub(super) fn followed_call(session: &Session<'_>, id: CallId) -> Result<Option<FollowedCall>, StoreError> {
    let sql = select_open_calls!(
        "WHERE request_id IS NOT NULL AND calls.id = (SELECT call_id FROM webhooks WHERE open = 1 AND call_id = ?1)"
    );
    rows::one(session, sql, (id,), followed)
}

fn followed(row: &Row<'_>) -> Result<FollowedCall, StoreError> {
    let call = calls::open_call(row)?;
    let status = calls::named(call.id, || calls::closed_with(row))?;
    Ok(FollowedCall { call, status })
}

pub(super) fn finish(
    session: &Session<'_>,
    id: CallId,
    settlement: Option<&Settlement>,
    delivery: &NewDelivery,
) -> Result<Finished, StoreError> {
    let closed = settlement.map_or(Ok(false), |settlement| settle(session, id, settlement))?;
    let is_closed = "SELECT 1 FROM calls WHERE id = ?1 AND open IS NULL";
    session.first(is_closed, (id,), |_| Ok(()))?.ok_or(StoreError::State(id))?;
    let took = "UPDATE webhooks SET open = NULL WHERE call_id = ?1 AND open = 1";
    let delivery = match session.execute(took, (id,))? {
        0 => None,
        _ => Some(put_out(session, id, delivery)?),
    };
    Ok(Finished { closed, delivery })
}

fn put_out(session: &Session<'_>, id: CallId, delivery: &NewDelivery) -> Result<DeliveryId, StoreError> {
    let bytes = i64::try_from(delivery.body.len()).unwrap_or(i64::MAX);
    let number = session.insert(
        "INSERT INTO deliveries (call_id, tenant_id, host, bytes, created_at, due_at)
         SELECT call_id, tenant_id, host, ?2, ?3, ?3 FROM webhooks WHERE call_id = ?1",
        (id, bytes, delivery.created_at),
    )?;
    session
        .execute("INSERT INTO delivery_bodies (id, body) VALUES (?1, ?2)", (number, &delivery.body[..]))?;
    Ok(DeliveryId(number))
}

/// In the order of their references.
pub(super) fn forget(session: &Session<'_>, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let over = session.all(
        "SELECT id, call_id FROM deliveries INDEXED BY deliveries_ended WHERE ended_at < ?1 LIMIT ?2",
        (before, limit),
        |row| Ok((row.get::<_, DeliveryId>(0)?, row.get::<_, CallId>(1)?)),
    )?;
    for (delivery, call) in &over {
        session.execute("DELETE FROM delivery_attempts WHERE delivery_id = ?1", (delivery,))?;
        session.execute("DELETE FROM delivery_bodies WHERE id = ?1", (delivery,))?;
        session.execute("DELETE FROM deliveries WHERE id = ?1", (delivery,))?;
        session.execute("DELETE FROM webhooks WHERE call_id = ?1", (call,))?;
    }
    let lost = session.execute(
        "DELETE FROM webhooks WHERE call_id IN
             (SELECT call_id FROM webhooks INDEXED BY webhooks_open CROSS JOIN calls ON calls.id = call_id
              WHERE webhooks.open = 1 AND request_id IS NULL AND held_at < ?1 LIMIT ?2)",
        (before, limit),
    )?;
    Ok((over.len() + lost) as u64)
}
