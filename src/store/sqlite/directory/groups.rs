//! Groups.

use rusqlite::Row;

use crate::ids::GroupId;
use crate::store::sqlite::columns::Json;
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{audit, rows};
use crate::store::{Author, Deletion, GroupChange, GroupRecord, NewGroup, StoreError};

/// The columns of a [`GroupRecord`], in the order in which [`record_at`] reads them.
macro_rules! columns {
    () => {
        "groups.id, groups.name, groups.multiplier, groups.rules, groups.created_at"
    };
}
pub(super) use columns;

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM groups WHERE deleted_at IS NULL AND ", $rest)
    };
}

/// The group in the columns from `first` on.
pub(super) fn record_at(row: &Row<'_>, first: usize) -> Result<GroupRecord, StoreError> {
    let id: GroupId = row.get(first)?;
    rows::named("group", id, || {
        Ok(GroupRecord {
            id,
            name: row.get(first + 1)?,
            multiplier: row.get(first + 2)?,
            rules: row.get::<_, Json<_>>(first + 3)?.0,
            created_at: row.get(first + 4)?,
        })
    })
}

fn record(row: &Row<'_>) -> Result<GroupRecord, StoreError> {
    record_at(row, 0)
}

pub(super) fn by_id(session: &Session<'_>, id: GroupId) -> Result<Option<GroupRecord>, StoreError> {
    rows::one(session, select!("id = ?1"), (id,), record)
}

pub(super) fn by_name(session: &Session<'_>, name: &str) -> Result<Option<GroupRecord>, StoreError> {
    rows::one(session, select!("name = ?1"), (name,), record)
}

pub(super) fn page(
    session: &Session<'_>,
    search: Option<&str>,
    after: GroupId,
    limit: u32,
) -> Result<Vec<GroupRecord>, StoreError> {
    let sql = select!("id > ?1 AND (?2 IS NULL OR instr(lower(name), lower(?2))) ORDER BY id LIMIT ?3");
    rows::many(session, sql, (after, search, limit), record)
}

pub(super) fn create(
    session: &Session<'_>,
    group: &NewGroup,
    author: &Author,
) -> Result<GroupRecord, StoreError> {
    let inserted = session.insert(
        "INSERT INTO groups (name, multiplier, rules, created_at) VALUES (?1, ?2, ?3, ?4)",
        (&group.name, group.multiplier, Json(&group.rules), author.at),
    );
    let id = GroupId(inserted.map_err(|error| rows::name_taken(error, &group.name))?);
    let made = by_id(session, id)?.ok_or_else(rows::vanished)?;
    audit::write(session, author, "group.create", &object(id), None, Some(&made))?;
    Ok(made)
}

pub(super) fn change(
    session: &Session<'_>,
    id: GroupId,
    change: GroupChange,
    author: &Author,
) -> Result<Option<GroupRecord>, StoreError> {
    let Some(old) = by_id(session, id)? else { return Ok(None) };
    let new = changed(old.clone(), change);
    if new == old {
        return Ok(Some(old));
    }
    let updated = session.execute(
        "UPDATE groups SET name = ?2, multiplier = ?3, rules = ?4 WHERE id = ?1",
        (id, &new.name, new.multiplier, Json(&new.rules)),
    );
    updated.map_err(|error| rows::name_taken(error, &new.name))?;
    audit::write(session, author, "group.update", &object(id), Some(&old), Some(&new))?;
    Ok(Some(new))
}

fn changed(old: GroupRecord, change: GroupChange) -> GroupRecord {
    GroupRecord {
        name: change.name.map_or(old.name, Into::into),
        multiplier: change.multiplier.unwrap_or(old.multiplier),
        rules: change.rules.unwrap_or(old.rules),
        ..old
    }
}

pub(super) fn delete(session: &Session<'_>, id: GroupId, author: &Author) -> Result<Deletion, StoreError> {
    let Some(old) = by_id(session, id)? else { return Ok(Deletion::Missing) };
    if id == GroupRecord::DEFAULT {
        return Ok(Deletion::Never);
    }
    let keys = "SELECT count(*) FROM keys WHERE group_id = ?1 AND deleted_at IS NULL";
    let keys = rows::count(session, keys, (id,))?;
    if keys > 0 {
        return Ok(Deletion::InUse(keys));
    }
    session.execute("UPDATE groups SET deleted_at = ?2 WHERE id = ?1", (id, author.at))?;
    audit::write(session, author, "group.delete", &object(id), Some(&old), None)?;
    Ok(Deletion::Done)
}

/// The group's name in the audit log.
fn object(id: GroupId) -> String {
    format!("group:{id}")
}
