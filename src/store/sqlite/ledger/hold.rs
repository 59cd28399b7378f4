//! The steps of a row that is open.

use rusqlite::Row;

use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::store::sqlite::session::{Session, is_duplicate};
use crate::store::sqlite::{meters, webhooks};
use crate::store::{HeldCall, NewCall, SentCall, Spent, StoreError, TopUp};

use super::lookup;

/// Four statements for a caller without budgets. The row comes first: a meter that is opened on the way adds it up.
pub(super) fn hold(session: &Session<'_>, call: &NewCall) -> Result<HeldCall, StoreError> {
    let id = CallId(session.insert(
        "INSERT INTO calls (tenant_id, key_id, token_id, account, endpoint, kind, lease, tags, unit_price, unit, multiplier,
                            price_version, hold_nano, hold_basis, held_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        // By place: to look fifteen names up at each hold costs as much as a statement.
        (
            call.tenant_id,
            call.key_id,
            call.token_id,
            &call.account,
            &call.endpoint,
            call.kind,
            call.lease,
            &call.tags,
            call.terms.unit_price,
            &call.terms.unit,
            call.terms.multiplier,
            call.terms.price_version,
            call.hold,
            call.hold_basis,
            call.held_at,
        ),
    )?);
    if let Some(webhook) = &call.webhook {
        webhooks::begin(session, id, call.tenant_id, webhook)?;
    }
    Ok(HeldCall { id, told: meters::hold(session, call)? })
}

/// The row goes on counting in the meters that it was made in.
pub(super) fn top_up(session: &Session<'_>, id: CallId, more: &TopUp) -> Result<Vec<Spent>, StoreError> {
    let changed = session.execute(
        "UPDATE calls SET hold_nano = hold_nano + ?2 WHERE id = ?1 AND state = 'held'",
        (id, more.amount),
    )?;
    let read = |row: &Row<'_>| {
        Ok(meters::Holding {
            tenant_id: row.get(0)?,
            key_id: row.get(1)?,
            token_id: row.get(2)?,
            held_at: row.get(3)?,
            amount: more.amount,
            now: more.at,
        })
    };
    let sql = "SELECT tenant_id, key_id, token_id, held_at FROM calls WHERE id = ?1";
    match session.first(sql, (id,), read)?.filter(|_| changed > 0) {
        Some(holding) => meters::hold_more(session, &holding),
        None => Err(StoreError::State(id)),
    }
}

pub(super) fn sent(session: &Session<'_>, id: CallId, sent: &SentCall) -> Result<(), StoreError> {
    let body_bytes = i64::try_from(sent.body_bytes).unwrap_or(i64::MAX);
    let changed = session.execute(
        "UPDATE calls SET state = 'sent', request_id = ?2, app_base = ?3, body_sha256 = ?4, body_bytes = ?5,
                          sent_at = ?6
         WHERE id = ?1 AND (state = 'held' OR state = 'unknown')",
        (id, &sent.request_id, &sent.app_base, sent.body_sha256, body_bytes, sent.sent_at),
    );
    let said = "SELECT 1 FROM calls WHERE id = ?1 AND state = 'sent' AND request_id = ?2";
    match changed {
        Ok(0) if session.first(said, (id, &sent.request_id), |_| Ok(()))?.is_some() => Ok(()),
        Ok(0) => Err(StoreError::State(id)),
        Ok(_) => Ok(()),
        Err(error) if is_duplicate(&error) => Err(StoreError::Taken(sent.request_id.clone())),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn lose(session: &Session<'_>, id: CallId, at: Timestamp) -> Result<bool, StoreError> {
    let changed = session.execute(
        "UPDATE calls SET state = 'unknown', lost_at = ?2 WHERE id = ?1 AND state = 'held'",
        (id, at),
    )?;
    match changed {
        0 => lookup::require(session, id).map(|()| false),
        _ => Ok(true),
    }
}

pub(super) fn lose_abandoned(session: &Session<'_>, before: Timestamp) -> Result<u64, StoreError> {
    let changed = session.execute(
        "UPDATE calls SET state = 'unknown', lost_at = ?1 WHERE open = 1 AND state = 'held' AND held_at < ?1",
        (before,),
    )?;
    Ok(changed as u64)
}
