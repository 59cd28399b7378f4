//! Keys from another gateway, all or nothing: the verb is one transaction, and the first refusal takes all back.

use crate::store::sqlite::audit;
use crate::store::sqlite::session::Session;
use crate::store::{Author, ImportedKey, KeyRecord, NewGroup, NewKey, StoreError};

use super::{groups, keys, tenants};

pub(super) fn import(
    session: &Session<'_>,
    new_groups: &[NewGroup],
    imported: &[ImportedKey],
    author: &Author,
) -> Result<Vec<KeyRecord>, StoreError> {
    for group in new_groups {
        groups::create(session, group, author)?;
    }
    imported.iter().map(|key| import_key(session, key, author)).collect()
}

fn import_key(
    session: &Session<'_>,
    imported: &ImportedKey,
    author: &Author,
) -> Result<KeyRecord, StoreError> {
    let group = groups::by_name(session, &imported.group)?;
    let group = group.ok_or_else(|| StoreError::Missing(format!("group `{}`", imported.group)))?;
    let tenant = tenants::named(session, &imported.key.tenant, author)?;
    let key = NewKey { group_id: group.id, ..imported.key.clone() };
    let made = keys::insert(session, tenant, &key, imported.revoked.then_some(author.at), author.at)?;
    audit::write(session, author, "key.import", &keys::object(made.id), None, Some(&made))?;
    Ok(made)
}
