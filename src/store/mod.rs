//! The store: keys and the ledger, in the ledger's verbs. One verb is one transaction, and when a verb that changes
//! something has answered, the change is on the disk.
//!
//! The trait is defined by its story, `tests/it/store_story.rs`, which runs on every backend.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::ids::{AccountName, CallId, KeyId, RequestId, TenantId};

/// The answer of a verb, still under way.
pub type Verb<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where keys and the ledger are kept.
pub trait Store: Send + Sync + 'static {
    /// Makes a key, and its tenant when no tenant of that name exists.
    fn create_key(&self, key: NewKey) -> Verb<'_, KeyRecord>;
    /// The key with this digest, whatever its state.
    fn key_by_digest(&self, digest: KeyDigest) -> Verb<'_, Option<KeyRecord>>;
    /// The key with this number.
    fn key(&self, id: KeyId) -> Verb<'_, Option<KeyRecord>>;
    /// All keys in the order in which they were made, or those of one tenant.
    fn keys(&self, tenant: Option<String>) -> Verb<'_, Vec<KeyRecord>>;
    /// Changes a key; `None` when there is no such key.
    fn change_key(&self, id: KeyId, change: KeyChange) -> Verb<'_, Option<KeyRecord>>;
    /// All tenants in the order in which they were made.
    fn tenants(&self) -> Verb<'_, Vec<TenantRecord>>;
    /// A number that grows whenever any key or tenant changes, in any process: caches compare it.
    fn keys_revision(&self) -> Verb<'_, i64>;

    /// Writes a billable call down before its first byte leaves. State: held.
    fn hold(&self, call: NewCall) -> Verb<'_, CallId>;
    /// fal took a queued call and gave it an id. held -> sent. Refused with [`StoreError::Taken`] when another row of
    /// the same account has that id.
    fn sent(&self, id: CallId, sent: SentCall) -> Verb<'_, ()>;
    /// The call ended and what fal said of it is known. held | sent | unknown -> settled; `false` when the row was
    /// already closed, which changes nothing.
    fn settle(&self, id: CallId, settlement: Settlement) -> Verb<'_, bool>;
    /// Nothing can have been billed: the call was refused or never left. held -> released; `false` when the row had
    /// already moved on.
    fn release(&self, id: CallId, release: Release) -> Verb<'_, bool>;
    /// Whether fal took the call is not known; it is never sent again. held -> unknown; `false` as above.
    fn lose(&self, id: CallId, at: Timestamp) -> Verb<'_, bool>;
    /// Marks every row that a stopped process left in `held` before `before` as unknown; says how many.
    fn lose_abandoned(&self, before: Timestamp) -> Verb<'_, u64>;
    /// The queued call behind a request id, if this tenant made it.
    fn owned(&self, tenant: TenantId, request_id: RequestId) -> Verb<'_, Option<OwnedCall>>;
    /// One row of the ledger.
    fn call(&self, id: CallId) -> Verb<'_, Option<CallRecord>>;
    /// Rows with a higher number than `after`, oldest first, `limit` at most: the ledger is read in pages.
    fn calls(&self, after: CallId, limit: u32) -> Verb<'_, Vec<CallRecord>>;

    /// Whether the store answers and takes writes.
    fn ping(&self) -> Verb<'_, ()>;
}

/// The SHA-256 of a key. Keys have 256 random bits, so a plain hash is enough at rest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyDigest(pub [u8; 32]);

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// A tenant's key for calls that fal bills.
    Live,
    /// A tenant's key for the sandbox only.
    Test,
    /// An operator's key for the admin listener only.
    Admin,
}

/// A key about to be made. The key itself stays with the caller; the store sees its digest.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The tenant's name; the tenant is made when there is none.
    pub tenant: String,
    /// A name for people.
    pub name: String,
    /// What it may be used for.
    pub kind: KeyKind,
    /// The SHA-256 of the whole key.
    pub digest: KeyDigest,
    /// The last four characters, for lists.
    pub last_four: String,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// Now.
    pub created_at: Timestamp,
}

/// A key as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRecord {
    /// Its number.
    pub id: KeyId,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// That tenant's name.
    pub tenant: Arc<str>,
    /// A name for people.
    pub name: String,
    /// What it may be used for.
    pub kind: KeyKind,
    /// The last four characters.
    pub last_four: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Whether the key opens anything at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// A change to a key.
