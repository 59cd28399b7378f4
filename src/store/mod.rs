//! The store: who may spend, and the ledger of who spent what, in the ledger's verbs. One verb is one transaction, and
//! when a verb that changes something has answered, the change is on the disk.
//!
//! Four groups of verbs, for four kinds of callers: [`Directory`] for administration and identity, [`Ledger`] for the
//! journey of a call, [`Books`] for what is asked afterwards, [`Webhooks`] for what tenants are told. A [`Store`] is all four. They are defined by their
//! story, `tests/it/store_story`, which runs on every backend.

mod records;
mod sqlite;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::ids::{AuditId, CallId, DeliveryId, GroupId, KeyId, OperatorId, RequestId, TenantId, TokenId};
use crate::key::KeyDigest;
use crate::period::Period;
use crate::secret::Seed;

pub use records::*;
pub use sqlite::{SqliteStore, Statistics};

/// The answer of a verb, still under way. A verb begins when its answer is first polled; once the store has taken it
/// up, dropping the answer does not undo it.
pub type Verb<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where everything is kept that must not be lost.
pub trait Store: Directory + Ledger + Books + Webhooks {
    /// Whether the store answers and takes writes: it writes, so whoever lets strangers ask must limit how often.
    fn ping(&self) -> Verb<'_, ()>;
    /// Tells this relay's calls from another's on the same fal account; drawn when the store was made.
    fn instance(&self) -> Verb<'_, Arc<str>>;
    /// The secrets of this name that have not ended before `at`, the newest first. When there is none, `fresh` becomes one,
    /// in use from `at`: of several processes that ask at once, one draws it for all.
    fn secrets(&self, name: &'static str, fresh: Option<Seed>, at: Timestamp) -> Verb<'_, Vec<StoredSecret>>;
    /// Makes a secret that is in use from `begins_at`; those before it end at `ends_at` unless they end sooner.
    fn replace_secret(
        &self,
        name: &'static str,
        fresh: Seed,
        begins_at: Timestamp,
        ends_at: Timestamp,
        author: Author,
    ) -> Verb<'_, ()>;
}

/// Tenants, groups, keys, operators and budgets. Each change is written to the audit log in its own transaction; one that
/// changes nothing writes nothing.
pub trait Directory: Send + Sync + 'static {
    /// Makes a tenant. Refused with [`StoreError::NameTaken`].
    fn create_tenant(&self, tenant: NewTenant, author: Author) -> Verb<'_, TenantRecord>;
    /// The tenant with this number.
    fn tenant(&self, id: TenantId) -> Verb<'_, Option<TenantRecord>>;
    /// The tenant of this name.
    fn tenant_named(&self, name: String) -> Verb<'_, Option<TenantRecord>>;
    /// Tenants whose name contains `search`, ASCII letters in either case, with a higher number than `after`, in the order
    /// in which they were made.
    fn tenants(&self, search: Option<String>, after: TenantId, limit: u32) -> Verb<'_, Vec<TenantRecord>>;
    /// Changes a tenant; `None` when there is none.
    fn change_tenant(
        &self,
        id: TenantId,
        change: TenantChange,
        author: Author,
    ) -> Verb<'_, Option<TenantRecord>>;
    /// Deletes a tenant and its keys, unless calls are open. Its name is free again.
    fn delete_tenant(&self, id: TenantId, author: Author) -> Verb<'_, Deletion>;

    /// Makes a group. Refused with [`StoreError::NameTaken`].
    fn create_group(&self, group: NewGroup, author: Author) -> Verb<'_, GroupRecord>;
    /// The group with this number.
    fn group(&self, id: GroupId) -> Verb<'_, Option<GroupRecord>>;
    /// The group of this name.
    fn group_named(&self, name: String) -> Verb<'_, Option<GroupRecord>>;
    /// Groups whose name contains `search`, with a higher number than `after`, in the order in which they were made.
    fn groups(&self, search: Option<String>, after: GroupId, limit: u32) -> Verb<'_, Vec<GroupRecord>>;
    /// Changes a group; `None` when there is none.
    fn change_group(&self, id: GroupId, change: GroupChange, author: Author)
    -> Verb<'_, Option<GroupRecord>>;
    /// Deletes a group, unless keys use it. Its name is free again.
    fn delete_group(&self, id: GroupId, author: Author) -> Verb<'_, Deletion>;

