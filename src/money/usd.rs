//! US dollars.

use std::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MoneyError, plain};

/// Digits after the point: whole nano-dollars.
pub(super) const DIGITS: u32 = 9;

/// Nano-dollars in a dollar.
const NANOS: i64 = 10_i64.pow(DIGITS);

/// A thousand million dollars: sums of two stay far below what 64 bits hold.
const MAX_NANOS: i64 = 1_000_000_000 * NANOS;
pub(super) const MAX_TEXT: &str = "1000000000";

/// An amount of US dollars in whole nano-dollars, not negative, a thousand million at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The amount of so many nano-dollars; `None` below zero and above the most.
    pub fn from_nanos(nanos: i64) -> Option<Self> {
        (0..=MAX_NANOS).contains(&nanos).then_some(Self(nanos))
    }

    /// Whole nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Reads `5`, `0.10`: nine digits after the point at most.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let nanos = read_nanos(text)?.and_then(|nanos| i64::try_from(nanos).ok());
        nanos.and_then(Self::from_nanos).ok_or(MoneyError::TooLarge(MAX_TEXT))
    }

    /// The sum, unless it is more than the most.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::from_nanos)
    }

    /// What is left; nothing when `other` is more.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }
}

impl fmt::Display for Usd {
    /// Exact, with at least two digits after the point: `5.00`, `0.003`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_nanos(self.0, f)
    }
}

/// Reads dollars as nano-dollars, not below zero; `None` when there are more than anyone counts.
pub(super) fn read_nanos(text: &str) -> Result<Option<i128>, MoneyError> {
    let dollars = plain(text)?.normalize();
    if dollars.scale() > DIGITS {
        return Err(MoneyError::TooFine(DIGITS));
    }
    Ok(dollars.checked_mul(Decimal::from(NANOS)).and_then(|nanos| nanos.to_i128()))
}

/// Writes nano-dollars as dollars, with the sign when there is one.
pub(super) fn write_nanos(nanos: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (whole, fraction) =
        (nanos.unsigned_abs() / NANOS.unsigned_abs(), nanos.unsigned_abs() % NANOS.unsigned_abs());
    let digits = format!("{fraction:09}");
    let kept = digits.trim_end_matches('0').len().max(2);
    let sign = if nanos < 0 { "-" } else { "" };
    write!(f, "{sign}{whole}.{}", &digits[..kept])
}

impl Serialize for Usd {
    /// A string, so that no reader makes a float of it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
