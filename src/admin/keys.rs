//! Keys of tenants.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::budget::{self, BudgetInput, BudgetView};
use super::page::nullable;
use super::tenants::done;
use super::{Actor, AdminError, Named, Page, RulesSpec, check, moment};
use crate::clock::Timestamp;
use crate::ids::{GroupId, KeyId, TenantId};
use crate::key::{ApiKey, KeyKind};
use crate::store::{GroupRecord, KeyChange, KeyRecord, NewKey, Role};

/// How long a rotated key works on, when nobody says.
const GRACE: &str = "24h";

/// What a tenant's key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyMode {
    /// Calls that fal bills.
    Live,
    /// The sandbox only.
    Test,
}

impl From<KeyMode> for KeyKind {
    fn from(mode: KeyMode) -> Self {
        match mode {
            KeyMode::Live => Self::Live,
            KeyMode::Test => Self::Test,
        }
    }
}

/// A key to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyCreate {
    /// Whose it is; the tenant is made when there is none of that name.
    pub tenant: String,
    /// A name for people; `default` when not given.
    #[serde(default)]
    pub name: Option<String>,
    /// The name of its group; `default` when not given.
    #[serde(default)]
    pub group: Option<String>,
    /// What it may be used for; when not given, what this relay is for.
    #[serde(default)]
    pub kind: Option<KeyMode>,
    /// What it may do, within what its tenant and group may.
    #[serde(default)]
    pub rules: RulesSpec,
    /// Its budgets, one for a period.
    #[serde(default)]
    pub budgets: Vec<BudgetInput>,
    /// When it begins to work; at once when not given.
    #[serde(default)]
    #[schema(example = "2026-01-31T12:00:00Z")]
    pub starts_at: Option<String>,
    /// When it stops working; never when not given.
    #[serde(default)]
    #[schema(example = "2030-01-31T12:00:00Z")]
    pub expires_at: Option<String>,
    /// How long it works from now, instead of `expires_at`.
    #[serde(default)]
    #[schema(example = "30d")]
    pub expires_in: Option<String>,
}

/// What changes in a key; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyUpdate {
    /// Another name.
    pub name: Option<String>,
    /// The name of another group.
    pub group: Option<String>,
    /// Other rules, all of them.
    pub rules: Option<RulesSpec>,
    /// Another beginning; null for at once.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    pub starts_at: Option<Option<String>>,
    /// Another end; null for none.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Option<String>>,
    /// How long it works from now, instead of `expires_at`.
    pub expires_in: Option<String>,
}

/// How a key is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeyRotate {
    /// How long the old key works on, such as `12h` or `0s`; 24 hours when not given.
    #[schema(example = "24h")]
    pub grace: Option<String>,
}

/// Which keys are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct KeyQuery {
    /// Only the keys of the tenant of this name.
    pub tenant: Option<String>,
    /// Only those whose name contains this, in any case.
    pub search: Option<String>,
    /// The most rows, 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Whether a key opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It does.
    Active,
    /// Its time has not come.
    Pending,
    /// Its tenant is suspended.
    Suspended,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl KeyState {
    /// The state of `key` at `now`.
    pub fn of(key: &KeyRecord, now: Timestamp) -> Self {
        match key {
            KeyRecord { revoked_at: Some(_), .. } => Self::Revoked,
            KeyRecord { expires_at: Some(end), .. } if *end <= now => Self::Expired,
            key if key.is_active(now) => Self::Active,
            KeyRecord { starts_at: Some(start), .. } if *start > now => Self::Pending,
            _ => Self::Suspended,
        }
    }

    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A key as JSON shows it. Moments are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the columns of a KeyRecord, and its state")]
pub struct KeyView {
    #[schema(value_type = i64)]
    pub id: KeyId,
    #[schema(value_type = i64)]
    pub tenant_id: TenantId,
    pub tenant: String,
    #[schema(value_type = i64)]
    pub group_id: GroupId,
    pub group: String,
    pub name: String,
    #[schema(value_type = KeyMode)]
    pub kind: KeyKind,
    pub last_four: String,
    pub state: KeyState,
    pub rules: RulesSpec,
    /// The key's own budgets; its tenant's count beside them.
    pub budgets: Vec<BudgetView>,
    pub created_at: String,
    pub starts_at: Option<String>,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
}

impl KeyView {
    /// What `key` looks like at `now`.
    pub fn new(key: &KeyRecord, now: Timestamp) -> Self {
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
        Self {
            id: key.id,
            tenant_id: key.tenant.id,
            tenant: key.tenant.name.as_ref().into(),
            group_id: key.group.id,
            group: key.group.name.as_ref().into(),
            name: key.name.clone(),
            kind: key.kind,
            last_four: key.last_four.clone(),
            state: KeyState::of(key, now),
            rules: (&key.rules).into(),
            budgets: budget::views(&key.budgets, Some(key.id)),
            created_at: key.created_at.to_string(),
            starts_at: text(key.starts_at),
            expires_at: text(key.expires_at),
            revoked_at: text(key.revoked_at),
        }
    }
}

/// A key that was just made, with its text: this is the only time that it is seen.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyMade {
    /// The key.
    pub key: String,
    /// What is known of it.
    #[serde(flatten)]
    pub record: KeyView,
}