    /// Makes a key, and its tenant when no tenant of that name exists. Refused with [`StoreError::KeyTaken`], or with
    /// [`StoreError::Missing`] when there is no such group.
    fn create_key(&self, key: NewKey, author: Author) -> Verb<'_, KeyRecord>;
    /// The key with this digest, whatever its state, unless it is deleted.
    fn key_by_digest(&self, digest: KeyDigest) -> Verb<'_, Option<KeyRecord>>;
    /// The key with this number.
    fn key(&self, id: KeyId) -> Verb<'_, Option<KeyRecord>>;
    /// Keys of one tenant or of all whose name contains `search`, with a higher number than `after`, in the order in
    /// which they were made.
    fn keys(
        &self,
        tenant: Option<TenantId>,
        search: Option<String>,
        after: KeyId,
        limit: u32,
    ) -> Verb<'_, Vec<KeyRecord>>;
    /// Changes a key; `None` when there is none. Refused with [`StoreError::Missing`] when there is no such group.
    fn change_key(&self, id: KeyId, change: KeyChange, author: Author) -> Verb<'_, Option<KeyRecord>>;
    /// Makes `successor`, with the old key's tenant, group, rules and budgets, which count from nothing for it, and ends the
    /// key `id` at `ends_at` unless it ends sooner, both or neither; `None`, and nothing made, when there is no such key or
    /// it is revoked.
    fn replace_key(
        &self,
        id: KeyId,
        successor: NewKey,
        ends_at: Timestamp,
        author: Author,
    ) -> Verb<'_, Option<KeyRecord>>;
    /// Deletes a key, unless calls are open.
    fn delete_key(&self, id: KeyId, author: Author) -> Verb<'_, Deletion>;
    /// Makes groups and keys (with their tenants) together, all or nothing. Refused with [`StoreError::NameTaken`] for a
    /// group that is there already, with [`StoreError::KeyTaken`] for a key that is, and with [`StoreError::Missing`] for a
    /// key whose group is not. A key that was deleted may come again.
    fn import(
        &self,
        groups: Vec<NewGroup>,
        keys: Vec<ImportedKey>,
        author: Author,
    ) -> Verb<'_, Vec<KeyRecord>>;

    /// Sets or, with `None`, lifts the budget of a payer for a period; its meter of now takes the new cap at once. Refused with
    /// [`StoreError::Missing`] when there is no such payer.
    fn set_budget(
        &self,
        payer: Payer,
        period: Period,
        budget: Option<Budget>,
        author: Author,
    ) -> Verb<'_, ()>;
    /// The budgets of a tenant and of all its keys.
    fn budgets(&self, tenant: TenantId) -> Verb<'_, Vec<BudgetRecord>>;
    /// The meters of a payer whose windows contain `at`, those of its tenant too.
    fn meters(&self, payer: Payer, at: Timestamp) -> Verb<'_, Vec<Meter>>;

    /// Makes an operator. Refused with [`StoreError::NameTaken`] while another works under that name, and with
    /// [`StoreError::KeyTaken`].
    fn create_operator(&self, operator: NewOperator, author: Author) -> Verb<'_, OperatorRecord>;
    /// The operator with this token.
    fn operator_by_digest(&self, digest: KeyDigest) -> Verb<'_, Option<OperatorRecord>>;
    /// All operators in the order in which they were made.
    fn operators(&self) -> Verb<'_, Vec<OperatorRecord>>;
    /// Ends an operator's token for good; `None` when there is none.
    fn revoke_operator(&self, id: OperatorId, author: Author) -> Verb<'_, Option<OperatorRecord>>;

    /// Lines of the audit log with a lower number than `before`, the newest first; of one object, or of all.
    fn audit(
        &self,
        object: Option<String>,
        before: Option<AuditId>,
        limit: u32,
    ) -> Verb<'_, Vec<AuditRecord>>;

    /// Makes a client token; `None`, and nothing made, when its key has as many that work as it may. Tokens whose time is
    /// over are swept on the way.
    fn create_token(&self, token: NewToken) -> Verb<'_, Option<TokenId>>;
    /// The client token with this digest, whatever its state, unless its key is deleted.
    fn token_by_digest(&self, digest: KeyDigest) -> Verb<'_, Option<TokenRecord>>;
    /// How many client tokens of a key work at `at`.
    fn live_tokens(&self, key: KeyId, at: Timestamp) -> Verb<'_, u64>;
    /// Ends all client tokens of a key for good; says how many worked until now.
    fn revoke_tokens(&self, key: KeyId, author: Author) -> Verb<'_, u64>;
    /// The client tokens of a key that work at `at`, with a higher number than `after`, in the order in which they were made.
    fn tokens(&self, key: KeyId, at: Timestamp, after: TokenId, limit: u32) -> Verb<'_, Vec<TokenUse>>;
    /// Ends one client token of a key for good; `false` when the key has none of that number, or not any more.
    fn revoke_token(&self, key: KeyId, id: TokenId, at: Timestamp) -> Verb<'_, bool>;
    /// Which client tokens of a key were revoked.
    fn revoked_tokens(&self, key: KeyId) -> Verb<'_, RevokedTokens>;
    /// Whether any key, its tenant or group, or any client token so far, lists browser origins.
    fn lists_origins(&self) -> Verb<'_, bool>;

