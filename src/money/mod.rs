//! Money and what is counted for it, in exact decimals. No floats, no rounding but once, half to even, when units become
//! dollars; every sum is checked, none wraps.

mod decimal;
mod delta;
mod exact;
#[cfg(test)]
mod tests;
mod units;
mod usd;

pub use decimal::{Multiplier, UnitPrice};
pub use delta::Delta;
pub use units::Units;
pub use usd::Usd;

use rust_decimal::Decimal;

/// The longest text that is read as a number; more digits than any amount has.
const MAX_TEXT_LEN: usize = 64;

/// The most digits after the point that a decimal holds.
const MAX_FRACTION_DIGITS: u32 = 28;

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
    /// More characters than any number has.
    #[error("is longer than {0} characters; write a plain decimal number such as 5 or 0.10")]
    TooLong(usize),
    /// More than is ever counted.
    #[error("is too large; the most is {0}")]
    TooLarge(&'static str),
}

/// What `units` cost at `price`, times the group's multiplier: rounded once, half to even, to whole nano-dollars.
pub fn cost(units: Units, price: UnitPrice, multiplier: Multiplier) -> Result<Usd, MoneyError> {
    let nanos = exact::scaled_product([units.decimal(), price.decimal(), multiplier.decimal()], usd::DIGITS);
    nanos.and_then(Usd::from_nanos).ok_or(MoneyError::TooLarge(usd::MAX_TEXT))
}

/// What a unit costs a group's tenants, as plain digits and exact: no calculation goes on from here, people and programs
/// read it.
pub fn price_text(price: UnitPrice, multiplier: Multiplier) -> String {
    exact::product_text([price.decimal(), multiplier.decimal()])
}

/// Reads digits with at most one point: no sign, no exponent, no blanks, nothing else.
fn plain(text: &str) -> Result<Decimal, MoneyError> {
    if text.len() > MAX_TEXT_LEN {
        return Err(MoneyError::TooLong(MAX_TEXT_LEN));
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    match digits(whole) && digits(fraction) {
        true if unsigned != text => Err(MoneyError::Negative),
        true => decimal(whole.trim_start_matches('0'), fraction.trim_end_matches('0')),
        false => Err(MoneyError::NotANumber),
    }
}

/// Zeros at the ends are no digits: they were trimmed.
fn decimal(whole: &str, fraction: &str) -> Result<Decimal, MoneyError> {
    if fraction.len() > MAX_FRACTION_DIGITS as usize {
        return Err(MoneyError::TooFine(MAX_FRACTION_DIGITS));
    }
    let dot = if fraction.is_empty() { "" } else { "." };
    Decimal::from_str_exact(&format!("0{whole}{dot}{fraction}"))
        .map_err(|_| MoneyError::TooLarge("28 digits"))
}
