//! Secrets that the installation made for itself. None of them stands in the audit log.

use rusqlite::Row;

use crate::clock::Timestamp;
use crate::secret::Seed;
use crate::store::{Author, StoreError, StoredSecret};

use super::session::Session;
use super::{audit, rows};

/// The secrets of a name that have not ended, the newest first; `fresh` when there is none.
pub(super) fn of_name(
    session: &Session<'_>,
    name: &'static str,
    fresh: &Seed,
    at: Timestamp,
) -> Result<Vec<StoredSecret>, StoreError> {
    let found = all(session, name, at)?;
    if !found.is_empty() {
        return Ok(found);
    }
    make(session, name, fresh, at)?;
    all(session, name, at)
}

/// Makes a new one and sets an end to those before it.
pub(super) fn replace(
    session: &Session<'_>,
    name: &'static str,
    fresh: &Seed,
    (begins_at, ends_at): (Timestamp, Timestamp),
    author: &Author,
) -> Result<(), StoreError> {
    session.execute(
        "UPDATE secrets SET ends_at = ?2 WHERE name = ?1 AND (ends_at IS NULL OR ends_at > ?2)",
        (name, ends_at),
    )?;
    make(session, name, fresh, begins_at)?;
    let new = serde_json::json!({ "begins_at": begins_at, "others_end_at": ends_at });
    audit::write(session, author, "secret.replace", &format!("secret:{name}"), None, Some(&new))
}

fn make(session: &Session<'_>, name: &str, value: &Seed, begins_at: Timestamp) -> Result<(), StoreError> {
    session.execute(
        "INSERT INTO secrets (name, value, begins_at) VALUES (?1, ?2, ?3)",
        (name, value.expose(), begins_at),
    )?;
    Ok(())
}

fn all(session: &Session<'_>, name: &str, at: Timestamp) -> Result<Vec<StoredSecret>, StoreError> {
    rows::many(
        session,
        "SELECT value, begins_at, ends_at FROM secrets
         WHERE name = ?1 AND (ends_at IS NULL OR ends_at > ?2) ORDER BY id DESC",
        (name, at),
        record,
    )
}

fn record(row: &Row<'_>) -> Result<StoredSecret, StoreError> {
    Ok(StoredSecret { value: Seed::new(row.get(0)?), begins_at: row.get(1)?, ends_at: row.get(2)? })
}