    /// A number that grows whenever anything changes that decides what a caller may do, in any process: caches compare
    /// it.
    fn keys_revision(&self) -> Verb<'_, i64>;
}

/// The journey of a call.
pub trait Ledger: Send + Sync + 'static {
    /// Writes a billable call down and holds its money, before its first byte leaves. State: held. Refused with
    /// [`StoreError::OverBudget`], and nothing written, when a meter has not enough left.
    fn hold(&self, call: NewCall) -> Verb<'_, HeldCall>;
    /// A call that is under way may cost more than is held for it: holds more, in the meters of its row. held -> held. Tells
    /// budgets as `hold` does, and is refused as that is, and with [`StoreError::State`] when the row is no longer held.
    fn top_up(&self, id: CallId, more: TopUp) -> Verb<'_, Vec<Spent>>;
    /// fal took a queued call and gave it an id. held | unknown -> sent; saying it again changes nothing. Refused with
    /// [`StoreError::Taken`] when another row of the same account has that id.
    fn sent(&self, id: CallId, sent: SentCall) -> Verb<'_, ()>;
    /// The call ended and what fal said of it is known: the charge takes the hold's place in the meters. held | sent |
    /// unknown -> settled; `false` when the row was already closed, which changes nothing. Like the two verbs below it
    /// is refused with [`StoreError::State`] only when there is no such row.
    fn settle(&self, id: CallId, settlement: Settlement) -> Verb<'_, bool>;
    /// Nothing can have been billed: the hold is given back. held | sent | unknown -> released; `false` when the row was
    /// already closed.
    fn release(&self, id: CallId, release: Release) -> Verb<'_, bool>;
    /// Whether fal took the call is not known; it is never sent again, and its hold stays. held -> unknown; `false` as
    /// above.
    fn lose(&self, id: CallId, at: Timestamp) -> Verb<'_, bool>;
    /// Marks every row that a stopped process left in `held` before `before` as unknown, lost at `before`; says how
    /// many. A process that is still draining loses nothing by it: what it has to say of its calls is still taken.
    fn lose_abandoned(&self, before: Timestamp) -> Verb<'_, u64>;
    /// The queued call behind a request id, if this tenant made it.
    fn owned(&self, tenant: TenantId, request_id: RequestId) -> Verb<'_, Option<OwnedCall>>;
    /// Calls that are not closed, with a higher number than `after`, oldest first.
    fn open_calls(&self, after: CallId, limit: u32) -> Verb<'_, Vec<OpenCall>>;
}

/// What is asked of the ledger afterwards, its corrections, and the price list.
pub trait Books: Send + Sync + 'static {
    /// One row of the ledger.
    fn call(&self, id: CallId) -> Verb<'_, Option<CallRecord>>;
    /// Rows with a higher number than `after`, oldest first, `limit` at most: the ledger is exported in pages.
    fn calls(&self, filter: CallFilter, after: CallId, limit: u32) -> Verb<'_, Vec<CallRecord>>;
    /// Rows that were held before the row `before`, newest first, `limit` at most: the ledger is searched in pages. Of one
    /// moment the higher number comes first.
    fn search(&self, filter: CallFilter, before: Option<CallId>, limit: u32) -> Verb<'_, Vec<CallRecord>>;
    /// Closed calls whose cost is not known, with a higher number than `after`, oldest first.
    fn unpriced_calls(&self, after: CallId, limit: u32) -> Verb<'_, Vec<OpenCall>>;
    /// Later truth: from now on the call costs this. The difference goes to the meters and the usage of the call's day; a
    /// hold that was kept is given back. `None`, and nothing written, when there is no such row, it is still open, or it
    /// says so already, as a released call says that it is free.
    fn adjust(&self, adjustment: NewAdjustment, author: Author) -> Verb<'_, Option<AdjustmentRecord>>;
    /// The corrections of a call, oldest first.
    fn adjustments(&self, call: CallId) -> Verb<'_, Vec<AdjustmentRecord>>;
    /// Sums over settled calls, and over what was learned of any call later. Refused with [`StoreError::Unanswerable`] by tag
    /// and key or endpoint at once.
    fn usage(&self, filter: UsageFilter) -> Verb<'_, Vec<UsageRecord>>;
    /// The units that were billed lately, newest first, of the newest `limit` calls: where estimates begin after a start.
    fn billed_units(&self, limit: u32) -> Verb<'_, Vec<BilledUnits>>;

    /// The prices in force.
    fn prices(&self) -> Verb<'_, PriceList>;
    /// A number that grows whenever prices change.
    fn prices_revision(&self) -> Verb<'_, i64>;
    /// Takes a whole list from fal and writes down what changed. A list without changes makes a version too: it says that
    /// the prices were still right.
    fn save_prices(&self, list: NewPriceList, author: Author) -> Verb<'_, PriceVersion>;
    /// Versions of the list, newest first.
    fn price_versions(&self, limit: u32) -> Verb<'_, Vec<PriceVersion>>;
    /// What changed after the version `after`, by version and endpoint.
    fn price_changes(&self, after: i64, limit: u32) -> Verb<'_, Vec<PriceChange>>;
    /// Sets the operator's own price for a pattern, or lifts it.
    fn override_price(&self, pattern: String, price: Option<PriceOverride>, author: Author) -> Verb<'_, ()>;
}

