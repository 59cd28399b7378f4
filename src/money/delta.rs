//! Differences between amounts.

use std::fmt;

use serde::{Serialize, Serializer};

use super::usd::write_nanos;
use super::Usd;

/// A difference between two amounts, in whole nano-dollars with its sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delta(i64);

impl Delta {
    /// The difference of so many nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Whole nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// What leads from `from` to `to`.
    pub fn between(from: Usd, to: Usd) -> Self {
        Self(to.nanos() - from.nanos())
    }
}

impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_nanos(self.0, f)
    }
}

impl Serialize for Delta {
    /// A string, so that no reader makes a float of it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
