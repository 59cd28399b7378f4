//! Who calls: a key becomes a [`Caller`], and only this room can make one.
//!
//! Keys are looked up once and then known by memory. A revision number of the store tells when any key has changed; all
//! that was known before is then looked up anew, so a revoked key dies within `relay.key_check_ms` everywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, header};
use quick_cache::sync::Cache;

use super::refusal::Refusal;
use crate::clock::Clock;
use crate::ids::{KeyId, TenantId};
use crate::key::{ApiKey, KeyDigest, KeyKind};
use crate::metrics::{Memory, Worker};
use crate::store::{KeyRecord, Store};

/// A tenant who has shown a key.
#[derive(Clone, Debug)]
pub struct Caller(Arc<KeyRecord>);

impl Caller {
    /// Who pays.
    pub fn tenant_id(&self) -> TenantId {
        self.0.tenant.id
    }

    /// The tenant's name.
    pub fn tenant(&self) -> &Arc<str> {
        &self.0.tenant.name
    }

    /// With which key.
    pub fn key_id(&self) -> KeyId {
        self.0.id
    }
}

#[derive(Clone)]
struct Known {
    generation: u64,
    record: Option<Arc<KeyRecord>>,
}

/// The keys that were looked up lately, also those that do not exist.
pub(super) struct Identities {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    kind: KeyKind,
    known: Cache<KeyDigest, Known>,
    generation: AtomicU64,
}

impl Identities {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, kind: KeyKind, entries: usize) -> Self {
        Self { store, clock, kind, known: Cache::new(entries), generation: AtomicU64::new(0) }
    }

    /// Forgets what is known: some key has changed.
    pub(super) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The caller behind a request, or the one answer for all who are not known.
    pub(super) async fn identify(&self, headers: &HeaderMap, counts: &Worker) -> Result<Caller, Refusal> {
        let key = presented(headers)?.ok_or(Refusal::Unauthorized)?;
        let record = self.record(key.digest(), counts).await?.ok_or(Refusal::Unauthorized)?;
        match record.is_active(self.clock.now()) && record.kind == self.kind {
            true => Ok(Caller(record)),
            false => Err(Refusal::Unauthorized),
        }
    }

    async fn record(&self, digest: KeyDigest, counts: &Worker) -> Result<Option<Arc<KeyRecord>>, Refusal> {
        // Read before the look-up: an answer that was on its way while a key changed is not believed for long.
        let generation = self.generation.load(Ordering::Acquire);
        if let Some(known) = self.known.get(&digest)
            && known.generation == generation
        {
            counts.looked_up(Memory::Identity, true);
            return Ok(known.record);
        }
        counts.looked_up(Memory::Identity, false);
        let record = self.store.key_by_digest(digest).await?.map(Arc::new);
        self.known.insert(digest, Known { generation, record: record.clone() });
        Ok(record)
    }
}

/// The key in `Authorization`, if there is one that can be a key. Two such fields are nobody's.
fn presented(headers: &HeaderMap) -> Result<Option<ApiKey>, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::Malformed("Send one `Authorization` header, not several."));
    }
    Ok(value.to_str().ok().and_then(credentials).and_then(ApiKey::parse))
}

/// What follows the scheme `Bearer` or `Key`, in any case (RFC 9110, 11.1).
fn credentials(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("key");
    known.then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_are_read_in_any_case() {
        for value in ["Bearer x", "bearer x", "KEY  x ", "key x"] {
            assert_eq!(credentials(value), Some("x"), "{value}");
        }
        for value in ["x", "Basic x", "Bearerx", ""] {
            assert_eq!(credentials(value), None, "{value}");
        }
    }
}
