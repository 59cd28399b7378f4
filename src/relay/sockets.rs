//! The sockets that are open, by the key behind them. A socket is admitted once and may stand for hours, so what becomes of
//! its key must reach it: whoever watches over keys looks here, once for each key whose sockets it concerns and not once for
//! each socket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use crate::clock::Timestamp;
use crate::ids::{KeyId, TokenId};
use crate::store::{KeyRecord, RevokedTokens, Store, StoreError};

/// All sockets of this process.
#[derive(Default)]
pub(super) struct OpenSockets(Mutex<HashMap<KeyId, OfKey>>);

/// The sockets that a key has opened, itself or by its client tokens.
#[derive(Default)]
struct OfKey {
    /// The generation of identities at which it was looked at last. A socket that has come since may have been let in by what
    /// was known before.
    looked_at: Option<u64>,
    /// When the key ends by itself.
    ends_at: Option<Timestamp>,
    sockets: Vec<Weak<Opened>>,
}

struct Opened {
    /// The client token that opened it, and when that was made.
    token: Option<(TokenId, Timestamp)>,
    end: CancellationToken,
}

/// The leave of a socket to be open; dropped with it.
pub struct Leave(Arc<Opened>);

impl Leave {
    /// Called off when the leave is withdrawn.
    pub fn end(&self) -> &CancellationToken {
        &self.0.end
    }
}

impl OpenSockets {
    /// Writes a socket of this caller down.
    pub(super) fn open(&self, caller: &Caller) -> Leave {
        let opened = Arc::new(Opened { token: caller.token_made(), end: CancellationToken::new() });
        let mut keys = self.keys();
        let of_key = keys.entry(caller.key_id()).or_default();
        of_key.looked_at = None;
        of_key.sockets.push(Arc::downgrade(&opened));
        Leave(opened)
    }

    /// Ends the sockets of keys and client tokens that were revoked: `generation` is that of the identities now.
    pub(super) async fn look(
        &self,
        store: &dyn Store,
        generation: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for id in self.due(generation, now) {
            let (key, revoked) = (store.key(id).await?, store.revoked_tokens(id).await?);
            self.judge(id, generation, key.filter(|key| key.is_active(now)).as_ref(), &revoked);
        }
        Ok(())
    }

    /// The keys that are to be looked at. Forgets sockets that have closed.
    fn due(&self, generation: u64, now: Timestamp) -> Vec<KeyId> {
        let mut keys = self.keys();
        keys.retain(|_, of_key| {
            of_key.sockets.retain(|socket| socket.strong_count() > 0);
            !of_key.sockets.is_empty()
        });
        let is_due = |of_key: &OfKey| {
            of_key.looked_at != Some(generation) || of_key.ends_at.is_some_and(|end| end <= now)
        };
        keys.iter().filter(|(_, of_key)| is_due(of_key)).map(|(id, _)| *id).collect()
    }

    /// Ends what the key, which is `None` when it opens nothing any more, or the revoked ones of its tokens have opened. The
    /// time of a token does not count: it opens sockets, and does not keep them open.
    fn judge(&self, id: KeyId, generation: u64, key: Option<&KeyRecord>, revoked: &RevokedTokens) {
        let mut keys = self.keys();
        let Some(of_key) = keys.get_mut(&id) else { return };
        of_key.looked_at = Some(generation);
        of_key.ends_at = key.and_then(|key| key.expires_at);
        for opened in of_key.sockets.iter().filter_map(Weak::upgrade) {
            let by_revoked = opened.token.is_some_and(|(id, made)| revoked.contain(id, made));
            if key.is_none() || by_revoked {
                opened.end.cancel();
            }
        }
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<KeyId, OfKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
