//! Tenants, groups, keys, operators, budgets, and who changed them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::ids::{AuditId, GroupId, KeyId, OperatorId, TenantId};
use crate::key::{KeyDigest, KeyKind};
use crate::money::{Multiplier, Usd};
use crate::period::{Period, Window, Zone};
use crate::rules::Rules;

/// Who changes something, why and when: written to the audit log in the same transaction as the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The operator's name, or `cli`.
    pub name: Arc<str>,
    /// Why.
    pub reason: Option<String>,
    /// Now.
    pub at: Timestamp,
}

/// Declares a closed list of words, as people, JSON and the store write them.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $word:tt,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$case_doc])* #[serde(rename = $word)] $case,)+
        }

        impl $name {
            /// Every one.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$case),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$case => $word,)+
                }
            }
        }
    };
}
pub(super) use words;

words! {
    /// Whether a tenant may call.
    TenantStatus {
        /// It may.
        Active = "active",
        /// All its keys open nothing for now.
        Suspended = "suspended",
    }
}

words! {
    /// What an operator may do. Each may do what those before it may.
    Role {
        /// Look at everything.
        Read = "read",
        /// Change tenants, groups, keys, budgets and prices.
        Manage = "manage",
        /// Change operators, too.
        Owner = "owner",
    }
}

/// A tenant about to be made.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its name, unique among those that are not deleted.
    pub name: String,
    /// Where alerts go.
    pub alert_url: Option<String>,
    /// Words for people.
    pub tags: Vec<String>,
    /// What its keys may do at most.
    pub rules: Rules,
    /// Its budgets.
    pub budgets: Vec<Budget>,
}

/// What changes in a tenant; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    /// Another name.
    pub name: Option<String>,
    /// Whether it may call.
    pub status: Option<TenantStatus>,
    /// Another address for alerts, or `Some(None)` for none.
    pub alert_url: Option<Option<String>>,
    /// Other words.
    pub tags: Option<Vec<String>>,
    /// Other rules, whole.
    pub rules: Option<Rules>,
}

/// A tenant as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields of a NewTenant, and what the store adds")]
pub struct TenantRecord {
    pub id: TenantId,
    pub name: Arc<str>,
    pub status: TenantStatus,
    pub alert_url: Option<String>,
    pub tags: Vec<String>,
    pub rules: Rules,
    pub created_at: Timestamp,
}

/// A group about to be made.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// Its name, unique among those that are not deleted.
    pub name: String,
    /// What its keys pay for each dollar at fal.
    pub multiplier: Multiplier,
    /// What its keys may do at most.
    pub rules: Rules,
}

/// What changes in a group; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct GroupChange {
    /// Another name.
    pub name: Option<String>,
    /// Another multiplier, for calls from now on.
    pub multiplier: Option<Multiplier>,
    /// Other rules, whole.
    pub rules: Option<Rules>,
}

/// A group as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields of a NewGroup, and what the store adds")]
pub struct GroupRecord {
    pub id: GroupId,
    pub name: Arc<str>,
    pub multiplier: Multiplier,
    pub rules: Rules,
    pub created_at: Timestamp,
}

impl GroupRecord {
    /// The group of keys that name none. It cannot be deleted.
    pub const DEFAULT: GroupId = GroupId(1);
}

/// A key about to be made. The key itself stays with the caller; the store sees its digest.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The tenant's name; the tenant is made when there is none. A successor's does not count.
    pub tenant: String,
    /// Its group.
    pub group_id: GroupId,
    /// A name for people.
    pub name: String,
    /// What it may be used for.
    pub kind: KeyKind,
    /// The SHA-256 of the whole key.
    pub digest: KeyDigest,
    /// The last four characters, for lists.
    pub last_four: String,
    /// What it may do, within what its tenant and group may.
    pub rules: Rules,
    /// When it begins to work, if not at once.
    pub starts_at: Option<Timestamp>,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// Its budgets.
    pub budgets: Vec<Budget>,
}

