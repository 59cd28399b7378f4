//! Many globs, compiled once and asked on each submit.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::glob::Path;
use super::{Glob, List, RulesError};

/// A list of globs in which plain names are found at once, however many there are. Cheap to clone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "List<Glob>", into = "List<Glob>")]
pub struct Globs(Arc<Compiled>);

#[derive(Debug, Default)]
struct Compiled {
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
        self.0.list.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    /// Whether one of them matches.
    pub fn matches(&self, endpoint: &str) -> bool {
        Path::split(endpoint).is_some_and(|path| self.matches_path(endpoint, &path))
    }

    /// The same of an endpoint that was taken apart.
    pub(super) fn matches_path(&self, endpoint: &str, path: &Path<'_>) -> bool {
        (!self.0.exact.is_empty() && self.0.exact.contains(endpoint))
            || self.0.patterns.iter().any(|glob| glob.matches_path(path))
    }
}

impl From<List<Glob>> for Globs {
    fn from(list: List<Glob>) -> Self {
        let (exact, patterns): (Vec<_>, Vec<_>) = list.iter().cloned().partition(Glob::is_exact);
        let exact = exact.iter().map(|glob| glob.as_str().into()).collect();
        Self(Arc::new(Compiled { list, exact, patterns }))
    }
}

impl From<Globs> for List<Glob> {
    fn from(globs: Globs) -> Self {
        globs.0.list.clone()
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.0.list == other.0.list
    }
}

impl Eq for Globs {}
