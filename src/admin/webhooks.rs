//! The key that signs webhooks.

use std::time::Duration;

use serde::Serialize;

use super::{Actor, AdminError};
use crate::secret::Seed;
use crate::store::{Role, WEBHOOK_KEY};

/// How long a new key is published before it signs, and an old one after its last signature: receivers may keep the list of
/// keys for a day (protocol 6.3).
const KEY_OVERLAP: Duration = Duration::from_secs(86_400);

/// When a new key takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyTurn {
    /// From when it signs.
    pub signs_from: String,
    /// From when the keys before it are not published any more.
    pub others_end_at: String,
}

impl Actor {
    /// Makes a new key for webhooks. It is published at once and signs after a day, so that receivers who keep the list of
    /// keys know it by then; `at_once`, for a key that was stolen, leaves nobody that time.
    pub async fn rotate_webhook_key(&self, at_once: bool) -> Result<KeyTurn, AdminError> {
        let author = self.author(Role::Owner)?;
        let mut bytes = [0; 32];
        self.admin.random.fill(&mut bytes)?;
        let overlap = if at_once { Duration::ZERO } else { KEY_OVERLAP };
        let signs_from = author.at.plus(overlap);
        let ends_at = signs_from.plus(overlap);
        self.store().replace_secret(WEBHOOK_KEY, Seed::new(bytes), signs_from, ends_at, author).await?;
        Ok(KeyTurn { signs_from: signs_from.to_string(), others_end_at: ends_at.to_string() })
    }
}
