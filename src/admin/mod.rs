//! Administration: the one service that changes keys. The command line and the admin listener are its faces.

mod error;
mod name;
mod view;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::ids::{CallId, KeyId, TenantId};
use crate::key::{ApiKey, KeyKind};
use crate::random::Random;
use crate::rules::Rules;
use crate::store::{
    Author, CallFilter, CallRecord, GroupRecord, KeyChange, KeyRecord, NewKey, Store, TenantRecord,
};

pub use error::{AdminError, Field};
pub use view::{KeyState, KeyView, TenantView};

/// A hundred years. A key that should live longer has no end.
const LONGEST: Duration = Duration::from_secs(36_525 * 24 * 60 * 60);

/// A key to be made.
#[derive(Clone, Debug)]
pub struct CreateKey {
    /// Whose it is; the tenant is made when there is none of that name.
    pub tenant: String,
    /// A name for people.
    pub name: String,
    /// What it may be used for.
    pub kind: KeyKind,
    /// How long it works; without end when `None`.
    pub expires_in: Option<Duration>,
}

/// What changes in a key; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UpdateKey {
    /// Another name.
    pub name: Option<String>,
    /// Another end.
    pub expiry: Option<Expiry>,
}

/// When a key stops working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// This long from now.
    In(Duration),
    /// Not before it is revoked.
    Never,
}

/// The service.
#[derive(Clone)]
pub struct Admin {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Random,
}

impl Admin {
    /// A service over `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, random: Random) -> Self {
        Self { store, clock, random }
    }

    /// Now, on the clock by which keys begin and end.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes a key. This is the only time that it is seen.
    pub async fn create_key(&self, create: CreateKey) -> Result<(ApiKey, KeyRecord), AdminError> {
        name::check(Field::Tenant, &create.tenant)?;
        name::check(Field::Name, &create.name)?;
        let now = self.now();
        let expires_at =
            create.expires_in.map(|duration| end(Field::ExpiresIn, now, duration)).transpose()?;
        let key = ApiKey::generate(create.kind, &self.random)?;
        let new = NewKey {
            tenant: create.tenant,
            name: create.name,
            kind: create.kind,
            digest: key.digest(),
            last_four: key.last_four(),
            expires_at,
            group_id: GroupRecord::DEFAULT,
            rules: Rules::default(),
            starts_at: None,
            budgets: Vec::new(),
        };
        let record = self.store.create_key(new, self.author()).await?;
        Ok((key, record))
    }

    /// All keys in the order in which they were made, or those of one tenant.
    pub async fn keys(&self, tenant: Option<&str>) -> Result<Vec<KeyRecord>, AdminError> {
        let tenant_id = match tenant {
            None => None,
            Some(name) => match self.store.tenant_named(name.into()).await? {
                Some(tenant) => Some(tenant.id),
                None => return Ok(Vec::new()),
            },
        };
        Ok(self.store.keys(tenant_id, None, KeyId(0), u32::MAX).await?)
    }

    /// One key.
    pub async fn key(&self, id: KeyId) -> Result<KeyRecord, AdminError> {
        self.store.key(id).await?.ok_or(AdminError::NoSuchKey(id))
    }

    /// Changes a key's name, its end, or both at once.
    pub async fn update_key(&self, id: KeyId, update: UpdateKey) -> Result<KeyRecord, AdminError> {
        if let Some(name) = &update.name {
            name::check(Field::Name, name)?;
        }
        let expires_at = match update.expiry {
            None => None,
            Some(Expiry::Never) => Some(None),
            Some(Expiry::In(duration)) => Some(Some(end(Field::ExpiresIn, self.now(), duration)?)),
        };
        self.change(id, KeyChange { name: update.name, expires_at, ..KeyChange::default() }).await
    }

    /// Makes a successor with the same tenant, name, kind and span of life; the old key works on for `grace`, or until
    /// its own end when that is sooner.
    pub async fn rotate_key(&self, id: KeyId, grace: Duration) -> Result<(ApiKey, KeyRecord), AdminError> {
        let old = self.key(id).await?;
        let now = self.now();
        if !old.is_active(now) {
            return Err(AdminError::Ended(id));
        }
        let ends_at = match grace.is_zero() {
            true => now,
            false => end(Field::Grace, now, grace)?,
        };
        let key = ApiKey::generate(old.kind, &self.random)?;
        let successor = NewKey {
            tenant: old.tenant.name.as_ref().into(),
            group_id: old.group.id,
            rules: old.rules,
            starts_at: None,
            budgets: Vec::new(),
            name: old.name,
            kind: old.kind,
            digest: key.digest(),
            last_four: key.last_four(),
            expires_at: old.expires_at.map(|end| now.plus(end.since(old.created_at))),
        };
        // It may have been revoked since it was read: then nothing is made.
        let record = self
            .store
            .replace_key(id, successor, ends_at, self.author())
            .await?
            .ok_or(AdminError::Ended(id))?;
        Ok((key, record))
    }

    /// Ends a key for good. Revoking a revoked key changes nothing.
    pub async fn revoke_key(&self, id: KeyId) -> Result<KeyRecord, AdminError> {
        self.change(id, KeyChange { revoked_at: Some(self.now()), ..KeyChange::default() }).await
    }

    /// All tenants in the order in which they were made.
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, AdminError> {
        Ok(self.store.tenants(None, TenantId(0), u32::MAX).await?)
    }

    /// Rows of the ledger with a higher number than `after`, oldest first, `limit` at most.
    pub async fn calls(&self, after: CallId, limit: u32) -> Result<Vec<CallRecord>, AdminError> {
        Ok(self.store.calls(CallFilter::default(), after, limit).await?)
    }

    fn author(&self) -> Author {
        Author { name: "cli".into(), reason: None, at: self.now() }
    }

    async fn change(&self, id: KeyId, change: KeyChange) -> Result<KeyRecord, AdminError> {
        self.store.change_key(id, change, self.author()).await?.ok_or(AdminError::NoSuchKey(id))
    }
}

/// The moment `duration` from now.
fn end(field: Field, now: Timestamp, duration: Duration) -> Result<Timestamp, AdminError> {
    match duration {
        Duration::ZERO => Err(AdminError::Field { field, reason: "must be longer than zero" }),
        duration if duration > LONGEST => Err(AdminError::Field {
            field,
            reason: "must be at most 100 years; a key without an end has none",
        }),
        duration => Ok(now.plus(duration)),
    }
}
