//! Meters: what was spent and is held in one window of one payer.

use crate::ids::{KeyId, TenantId};
use crate::period::{Period, Window};
use crate::store::StoreError;

use super::session::Session;

/// Opens the meter of a window, or gives the one that is there the limit.
pub(super) fn open(
    session: &Session<'_>,
    tenant_id: TenantId,
    key_id: Option<KeyId>,
    period: Period,
    window: Window,
    limit: Option<(i64, i64)>,
) -> Result<(), StoreError> {
    let (limit, soft) = limit.unzip();
    session.execute(
        "INSERT INTO meters (tenant_id, key_id, ends_at, period, starts_at, limit_nano, soft_nano)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET limit_nano = ?6, soft_nano = ?7",
        (tenant_id, key_id.unwrap_or(KeyId(0)), window.ends_at, period, window.starts_at, limit, soft),
    )?;
    Ok(())
}
