//! Prices and what a group does to them.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MoneyError, plain};

/// The finest price: a millionth of a nano-dollar's step below what is ever settled.
const MAX_SCALE: u32 = 15;

const MAX_UNIT_PRICE: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
const MAX_MULTIPLIER: Decimal = Decimal::from_parts(1_000, 0, 0, false, 0);

fn read(text: &str, max: Decimal, max_text: &'static str) -> Result<Decimal, MoneyError> {
    let number = plain(text)?.normalize();
    match number {
        number if number.scale() > MAX_SCALE => Err(MoneyError::TooFine(MAX_SCALE)),
        number if number > max => Err(MoneyError::TooLarge(max_text)),
        number => Ok(number),
    }
}

macro_rules! decimal {
    ($(#[$doc:meta])* $name:ident, $max:ident, $max_text:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(Decimal);

        impl $name {
            /// Reads a plain decimal number.
            pub fn parse(text: &str) -> Result<Self, MoneyError> {
                read(text, $max, $max_text).map(Self)
            }

            /// The number.
            pub fn decimal(self) -> Decimal {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            /// A string, so that no reader makes a float of it.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

decimal! {
    /// US dollars for one unit, a million at most.
    UnitPrice, MAX_UNIT_PRICE, "1000000"
}

decimal! {
    /// What a group's tenants pay for each dollar at fal, a thousand at most.
    Multiplier, MAX_MULTIPLIER, "1000"
}

impl Multiplier {
    /// What fal asks.
    pub const ONE: Self = Self(Decimal::ONE);
}
