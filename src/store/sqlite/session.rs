//! One connection as the verbs see it: statements are prepared once, counted, and their errors are the store's.

use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, ffi};

use crate::metrics::Counter;
use crate::store::StoreError;

/// A connection in the hands of a verb.
pub(super) struct Session<'a> {
    connection: &'a Connection,
    executed: &'a Counter,
}

impl<'a> Session<'a> {
    pub(super) fn new(connection: &'a Connection, executed: &'a Counter) -> Self {
        Self { connection, executed }
    }

    /// Runs a statement that returns no rows; says how many rows it changed.
    pub(super) fn execute(&self, sql: &'static str, params: impl Params) -> rusqlite::Result<usize> {
        self.executed.add(1);
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// Inserts a row; says its number.
    pub(super) fn insert(&self, sql: &'static str, params: impl Params) -> rusqlite::Result<i64> {
        self.executed.add(1);
        self.connection.prepare_cached(sql)?.insert(params)
    }

    /// The first row, if there is one.
    pub(super) fn first<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.executed.add(1);
        self.connection.prepare_cached(sql)?.query_row(params, read).optional()
    }

    /// All rows.
    pub(super) fn all<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.executed.add(1);
        self.connection.prepare_cached(sql)?.query_map(params, read)?.collect()
    }

    /// All rows of a statement that was put together for one question; it is not kept prepared.
    pub(super) fn composed<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.executed.add(1);
        self.connection.prepare(sql)?.query_map(params, read)?.collect()
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseBusy,
            ) => Self::Unwritable(reason(&error)),
            _ => Self::Backend(reason(&error)),
        }
    }
}

/// The error in words that an operator understands.
pub(super) fn reason(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) => "another process has kept the write lock for too long".into(),
        _ => error.to_string(),
    }
}

/// Whether the statement was refused because a row like this one exists.
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}
