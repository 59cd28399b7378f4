//! What can be wrong with a configuration, and how it is told.

use std::fmt;
use std::sync::Arc;

use super::explain::Explanation;

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the defaults that are compiled in.
    Default,
    /// In the operator's file.
    File {
        /// The file as it was named.
        path: Arc<str>,
        /// Its line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
    },
    /// In this environment variable.
    Variable(String),
    /// By `--sandbox`.
    Sandbox,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Variable(name) => f.write_str(name),
            Self::Sandbox => f.write_str("--sandbox"),
        }
    }
}

/// One thing that is wrong. No text in it can hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file that was named cannot be read.
    #[error("{path}: cannot be read: {reason}")]
    Unreadable {
        /// The file as it was named.
        path: Arc<str>,
        /// What the system said.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{at}: this is not TOML: {reason}{}", quote(line))]
    Syntax {
        /// The place.
        at: Origin,
        /// What the parser said.
        reason: String,
        /// The line, without its value.
        line: String,
    },
    /// There is nobody to pay fal.
    #[error(
        "there is no fal account: set FAL_KEY=id:secret or write [[accounts]] in the file; \
         `serve --sandbox` needs none"
    )]
    NoAccount,
    /// A variable that does not exist.
    #[error("unknown variable `{name}`{}", hint(suggestion.as_deref()))]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The one that was perhaps meant.
        suggestion: Option<String>,
    },
    /// A key or section that does not exist.
    #[error("{at}: unknown {what} `{name}`{}{}", hint(suggestion.as_deref()), quote(line))]
    Unknown {
        /// The place.
        at: Origin,
        /// "key" or "section".
        what: &'static str,
        /// Its name as written.
        name: String,
        /// The one that was perhaps meant.
        suggestion: Option<String>,
        /// The line, without its value.
        line: String,
    },
    /// A value that cannot be used.
    #[error("{at}: {key} {reason}")]
    Unusable {
        /// The place.
        at: Origin,
        /// The key.
        key: String,
        /// What is wrong with it and what to do, as the rest of a sentence.
        reason: String,
    },
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn quote(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!("\n      {line}") }
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The problems, in the order in which they were met; never empty.
    pub problems: Vec<Problem>,
    /// What was said all the same, for `check`.
    pub explanation: Explanation,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}