/// What tenants are told of the ends of their jobs. A webhook is written down with its call (`Ledger::hold`), and goes when a
/// call is released that fal never had.
pub trait Webhooks: Send + Sync + 'static {
    /// Jobs that fal has or had and whose webhook is not in the outbox yet, with a higher number than `after`, oldest first.
    fn followed_calls(&self, after: CallId, limit: u32) -> Verb<'_, Vec<FollowedCall>>;
    /// One of them.
    fn followed_call(&self, id: CallId) -> Verb<'_, Option<FollowedCall>>;
    /// The job has ended: closes its row unless it is closed, and puts its webhook into the outbox unless it is there, both or
    /// neither. Without a settlement only a closed row's webhook is taken.
    fn finish(&self, id: CallId, settlement: Option<Settlement>, delivery: NewDelivery)
    -> Verb<'_, Finished>;
    /// Deliveries that should be tried now, those that waited longest first.
    fn due_deliveries(&self, query: DueQuery) -> Verb<'_, Vec<DueDelivery>>;
    /// When the next try is due of those that are not due yet.
    fn next_delivery(&self, now: Timestamp) -> Verb<'_, Option<Timestamp>>;
    /// All that a try needs; `None` unless the delivery waits.
    fn message(&self, id: DeliveryId) -> Verb<'_, Option<Message>>;
    /// The first delivery of a tenant with a higher number than `after`, whatever became of it.
    fn message_after(&self, tenant: TenantId, after: DeliveryId) -> Verb<'_, Option<Message>>;
    /// A try was made. `false`, and nothing written, when there is no such delivery.
    fn attempted(&self, id: DeliveryId, attempt: Attempt, next: Next) -> Verb<'_, bool>;

    /// Deliveries with a lower number than `before`, the newest first.
    fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Verb<'_, Vec<DeliveryRecord>>;
    /// One delivery.
    fn delivery(&self, id: DeliveryId) -> Verb<'_, Option<DeliveryRecord>>;
    /// Its tries that are kept, oldest first.
    fn attempts(&self, id: DeliveryId) -> Verb<'_, Vec<AttemptRecord>>;
    /// Lets deliveries begin anew at the ladder's first step; says how many.
    fn redeliver(&self, which: Redelivery, author: Author) -> Verb<'_, u64>;
    /// The highest number of a delivery so far.
    fn last_delivery(&self) -> Verb<'_, DeliveryId>;
    /// How many stand where.
    fn outbox(&self) -> Verb<'_, Outbox>;
    /// Forgets `limit` deliveries that ended before `before`, and webhooks of calls that fal never took and that were lost
    /// before then; says how many.
    fn forget_deliveries(&self, before: Timestamp, limit: u32) -> Verb<'_, u64>;
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
    /// A budget has not enough left; nothing was written.
    #[error("the {} budget has {} left of {}", .0.period.as_str(), .0.left, .0.limit)]
    OverBudget(Box<Spent>),
    /// The client token of a call has ended meanwhile; nothing was written.
    #[error("the client token has ended")]
    TokenEnded,
    /// Somebody has that name.
    #[error("there is already one named `{0}`")]
    NameTaken(String),
    /// A key or an operator's token is known already, or comes twice in an import.
    #[error("the key that ends in {0} is known already")]
    KeyTaken(String),
    /// A change names something that is not there.
    #[error("there is no {0}")]
    Missing(String),
    /// What was asked cannot be told from what is kept.
    #[error("{0}")]
    Unanswerable(&'static str),
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
