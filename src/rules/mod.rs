//! Who may call what: endpoint globs, limits, networks, at three levels of which each narrows the one above.

mod effective;
mod glob;
mod globs;
mod level;
mod list;
mod network;
mod origin;
#[cfg(test)]
mod tests;

pub use effective::{Effective, Level};
pub use glob::{BadGlob, Glob};
pub use globs::Globs;
pub use level::Rules;
pub use list::{List, Listed};
pub use network::Network;
pub use origin::Origin;

/// The most characters of a wrong text that an error repeats.
const SHOWN_CHARS: usize = 80;

/// Why rules are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// A text that is no glob.
    #[error("{text:?} is no endpoint pattern: {why}")]
    Glob {
        /// Its beginning.
        text: String,
        /// What is wrong with it.
        why: BadGlob,
    },
    /// A text that is no network.
    #[error("{0:?} is no network; write one like \"10.0.0.0/8\" or \"::1\"")]
    Network(String),
    /// A text that is no browser origin.
    #[error("{0:?} is no browser origin; write one like \"https://app.example.com\", without a path")]
    Origin(String),
    /// A list that is too long.
    #[error("holds more than {max} {what}")]
    TooMany {
        /// What is listed.
        what: &'static str,
        /// The most that are accepted.
        max: usize,
    },
    /// A pattern that says nothing, because another takes back all that it gives.
    #[error("allow holds \"{allow}\", which can match nothing: deny holds \"{deny}\"; remove one of them")]
    Contradiction {
        /// What is allowed.
        allow: Glob,
        /// What denies all of it.
        deny: Glob,
    },
}

/// The beginning of a wrong text.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}
