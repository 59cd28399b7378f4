//! What the operator may say about prices and the bill.

use std::time::Duration;

/// From `[pricing]` and `[relay]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether fal's price list is synced in the background.
    pub sync: bool,
    /// How old the list may become.
    pub sync_after: Duration,
    /// Whether the bill is read in the background, where there is an admin key.
    pub reconcile: bool,
    /// How old a call must be before a bill without it means that it was not billed.
    pub unknown_after: Duration,
}

impl Default for Settings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self { sync: true, sync_after: day, reconcile: true, unknown_after: day }
    }
}
