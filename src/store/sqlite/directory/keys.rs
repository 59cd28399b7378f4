//! Keys.

use rusqlite::Row;

use crate::clock::Timestamp;
use crate::ids::{GroupId, KeyId, TenantId};
use crate::key::KeyDigest;
use crate::store::sqlite::columns::Json;
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{audit, rows};
use crate::store::{Author, Budget, Deletion, GroupRecord, KeyChange, KeyRecord, NewKey, Payer, StoreError};

use super::{budgets, groups, tenants};

/// Keys with their tenants and groups, in the order in which [`record`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT keys.id, keys.name, keys.kind, keys.last_four, keys.rules, keys.created_at, keys.starts_at,
                    keys.expires_at, keys.revoked_at, ",
            tenants::columns!(),
            ", ",
            groups::columns!(),
            " FROM keys JOIN tenants ON tenants.id = keys.tenant_id JOIN groups ON groups.id = keys.group_id
             WHERE keys.deleted_at IS NULL AND ",
            $rest
        )
    };
}

/// Where the tenant's columns begin in a row.
const TENANT: usize = 9;

/// The key in a row; its budgets are read apart.
fn record(row: &Row<'_>) -> Result<KeyRecord, StoreError> {
    let id: KeyId = row.get(0)?;
    let tenant = tenants::record_at(row, TENANT)?;
    let group = groups::record_at(row, TENANT + tenants::COLUMNS)?;
    rows::named("key", id, || {
        Ok(KeyRecord {
            id,
            tenant,
            group,
            name: row.get(1)?,
            kind: row.get(2)?,
            last_four: row.get(3)?,
            rules: row.get::<_, Json<_>>(4)?.0,
            budgets: Vec::new(),
            created_at: row.get(5)?,
            starts_at: row.get(6)?,
            expires_at: row.get(7)?,
            revoked_at: row.get(8)?,
        })
    })
}

fn with_budgets(session: &Session<'_>, key: KeyRecord) -> Result<KeyRecord, StoreError> {
    let budgets = budgets::of_key(session, key.tenant.id, key.id)?;
    Ok(KeyRecord { budgets, ..key })
}

pub(super) fn by_digest(session: &Session<'_>, digest: KeyDigest) -> Result<Option<KeyRecord>, StoreError> {
    let key = rows::one(session, select!("keys.digest = ?1"), (digest.0,), record)?;
    key.map(|key| with_budgets(session, key)).transpose()
}

pub(super) fn by_id(session: &Session<'_>, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
    let key = rows::one(session, select!("keys.id = ?1"), (id,), record)?;
    key.map(|key| with_budgets(session, key)).transpose()
}

pub(super) fn page(
    session: &Session<'_>,
    tenant: Option<TenantId>,
    search: Option<&str>,
    after: KeyId,
    limit: u32,
) -> Result<Vec<KeyRecord>, StoreError> {
    let keys = match tenant {
        Some(tenant) => {
            let sql = select!(
                "keys.tenant_id = ?4 AND keys.id > ?1 AND (?2 IS NULL OR instr(lower(keys.name), lower(?2)))
                 ORDER BY keys.id LIMIT ?3"
            );
            rows::many(session, sql, (after, search, limit, tenant), record)?
        }
        None => {
            let sql = select!(
                "keys.id > ?1 AND (?2 IS NULL OR instr(lower(keys.name), lower(?2)))
                 ORDER BY keys.id LIMIT ?3"
            );
            rows::many(session, sql, (after, search, limit), record)?
        }
    };
    keys.into_iter().map(|key| with_budgets(session, key)).collect()
}

pub(super) fn create(session: &Session<'_>, key: &NewKey, author: &Author) -> Result<KeyRecord, StoreError> {
    require_group(session, key.group_id)?;
    let tenant = tenants::named(session, &key.tenant, author)?;
    let made = insert(session, tenant, key, None, author.at)?;
    audit::write(session, author, "key.create", &object(made.id), None, Some(&made))?;
    Ok(made)
}

