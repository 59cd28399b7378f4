//! The audit log: who changed what, from what, to what, why. A line is written in the transaction of its change.

use rusqlite::Row;
use serde::Serialize;
use serde_json::Value;

use crate::ids::AuditId;
use crate::store::{AuditRecord, Author, StoreError};

use super::columns::Json;
use super::rows;
use super::session::Session;

/// Writes a line: `action` was done to `object`, which was `old` and is `new`.
pub(super) fn write<T: Serialize>(
    session: &Session<'_>,
    author: &Author,
    action: &'static str,
    object: &str,
    old: Option<&T>,
    new: Option<&T>,
) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO audit (at, author, action, object, old, new, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (author.at, &author.name, action, object, old.map(Json), new.map(Json), &author.reason),
    )?;
    Ok(())
}

/// Lines with a lower number than `before`, the newest first.
pub(super) fn page(
    session: &Session<'_>,
    object: Option<&str>,
    before: Option<AuditId>,
    limit: u32,
) -> Result<Vec<AuditRecord>, StoreError> {
    let before = before.unwrap_or(AuditId(i64::MAX));
    match object {
        Some(object) => rows::many(
            session,
            "SELECT id, at, author, action, object, old, new, reason FROM audit
             WHERE object = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
            (object, before, limit),
            record,
        ),
        None => rows::many(
            session,
            "SELECT id, at, author, action, object, old, new, reason FROM audit
             WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
            (before, limit),
            record,
        ),
    }
}

fn record(row: &Row<'_>) -> Result<AuditRecord, StoreError> {
    let id: AuditId = row.get(0)?;
    let json = |column| row.get::<_, Option<Json<Value>>>(column).map(|json| json.map(|json| json.0));
    rows::named("line of the audit log", id, || {
        Ok(AuditRecord {
            id,
            at: row.get(1)?,
            author: row.get(2)?,
            action: row.get(3)?,
            object: row.get(4)?,
            old: json(5)?,
            new: json(6)?,
            reason: row.get(7)?,
        })
    })
}
