//! Differences between amounts, and sums of many.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::usd::{read_nanos, write_nanos};
use super::{MoneyError, Usd};

const MAX_TEXT: &str = "9223372036.854775807";

/// A difference between two amounts, in whole nano-dollars with its sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delta(i64);

impl Delta {
    /// No difference.
    pub const ZERO: Self = Self(0);

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

    /// Reads `5`, `+0.10`, `-0.003`: nine digits after the point at most.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let (sign, amount) = match text.strip_prefix('-') {
            Some(amount) => (-1, amount),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        // A second sign is no number, rather than a negative one.
        if amount.starts_with('-') {
            return Err(MoneyError::NotANumber);
        }
        let nanos = read_nanos(amount)?.and_then(|nanos| i64::try_from(sign * nanos).ok());
        nanos.map(Self).ok_or(MoneyError::TooLarge(MAX_TEXT))
    }

    /// Both differences in one, unless 64 bits do not hold it.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl From<Usd> for Delta {
    fn from(amount: Usd) -> Self {
        Self(amount.nanos())
    }
}

impl Usd {
    /// The amount after the change; `None` when it would be below zero or above the most.
    pub fn checked_change(self, by: Delta) -> Option<Self> {
        self.nanos().checked_add(by.0).and_then(Self::from_nanos)
    }
}

impl fmt::Display for Delta {
    /// Exact, with a sign when it is below zero: `5.00`, `-0.003`.
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

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
