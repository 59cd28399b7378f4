//! Identities, strictly made: a tenant is never a key, a request id is never an arbitrary string.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Declares an identity that the store numbers.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

numbered! {
    /// A tenant: whoever's calls are kept apart from all others.
    TenantId
}
numbered! {
    /// One of the relay's own keys.
    KeyId
}
numbered! {
    /// A client token: a short-lived child of a key.
    TokenId
}
numbered! {
    /// A group: keys, of one tenant or of several, that share prices, endpoints and limits.
    GroupId
}
numbered! {
    /// A place among the jobs in flight, named by whoever takes it and kept with the call until its end.
    LeaseId
}
numbered! {
    /// A row of the ledger: one call that fal may bill.
    CallId
}

numbered! {
    /// A person or program that administers the relay.
    OperatorId
}
numbered! {
    /// A correction of a call's cost.
    AdjustmentId
}
numbered! {
    /// A line of the audit log.
    AuditId
}

/// The name under which the operator configured a fal account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// Wraps a name that the configuration has checked.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id that fal gives to a request: 1 to 128 of `A-Z a-z 0-9 _ -`, checked before it enters a path, a row or a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(Arc<str>);

/// The text is not a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request id has 1 to 128 letters, digits, `_` or `-`")]
pub struct NotARequestId;

impl RequestId {
    /// The longest id that is accepted; fal's are UUIDs of 36 characters.
    pub const MAX_LEN: usize = 128;

    /// Checks `text`.
    pub fn parse(text: &str) -> Result<Self, NotARequestId> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        match (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(plain) {
            true => Ok(Self(text.into())),
            false => Err(NotARequestId),
        }
    }

    /// The id as fal wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_7_a_request_id_has_a_longest_form() {
        assert!(RequestId::parse(&"x".repeat(RequestId::MAX_LEN)).is_ok());
        assert_eq!(RequestId::parse(&"x".repeat(RequestId::MAX_LEN + 1)), Err(NotARequestId));
    }

    #[test]
    fn request_ids_are_strict() {
        for good in ["764cabcf-b745-4b3e-ae38-1200304cf45b", "A_1", "x"] {
            assert_eq!(RequestId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "a%2e", "..", "a b", "é", &"x".repeat(129)] {
            assert_eq!(RequestId::parse(bad), Err(NotARequestId), "{bad}");
        }
    }
}
