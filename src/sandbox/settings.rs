//! What the operator may say about the simulated fal.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The simulated fal: `[sandbox]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The base of the addresses in its answers, without a trailing slash; when `None` it is its own address.
    pub public_url: Option<String>,
    /// Where its ids and pictures begin.
    pub seed: u64,
    /// How long each step of a queued request lasts; 0 is done at once.
    pub step_ms: u64,
    /// Requests that it remembers; the oldest finished ones are forgotten first.
    pub max_requests: usize,
    /// Where `serve --sandbox` keeps its store and its certificate authority.
    pub data_dir: PathBuf,
}

impl Default for Settings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8790)),
            public_url: None,
            seed: 1,
            step_ms: 400,
            max_requests: 10_000,
            data_dir: "fal-relay-sandbox".into(),
        }
    }
}