#[derive(Clone, Debug)]
pub enum KeyChange {
    /// Gives it another name.
    Rename(String),
    /// Sets or lifts its end.
    Expire(Option<Timestamp>),
    /// Ends it. Revoking a revoked key keeps the first moment.
    Revoke(Timestamp),
}

/// A tenant as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantRecord {
    /// Its number.
    pub id: TenantId,
    /// Its name, unique.
    pub name: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a billable call travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// A job of fal's queue.
    Queue,
    /// A direct run.
    Run,
    /// A direct run that streams events.
    Stream,
}

/// A billable call about to be sent.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// Who pays.
    pub tenant_id: TenantId,
    /// With which key.
    pub key_id: KeyId,
    /// The fal account that carries it for its whole life.
    pub account: AccountName,
    /// The endpoint as called.
    pub endpoint: Arc<str>,
    /// How it travels.
    pub kind: CallKind,
    /// Now.
    pub held_at: Timestamp,
}

/// What is known once fal took a queued call.
#[derive(Clone, Debug)]
pub struct SentCall {
    /// fal's id.
    pub request_id: RequestId,
    /// The app base of the addresses that fal returned: follow-ups go there.
    pub app_base: Arc<str>,
    /// SHA-256 of the request's body.
    pub body_sha256: [u8; 32],
    /// Length of the request's body.
    pub body_bytes: u64,
    /// Now.
    pub sent_at: Timestamp,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The status of fal's final answer.
    pub status: u16,
    /// `x-fal-billable-units` as fal wrote it; `None` is unknown, never zero.
    pub billable_units: Option<String>,
    /// Now.
    pub settled_at: Timestamp,
}

/// Why nothing can have been billed.
#[derive(Clone, Debug)]
pub struct Release {
    /// The status of fal's refusal, when fal was reached.
    pub status: Option<u16>,
    /// Now.
    pub released_at: Timestamp,
}

/// A row's state. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// Written down; its bytes may be leaving.
    Held,
    /// fal has it.
    Sent,
    /// Ended, and what fal said of it is known.
    Settled,
    /// Nothing can have been billed.
    Released,
    /// Whether fal has it is not known.
    Unknown,
}

/// What a follow-up needs to know of the call it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedCall {
    /// Its row.
    pub id: CallId,
    /// The account that began it.
    pub account: AccountName,
    /// The endpoint as called.
    pub endpoint: Arc<str>,
    /// The app base of fal's addresses.
    pub app_base: Arc<str>,
    /// Whether the row is closed.
    pub settled: bool,
}

/// A row of the ledger, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each column is told at the verb that writes it")]
pub struct CallRecord {
    pub id: CallId,
    pub tenant_id: TenantId,
    pub tenant: Arc<str>,
    pub key_id: KeyId,
    pub account: AccountName,
    pub endpoint: Arc<str>,
    pub kind: CallKind,
    pub state: CallState,
    pub request_id: Option<RequestId>,
    pub app_base: Option<Arc<str>>,
    pub body_sha256: Option<String>,
    pub body_bytes: Option<u64>,
    pub status: Option<u16>,
    pub billable_units: Option<String>,
    pub held_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub settled_at: Option<Timestamp>,
}

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data folder or file cannot be used.
    #[error("cannot open the store at {path}: {reason}")]
    Open {
        /// The file.
        path: String,
        /// What the system said, and what to do.
        reason: String,
    },
    /// A newer fal-relay has migrated the store.
    #[error(
        "the store at {path} has version {found}, and this fal-relay knows versions up to {known}: \
         start the newer fal-relay that wrote it, or restore a backup"
    )]
    TooNew {
        /// The file.
        path: String,
        /// Its version.
        found: i64,
        /// The newest version that this binary knows.
        known: i64,
    },
    /// Another row of the same account has that request id.
    #[error("request id {0} is already in the ledger")]
    Taken(RequestId),
    /// No row has that number, or it is not in a state from which the verb may move it.
    #[error("call {0} is not in a state that allows this")]
    State(CallId),
    /// The disk is full or refuses writes. Reads may still work.
    #[error("the store cannot write: {0}")]
    Unwritable(String),
    /// Anything else that the backend reports.
    #[error("the store failed: {0}")]
    Backend(String),
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

/// Where the store is and how it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The database file of the embedded store.
    pub sqlite_path: std::path::PathBuf,
    /// The most writes that share one disk flush.
    pub batch_max: usize,
}