/// A key as the store knows it, with all that decides what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRecord {
    /// Its number.
    pub id: KeyId,
    /// The tenant it belongs to, whole.
    pub tenant: TenantRecord,
    /// The group it belongs to, whole.
    pub group: GroupRecord,
    /// A name for people.
    pub name: String,
    /// What it may be used for.
    pub kind: KeyKind,
    /// The last four characters.
    pub last_four: String,
    /// Its own rules.
    pub rules: Rules,
    /// Its own budgets and its tenant's.
    pub budgets: Vec<BudgetRecord>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it begins to work, if not at once.
    pub starts_at: Option<Timestamp>,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Whether the key opens anything at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.tenant.status == TenantStatus::Active
            && self.revoked_at.is_none()
            && self.starts_at.is_none_or(|start| start <= now)
            && self.expires_at.is_none_or(|end| now < end)
    }
}

/// What changes in a key, all in one transaction; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// Another name.
    pub name: Option<String>,
    /// Another group.
    pub group_id: Option<GroupId>,
    /// Other rules, whole.
    pub rules: Option<Rules>,
    /// Another beginning, or `Some(None)` for at once.
    pub starts_at: Option<Option<Timestamp>>,
    /// Another end, or `Some(None)` for no end.
    pub expires_at: Option<Option<Timestamp>>,
    /// Ends it for good. Revoking a revoked key keeps the first moment.
    pub revoked_at: Option<Timestamp>,
}

/// A key from another gateway's export: its group is named, because it may be made in the same import.
#[derive(Clone, Debug)]
pub struct ImportedKey {
    /// The key; its `group_id` does not count.
    pub key: NewKey,
    /// The name of its group.
    pub group: String,
    /// Ended already.
    pub revoked: bool,
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone from all lists and opens nothing. Its rows in the ledger stay.
    Done,
    /// There is none of that number.
    Missing,
    /// So many calls are still open, or keys still use the group.
    InUse(u64),
    /// It is the group of keys that name none.
    Never,
}

/// An operator about to be made.
#[derive(Clone, Debug)]
pub struct NewOperator {
    /// The name that the audit log shows.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// The SHA-256 of his token.
    pub digest: KeyDigest,
    /// The token's last four characters.
    pub last_four: String,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
}

/// An operator as the store knows him.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields of a NewOperator, and what the store adds")]
pub struct OperatorRecord {
    pub id: OperatorId,
    pub name: Arc<str>,
    pub role: Role,
    pub last_four: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl OperatorRecord {
    /// Whether the token opens anything at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Whose budget or meter it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payer {
    /// The tenant.
    pub tenant_id: TenantId,
    /// One of its keys, or `None` for the tenant as a whole.
    pub key_id: Option<KeyId>,
}

/// A cap on what may be spent in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// How long it lasts.
    pub period: Period,
    /// The cap.
    pub limit_usd: Usd,
    /// At which part of it somebody is told.
    pub soft_percent: u8,
    /// Whose midnight begins a day.
    pub zone: Zone,
}

impl Budget {
    /// The amount at which somebody is told.
    pub fn soft_usd(&self) -> Usd {
        let nanos = i128::from(self.limit_usd.nanos()) * i128::from(self.soft_percent.min(100)) / 100;
        i64::try_from(nanos).ok().and_then(Usd::from_nanos).unwrap_or(self.limit_usd)
    }
}

/// A budget and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetRecord {
    /// The key's number, when it is a key's.
    pub key_id: Option<KeyId>,
    /// The cap.
    #[serde(flatten)]
    pub budget: Budget,
}

/// What was spent and is held in one window of one payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Whose.
    pub payer: Payer,
    /// Of which period.
    pub period: Period,
    /// From when to when.
    pub window: Window,
    /// What was charged. Corrections can bring it below zero for a while, hence the sign.
    pub spent_nano: i64,
    /// What is held for calls whose cost is not known yet.
    pub held: Usd,
    /// The cap, when there is one.
    pub limit: Option<Usd>,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// Its number.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: String,
    /// What was done, such as `key.rotate`.
    pub action: String,
    /// To what, such as `key:3`.
    pub object: String,
    /// How it was; `None` when it was made.
    pub old: Option<Value>,
    /// How it is; `None` when it is gone.
    pub new: Option<Value>,
    /// Why.
    pub reason: Option<String>,
}
