//! How many units a request will be billed, before it is sent: rather too many than too few.

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::value::RawValue;

use super::Price;
use super::family::{FOUR_K, Family, Number, ONE_K, Size, Sound, TWO_K};
use super::measure::{Measure, Thing};
use super::sample::{Members, Sides, text};
use crate::money::Units;

/// Models refuse larger numbers than this, whatever they count; such a number says nothing.
const MOST_BELIEVED: u64 = 10_000;
/// The longest side that any model takes (protocol 9.2).
const LONGEST_SIDE: u64 = 14_142;
/// What a side is when only the other one is given.
const OTHER_SIDE: u64 = 512;
const PIXELS_IN_MEGAPIXEL: u64 = 1_000_000;
/// Characters that a text may have which was not seen.
const MOST_CHARACTERS: u64 = 100_000;
/// The most units of a call; [`Units`] holds no more.
const MOST_UNITS: u64 = 1_000_000_000;

/// An estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    /// No more than these are expected to be billed; never zero.
    pub(super) units: Units,
    /// Whether the request said it; otherwise it is what is usual, and the endpoint's history knows better.
    pub(super) told: bool,
}

/// The units of a request to a model of `family`.
pub(super) fn estimate(
    family: &Family,
    price: &Price,
    measure: Measure,
    members: &Members,
) -> Option<Estimate> {
    let (amount, told) = amount(family, measure.thing, members);
    let whole = Decimal::from(amount.div_ceil(measure.per).max(1));
    let units = match measure.thing {
        Thing::Seconds => whole.checked_mul(sound_factor(family.sound, price, members))?,
        _ => whole,
    };
    let units = Units::new(units.min(Decimal::from(MOST_UNITS))).ok()?;
    Some(Estimate { units, told: told || family.known })
}

/// How much of a thing is asked for, and whether the request said so.
fn amount(family: &Family, thing: Thing, members: &Members) -> (u64, bool) {
    let pictures = || number(family.pictures, members, count).0 * number(family.rounds, members, count).0;
    match thing {
        Thing::Images => (pictures(), true),
        Thing::Megapixels => {
            let (size, told) = megapixels(family.size, members);
            (pictures() * size, told)
        }
        Thing::Seconds => number(family.seconds, members, seconds),
        // A film that is longer than usual may be counted as several.
        Thing::Videos => (number(family.seconds, members, seconds).0.div_ceil(family.seconds.default), true),
        Thing::Requests => (1, true),
        Thing::Characters => characters(members),
    }
}

/// The number that is given, and whether there is one.
fn number(number: Number, members: &Members, read: fn(&RawValue) -> Option<u64>) -> (u64, bool) {
    let given = number.names.iter().filter_map(|name| members.get(name));
    match given.map(|raw| read(raw).unwrap_or(number.largest)).max() {
        Some(given) => (given, true),
        None if members.complete || number.names.is_empty() => (number.default, false),
        None => (number.largest, false),
    }
}

/// A number above zero, rounded up: `2`, `2.0`, `"2"`.
fn count(raw: &RawValue) -> Option<u64> {
    whole(&text(raw))
}

/// Seconds as models write them: `5`, `5.0`, `"5"`, `"8s"`.
fn seconds(raw: &RawValue) -> Option<u64> {
    let text = text(raw);
    whole(text.trim_end().strip_suffix('s').unwrap_or(&text))
}

fn whole(text: &str) -> Option<u64> {
    // Not money: a count of things, and rounded up.
    let number: f64 = text.trim().parse().ok()?;
    (number > 0.0 && number <= MOST_BELIEVED as f64).then_some(number.ceil() as u64)
}

/// Whole megapixels begun by each picture, and whether the request said so.
fn megapixels(size: Size, members: &Members) -> (u64, bool) {
    if let Some(raw) = size.names.iter().find_map(|name| members.get(name)) {
        return (named_or_given(raw).unwrap_or(size.largest), true);
    }
    let sides = Sides { width: members.get("width"), height: members.get("height") };
    match size.sides && (sides.width.is_some() || sides.height.is_some()) {
        true => (begun(&sides).unwrap_or(size.largest), true),
        false if members.complete || size.names.is_empty() => (size.default, false),
        false => (size.largest, false),
    }
}

/// The megapixels of `"square_hd"`, `"1024x768"`, `"2K"` or `{"width": 1024, "height": 768}`.
fn named_or_given(raw: &RawValue) -> Option<u64> {
    if let Some(sides) = Sides::read(raw) {
        return begun(&sides);
    }
    let text = text(raw);
    match text.trim() {
        "square_hd" => Some(area(1024, 1024)),
        "square" | "portrait_4_3" | "portrait_16_9" | "landscape_4_3" | "landscape_16_9" => Some(1),
        "1K" => Some(ONE_K),
        "2K" | "auto_2K" => Some(TWO_K),
        "4K" | "auto_4K" => Some(FOUR_K),
        other => {
            let (width, height) = other.split_once(['x', 'X', '*'])?;
            Some(area(side(width)?, side(height)?))
        }
    }
}

fn begun(sides: &Sides) -> Option<u64> {
    let given = |raw: Option<&RawValue>| match raw.filter(|raw| raw.get() != "null") {
        Some(raw) => side(&text(raw)),
        None => Some(OTHER_SIDE),
    };
    Some(area(given(sides.width)?, given(sides.height)?))
}

fn side(text: &str) -> Option<u64> {
    let number: f64 = text.trim().parse().ok()?;
    (number > 0.0 && number <= LONGEST_SIDE as f64).then_some(number.ceil() as u64)
}

fn area(width: u64, height: u64) -> u64 {
    (width * height).div_ceil(PIXELS_IN_MEGAPIXEL)
}

/// All the text that a request gives; all of the request when it gives none that is known.
fn characters(members: &Members) -> (u64, bool) {
    let given = ["prompt", "text", "script", "lyrics"].map(|name| members.get(name));
    let sum: usize = given.iter().flatten().map(|raw| text(raw).chars().count()).sum();
    match (members.complete, given.iter().any(Option::is_some)) {
        (true, true) => (sum as u64, true),
        (true, false) => (members.len as u64, false),
        (false, _) => (MOST_CHARACTERS, false),
    }
}

/// What a second counts for. A list may name the price with sound or the one without, and leave the rest to the units:
/// the estimate never falls below the list price of what was asked for.
fn sound_factor(sound: Option<Sound>, price: &Price, members: &Members) -> Decimal {
    let Some(sound) = sound else { return Decimal::ONE };
    let (with, without) = (Decimal::new(sound.with.into(), 3), Decimal::new(sound.without.into(), 3));
    let asked = if is_silent(members) { without } else { with };
    let listed = price.unit_price.decimal();
    let factor = match listed >= with {
        true => asked.checked_div(with),
        false => asked.checked_div(listed).map(|factor| factor.max(Decimal::ONE)),
    };
    let rounded = factor.map(|factor| factor.round_dp_with_strategy(2, RoundingStrategy::AwayFromZero));
    rounded.unwrap_or(Decimal::ONE)
}

fn is_silent(members: &Members) -> bool {
    let said = members.get("generate_audio").map(|raw| text(raw).to_ascii_lowercase());
    said.is_some_and(|said| matches!(said.trim(), "false" | "0" | "no" | "off" | "f" | "n"))
}
