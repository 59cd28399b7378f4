//! The ledger. Every statement that moves a row names the states from which it may, so that a race is decided by the
//! row and not by who looked first.

use rusqlite::Row;

use crate::clock::Timestamp;
use crate::ids::{CallId, RequestId, TenantId};
use crate::store::{CallRecord, CallState, NewCall, OwnedCall, Release, SentCall, Settlement, StoreError};

use super::session::{Session, is_duplicate};

/// The columns of a [`CallRecord`], in the order in which [`record`] reads them.
macro_rules! select_calls {
    ($rest:literal) => {
        concat!(
            "SELECT calls.id, calls.tenant_id, tenants.name, key_id, account, endpoint, kind, state,
                    request_id, app_base, body_sha256, body_bytes, status, billable_units,
                    held_at, sent_at, settled_at, released_at, lost_at
             FROM calls JOIN tenants ON tenants.id = calls.tenant_id ",
            $rest
        )
    };
}

fn record(row: &Row<'_>) -> rusqlite::Result<CallRecord> {
    Ok(CallRecord {
        id: row.get(0)?,
        tenant_id: row.get(1)?,
        tenant: row.get(2)?,
        key_id: row.get(3)?,
        account: row.get(4)?,
        endpoint: row.get(5)?,
        kind: row.get(6)?,
        state: row.get(7)?,
        request_id: row.get(8)?,
        app_base: row.get(9)?,
        body_sha256: row.get::<_, Option<[u8; 32]>>(10)?.map(hex::encode),
        body_bytes: row.get::<_, Option<i64>>(11)?.map(i64::unsigned_abs),
        status: row.get(12)?,
        billable_units: row.get(13)?,
        held_at: row.get(14)?,
        sent_at: row.get(15)?,
        settled_at: row.get(16)?,
        released_at: row.get(17)?,
        lost_at: row.get(18)?,
    })
}

pub(super) fn hold(session: &Session<'_>, call: &NewCall) -> Result<CallId, StoreError> {
    let id = session.insert(
        "INSERT INTO calls (tenant_id, key_id, account, endpoint, kind, held_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (call.tenant_id, call.key_id, &call.account, &call.endpoint, call.kind, call.held_at),
    )?;
    Ok(CallId(id))
}

pub(super) fn sent(session: &Session<'_>, id: CallId, sent: &SentCall) -> Result<(), StoreError> {
    let body_bytes = i64::try_from(sent.body_bytes).unwrap_or(i64::MAX);
    let changed = session.execute(
        "UPDATE calls SET state = 'sent', request_id = ?2, app_base = ?3, body_sha256 = ?4, body_bytes = ?5,
                          sent_at = ?6
         WHERE id = ?1 AND (state IN ('held', 'unknown') OR (state = 'sent' AND request_id = ?2))",
        (id, &sent.request_id, &sent.app_base, sent.body_sha256, body_bytes, sent.sent_at),
    );
    match changed {
        Ok(0) => Err(StoreError::State(id)),
        Ok(_) => Ok(()),
        Err(error) if is_duplicate(&error) => Err(StoreError::Taken(sent.request_id.clone())),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn settle(session: &Session<'_>, id: CallId, end: &Settlement) -> Result<bool, StoreError> {
    let changed = session.execute(
        "UPDATE calls SET state = 'settled', status = ?2, billable_units = ?3, settled_at = ?4
         WHERE id = ?1 AND (state = 'held' OR state = 'sent' OR state = 'unknown')",
        (id, end.status, &end.billable_units, end.settled_at),
    )?;
    moved(session, id, changed)
}

pub(super) fn release(session: &Session<'_>, id: CallId, release: &Release) -> Result<bool, StoreError> {
    let changed = session.execute(
        "UPDATE calls SET state = 'released', status = ?2, released_at = ?3
         WHERE id = ?1 AND state IN ('held', 'unknown')",
        (id, release.status, release.released_at),
    )?;
    moved(session, id, changed)
}

pub(super) fn lose(session: &Session<'_>, id: CallId, at: Timestamp) -> Result<bool, StoreError> {
    let changed = session.execute(
        "UPDATE calls SET state = 'unknown', lost_at = ?2 WHERE id = ?1 AND state = 'held'",
        (id, at),
    )?;
    moved(session, id, changed)
}

/// Tells a row that has moved on from a row that never was.
fn moved(session: &Session<'_>, id: CallId, changed: usize) -> Result<bool, StoreError> {
    let exists = || session.first("SELECT 1 FROM calls WHERE id = ?1", (id,), |_| Ok(()));
    match changed > 0 {
        true => Ok(true),
        false if exists()?.is_some() => Ok(false),
        false => Err(StoreError::State(id)),
    }
}

pub(super) fn lose_abandoned(session: &Session<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let changed = session.execute(
        "UPDATE calls SET state = 'unknown', lost_at = ?1 WHERE state = 'held' AND held_at < ?1",
        (before,),
    )?;
    Ok(changed as u64)
}

pub(super) fn owned(
    session: &Session<'_>,
    tenant: TenantId,
    request_id: &RequestId,
) -> Result<Option<OwnedCall>, StoreError> {
    let sql =
        "SELECT id, account, endpoint, app_base, state FROM calls WHERE request_id = ?1 AND tenant_id = ?2
               ORDER BY id LIMIT 1";
    let read = |row: &Row<'_>| {
        Ok(OwnedCall {
            id: row.get(0)?,
            account: row.get(1)?,
            endpoint: row.get(2)?,
            app_base: row.get(3)?,
            closed: row.get::<_, CallState>(4)?.is_closed(),
        })
    };
    Ok(session.first(sql, (request_id, tenant), read)?)
}

pub(super) fn by_id(session: &Session<'_>, id: CallId) -> Result<Option<CallRecord>, StoreError> {
    Ok(session.first(select_calls!("WHERE calls.id = ?1"), (id,), record)?)
}

pub(super) fn page(session: &Session<'_>, after: CallId, limit: u32) -> Result<Vec<CallRecord>, StoreError> {
    let sql = select_calls!("WHERE calls.id > ?1 ORDER BY calls.id LIMIT ?2");
    Ok(session.all(sql, (after, limit), record)?)
}

/// A real write: nothing less tells whether the disk takes one.
pub(super) fn ping(session: &Session<'_>) -> Result<(), StoreError> {
    session.execute("UPDATE counters SET value = value + 1 WHERE name = 'pings'", ())?;
    Ok(())
}
