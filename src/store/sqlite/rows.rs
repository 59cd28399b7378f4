//! Rows as records. A row that cannot be read, because somebody else wrote in the file, is an error that names it.

use std::fmt::Display;

use rusqlite::{Params, Row};

use crate::store::StoreError;

use super::session::{Session, is_duplicate};

/// How a row becomes a record.
type Read<T> = fn(&Row<'_>) -> Result<T, StoreError>;

/// The first record, if there is one.
pub(super) fn one<T>(
    session: &Session<'_>,
    sql: &'static str,
    params: impl Params,
    read: Read<T>,
) -> Result<Option<T>, StoreError> {
    session.first(sql, params, |row| Ok(read(row)))?.transpose()
}

/// All records.
pub(super) fn many<T>(
    session: &Session<'_>,
    sql: &'static str,
    params: impl Params,
    read: Read<T>,
) -> Result<Vec<T>, StoreError> {
    session.all(sql, params, |row| Ok(read(row)))?.into_iter().collect()
}

/// Reads the row of the `kind` with the number `id`.
pub(super) fn named<T>(
    kind: &str,
    id: impl Display,
    read: impl FnOnce() -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    read().map_err(|error| StoreError::Backend(format!("{kind} {id} cannot be read: {error}")))
}

/// A single number.
pub(super) fn number(
    session: &Session<'_>,
    sql: &'static str,
    params: impl Params,
) -> Result<i64, StoreError> {
    session.first(sql, params, |row| row.get(0))?.ok_or_else(vanished)
}

/// How many rows a statement counts.
pub(super) fn count(
    session: &Session<'_>,
    sql: &'static str,
    params: impl Params,
) -> Result<u64, StoreError> {
    Ok(number(session, sql, params)?.unsigned_abs())
}

/// A row that was written a moment ago, in the same transaction, cannot be found.
pub(super) fn vanished() -> StoreError {
    StoreError::Backend("a row that was just written is not there".into())
}

/// The refusal of a statement that gives somebody the name of another.
pub(super) fn name_taken(error: rusqlite::Error, name: &str) -> StoreError {
    match is_duplicate(&error) {
        true => StoreError::NameTaken(name.to_owned()),
        false => error.into(),
    }
}

/// The refusal of a statement that makes a key or a token of which the digest is known.
pub(super) fn key_taken(error: rusqlite::Error, last_four: &str) -> StoreError {
    match is_duplicate(&error) {
        true => StoreError::KeyTaken(last_four.to_owned()),
        false => error.into(),
    }
}
