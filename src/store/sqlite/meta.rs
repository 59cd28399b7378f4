//! The store about itself.

use std::sync::Arc;

use zeroize::Zeroizing;

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

/// The first who offers a secret of a name makes it.
pub(super) fn secret(
    session: &Session<'_>,
    name: &'static str,
    offered: &[u8; 32],
) -> Result<Zeroizing<[u8; 32]>, StoreError> {
    session.execute(
        "INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        (name, offered.as_slice()),
    )?;
    let kept = session.first("SELECT value FROM secrets WHERE name = ?1", [name], |row| row.get(0))?;
    kept.map(Zeroizing::new).ok_or_else(rows::vanished)
}
