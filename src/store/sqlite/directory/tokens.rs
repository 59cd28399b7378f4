//! Client tokens. Their holders make them at the pace of their own users, so nothing of it goes to the audit log but their
//! end by an operator.

use std::time::Duration;

use rusqlite::Row;

use crate::clock::Timestamp;
use crate::ids::{KeyId, TokenId};
use crate::key::KeyDigest;
use crate::rules::Rules;
use crate::store::sqlite::columns::Json;
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{audit, rows};
use crate::store::{Author, NewToken, RevokedTokens, StoreError, TokenRecord, TokenUse};

use super::keys;

/// Tokens whose time is over that each new one sweeps: more go than come, so the table never holds many of them.
const SWEPT_ROWS: u32 = 100;
/// How long a token's row stays after it was revoked, so that every process learns of it.
const REVOKED_KEPT: Duration = Duration::from_secs(60);

/// What a token's own row says.
struct Own {
    id: TokenId,
    key_id: KeyId,
    rules: Rules,
    created_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

pub(super) fn create(session: &Session<'_>, token: &NewToken) -> Result<Option<TokenId>, StoreError> {
    sweep(session, token.created_at)?;
    if live(session, token.key_id, token.created_at, token.live_max)? >= u64::from(token.live_max) {
        return Ok(None);
    }
    let id = session.insert(
        "INSERT INTO client_tokens (key_id, digest, rules, limit_nano, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (token.key_id, token.digest.0, Json(&token.rules), token.limit, token.created_at, token.expires_at),
    )?;
    if !token.rules.origins.is_empty() {
        tell_origins(session)?;
    }
    Ok(Some(TokenId(id)))
}

/// Sweeps tokens whose time is over. Not those under whose ceiling something is still held: it must end there.
fn sweep(session: &Session<'_>, now: Timestamp) -> Result<(), StoreError> {
    session.execute(
        "DELETE FROM client_tokens WHERE id IN (
             SELECT id FROM client_tokens
             WHERE expires_at <= ?1 AND held_nano = 0 AND (revoked_at IS NULL OR revoked_at <= ?3) LIMIT ?2)",
        (now, SWEPT_ROWS, now.minus(REVOKED_KEPT)),
    )?;
    Ok(())
}

/// Says, the first time only, that there are tokens with origins: those who answer browsers must know.
fn tell_origins(session: &Session<'_>) -> Result<(), StoreError> {
    let first =
        session.execute("UPDATE counters SET value = 1 WHERE name = 'token_origins' AND value = 0", ())?;
    if first > 0 {
        session.execute("UPDATE counters SET value = value + 1 WHERE name = 'keys_revision'", ())?;
    }
    Ok(())
}

pub(super) fn by_digest(session: &Session<'_>, digest: KeyDigest) -> Result<Option<TokenRecord>, StoreError> {
    let sql =
        "SELECT id, key_id, rules, expires_at, revoked_at, created_at FROM client_tokens WHERE digest = ?1";
    let Some(own) = rows::one(session, sql, (digest.0,), own)? else { return Ok(None) };
    let key = keys::by_id(session, own.key_id)?;
    Ok(key.map(|key| TokenRecord {
        id: own.id,
        key,
        rules: own.rules,
        created_at: own.created_at,
        expires_at: own.expires_at,
        revoked_at: own.revoked_at,
    }))
}

fn own(row: &Row<'_>) -> Result<Own, StoreError> {
    let id: TokenId = row.get(0)?;
    rows::named("client token", id, || {
        Ok(Own {
            id,
            key_id: row.get(1)?,
            rules: row.get::<_, Json<_>>(2)?.0,
            expires_at: row.get(3)?,
            revoked_at: row.get(4)?,
            created_at: row.get(5)?,
        })
    })
}

