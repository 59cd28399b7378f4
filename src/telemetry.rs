//! (being built)

use tracing::Level;

/// Logs: `[log]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How lines look.
    pub format: Format,
    /// The least important level that is written.
    pub level: Level,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Settings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        Self { format: Format::Auto, level: Level::INFO }
    }
}
