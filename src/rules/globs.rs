//! Many globs, compiled once and asked on each submit.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::glob::Path;
use super::{Glob, List, RulesError};

/// A list of globs in which plain names are found at once, however many there are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "List<Glob>", into = "List<Glob>")]
pub struct Globs {
    list: List<Glob>,
    exact: HashSet<Arc<str>>,
    patterns: Vec<Glob>,
}

impl Globs {
    /// Reads globs.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, RulesError> {
        List::parse(texts).map(Self::from)
    }

    /// The globs, in the order in which they were written.
    pub fn iter(&self) -> std::slice::Iter<'_, Glob> {
        self.list.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one of them matches.
    pub fn matches(&self, endpoint: &str) -> bool {
        Path::split(endpoint).is_some_and(|path| self.matches_path(endpoint, &path))
    }

    /// The same of an endpoint that was taken apart.
    pub(super) fn matches_path(&self, endpoint: &str, path: &Path<'_>) -> bool {
        (!self.exact.is_empty() && self.exact.contains(endpoint))
            || self.patterns.iter().any(|glob| glob.matches_path(path))
    }
}

impl From<List<Glob>> for Globs {
    fn from(list: List<Glob>) -> Self {
        let (exact, patterns): (Vec<_>, Vec<_>) = list.iter().cloned().partition(Glob::is_exact);
        Self { exact: exact.iter().map(|glob| glob.as_str().into()).collect(), patterns, list }
    }
}

impl From<Globs> for List<Glob> {
    fn from(globs: Globs) -> Self {
        globs.list
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Globs {}
