//! What the operator may say about the platform's API.

use std::num::NonZeroU32;
use std::time::Duration;

/// The road to the platform's API: from `[upstream]` and `[pricing]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The API's address, without a trailing slash.
    pub url: String,
    /// How long to wait for a connection, with its TLS handshake.
    pub connect_timeout: Duration,
    /// The most requests in a second.
    pub requests_per_second: NonZeroU32,
    /// Whether connections to other machines are refused. The sandbox sets it; no operator can.
    pub loopback_only: bool,
}