impl Actor {
    /// Makes a key. This is the only time that it is seen.
    pub async fn create_key(&self, create: KeyCreate) -> Result<KeyMade, AdminError> {
        let author = self.author(Role::Manage)?;
        let now = author.at;
        let name = create.name.unwrap_or_else(|| "default".into());
        check::name("tenant", &create.tenant)?;
        check::name("name", &name)?;
        let starts_at = create.starts_at.map(|text| moment::moment("starts_at", &text)).transpose()?;
        let expires_at = moment::end(now, create.expires_at.as_deref(), create.expires_in.as_deref())?;
        in_order(starts_at, expires_at)?;
        let key = ApiKey::generate(create.kind.map_or(self.admin.kind, Into::into), &self.admin.random)?;
        let new = NewKey {
            rules: create.rules.read()?,
            budgets: budget::read_all(&create.budgets)?,
            group_id: self.group_given(create.group.as_deref()).await?.unwrap_or(GroupRecord::DEFAULT),
            tenant: create.tenant,
            name,
            kind: key.kind(),
            digest: key.digest(),
            last_four: key.last_four(),
            starts_at,
            expires_at,
        };
        let record = self.store().create_key(new, author).await?;
        Ok(made(&key, &record, now))
    }

    /// Keys in the order in which they were made. A tenant that is not there has none.
    pub async fn keys(&self, query: KeyQuery) -> Result<Page<KeyView>, AdminError> {
        self.may(Role::Read)?;
        let (limit, search) = (check::limit(query.limit)?, check::search(query.search.as_deref())?);
        let after = KeyId(check::cursor(query.cursor.as_deref())?.unwrap_or(0));
        let tenant = match query.tenant {
            None => None,
            Some(name) => match self.store().tenant_named(name).await? {
                Some(tenant) => Some(tenant.id),
                None => return Ok(Page::empty()),
            },
        };
        let records = self.store().keys(tenant, search, after, limit + 1).await?;
        let now = self.now();
        Ok(Page::cut(records, limit, |key| key.id, |key| KeyView::new(&key, now)))
    }

    /// One key.
    pub async fn key(&self, id: KeyId) -> Result<KeyView, AdminError> {
        self.may(Role::Read)?;
        Ok(KeyView::new(&self.key_record(id).await?, self.now()))
    }

    /// Changes a key, all at once.
    pub async fn update_key(&self, id: KeyId, update: KeyUpdate) -> Result<KeyView, AdminError> {
        self.may(Role::Manage)?;
        let now = self.now();
        update.name.as_deref().map_or(Ok(()), |name| check::name("name", name))?;
        let starts_at = match &update.starts_at {
            None => None,
            Some(text) => Some(text.as_deref().map(|text| moment::moment("starts_at", text)).transpose()?),
        };
        let expires_at = match (&update.expires_at, update.expires_in.as_deref()) {
            (None, None) => None,
            (Some(None), None) => Some(None),
            (Some(None), Some(_)) => {
                return Err(AdminError::field("expires_in", "must not be given beside expires_at"));
            }
            (at, span) => Some(moment::end(now, at.as_ref().and_then(Option::as_deref), span)?),
        };
        let old = self.key_record(id).await?;
        in_order(starts_at.unwrap_or(old.starts_at), expires_at.unwrap_or(old.expires_at))?;
        let change = KeyChange {
            group_id: self.group_given(update.group.as_deref()).await?,
            rules: update.rules.map(|rules| rules.read()).transpose()?,
            name: update.name,
            starts_at,
            expires_at,
            revoked_at: None,
        };
        self.change_key(id, change).await
    }

