//! The store: keys and the ledger, in the ledger's verbs. One verb is one transaction, and when a verb that changes
//! something has answered, the change is on the disk.
//!
//! The trait is defined by its story, `tests/it/store_story.rs`, which runs on every backend.

mod records;
mod sqlite;

use std::future::Future;
use std::pin::Pin;

use crate::clock::Timestamp;
use crate::ids::{CallId, KeyId, RequestId, TenantId};
use crate::key::KeyDigest;

pub use records::{
    CallKind, CallRecord, CallState, KeyChange, KeyRecord, NewCall, NewKey, OwnedCall, Release, SentCall,
    Settlement, TenantRecord,
};
pub use sqlite::{SqliteStore, Statistics};

/// The answer of a verb, still under way. A verb begins when its answer is first polled; once the store has taken it
/// up, dropping the answer does not undo it.
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
    /// Makes `successor` and ends the key `id` at `ends_at` unless it ends sooner, both or neither; `None`, and nothing
    /// made, when there is no such key or it is revoked.
    fn replace_key(&self, id: KeyId, successor: NewKey, ends_at: Timestamp) -> Verb<'_, Option<KeyRecord>>;
    /// All tenants in the order in which they were made.
    fn tenants(&self) -> Verb<'_, Vec<TenantRecord>>;
    /// A number that grows whenever any key or tenant changes, in any process: caches compare it.
    fn keys_revision(&self) -> Verb<'_, i64>;

    /// Writes a billable call down before its first byte leaves. State: held.
    fn hold(&self, call: NewCall) -> Verb<'_, CallId>;
    /// fal took a queued call and gave it an id. held | unknown -> sent; saying it again changes nothing. Refused with
    /// [`StoreError::Taken`] when another row of the same account has that id.
    fn sent(&self, id: CallId, sent: SentCall) -> Verb<'_, ()>;
    /// The call ended and what fal said of it is known. held | sent | unknown -> settled; `false` when the row was
    /// already closed, which changes nothing. Like the two verbs below it is refused with [`StoreError::State`] only
    /// when there is no such row.
    fn settle(&self, id: CallId, settlement: Settlement) -> Verb<'_, bool>;
    /// Nothing can have been billed: the call was refused or never left. held | unknown -> released; `false` when the
    /// row had already moved on.
    fn release(&self, id: CallId, release: Release) -> Verb<'_, bool>;
    /// Whether fal took the call is not known; it is never sent again. held -> unknown; `false` as above.
    fn lose(&self, id: CallId, at: Timestamp) -> Verb<'_, bool>;
    /// Marks every row that a stopped process left in `held` before `before` as unknown, lost at `before`; says how
    /// many. A process that is still draining loses nothing by it: what it has to say of its calls is still taken.
    fn lose_abandoned(&self, before: Timestamp) -> Verb<'_, u64>;
    /// The queued call behind a request id, if this tenant made it.
    fn owned(&self, tenant: TenantId, request_id: RequestId) -> Verb<'_, Option<OwnedCall>>;
    /// One row of the ledger.
    fn call(&self, id: CallId) -> Verb<'_, Option<CallRecord>>;
    /// Rows with a higher number than `after`, oldest first, `limit` at most: the ledger is read in pages.
    fn calls(&self, after: CallId, limit: u32) -> Verb<'_, Vec<CallRecord>>;

    /// Whether the store answers and takes writes: it writes, so whoever lets strangers ask must limit how often.
    fn ping(&self) -> Verb<'_, ()>;
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
