//! What is counted of webhooks.

use super::cell::{Counter, Gauge, Times};

/// The deliverer's counts.
#[derive(Debug, Default)]
pub struct WebhookCounts {
    /// Tries that arrived.
    pub delivered: Counter,
    /// Tries that did not.
    pub failed: Counter,
    /// Deliveries that were given up.
    pub given_up: Counter,
    /// How long tries took.
    pub tries: Times,
    /// Jobs with a webhook that have not ended.
    pub followed: Gauge,
    /// Deliveries that will be tried.
    pub waiting: Gauge,
    /// Deliveries that were given up and are kept.
    pub dead: Gauge,
}
