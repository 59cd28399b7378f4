//! Statements that depend on what is asked. They are put together from texts of this program only; whatever a caller
//! said is a value.

use rusqlite::{Row, ToSql, params_from_iter};

use crate::store::StoreError;
use crate::store::sqlite::session::Session;

/// A statement under way: its text, and a value for each `?` in it.
pub(super) struct Query<'a> {
    sql: String,
    values: Vec<&'a dyn ToSql>,
}

impl<'a> Query<'a> {
    pub(super) fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new() }
    }

    /// Goes on with a text that has no values.
    pub(super) fn text(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Goes on with a text that has one value.
    pub(super) fn value(&mut self, sql: &'static str, value: &'a dyn ToSql) {
        self.sql.push_str(sql);
        self.values.push(value);
    }

    /// Goes on when there is a value.
    pub(super) fn when<T: ToSql>(&mut self, sql: &'static str, value: Option<&'a T>) {
        if let Some(value) = value {
            self.value(sql, value);
        }
    }

    /// All rows.
    pub(super) fn all<T>(
        &self,
        session: &Session<'_>,
        read: fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = session.composed(&self.sql, params_from_iter(&self.values), |row| Ok(read(row)))?;
        rows.into_iter().collect()
    }
}
