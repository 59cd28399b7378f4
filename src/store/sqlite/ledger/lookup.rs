//! What the journey asks of rows.

use rusqlite::Row;

use crate::ids::{CallId, RequestId, TenantId};
use crate::money::Usd;
use crate::store::sqlite::calls::{self, select_open_calls};
use crate::store::sqlite::rows;
use crate::store::sqlite::session::Session;
use crate::store::{CallState, OpenCall, OwnedCall, StoreError};

/// Tells a row that has moved on from a row that never was.
pub(super) fn require(session: &Session<'_>, id: CallId) -> Result<(), StoreError> {
    let found = session.first("SELECT 1 FROM calls WHERE id = ?1", (id,), |_| Ok(()))?;
    found.ok_or(StoreError::State(id))
}

pub(super) fn owned(
    session: &Session<'_>,
    tenant: TenantId,
    request_id: &RequestId,
) -> Result<Option<OwnedCall>, StoreError> {
    let sql = "SELECT id, unit_price, unit, multiplier, price_version, account, endpoint, app_base, state,
                      charge_nano, adjusted_charge_nano, cost_basis, lease,
                      EXISTS (SELECT 1 FROM webhooks WHERE webhooks.call_id = calls.id AND webhooks.open = 1)
               FROM calls WHERE request_id = ?1 AND tenant_id = ?2 ORDER BY id LIMIT 1";
    rows::one(session, sql, (request_id, tenant), owned_call)
}

fn owned_call(row: &Row<'_>) -> Result<OwnedCall, StoreError> {
    let id = row.get(0)?;
    calls::named(id, || {
        let charge = calls::known(row.get(9)?, row.get(10)?);
        Ok(OwnedCall {
            id,
            terms: calls::terms(row)?,
            account: row.get(5)?,
            endpoint: row.get(6)?,
            app_base: row.get(7)?,
            closed: row.get::<_, CallState>(8)?.is_closed(),
            lease: row.get(12)?,
            charge: charge.and_then(|charge| Usd::from_nanos(charge.nanos())).zip(row.get(11)?),
            webhook: row.get(13)?,
        })
    })
}

pub(super) fn open_calls(
    session: &Session<'_>,
    after: CallId,
    limit: u32,
) -> Result<Vec<OpenCall>, StoreError> {
    let sql = select_open_calls!("WHERE open = 1 AND calls.id > ?1 ORDER BY calls.id LIMIT ?2");
    rows::many(session, sql, (after, limit), calls::open_call)
}
