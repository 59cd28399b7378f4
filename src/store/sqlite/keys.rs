//! Tenants and keys.

use rusqlite::{Row, named_params};

use crate::clock::Timestamp;
use crate::ids::{KeyId, TenantId};
use crate::key::KeyDigest;
use crate::store::{KeyChange, KeyRecord, NewKey, StoreError, TenantRecord};

use super::session::Session;

/// The columns of a [`KeyRecord`], in the order in which [`record`] reads them.
macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT keys.id, keys.tenant_id, tenants.name, keys.name, keys.kind, keys.last_four,
                    keys.created_at, keys.expires_at, keys.revoked_at
             FROM keys JOIN tenants ON tenants.id = keys.tenant_id ",
            $rest
        )
    };
}

fn record(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        id: row.get(0)?,
        tenant_id: row.get(1)?,
        tenant: row.get(2)?,
        name: row.get(3)?,
        kind: row.get(4)?,
        last_four: row.get(5)?,
        created_at: row.get(6)?,
        expires_at: row.get(7)?,
        revoked_at: row.get(8)?,
    })
}

pub(super) fn create(session: &Session<'_>, key: &NewKey) -> Result<KeyRecord, StoreError> {
    let tenant_id = tenant(session, &key.tenant, key.created_at)?;
    let id = session.insert(
        "INSERT INTO keys (tenant_id, name, kind, digest, last_four, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (tenant_id, &key.name, key.kind, key.digest.0, &key.last_four, key.created_at, key.expires_at),
    )?;
    by_id(session, KeyId(id))?.ok_or_else(vanished)
}

/// The tenant of that name, made when there is none.
fn tenant(session: &Session<'_>, name: &str, now: Timestamp) -> Result<TenantId, StoreError> {
    session.execute(
        "INSERT INTO tenants (name, created_at) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        (name, now),
    )?;
    let id = session.first("SELECT id FROM tenants WHERE name = ?1", (name,), |row| row.get(0))?;
    id.ok_or_else(vanished)
}

/// A row that was written a moment ago, in the same transaction, cannot be found.
fn vanished() -> StoreError {
    StoreError::Backend("a row that was just written is not there".into())
}

pub(super) fn by_digest(session: &Session<'_>, digest: KeyDigest) -> Result<Option<KeyRecord>, StoreError> {
    Ok(session.first(select_keys!("WHERE keys.digest = ?1"), (digest.0,), record)?)
}

pub(super) fn by_id(session: &Session<'_>, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
    Ok(session.first(select_keys!("WHERE keys.id = ?1"), (id,), record)?)
}

pub(super) fn all(session: &Session<'_>, tenant: Option<&str>) -> Result<Vec<KeyRecord>, StoreError> {
    let sql = select_keys!("WHERE ?1 IS NULL OR tenants.name = ?1 ORDER BY keys.id");
    Ok(session.all(sql, (tenant,), record)?)
}

pub(super) fn change(
    session: &Session<'_>,
    id: KeyId,
    change: &KeyChange,
) -> Result<Option<KeyRecord>, StoreError> {
    session.execute(
        "UPDATE keys SET name = coalesce(:name, name),
                         expires_at = CASE WHEN :expiry_changes THEN :expires_at ELSE expires_at END,
                         revoked_at = coalesce(revoked_at, :revoked_at)
         WHERE id = :id",
        named_params! {
            ":id": id,
            ":name": change.name,
            ":expiry_changes": change.expires_at.is_some(),
            ":expires_at": change.expires_at.flatten(),
            ":revoked_at": change.revoked_at,
        },
    )?;
    by_id(session, id)
}

pub(super) fn replace(
    session: &Session<'_>,
    id: KeyId,
    successor: &NewKey,
    ends_at: Timestamp,
) -> Result<Option<KeyRecord>, StoreError> {
    let ended = session.execute(
        "UPDATE keys SET expires_at = min(coalesce(expires_at, ?2), ?2) WHERE id = ?1 AND revoked_at IS NULL",
        (id, ends_at),
    )?;
    match ended {
        0 => Ok(None),
        _ => create(session, successor).map(Some),
    }
}

pub(super) fn tenants(session: &Session<'_>) -> Result<Vec<TenantRecord>, StoreError> {
    let sql = "SELECT id, name, created_at FROM tenants ORDER BY id";
    let read =
        |row: &Row<'_>| Ok(TenantRecord { id: row.get(0)?, name: row.get(1)?, created_at: row.get(2)? });
    Ok(session.all(sql, (), read)?)
}

pub(super) fn revision(session: &Session<'_>) -> Result<i64, StoreError> {
    let sql = "SELECT value FROM counters WHERE name = 'keys_revision'";
    session.first(sql, (), |row| row.get(0))?.ok_or_else(vanished)
}
