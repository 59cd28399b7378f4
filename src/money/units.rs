//! What fal counts.

use std::fmt;

use rust_decimal::Decimal;

use super::{MoneyError, plain};

/// The most units that one call can have: beyond that, somebody's number is broken.
const MAX: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
const MAX_TEXT: &str = "1000000000";

/// A quantity that fal bills, in the endpoint's own unit: a decimal, never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units(Decimal);

impl Units {
    /// One.
    pub const ONE: Self = Self(Decimal::ONE);

    /// Reads `1`, `3.008`, as `x-fal-billable-units` has it (protocol 9). Anything else is not known, and never zero.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        Self::new(plain(text)?)
    }

    /// These units, when they can be.
    pub fn new(units: Decimal) -> Result<Self, MoneyError> {
        match units {
            // Also what is written as -0.
            units if units.is_zero() => Ok(Self(Decimal::ZERO)),
            units if units.is_sign_negative() => Err(MoneyError::Negative),
            units if units > MAX => Err(MoneyError::TooLarge(MAX_TEXT)),
            units => Ok(Self(units)),
        }
    }

    /// The number.
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// Whether nothing is billed, whatever the price.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
