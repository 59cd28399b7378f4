//! What the verbs take and answer.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::ids::{GroupId, KeyId, LeaseId, TenantId};

/// Whose limit it is, and on whom it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// All keys of a tenant together.
    Tenant(TenantId),
    /// All keys of a group together.
    Group(GroupId),
    /// One key.
    Key(KeyId),
}

impl Owner {
    /// The kind of owner, as error bodies and fields name it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Group(_) => "group",
            Self::Key(_) => "key",
        }
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// Calls of any kind in a minute.
    Requests,
    /// Calls that fal may bill in a minute.
    Submits,
    /// Jobs in flight.
    Jobs,
    /// Uploads that begin in a minute.
    Uploads,
}

impl What {
    /// The name, as error bodies and fields write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Submits => "submits",
            Self::Jobs => "jobs",
            Self::Uploads => "uploads",
        }
    }
}

/// One limit. It is told with every ask, so a changed limit holds from the next ask on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Whose it is.
    pub owner: Owner,
    /// What it counts.
    pub what: What,
    /// So many in a minute, or at once.
    pub limit: NonZeroU32,
}

/// Everyone on whom a call counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    /// The tenant.
    pub tenant: TenantId,
    /// The group, if the key is in one.
    pub group: Option<GroupId>,
    /// The key.
    pub key: KeyId,
}

impl Owners {
    /// One after the other.
    pub fn each(self) -> impl Iterator<Item = Owner> {
        [Some(Owner::Tenant(self.tenant)), self.group.map(Owner::Group), Some(Owner::Key(self.key))]
            .into_iter()
            .flatten()
    }
}

/// A call that wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub owners: Owners,
    /// The lease to hold when the call begins a job. Bounds on jobs are for such calls alone.
    pub job: Option<LeaseId>,
}

/// A job in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// On whom it counts.
    pub owners: Owners,
}

/// The answer to an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The call may begin. Tells the bound that has the least left, if there is any bound.
    Granted(Option<Standing>),
    /// The call may not begin, and nothing was counted.
    Limited(Limited),
}

/// A refusal. Of several bounds that refuse, it tells the one that refuses longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// How the bound stands that refused.
    pub standing: Standing,
    /// When to ask again. An ask at that moment is let in at a rate, unless others of the same owner use what has become
    /// free; for a key's own rate it is the first such moment, for a shared one within a millisecond of it. Of jobs it is a guess, since nobody knows when a job ends.
    pub retry_after: Duration,
}

/// How one key stands under one bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The bound.
    pub bound: Bound,
    /// So many more would be let in now.
    pub remaining: u32,
    /// When there will be one more; `None` when there is nothing to wait for, or nobody knows.
    pub reset: Option<Duration>,
}
