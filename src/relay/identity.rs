//! Who calls: a key, or a client token of one, becomes a [`Caller`], and only this room can make one.
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
use crate::key::{KeyDigest, KeyKind, Presented};
use crate::metrics::{Memory, Worker};
use crate::secret::Secret;
use crate::store::Store;

/// What a request shows of who sends it: the one entry for all ways to show it.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// Its headers. `Authorization` goes before all else, and `Origin` is held against the rules.
    pub headers: &'a HeaderMap,
    /// What was taken out of its address: out of `fal_jwt_token`, or out of the path of the proxy. It opens something only
    /// if it is a client token.
    pub token: Option<&'a Secret>,
    /// Where it comes from.
    pub address: IpAddr,
}

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

    /// How often it was forgotten.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The caller behind a request, or the one answer for all who are not known.
    pub(super) async fn identify(
        &self,
        credentials: Credentials<'_>,
        last: &LastKey,
        counts: &Worker,
    ) -> Result<Caller, Refusal> {
        // Read before the look-up: an answer that was on its way while a key changed is not believed for long.
        let generation = self.generation();
        let caller = match (presented(credentials.headers)?, credentials.token) {
            (Some(field), None) => self.by_field(field, last, generation, counts).await?,
            // A browser may add a field for somebody on the way: of another scheme, it is not meant for us.
            (Some(field), Some(_)) if secret_part(field).is_some() => {
                self.by_field(field, last, generation, counts).await?
            }
            (_, Some(token)) => self.by_address(token, generation, counts).await?,
            (None, None) => return Err(Refusal::Unauthorized),
        };
        self.admitted(caller, credentials)
    }

    /// The caller who showed his key when something was sealed for him; what has become of the key since counts.
    pub(super) async fn again(
        &self,
        shown: Presented,
        credentials: Credentials<'_>,
        counts: &Worker,
    ) -> Result<Caller, Refusal> {
        let generation = self.generation();
        let caller = self.caller(shown, generation, counts).await?.ok_or(Refusal::Unauthorized)?;
        self.admitted(caller, credentials)
    }

    fn admitted(&self, caller: Caller, credentials: Credentials<'_>) -> Result<Caller, Refusal> {
        if !caller.is_active(self.clock.now()) || caller.record().kind != self.kind {
            return Err(Refusal::Unauthorized);
        }
        if !caller.admits(credentials.address) {
            return Err(Refusal::SourceNotAllowed);
        }
        match caller.admits_origin(origin(credentials.headers)) {
            true => Ok(caller),
            false => Err(Refusal::OriginNotAllowed),
        }
    }

    /// By the field `Authorization`.
    async fn by_field(
        &self,
        field: &str,
        last: &LastKey,
        generation: u64,
        counts: &Worker,
    ) -> Result<Caller, Refusal> {
        if let Some(caller) = last.recall(field, generation) {
            counts.looked_up(Memory::Identity, true);
            return Ok(caller);
        }
        let presented = secret_part(field).and_then(Presented::parse).ok_or(Refusal::Unauthorized)?;
        let caller = self.caller(presented, generation, counts).await?.ok_or(Refusal::Unauthorized)?;
        last.keep(field, generation, &caller);
        Ok(caller)
    }

    /// By what stood in the address. An address is written down in many places, so no key is taken from it: only a client
    /// token, which is worthless soon.
    async fn by_address(&self, token: &Secret, generation: u64, counts: &Worker) -> Result<Caller, Refusal> {
        match Presented::parse(token.expose()) {
            Some(presented @ Presented::ClientToken(_)) => {
                self.caller(presented, generation, counts).await?.ok_or(Refusal::Unauthorized)
            }
            Some(Presented::Key(_)) | None => Err(Refusal::Unauthorized),
        }
    }

    async fn caller(
        &self,
        presented: Presented,
        generation: u64,
        counts: &Worker,
    ) -> Result<Option<Caller>, Refusal> {
        let (Presented::Key(digest) | Presented::ClientToken(digest)) = presented;
        if let Some(known) = self.known.get(&digest)
            && known.generation == generation
        {
            counts.looked_up(Memory::Identity, true);
            return Ok(known.caller);
        }
        counts.looked_up(Memory::Identity, false);
        let caller = match presented {
            Presented::Key(digest) => {
                self.store.key_by_digest(digest).await?.map(|record| Caller::new(record, presented))
            }
            Presented::ClientToken(digest) => {
                self.store.token_by_digest(digest).await?.map(|record| Caller::with_token(record, presented))
            }
        };
        self.known.insert(digest, Known { generation, caller: caller.clone() });
        Ok(caller)
    }
}

/// The client token that a request shows, in clear.
pub(super) fn shown_token(headers: &HeaderMap, token: Option<&Secret>) -> Result<Option<Secret>, Refusal> {
    let by_field = presented(headers)?.and_then(secret_part).map(Secret::new);
    Ok(by_field.or_else(|| token.cloned()))
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

/// The origin of the page that asks, as its browser wrote it. One that cannot be read is none that anybody lists.
pub(super) fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::ORIGIN).iter();
    let first = values.next()?;
    match values.next() {
        Some(_) => Some(""),
        None => Some(first.to_str().unwrap_or_default()),
    }
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
        Caller::new(record, Presented::Key(KeyDigest([0; 32])))
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
