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
    /// Realtime sockets.
    pub realtime: RealtimeSettings,
    /// Prices.
    pub pricing: Pricing,
    /// The address under which fal reaches the relay, to call back when a job has ended.
    pub public_url: Option<String>,
    /// The longest result that goes into a webhook.
    pub max_payload_bytes: u64,
    /// Uploads.
    pub uploads: Uploads,
}

/// Realtime sockets: `[realtime]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealtimeSettings {
    /// The largest message, each way.
    pub max_message_bytes: u64,
    /// How long nothing may move.
    pub idle: Duration,
    /// How long a socket may be open.
    pub max: Duration,
    /// How long either side may take nothing of what is ready for it.
    pub stall: Duration,
    /// The time that is held money for, where the price is by time.
    pub hold: Duration,
    /// The messages that money is held for, where the price is by the message.
    pub hold_messages: u64,
}

impl Default for RealtimeSettings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        Self {
            max_message_bytes: 16 * 1024 * 1024,
            idle: Duration::from_secs(600),
            max: Duration::from_secs(14_400),
            stall: Duration::from_secs(60),
            hold: Duration::from_secs(300),
            hold_messages: 1000,
        }
    }
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
            realtime: RealtimeSettings::default(),
            pricing: Pricing::default(),
            public_url: None,
            max_payload_bytes: 4 * 1024 * 1024,
            uploads: Uploads::default(),
        }
    }
}
