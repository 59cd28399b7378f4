//! Operators.

use rusqlite::Row;

use crate::ids::OperatorId;
use crate::key::KeyDigest;
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{audit, rows};
use crate::store::{Author, NewOperator, OperatorRecord, StoreError};

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT id, name, role, last_four, created_at, expires_at, revoked_at FROM operators ", $rest)
    };
}

fn record(row: &Row<'_>) -> Result<OperatorRecord, StoreError> {
    let id: OperatorId = row.get(0)?;
    rows::named("operator", id, || {
        Ok(OperatorRecord {
            id,
            name: row.get(1)?,
            role: row.get(2)?,
            last_four: row.get(3)?,
            created_at: row.get(4)?,
            expires_at: row.get(5)?,
            revoked_at: row.get(6)?,
        })
    })
}

fn by_id(session: &Session<'_>, id: OperatorId) -> Result<Option<OperatorRecord>, StoreError> {
    rows::one(session, select!("WHERE id = ?1"), (id,), record)
}

pub(super) fn by_digest(
    session: &Session<'_>,
    digest: KeyDigest,
) -> Result<Option<OperatorRecord>, StoreError> {
    rows::one(session, select!("WHERE digest = ?1"), (digest.0,), record)
}

pub(super) fn all(session: &Session<'_>) -> Result<Vec<OperatorRecord>, StoreError> {
    rows::many(session, select!("ORDER BY id"), (), record)
}

pub(super) fn create(
    session: &Session<'_>,
    operator: &NewOperator,
    author: &Author,
) -> Result<OperatorRecord, StoreError> {
    require_free_name(session, &operator.name)?;
    let inserted = session.insert(
        "INSERT INTO operators (name, role, digest, last_four, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            &operator.name,
            operator.role,
            operator.digest.0,
            &operator.last_four,
            author.at,
            operator.expires_at,
        ),
    );
    let id = OperatorId(inserted.map_err(|error| rows::key_taken(error, &operator.last_four))?);
    let made = by_id(session, id)?.ok_or_else(rows::vanished)?;
    audit::write(session, author, "operator.create", &object(id), None, Some(&made))?;
    Ok(made)
}

/// Two who work at the same time under one name could not be told apart in the audit log.
fn require_free_name(session: &Session<'_>, name: &str) -> Result<(), StoreError> {
    match rows::one(session, select!("WHERE name = ?1 AND revoked_at IS NULL"), (name,), record)? {
        Some(_) => Err(StoreError::NameTaken(name.to_owned())),
        None => Ok(()),
    }
}

pub(super) fn revoke(
    session: &Session<'_>,
    id: OperatorId,
    author: &Author,
) -> Result<Option<OperatorRecord>, StoreError> {
    let Some(old) = by_id(session, id)? else { return Ok(None) };
    if old.revoked_at.is_some() {
        return Ok(Some(old));
    }
    let new = OperatorRecord { revoked_at: Some(author.at), ..old.clone() };
    session.execute("UPDATE operators SET revoked_at = ?2 WHERE id = ?1", (id, author.at))?;
    audit::write(session, author, "operator.revoke", &object(id), Some(&old), Some(&new))?;
    Ok(Some(new))
}

/// The operator's name in the audit log.
fn object(id: OperatorId) -> String {
    format!("operator:{id}")
}
