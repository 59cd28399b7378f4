//! What the process counts, and how it tells it: OpenMetrics for `GET /metrics` of the admin listener. `docs/metrics.md`
//! says what each name means.
//!
//! To count must cost a call nothing that one could notice, so rooms count into plain numbers ([`Counter`], [`Gauge`],
//! [`Times`]) that belong to their [`Worker`]; adding up and writing down happen when somebody asks. No label is ever
//! taken from a request: endpoints, tenants, keys and ids are the ledger's and the log's, and what fal accounts or
//! errors there are is bounded by [`ACCOUNTS_MAX`] and [`REFUSALS_MAX`].

mod cell;
mod export;
mod labels;
mod process;
mod store;
mod webhooks;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};

pub use cell::{Counter, Gauge, Sizes, Times};
pub use labels::{Failure, Fault, Host, LedgerVerb, Memory, Route, SocketEnd, Status, Unserved};
pub use store::StoreCounts;
pub use webhooks::WebhookCounts;
pub use worker::{
    ACCOUNTS_MAX, EndedCall, HostCounts, OpenConnection, OpenSocket, OpenUpstream, ParkedConnection,
    REFUSALS_MAX, Worker,
};

use crate::clock::Timestamp;
use crate::ids::AccountName;

/// The content type of [`Metrics::exposition`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that the process counts.
#[derive(Debug)]
pub struct Metrics {
    started_at: Timestamp,
    accounts: Arc<[AccountName]>,
    store: Arc<StoreCounts>,
    webhooks: Arc<WebhookCounts>,
    workers: Mutex<Vec<Arc<Worker>>>,
    /// Calls of an earlier process whose outcome nobody knows.
    abandoned: Counter,
}

impl Metrics {
    /// Counts that begin at nothing. Calls are told apart by these fal accounts.
    pub fn new(started_at: Timestamp, accounts: Vec<AccountName>, store: Arc<StoreCounts>) -> Arc<Self> {
        let (accounts, workers) = (accounts.into(), Mutex::default());
        let webhooks = Arc::default();
        Arc::new(Self { started_at, accounts, store, webhooks, workers, abandoned: Counter::default() })
    }

    /// The counts of one more worker.
    pub fn worker(&self) -> Arc<Worker> {
        let worker = Arc::new(Worker::new(self.accounts.clone()));
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker.clone());
        worker
    }

    /// Where deliveries of webhooks are counted.
    pub fn webhooks(&self) -> Arc<WebhookCounts> {
        self.webhooks.clone()
    }

    /// An earlier process left so many calls of which nobody knows whether fal has them.
    pub fn abandoned(&self, calls: u64) {
        self.abandoned.add(calls);
    }

    fn workers(&self) -> Vec<Arc<Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
