//! What the operator may say about deliveries.

use std::time::Duration;

/// Deliveries of webhooks: `[webhooks]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The waits between tries; after the last, a delivery is dead.
    pub retry_after: Vec<Duration>,
    /// How long a receiver may take to answer.
    pub answer_timeout: Duration,
    /// Deliveries on their way at once.
    pub max_at_once: usize,
    /// Of these, to one receiver.
    pub max_at_once_per_target: usize,
    /// How long deliveries that ended are kept.
    pub keep: Duration,
}

impl Default for Settings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        let waits = [5, 30, 120, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 12 * 3600];
        Self {
            retry_after: waits.map(Duration::from_secs).to_vec(),
            answer_timeout: Duration::from_secs(15),
            max_at_once: 256,
            max_at_once_per_target: 32,
            keep: Duration::from_secs(7 * 24 * 3600),
        }
    }
}
