//! Client tokens: short-lived children of keys.

use super::directory::KeyRecord;
use crate::clock::Timestamp;
use crate::ids::{KeyId, TokenId};
use crate::key::KeyDigest;
use crate::money::Usd;
use crate::rules::Rules;

/// A client token about to be made. The token itself stays with the caller; the store sees its digest.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The key that makes it, and that its calls are charged to.
    pub key_id: KeyId,
    /// The SHA-256 of the token.
    pub digest: KeyDigest,
    /// What it may do, within what its key may.
    pub rules: Rules,
    /// What may be spent with it in all.
    pub limit: Option<Usd>,
    /// Now.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// The most tokens of one key that work at one time.
    pub live_max: u32,
}

/// A client token as the store knows it, with all that decides what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its number.
    pub id: TokenId,
    /// The key that made it, whole.
    pub key: KeyRecord,
    /// Its own rules.
    pub rules: Rules,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// A client token as the holder of its key sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// Its number.
    pub id: TokenId,
    /// Its own rules.
    pub rules: Rules,
    /// What may be spent with it in all.
    pub limit: Option<Usd>,
    /// What was.
    pub spent: Usd,
    /// What is held for its calls.
    pub held: Usd,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// The client tokens of a key that were revoked. What a token has opened outlives the token's own time, and its row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedTokens {
    /// All that were made until this moment.
    pub made_until: Option<Timestamp>,
    /// Others, as long as their rows are there.
    pub ids: Vec<TokenId>,
}

impl RevokedTokens {
    /// Whether this token of the key is among them.
    pub fn contain(&self, id: TokenId, created_at: Timestamp) -> bool {
        self.made_until.is_some_and(|until| created_at <= until) || self.ids.contains(&id)
    }
}

impl TokenRecord {
    /// Whether the token opens anything at `now`: not without its key.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.key.is_active(now) && self.revoked_at.is_none() && now < self.expires_at
    }
}
