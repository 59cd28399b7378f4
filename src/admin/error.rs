//! What administration refuses.

use std::borrow::Cow;
use std::fmt;

use crate::ids::{CallId, KeyId};
use crate::random::NoRandomness;
use crate::store::{Role, StoreError};

use super::ImportReport;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Something that was given cannot be taken.
    #[error("{field} {reason}")]
    Field {
        /// What was given, such as `rules.allow`.
        field: Cow<'static, str>,
        /// What is wrong with it.
        reason: String,
    },
    /// It takes a higher role.
    #[error("this takes the role `{}`, and yours is `{}`", .needed.as_str(), .has.as_str())]
    Forbidden {
        /// The least role that may do it.
        needed: Role,
        /// The role of whoever asked.
        has: Role,
    },
    /// There is no such thing.
    #[error("there is no {0}")]
    NoSuch(Named),
    /// The key is revoked or has expired.
    #[error("key {0} is revoked or has expired, so it cannot be rotated: create a new key")]
    Ended(KeyId),
    /// Calls are still open, or keys still use it.
    #[error("{object} cannot be deleted: {uses} of its {users} are still in use; try again later")]
    InUse {
        /// What was to be deleted.
        object: Named,
        /// How many still use it.
        uses: u64,
        /// What they are.
        users: &'static str,
    },
    /// The group of keys that name none.
    #[error("group `default` cannot be deleted: keys that name no group belong to it")]
    DefaultGroup,
    /// The call is still open, or is said to cost what it costs already.
    #[error("call {0} cannot be adjusted: it is not closed yet, or costs just this already")]
    NothingToAdjust(CallId),
    /// The file has faults, and nothing was imported.
    #[error("nothing was imported: {} entries of the file cannot be taken", .0.problems.len())]
    Import(Box<ImportReport>),
    /// No key can be drawn.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The store did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    /// A field that cannot be taken.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand in words, texts and errors")]
    pub(super) fn field(field: impl Into<Cow<'static, str>>, reason: impl ToString) -> Self {
        Self::Field { field: field.into(), reason: reason.to_string() }
    }

    /// Something that is not there.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand in words, texts and errors")]
    pub(super) fn no_such(what: &'static str, which: impl ToString) -> Self {
        Self::NoSuch(Named { what, which: which.to_string() })
    }
}

/// One thing among those of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its kind, such as `key`.
    pub what: &'static str,
    /// Its number or name.
    pub which: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.which)
    }
}
