//! What the operator may say about the journey of a call.

use std::time::Duration;

use super::prices::Pricing;

/// The journey of a call: `[relay]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The largest request body.
    pub max_body_bytes: u64,
    /// Keys whose owners are kept in memory.
    pub identity_cache_entries: usize,
    /// Requests whose owners are kept in memory.
    pub owner_cache_entries: usize,
    /// How often the store is asked whether any key changed.
    pub key_check: Duration,
    /// How old a job is when the relay first looks after it itself.
    pub watch_after: Duration,
    /// Prices.
    pub pricing: Pricing,
    /// Uploads.
    pub uploads: Uploads,
}

/// Uploads: `[uploads]` of the configuration, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploads {
    /// Whether the bytes of all uploads run through the relay.
    pub through_relay: bool,
    /// The largest upload through the relay.
    pub max_bytes: u64,
    /// How long an address or a token of the relay's can be used.
    pub address_life: Duration,
    /// Whether files of the media host are read through the relay.
    pub pass_downloads: bool,
}

impl Default for Uploads {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        Self {
            through_relay: false,
            max_bytes: 5 * 1024 * 1024 * 1024,
            address_life: Duration::from_secs(6 * 3600),
            pass_downloads: false,
        }
    }
}

impl Default for Settings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        Self {
            max_body_bytes: 100 * 1024 * 1024,
            identity_cache_entries: 10_000,
            owner_cache_entries: 100_000,
            key_check: Duration::from_secs(1),
            watch_after: Duration::from_secs(30),
            pricing: Pricing::default(),
            uploads: Uploads::default(),
        }
    }
}
