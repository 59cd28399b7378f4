//! Tenants.

use rusqlite::Row;

use crate::ids::{KeyId, TenantId};
use crate::period::{Period, Zone};
use crate::rules::Rules;
use crate::store::sqlite::columns::Json;
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{audit, meters, rows};
use crate::store::{Author, Deletion, NewTenant, Payer, StoreError, TenantChange, TenantRecord};

use super::{budgets, keys};

/// The columns of a [`TenantRecord`], in the order in which [`record_at`] reads them.
macro_rules! columns {
    () => {
        "tenants.id, tenants.name, tenants.status, tenants.alert_url, tenants.tags, tenants.rules,
         tenants.created_at"
    };
}
pub(super) use columns;

/// How many these are.
pub(super) const COLUMNS: usize = 7;

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM tenants WHERE deleted_at IS NULL AND ", $rest)
    };
}

/// The tenant in the columns from `first` on.
pub(super) fn record_at(row: &Row<'_>, first: usize) -> Result<TenantRecord, StoreError> {
    let id: TenantId = row.get(first)?;
    rows::named("tenant", id, || {
        Ok(TenantRecord {
            id,
            name: row.get(first + 1)?,
            status: row.get(first + 2)?,
            alert_url: row.get(first + 3)?,
            tags: row.get::<_, Json<_>>(first + 4)?.0,
            rules: row.get::<_, Json<_>>(first + 5)?.0,
            created_at: row.get(first + 6)?,
        })
    })
}

fn record(row: &Row<'_>) -> Result<TenantRecord, StoreError> {
    record_at(row, 0)
}

pub(super) fn by_id(session: &Session<'_>, id: TenantId) -> Result<Option<TenantRecord>, StoreError> {
    rows::one(session, select!("id = ?1"), (id,), record)
}

pub(super) fn by_name(session: &Session<'_>, name: &str) -> Result<Option<TenantRecord>, StoreError> {
    rows::one(session, select!("name = ?1"), (name,), record)
}

pub(super) fn page(
    session: &Session<'_>,
    search: Option<&str>,
    after: TenantId,
    limit: u32,
) -> Result<Vec<TenantRecord>, StoreError> {
    let sql = select!("id > ?1 AND (?2 IS NULL OR instr(lower(name), lower(?2))) ORDER BY id LIMIT ?3");
    rows::many(session, sql, (after, search, limit), record)
}

/// Makes a tenant, with the meter of all its time.
pub(super) fn create(
    session: &Session<'_>,
    tenant: &NewTenant,
    author: &Author,
) -> Result<TenantRecord, StoreError> {
    let inserted = session.insert(
        "INSERT INTO tenants (name, alert_url, tags, rules, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (&tenant.name, &tenant.alert_url, Json(&tenant.tags), Json(&tenant.rules), author.at),
    );
    let id = TenantId(inserted.map_err(|error| rows::name_taken(error, &tenant.name))?);
    let window = Period::Total.window(&Zone::default(), author.at);
    meters::open(session, id, None, Period::Total, window, None)?;
    let payer = Payer { tenant_id: id, key_id: None };
    for budget in &tenant.budgets {
        budgets::put(session, payer, budget.period, Some(budget), author.at)?;
    }
    let made = by_id(session, id)?.ok_or_else(rows::vanished)?;
    audit::write(session, author, "tenant.create", &object(id), None, Some(&made))?;
    Ok(made)
}

/// The tenant of that name, made when there is none.
pub(super) fn named(session: &Session<'_>, name: &str, author: &Author) -> Result<TenantId, StoreError> {
    if let Some(tenant) = by_name(session, name)? {
        return Ok(tenant.id);
    }
    let plain = NewTenant {
        name: name.to_owned(),
        alert_url: None,
        tags: Vec::new(),
        rules: Rules::default(),
        budgets: Vec::new(),
    };
    Ok(create(session, &plain, author)?.id)
}

pub(super) fn change(
    session: &Session<'_>,
    id: TenantId,
    change: TenantChange,
    author: &Author,
) -> Result<Option<TenantRecord>, StoreError> {
    let Some(old) = by_id(session, id)? else { return Ok(None) };
    let new = changed(old.clone(), change);
    if new == old {
        return Ok(Some(old));
    }
    let updated = session.execute(
        "UPDATE tenants SET name = ?2, status = ?3, alert_url = ?4, tags = ?5, rules = ?6 WHERE id = ?1",
        (id, &new.name, new.status, &new.alert_url, Json(&new.tags), Json(&new.rules)),
    );
    updated.map_err(|error| rows::name_taken(error, &new.name))?;
    audit::write(session, author, "tenant.update", &object(id), Some(&old), Some(&new))?;
    Ok(Some(new))
}

fn changed(old: TenantRecord, change: TenantChange) -> TenantRecord {
    TenantRecord {
        name: change.name.map_or(old.name, Into::into),
        status: change.status.unwrap_or(old.status),
        alert_url: change.alert_url.unwrap_or(old.alert_url),
        tags: change.tags.unwrap_or(old.tags),
        rules: change.rules.unwrap_or(old.rules),
        ..old
    }
}

pub(super) fn delete(session: &Session<'_>, id: TenantId, author: &Author) -> Result<Deletion, StoreError> {
    let Some(old) = by_id(session, id)? else { return Ok(Deletion::Missing) };
    let open = rows::count(
        session,
        "SELECT count(*) FROM calls INDEXED BY calls_open WHERE open = 1 AND tenant_id = ?1",
        (id,),
    )?;
    if open > 0 {
        return Ok(Deletion::InUse(open));
    }
    for key in keys::page(session, Some(id), None, KeyId(0), u32::MAX)? {
        keys::end(session, &key, author)?;
    }
    session.execute("DELETE FROM budgets WHERE tenant_id = ?1", (id,))?;
    session.execute("UPDATE tenants SET deleted_at = ?2 WHERE id = ?1", (id, author.at))?;
    audit::write(session, author, "tenant.delete", &object(id), Some(&old), None)?;
    Ok(Deletion::Done)
}

/// The tenant's name in the audit log.
pub(super) fn object(id: TenantId) -> String {
    format!("tenant:{id}")
}
