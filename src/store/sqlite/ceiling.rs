//! What is spent and held under the ceiling of a client token: one more owner of a call's money, in its own row.

use rusqlite::Row;

use crate::ids::TokenId;
use crate::money::Usd;
use crate::period::Period;
use crate::store::{Payer, Spent, StoreError};

use super::meters::{Holding, Moved};
use super::session::Session;

/// Holds the money of a row under its token's ceiling. Refused when the token had ended when the row was made, was revoked
/// since, or has not enough left, and then all of the verb must be taken back.
pub(super) fn hold(session: &Session<'_>, holding: &Holding, token: TokenId) -> Result<(), StoreError> {
    let changed = session.execute(
        "UPDATE client_tokens SET held_nano = held_nano + ?2
         WHERE id = ?1 AND revoked_at IS NULL AND expires_at > ?3",
        (token, holding.amount, holding.held_at),
    )?;
    if changed == 0 {
        return Err(StoreError::TokenEnded);
    }
    match over(session, holding, token)? {
        Some(spent) => Err(StoreError::OverBudget(Box::new(spent))),
        None => Ok(()),
    }
}

/// How far the ceiling is spent, when what was just held goes over it.
fn over(session: &Session<'_>, holding: &Holding, token: TokenId) -> Result<Option<Spent>, StoreError> {
    let read = |row: &Row<'_>| {
        let used = i128::from(row.get::<_, i64>(1)?) + i128::from(row.get::<_, i64>(2)?);
        Ok((row.get::<_, Usd>(0)?, used))
    };
    let sql = "SELECT limit_nano, spent_nano, held_nano FROM client_tokens WHERE id = ?1 AND limit_nano IS NOT NULL";
    let Some((limit, used)) = session.first(sql, (token,), read)? else { return Ok(None) };
    let left = i128::from(limit.nanos()) - used;
    if left >= 0 {
        return Ok(None);
    }
    let before = (left + i128::from(holding.amount.nanos())).max(0);
    Ok(Some(Spent {
        payer: Payer { tenant_id: holding.tenant_id, key_id: Some(holding.key_id) },
        token_id: Some(token),
        period: Period::Total,
        limit,
        left: i64::try_from(before).ok().and_then(Usd::from_nanos).unwrap_or(limit),
        resets_at: None,
    }))
}

/// Brings a row's new amounts to the ceiling that it was held under. A token that is gone has none any more.
pub(super) fn count(session: &Session<'_>, moved: &Moved, token: TokenId) -> Result<(), StoreError> {
    session.execute(
        "UPDATE client_tokens SET held_nano = held_nano - ?2, spent_nano = spent_nano + ?3 WHERE id = ?1",
        (token, moved.freed, moved.charged),
    )?;
    Ok(())
}