    /// Makes a successor with the same tenant, group, rules, budgets, name, kind and span of life; the old key works on for
    /// the grace, or until its own end when that is sooner.
    pub async fn rotate_key(&self, id: KeyId, rotate: KeyRotate) -> Result<KeyMade, AdminError> {
        let author = self.author(Role::Manage)?;
        let now = author.at;
        let ends_at = match moment::duration("grace", rotate.grace.as_deref().unwrap_or(GRACE))? {
            grace if grace.is_zero() => now,
            _ => moment::after("grace", now, rotate.grace.as_deref().unwrap_or(GRACE))?,
        };
        let old = self.key_record(id).await?;
        let ended = old.revoked_at.is_some() || old.expires_at.is_some_and(|end| end <= now);
        if ended {
            return Err(AdminError::Ended(id));
        }
        let key = ApiKey::generate(old.kind, &self.admin.random)?;
        let successor = NewKey {
            tenant: old.tenant.name.as_ref().into(),
            group_id: old.group.id,
            rules: old.rules,
            starts_at: old.starts_at,
            // The store hands the old key's budgets on.
            budgets: Vec::new(),
            name: old.name,
            kind: old.kind,
            digest: key.digest(),
            last_four: key.last_four(),
            expires_at: old.expires_at.map(|end| now.plus(end.since(old.created_at))),
        };
        // It may have been revoked since it was read: then nothing is made.
        let record = self.store().replace_key(id, successor, ends_at, author).await?;
        Ok(made(&key, &record.ok_or(AdminError::Ended(id))?, now))
    }

    /// Ends a key for good. Revoking a revoked key changes nothing.
    pub async fn revoke_key(&self, id: KeyId) -> Result<KeyView, AdminError> {
        self.change_key(id, KeyChange { revoked_at: Some(self.now()), ..KeyChange::default() }).await
    }

    /// Deletes a key, unless calls are open. Its rows in the ledger stay.
    pub async fn delete_key(&self, id: KeyId) -> Result<(), AdminError> {
        let deletion = self.store().delete_key(id, self.author(Role::Manage)?).await?;
        done(deletion, Named { what: "key", which: id.to_string() }, "calls")
    }

    pub(super) async fn key_record(&self, id: KeyId) -> Result<KeyRecord, AdminError> {
        self.store().key(id).await?.ok_or_else(|| AdminError::no_such("key", id))
    }

    async fn change_key(&self, id: KeyId, change: KeyChange) -> Result<KeyView, AdminError> {
        let author = self.author(Role::Manage)?;
        let now = author.at;
        let changed = self.store().change_key(id, change, author).await?;
        let changed = changed.ok_or_else(|| AdminError::no_such("key", id))?;
        Ok(KeyView::new(&changed, now))
    }

    /// The group that was named.
    async fn group_given(&self, name: Option<&str>) -> Result<Option<GroupId>, AdminError> {
        let Some(name) = name else { return Ok(None) };
        match self.store().group_named(name.into()).await? {
            Some(group) => Ok(Some(group.id)),
            None => Err(AdminError::field("group", "names no group; see the list of groups")),
        }
    }
}

fn made(key: &ApiKey, record: &KeyRecord, now: Timestamp) -> KeyMade {
    KeyMade { key: key.expose().to_owned(), record: KeyView::new(record, now) }
}

fn in_order(starts_at: Option<Timestamp>, expires_at: Option<Timestamp>) -> Result<(), AdminError> {
    match (starts_at, expires_at) {
        (Some(start), Some(end)) if end <= start => {
            Err(AdminError::field("starts_at", "must lie before the key's end"))
        }
        _ => Ok(()),
    }
}
