//! What a unit's name means, for estimates only: a charge multiplies and never interprets (protocol 9).

use std::time::Duration;

use rust_decimal::Decimal;

use crate::money::Units;

/// Something that a request tells how much of it it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Images,
    Megapixels,
    Seconds,
    Videos,
    Requests,
    Characters,
}

/// A unit: so many of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) thing: Thing,
    pub(super) per: u64,
}

/// The meaning of fal's `unit`; `None` for what no request tells (compute seconds, tokens, `units`) and for unknown words.
pub(super) fn measure(unit: &str) -> Option<Measure> {
    let lower = unit.to_ascii_lowercase();
    let words: Vec<&str> = lower.split([' ', '_', '-']).filter(|word| !word.is_empty()).collect();
    let words = words.strip_prefix(&["per"]).unwrap_or(&words);
    let (per, words) = match words.split_first() {
        Some((first, rest)) if first.starts_with(|c: char| c.is_ascii_digit()) => (amount(first)?, rest),
        _ => (1, words),
    };
    let (thing, factor) = thing(words)?;
    Some(Measure { thing, per: per * factor })
}

/// What a connection came to in fal's `unit`, by how long it stood and how many messages it gave back; `None` for units that
/// neither tells.
pub fn metered(unit: &str, stood: Duration, messages: u64) -> Option<Units> {
    let lower = unit.to_ascii_lowercase();
    let plain = lower.trim_start_matches("compute").trim_start_matches([' ', '_', '-']);
    let (amount, per) = match measure(plain) {
        Some(Measure { thing: Thing::Seconds, per }) => {
            (Decimal::new(i64::try_from(stood.as_millis()).ok()?, 3), per)
        }
        Some(Measure { thing: Thing::Requests, per }) => (Decimal::from(messages), per),
        _ => return None,
    };
    Units::new(amount.checked_div(Decimal::from(per))?).ok()
}

/// Whether a price's unit is told by how long a connection stands, or by the messages that it gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meters {
    /// Its time.
    Time,
    /// Its messages.
    Messages,
}

/// What meters a connection whose price is by this unit; `None` when it tells nothing of it.
pub fn meters(unit: &str) -> Option<Meters> {
    let units = |stood, messages| metered(unit, stood, messages);
    let second = Duration::from_secs(1);
    match (units(second, 0).filter(|units| !units.is_zero()), units(Duration::ZERO, 1)) {
        (Some(_), _) => Some(Meters::Time),
        (None, Some(_)) => Some(Meters::Messages),
        (None, None) => None,
    }
}

/// `1000`, `1,000`, `1k`, `1m`.
fn amount(word: &str) -> Option<u64> {
    let (digits, factor) = match word.strip_suffix(['k', 'm']) {
        Some(digits) if word.ends_with('k') => (digits, 1_000),
        Some(digits) => (digits, 1_000_000),
        None => (word, 1),
    };
    let amount: u64 = digits.replace(',', "").parse().ok()?;
    (1..=1_000_000_000).contains(&amount).then(|| amount * factor)
}

fn thing(words: &[&str]) -> Option<(Thing, u64)> {
    Some(match words {
        ["image" | "images"] => (Thing::Images, 1),
        ["megapixel" | "megapixels" | "mp"] => (Thing::Megapixels, 1),
        ["second" | "seconds"] | ["video" | "audio" | "output", "second" | "seconds"] => (Thing::Seconds, 1),
        ["minute" | "minutes"] | ["video" | "audio" | "output", "minute" | "minutes"] => (Thing::Seconds, 60),
        ["video" | "videos"] => (Thing::Videos, 1),
        [
            "request" | "requests" | "call" | "calls" | "generation" | "generations" | "message" | "messages",
        ] => (Thing::Requests, 1),
        ["character" | "characters"] => (Thing::Characters, 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_that_requests_tell_are_understood() {
        for (unit, thing, per) in [
            ("image", Thing::Images, 1),
            ("Images", Thing::Images, 1),
            ("megapixel", Thing::Megapixels, 1),
            ("MEGAPIXELS", Thing::Megapixels, 1),
            ("second", Thing::Seconds, 1),
            ("video_second", Thing::Seconds, 1),
            ("5 seconds", Thing::Seconds, 5),
            ("minute", Thing::Seconds, 60),
            ("per video", Thing::Videos, 1),
            ("request", Thing::Requests, 1),
            ("1000 characters", Thing::Characters, 1_000),
            ("1,000 Characters", Thing::Characters, 1_000),
            ("1k characters", Thing::Characters, 1_000),
            ("1M characters", Thing::Characters, 1_000_000),
        ] {
            assert_eq!(measure(unit), Some(Measure { thing, per }), "{unit}");
        }
    }

    #[test]
    fn other_units_are_left_alone() {
        for unit in [
            "",
            " ",
            "units",
            "credits",
            "compute second",
            "compute_seconds",
            "input seconds",
            "tokens",
            "0 images",
            "1e3 images",
            "9999999999999999999999 images",
            "1000",
            "image second",
        ] {
            assert_eq!(measure(unit), None, "{unit}");
        }
    }

    #[test]
    fn a_connection_is_metered_by_its_time_or_its_messages() {
        let of = |unit: &str| metered(unit, Duration::from_millis(90_500), 12).map(|units| units.to_string());
        for (unit, units) in [
            ("second", "90.500"),
            ("compute second", "90.500"),
            ("Compute_Seconds", "90.500"),
            ("5 seconds", "18.100"),
            ("request", "12"),
            ("1000 calls", "0.012"),
            ("message", "12"),
        ] {
            assert_eq!(of(unit).as_deref(), Some(units), "{unit}");
        }
        for (unit, by) in [
            ("5 seconds", Some(Meters::Time)),
            ("compute minutes", Some(Meters::Time)),
            ("1000 calls", Some(Meters::Messages)),
            ("image", None),
        ] {
            assert_eq!(meters(unit), by, "{unit}");
        }
        for unit in ["", "image", "megapixel", "tokens", "compute", "1000 characters"] {
            assert_eq!(of(unit), None, "{unit}");
        }
    }

    proptest! {
        #[test]
        fn no_unit_panics(text in "\\PC{0,64}", number in "[0-9,]{0,40}[km]? (minutes|images)") {
            for found in [measure(&text), measure(&number)].into_iter().flatten() {
                prop_assert!(found.per > 0);
            }
        }
    }
}
