//! Prices exactly as they were written: never through a float.

use std::str::FromStr;

use rust_decimal::Decimal;

use crate::money::{MoneyError, UnitPrice};

/// The longest number that is read.
const MAX_LEN: usize = 64;
/// The greatest exponent, up or down.
const MAX_EXPONENT: i32 = 64;
/// Digits after the point that are kept. Lists carry the noise of floats (0.30000000000000004) behind these.
const KEPT_DIGITS: u32 = 15;

/// Reads a JSON number, or the text of a JSON string: `0.025`, `2.5e-2`.
///
/// Digits behind the fifteenth are rounded away; a price of which nothing is left then is refused, for it is not zero.
pub(super) fn unit_price(text: &str) -> Result<UnitPrice, MoneyError> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(MoneyError::Negative);
    }
    let plain = without_exponent(text)?;
    let exact = Decimal::from_str(&plain).map_err(|_| MoneyError::TooLarge("28 digits"))?;
    let kept = exact.round_dp(KEPT_DIGITS);
    let vanished = kept.is_zero() && plain.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    match vanished {
        true => Err(MoneyError::TooFine(KEPT_DIGITS)),
        false => UnitPrice::parse(&kept.normalize().to_string()),
    }
}

/// `2.5e-2` as `0.025`.
fn without_exponent(text: &str) -> Result<String, MoneyError> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > MAX_LEN || !digits(whole) || !digits(fraction) {
        return Err(MoneyError::NotANumber);
    }
    Ok(shifted(whole, fraction, exponent))
}

/// An exponent beyond all use is cut to the greatest one, which is beyond all prices too.
fn read_exponent(text: &str) -> Result<i32, MoneyError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MoneyError::NotANumber);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    Ok(sign * digits.parse().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT))
}

/// The digits with the point moved by `exponent` places.
fn shifted(whole: &str, fraction: &str, exponent: i32) -> String {
    let places = exponent.unsigned_abs() as usize;
    let zeros = "0".repeat(places);
    let (digits, point) = match exponent < 0 {
        true => (format!("{zeros}{whole}{fraction}"), whole.len()),
        false => (format!("{whole}{fraction}{zeros}"), whole.len() + places),
    };
    let (before, after) = digits.split_at(point);
    let before = before.trim_start_matches('0');
    format!("{}.{after}", if before.is_empty() { "0" } else { before })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prices_are_read_as_they_were_written() {
        for (text, expected) in [
            ("0.025", "0.025"),
            ("2.5e-2", "0.025"),
            ("25E-3", "0.025"),
            ("2.5E+1", "25"),
            ("0", "0"),
            ("0e5", "0"),
            ("1e6", "1000000"),
            ("1000000.0", "1000000"),
            ("0.30000000000000004", "0.3"),
            ("0.000000000000001", "0.000000000000001"),
            ("0.1000000000000000000000000000000000000001", "0.1"),
        ] {
            assert_eq!(unit_price(text).map(|price| price.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_price_is_told() {
        let refused = |text: &str| unit_price(text).unwrap_err();
        for text in [
            "NaN", "Infinity", "", "1,5", "1.", ".5", "0x10", "e5", "1e", "1e+", "1e--1", "1.2.3", "+1",
            "null",
        ] {
            assert_eq!(refused(text), MoneyError::NotANumber, "{text}");
        }
        assert_eq!(refused(&"9".repeat(100)), MoneyError::NotANumber);
        assert_eq!(refused("-1"), MoneyError::Negative);
        assert_eq!(refused("-0.0"), MoneyError::Negative);
        for text in ["1e999", "1e99999999999999999999", "1000000.01", "99999999999999999999999999999999"] {
            assert!(matches!(refused(text), MoneyError::TooLarge(_)), "{text}");
        }
        for text in ["1e-16", "1e-999", "0.0000000000000001", "1e-99999999999"] {
            assert_eq!(refused(text), MoneyError::TooFine(15), "{text}");
        }
    }

    #[test]
    fn invariant_7_a_price_has_a_longest_form() {
        let one = |len: usize| format!("{}1", "0".repeat(len - 1));
        assert_eq!(unit_price(&one(MAX_LEN)).map(|price| price.to_string()), Ok("1".to_owned()));
        assert_eq!(unit_price(&one(MAX_LEN + 1)), Err(MoneyError::NotANumber));
        for text in ["1e999999999", "1e-999999999"] {
            let most = MAX_LEN + MAX_EXPONENT as usize;
            assert!(without_exponent(text).is_ok_and(|plain| plain.len() <= most), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}", number in "-?[0-9]{0,40}(\\.[0-9]{0,40})?([eE][+-]?[0-9]{0,12})?") {
            let _ = (unit_price(&text), unit_price(&number));
        }

        #[test]
        fn an_exponent_changes_nothing(digits in 1u64..1_000_000_000, places in 0u32..10) {
            let plain = Decimal::from_i128_with_scale(digits.into(), places);
            let read = unit_price(&format!("{digits}e-{places}"));
            match plain > Decimal::from(1_000_000) {
                true => prop_assert!(read.is_err()),
                false => prop_assert_eq!(read.unwrap().decimal(), plain),
            }
        }
    }
}
