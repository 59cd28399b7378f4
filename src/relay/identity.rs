//! Who calls: a key becomes a [`Caller`], and only this room can make one.
//!
//! Keys are looked up once and then known by memory. A revision number of the store tells when any key has changed; all
//! that was known before is then looked up anew, so a revoked key dies within `relay.key_check_ms` everywhere.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, header};
use quick_cache::sync::Cache;

use super::caller::Caller;
use super::refusal::Refusal;
use crate::clock::Clock;
use crate::key::{KeyDigest, KeyKind};
use crate::metrics::{Memory, Worker};
use crate::secret::Secret;
use crate::store::Store;

/// The credentials that came last over a connection, and whose they are: the same ones are neither parsed nor digested
/// again. They are believed as long as what is known by digest, which is until any key changes.
#[derive(Default)]
pub struct LastKey(Mutex<Option<Shown>>);

struct Shown {
    credentials: Secret,
    generation: u64,
    caller: Caller,
}

/// The longest credentials that a connection keeps: scheme and key without needless spaces.
const KEPT_MAX_BYTES: usize = 80;

impl LastKey {
    fn recall(&self, credentials: &str, generation: u64) -> Option<Caller> {
        let last = lock(&self.0);
        let shown = last.as_ref().filter(|shown| shown.generation == generation)?;
        let known = shown.credentials.expose().as_bytes();
        verify_slices_are_equal(known, credentials.as_bytes()).is_ok().then(|| shown.caller.clone())
    }

    fn keep(&self, credentials: &str, generation: u64, caller: &Caller) {
        if credentials.len() <= KEPT_MAX_BYTES {
            let credentials = Secret::new(credentials);
            *lock(&self.0) = Some(Shown { credentials, generation, caller: caller.clone() });
        }
    }
}

#[derive(Clone)]
struct Known {
    generation: u64,
    caller: Option<Caller>,
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
    pub(super) async fn identify(
        &self,
        headers: &HeaderMap,
        last: &LastKey,
        address: IpAddr,
        counts: &Worker,
    ) -> Result<Caller, Refusal> {
        let credentials = presented(headers)?.ok_or(Refusal::Unauthorized)?;
        // Read before the look-up: an answer that was on its way while a key changed is not believed for long.
        let generation = self.generation.load(Ordering::Acquire);
        let caller = match last.recall(credentials, generation) {
            Some(caller) => {
                counts.looked_up(Memory::Identity, true);
                caller
            }
            None => {
                let digest = digest_in(credentials).ok_or(Refusal::Unauthorized)?;
                let caller = self.caller(digest, generation, counts).await?;
                let caller = caller.ok_or(Refusal::Unauthorized)?;
                last.keep(credentials, generation, &caller);
                caller
            }
        };
        self.admitted(caller, address)
    }

    /// The caller who showed his key when something was sealed for him; what has become of the key since counts.
    pub(super) async fn again(
        &self,
        digest: KeyDigest,
        address: IpAddr,
        counts: &Worker,
    ) -> Result<Caller, Refusal> {
        let generation = self.generation.load(Ordering::Acquire);
        let caller = self.caller(digest, generation, counts).await?.ok_or(Refusal::Unauthorized)?;
        self.admitted(caller, address)
    }

    fn admitted(&self, caller: Caller, address: IpAddr) -> Result<Caller, Refusal> {
        let record = caller.record();
        match record.is_active(self.clock.now()) && record.kind == self.kind {
            true if caller.admits(address) => Ok(caller),
            true => Err(Refusal::SourceNotAllowed),
            false => Err(Refusal::Unauthorized),
        }
    }

    async fn caller(
        &self,
        digest: KeyDigest,
        generation: u64,
        counts: &Worker,
    ) -> Result<Option<Caller>, Refusal> {
        if let Some(known) = self.known.get(&digest)
            && known.generation == generation
        {
            counts.looked_up(Memory::Identity, true);
            return Ok(known.caller);
        }
        counts.looked_up(Memory::Identity, false);
        let caller = self.store.key_by_digest(digest).await?.map(|record| Caller::new(record, digest));
        self.known.insert(digest, Known { generation, caller: caller.clone() });
        Ok(caller)
    }
}

/// What `Authorization` says, if it is text. Two such fields are nobody's.
fn presented(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::Malformed("Send one `Authorization` header, not several."));
    }
    Ok(value.to_str().ok())
}

/// The digest of the key in these credentials, if it can be one.
fn digest_in(credentials: &str) -> Option<KeyDigest> {
    secret_part(credentials).and_then(KeyDigest::of_presented)
}

/// What follows the scheme `Bearer` or `Key`, in any case (RFC 9110, 11.1).
fn secret_part(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("key");
    known.then(|| rest.trim())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::ids::{KeyId, TenantId};
    use crate::money::Multiplier;
    use crate::rules::Rules;
    use crate::store::{GroupRecord, KeyRecord, TenantRecord, TenantStatus};

    fn caller() -> Caller {
        let created_at = Timestamp::default();
        let tenant = TenantRecord {
            id: TenantId(1),
            name: "ann".into(),
            status: TenantStatus::Active,
            alert_url: None,
            tags: Vec::new(),
            rules: Rules::default(),
            created_at,
        };
        let group = GroupRecord {
            id: GroupRecord::DEFAULT,
            name: "default".into(),
            multiplier: Multiplier::ONE,
            rules: Rules::default(),
            created_at,
        };
        let record = KeyRecord {
            id: KeyId(1),
            tenant,
            group,
            name: String::new(),
            kind: KeyKind::Live,
            last_four: String::new(),
            rules: Rules::default(),
            budgets: Vec::new(),
            created_at,
            starts_at: None,
            expires_at: None,
            revoked_at: None,
        };
        Caller::new(record, KeyDigest([0; 32]))
    }

    #[test]
    fn a_connection_knows_its_last_credentials_until_a_key_changes() {
        let (last, caller) = (LastKey::default(), caller());
        assert!(last.recall("Key a", 0).is_none());
        last.keep("Key a", 0, &caller);
        assert!(last.recall("Key a", 0).is_some());
        for (credentials, generation) in [("Key a", 1), ("Key b", 0), ("Key aa", 0), ("Key ", 0), ("", 0)] {
            assert!(last.recall(credentials, generation).is_none(), "{credentials} {generation}");
        }
        last.keep("Key b", 0, &caller);
        assert!(last.recall("Key a", 0).is_none());
    }

    #[test]
    fn invariant_7_a_connection_keeps_no_credentials_longer_than_they_need_be() {
        let (last, caller) = (LastKey::default(), caller());
        let long = |bytes: usize| format!("Key {}", "a".repeat(bytes - 4));
        last.keep(&long(KEPT_MAX_BYTES + 1), 0, &caller);
        assert!(last.recall(&long(KEPT_MAX_BYTES + 1), 0).is_none());
        last.keep(&long(KEPT_MAX_BYTES), 0, &caller);
        assert!(last.recall(&long(KEPT_MAX_BYTES), 0).is_some());
    }

    #[test]
    fn both_schemes_are_read_in_any_case() {
        for value in ["Bearer x", "bearer x", "KEY  x ", "key x"] {
            assert_eq!(secret_part(value), Some("x"), "{value}");
        }
        for value in ["x", "Basic x", "Bearerx", ""] {
            assert_eq!(secret_part(value), None, "{value}");
        }
    }
}
