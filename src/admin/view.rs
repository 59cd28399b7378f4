//! Keys and tenants as people and scripts see them: moments in words, the state worked out.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::ids::{KeyId, TenantId};
use crate::key::KeyKind;
use crate::store::{KeyRecord, TenantRecord};

/// Whether a key opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl KeyState {
    /// The state of `key` at `now`.
    pub fn of(key: &KeyRecord, now: Timestamp) -> Self {
        match key.revoked_at {
            Some(_) => Self::Revoked,
            None if key.is_active(now) => Self::Active,
            None => Self::Expired,
        }
    }

    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A key as JSON shows it. Moments are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the columns of a KeyRecord, and its state")]
pub struct KeyView {
    pub id: KeyId,
    pub tenant_id: TenantId,
    pub tenant: String,
    pub name: String,
    pub kind: KeyKind,
    pub last_four: String,
    pub state: KeyState,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
}

impl KeyView {
    /// What `key` looks like at `now`.
    pub fn new(key: &KeyRecord, now: Timestamp) -> Self {
        Self {
            id: key.id,
            tenant_id: key.tenant.id,
            tenant: key.tenant.name.as_ref().into(),
            name: key.name.clone(),
            kind: key.kind,
            last_four: key.last_four.clone(),
            state: KeyState::of(key, now),
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|moment| moment.to_string()),
            revoked_at: key.revoked_at.map(|moment| moment.to_string()),
        }
    }
}

/// A tenant as JSON shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the columns of a TenantRecord")]
pub struct TenantView {
    pub id: TenantId,
    pub name: String,
    pub created_at: String,
}

impl From<&TenantRecord> for TenantView {
    fn from(tenant: &TenantRecord) -> Self {
        Self { id: tenant.id, name: tenant.name.as_ref().into(), created_at: tenant.created_at.to_string() }
    }
}