/// How many tokens of a key work at `at`, counted up to `most`.
pub(super) fn live(session: &Session<'_>, key: KeyId, at: Timestamp, most: u32) -> Result<u64, StoreError> {
    rows::count(
        session,
        "SELECT count(*) FROM (SELECT 1 FROM client_tokens
                               WHERE key_id = ?1 AND expires_at > ?2 AND revoked_at IS NULL LIMIT ?3)",
        (key, at, most),
    )
}

pub(super) fn revoke(session: &Session<'_>, key: KeyId, author: &Author) -> Result<u64, StoreError> {
    let ended = session.execute(
        "UPDATE client_tokens SET revoked_at = ?2 WHERE key_id = ?1 AND expires_at > ?2 AND revoked_at IS NULL",
        (key, author.at),
    )? as u64;
    // What tokens have opened whose time is over ends, too.
    let known = session.execute("UPDATE keys SET tokens_revoked_at = ?2 WHERE id = ?1", (key, author.at))?;
    if known > 0 {
        let object = keys::object(key);
        audit::write(session, author, "key.revoke_tokens", &object, Some(&ended), Some(&0))?;
    }
    Ok(ended)
}

pub(super) fn page(
    session: &Session<'_>,
    key: KeyId,
    at: Timestamp,
    after: TokenId,
    limit: u32,
) -> Result<Vec<TokenUse>, StoreError> {
    let sql = "SELECT id, rules, limit_nano, max(spent_nano, 0), held_nano, created_at, expires_at FROM client_tokens
               WHERE key_id = ?1 AND expires_at > ?2 AND revoked_at IS NULL AND id > ?3 ORDER BY id LIMIT ?4";
    rows::many(session, sql, (key, at, after, limit), |row| {
        let id: TokenId = row.get(0)?;
        rows::named("client token", id, || {
            Ok(TokenUse {
                id,
                rules: row.get::<_, Json<_>>(1)?.0,
                limit: row.get(2)?,
                spent: row.get(3)?,
                held: row.get(4)?,
                created_at: row.get(5)?,
                expires_at: row.get(6)?,
            })
        })
    })
}

/// One whose time is over may be revoked as long as its row is there: what it has opened ends.
pub(super) fn revoke_one(
    session: &Session<'_>,
    key: KeyId,
    id: TokenId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE client_tokens SET revoked_at = ?3 WHERE id = ?2 AND key_id = ?1 AND revoked_at IS NULL";
    let ended = session.execute(sql, (key, id, at))?;
    let known = "SELECT 1 FROM client_tokens WHERE id = ?2 AND key_id = ?1";
    Ok(ended > 0 || session.first(known, (key, id), |_| Ok(()))?.is_some())
}

pub(super) fn revoked(session: &Session<'_>, key: KeyId) -> Result<RevokedTokens, StoreError> {
    let sql = "SELECT tokens_revoked_at FROM keys WHERE id = ?1";
    let made_until = session.first(sql, (key,), |row| row.get(0))?.flatten();
    let sql = "SELECT id FROM client_tokens WHERE key_id = ?1 AND revoked_at IS NOT NULL";
    Ok(RevokedTokens { made_until, ids: session.all(sql, (key,), |row| row.get(0))? })
}

/// Rules are JSON and leave out what is not said, so the name of the list tells whether there is one.
pub(super) fn lists_origins(session: &Session<'_>) -> Result<bool, StoreError> {
    let found = rows::number(
        session,
        "SELECT (SELECT value FROM counters WHERE name = 'token_origins') = 1
             OR EXISTS (SELECT 1 FROM keys WHERE deleted_at IS NULL AND instr(rules, '\"origins\"'))
             OR EXISTS (SELECT 1 FROM tenants WHERE deleted_at IS NULL AND instr(rules, '\"origins\"'))
             OR EXISTS (SELECT 1 FROM groups WHERE deleted_at IS NULL AND instr(rules, '\"origins\"'))",
        (),
    )?;
    Ok(found != 0)
}