/// Writes the key down, with its budgets.
pub(super) fn insert(
    session: &Session<'_>,
    tenant: TenantId,
    key: &NewKey,
    revoked_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<KeyRecord, StoreError> {
    let inserted = session.insert(
        "INSERT INTO keys (tenant_id, group_id, name, kind, digest, last_four, rules, created_at, starts_at,
                           expires_at, revoked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        (
            tenant,
            key.group_id,
            &key.name,
            key.kind,
            key.digest.0,
            &key.last_four,
            Json(&key.rules),
            now,
            key.starts_at,
            key.expires_at,
            revoked_at,
        ),
    );
    let id = KeyId(inserted.map_err(|error| rows::key_taken(error, &key.last_four))?);
    let payer = Payer { tenant_id: tenant, key_id: Some(id) };
    for budget in &key.budgets {
        budgets::put(session, payer, budget.period, Some(budget), now)?;
    }
    by_id(session, id)?.ok_or_else(rows::vanished)
}

/// The group, when there is one that is not deleted.
fn require_group(session: &Session<'_>, id: GroupId) -> Result<GroupRecord, StoreError> {
    groups::by_id(session, id)?.ok_or_else(|| StoreError::Missing(format!("group {id}")))
}

pub(super) fn change(
    session: &Session<'_>,
    id: KeyId,
    change: KeyChange,
    author: &Author,
) -> Result<Option<KeyRecord>, StoreError> {
    let Some(old) = by_id(session, id)? else { return Ok(None) };
    let group = change.group_id.map(|group| require_group(session, group)).transpose()?;
    let new = changed(old.clone(), change, group);
    if new == old {
        return Ok(Some(old));
    }
    let action = if new.revoked_at == old.revoked_at { "key.update" } else { "key.revoke" };
    update(session, &new)?;
    audit::write(session, author, action, &object(id), Some(&old), Some(&new))?;
    Ok(Some(new))
}

fn changed(old: KeyRecord, change: KeyChange, group: Option<GroupRecord>) -> KeyRecord {
    KeyRecord {
        name: change.name.unwrap_or(old.name),
        group: group.unwrap_or(old.group),
        rules: change.rules.unwrap_or(old.rules),
        starts_at: change.starts_at.unwrap_or(old.starts_at),
        expires_at: change.expires_at.unwrap_or(old.expires_at),
        revoked_at: old.revoked_at.or(change.revoked_at),
        ..old
    }
}

fn update(session: &Session<'_>, key: &KeyRecord) -> Result<(), StoreError> {
    session.execute(
        "UPDATE keys SET name = ?2, group_id = ?3, rules = ?4, starts_at = ?5, expires_at = ?6, revoked_at = ?7
         WHERE id = ?1",
        (
            key.id,
            &key.name,
            key.group.id,
            Json(&key.rules),
            key.starts_at,
            key.expires_at,
            key.revoked_at,
        ),
    )?;
    Ok(())
}

pub(super) fn replace(
    session: &Session<'_>,
    id: KeyId,
    successor: NewKey,
    ends_at: Timestamp,
    author: &Author,
) -> Result<Option<KeyRecord>, StoreError> {
    let Some(old) = by_id(session, id)?.filter(|key| key.revoked_at.is_none()) else { return Ok(None) };
    let successor =
        NewKey { group_id: old.group.id, rules: old.rules.clone(), budgets: own_budgets(&old), ..successor };
    let made = insert(session, old.tenant.id, &successor, None, author.at)?;
    audit::write(session, author, "key.create", &object(made.id), None, Some(&made))?;
    let ends_at = old.expires_at.map_or(ends_at, |sooner| sooner.min(ends_at));
    let ended = KeyRecord { expires_at: Some(ends_at), ..old.clone() };
    update(session, &ended)?;
    audit::write(session, author, "key.rotate", &object(id), Some(&old), Some(&ended))?;
    Ok(Some(made))
}

/// The key's budgets without its tenant's.
fn own_budgets(key: &KeyRecord) -> Vec<Budget> {
    key.budgets.iter().filter(|record| record.key_id.is_some()).map(|record| record.budget.clone()).collect()
}

pub(super) fn delete(session: &Session<'_>, id: KeyId, author: &Author) -> Result<Deletion, StoreError> {
    let Some(old) = by_id(session, id)? else { return Ok(Deletion::Missing) };
    let open = rows::count(
        session,
        "SELECT count(*) FROM calls INDEXED BY calls_open WHERE open = 1 AND key_id = ?1",
        (id,),
    )?;
    if open > 0 {
        return Ok(Deletion::InUse(open));
    }
    end(session, &old, author)?;
    Ok(Deletion::Done)
}

/// Takes the key from all lists, and its budgets with it.
pub(super) fn end(session: &Session<'_>, key: &KeyRecord, author: &Author) -> Result<(), StoreError> {
    let ids = (key.tenant.id, key.id);
    session.execute("DELETE FROM budgets WHERE tenant_id = ?1 AND key_id = ?2", ids)?;
    session.execute("UPDATE keys SET deleted_at = ?2 WHERE id = ?1", (key.id, author.at))?;
    audit::write(session, author, "key.delete", &object(key.id), Some(key), None)
}

pub(super) fn revision(session: &Session<'_>) -> Result<i64, StoreError> {
    rows::number(session, "SELECT value FROM counters WHERE name = 'keys_revision'", ())
}

/// The key's name in the audit log.
pub(super) fn object(id: KeyId) -> String {
    format!("key:{id}")
}
