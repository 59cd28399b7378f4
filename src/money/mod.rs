//! Money and what is counted for it, in exact decimals. No floats, no rounding but once, half to even, when units become
//! dollars; every sum is checked, none wraps.

mod decimal;
mod delta;
mod units;
mod usd;

pub use decimal::{Multiplier, UnitPrice};
pub use delta::Delta;
pub use units::Units;
pub use usd::Usd;

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// Why a text or a result is no money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a plain decimal number.
    #[error("must be a plain decimal number such as 5 or 0.10")]
    NotANumber,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// More digits than are kept.
    #[error("has more than {0} digits after the point")]
    TooFine(u32),
    /// More than is ever counted.
    #[error("is too large; the most is {0}")]
    TooLarge(&'static str),
}

/// What `units` cost at `price`, times the group's multiplier: rounded once, half to even, to whole nano-dollars.
pub fn cost(units: Units, price: UnitPrice, multiplier: Multiplier) -> Result<Usd, MoneyError> {
    let too_large = MoneyError::TooLarge(usd::MAX_TEXT);
    let product = units.decimal().checked_mul(price.decimal()).ok_or(too_large)?;
    let product = product.checked_mul(multiplier.decimal()).ok_or(too_large)?;
    let nanos = product.checked_mul(Decimal::from(usd::NANOS)).ok_or(too_large)?;
    let rounded = nanos.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
    rounded.to_i64().and_then(Usd::from_nanos).ok_or(too_large)
}

/// Reads digits with at most one point: no sign, no exponent, no blanks, nothing else.
fn plain(text: &str) -> Result<Decimal, MoneyError> {
    if text.starts_with('-') {
        return Err(MoneyError::Negative);
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let sound = match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    };
    match sound && text.len() <= 64 {
        true => Decimal::from_str_exact(text).map_err(|_| MoneyError::TooLarge("28 digits")),
        false => Err(MoneyError::NotANumber),
    }
}
