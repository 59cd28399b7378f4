//! What administration refuses.

use crate::ids::KeyId;
use crate::random::NoRandomness;
use crate::store::StoreError;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Something that was given cannot be taken.
    #[error("{field} {reason}")]
    Field {
        /// What was given.
        field: Field,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such key.
    #[error("there is no key {0}")]
    NoSuchKey(KeyId),
    /// The key is revoked or has expired.
    #[error("key {0} is revoked or has expired, so it cannot be rotated: create a new key")]
    Ended(KeyId),
    /// No key can be drawn.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The store did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a caller gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A tenant's name.
    Tenant,
    /// A key's name.
    Name,
    /// How long a key works.
    ExpiresIn,
    /// How long a rotated key works on.
    Grace,
}

impl Field {
    /// The field's name, as the admin API and the command line spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Name => "name",
            Self::ExpiresIn => "expires_in",
            Self::Grace => "grace",
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
