//! The store about itself.

use std::sync::Arc;

use crate::store::StoreError;

use super::rows;
use super::session::Session;

/// A real write: nothing less tells whether the disk takes one.
pub(super) fn ping(session: &Session<'_>) -> Result<(), StoreError> {
    session.execute("UPDATE counters SET value = value + 1 WHERE name = 'pings'", ())?;
    Ok(())
}

pub(super) fn instance(session: &Session<'_>) -> Result<Arc<str>, StoreError> {
    session.first("SELECT id FROM instance", (), |row| row.get(0))?.ok_or_else(rows::vanished)
}
