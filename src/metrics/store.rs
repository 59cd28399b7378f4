//! What the store counts.

use super::cell::{Counter, Gauge, Sizes};

/// The store's counts.
#[derive(Debug, Default)]
pub struct StoreCounts {
    /// Statements that verbs ran on the reading connections.
    pub reads: Counter,
    /// Statements that verbs ran on the writing connection.
    pub writes: Counter,
    /// Batches that were committed, each with one disk flush.
    pub batches: Counter,
    /// Batches of which nothing was kept.
    pub failed_batches: Counter,
    /// Verbs in each batch.
    pub batch_sizes: Sizes,
    /// Verbs that change something, were taken up, and are not answered yet.
    pub waiting: Gauge,
}
