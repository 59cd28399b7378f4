//! Secrets that the installation made for itself.

use crate::clock::Timestamp;
use crate::secret::Seed;

/// The name of the key that signs webhooks.
pub const WEBHOOK_KEY: &str = "webhook_key";

/// A secret, and when it counts.
#[derive(Clone, Debug)]
pub struct StoredSecret {
    /// The secret itself.
    pub value: Seed,
    /// From when it is used.
    pub begins_at: Timestamp,
    /// From when it means nothing any more.
    pub ends_at: Option<Timestamp>,
}
