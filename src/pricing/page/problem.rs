//! What can be wrong with a page, and with a single entry of it.

use std::fmt;

use crate::money::MoneyError;

/// The most characters of somebody else's text that are shown.
pub(super) const MAX_SHOWN_CHARS: usize = 80;

/// Why nothing of a page can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// No JSON object.
    #[error("the answer is no JSON object: {0}")]
    NotJson(String),
    /// The list is not there, or is none.
    #[error("the answer has no list `{0}`")]
    NoList(&'static str),
    /// More entries than anybody should send.
    #[error("the page has more than {0} entries")]
    TooMany(usize),
    /// It cannot be told how to go on.
    #[error("`has_more` and `next_cursor` do not tell where the next page is")]
    Cursor,
}

/// Why an entry was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// Something else than an object.
    #[error("is no object")]
    NotAnObject,
    /// A field that must be there is not, or is null.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field has a value that cannot be what it should.
    #[error("`{0}` cannot be read")]
    Unreadable(&'static str),
    /// A price in other money.
    #[error("`currency` is `{0}`, and only USD is counted")]
    Currency(String),
    /// A price that cannot be one.
    #[error("`unit_price` {0}")]
    Price(MoneyError),
    /// An earlier entry of the page says something else; that one was kept.
    #[error("is there twice with different prices")]
    Twice,
}

/// An entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProblem {
    /// Which entry of the page it is, counted from 0.
    pub at: usize,
    /// Its endpoint, when that can be told.
    pub endpoint: Option<String>,
    /// What is wrong.
    pub fault: EntryFault,
}

impl fmt::Display for EntryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Some(endpoint) => write!(f, "entry {} ({endpoint}): {}", self.at + 1, self.fault),
            None => write!(f, "entry {}: {}", self.at + 1, self.fault),
        }
    }
}

/// Somebody else's text, short and harmless to a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect()
}
