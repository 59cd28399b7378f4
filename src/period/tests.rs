//! Calendars as they were, and the properties that hold for all of them.

use std::collections::BTreeSet;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use proptest::prelude::*;

use super::*;

const PERIODS: [Period; 3] = [Period::Day, Period::Week, Period::Month];
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// Where a jump is looked at.
const SIDES: [i64; 4] = [-HOUR, -1, 0, HOUR];

fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn moved(moment: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_micros(moment.as_micros().saturating_add(by))
}

/// The window's bounds in UTC, to the second.
fn bounds(period: Period, zone: &str, now: &str) -> [String; 2] {
    let window = period.window(&Zone::parse(zone).unwrap(), at(now));
    [window.starts_at, window.ends_at].map(|bound| bound.to_string().replace(".000000Z", "Z"))
}

fn hours(period: Period, zone: &str, now: &str) -> i64 {
    let window = period.window(&Zone::parse(zone).unwrap(), at(now));
    (window.ends_at.as_micros() - window.starts_at.as_micros()) / HOUR
}

/// What must hold at every moment in every zone.
fn is_sound(period: Period, zone: &Zone, now: Timestamp) -> Result<(), String> {
    let window = period.window(zone, now);
    let told = |what: &str| Err(format!("{what}: {period} in {zone} at {now}: {window:?}"));
    if !window.contains(now) {
        return told("now is outside");
    }
    if period.window(zone, window.starts_at) != window {
        return told("the first moment has another window");
    }
    let last = moved(window.ends_at, -1);
    if period.window(zone, last) != window {
        return told("the last moment has another window");
    }
    match window.resets_at() {
        Some(next) if period.window(zone, next).starts_at != next => told("the next window begins elsewhere"),
        _ => Ok(()),
    }
}

#[test]
fn windows_follow_the_calendar() {
    for (period, zone, now, from, until) in [
        (Period::Day, "UTC", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
        (Period::Day, "UTC", "2026-02-28T23:59:59.999999Z", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"),
        (Period::Week, "UTC", "2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        (Period::Week, "UTC", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        (Period::Week, "UTC", "2027-01-01T12:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
        (Period::Month, "UTC", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Period::Month, "UTC", "2026-12-31T23:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        (Period::Month, "Asia/Tokyo", "2026-12-31T15:00:00Z", "2026-12-31T15:00:00Z", "2027-01-31T15:00:00Z"),
        (
            Period::Day,
            "Asia/Kathmandu",
            "2026-05-01T18:14:59Z",
            "2026-04-30T18:15:00Z",
            "2026-05-01T18:15:00Z",
        ),
        (
            Period::Day,
            "America/New_York",
            "1969-12-31T12:00:00Z",
            "1969-12-31T05:00:00Z",
            "1970-01-01T05:00:00Z",
        ),
    ] {
        assert_eq!(bounds(period, zone, now), [from, until], "{period} in {zone} at {now}");
    }
}

#[test]
fn a_day_of_summer_time_is_as_long_as_its_clocks_say() {
    assert_eq!(hours(Period::Day, "Europe/Berlin", "2026-03-29T12:00:00Z"), 23);
    assert_eq!(hours(Period::Day, "Europe/Berlin", "2026-10-25T12:00:00Z"), 25);
    assert_eq!(hours(Period::Day, "Europe/Berlin", "2026-10-26T12:00:00Z"), 24);
    assert_eq!(hours(Period::Week, "Europe/Berlin", "2026-03-29T12:00:00Z"), 7 * 24 - 1);
    assert_eq!(hours(Period::Month, "Europe/Berlin", "2026-10-02T12:00:00Z"), 31 * 24 + 1);
}

#[test]
fn a_day_without_midnight_begins_when_its_first_hour_does() {
    let sao_paulo = bounds(Period::Day, "America/Sao_Paulo", "2018-11-04T12:00:00Z");
    assert_eq!(sao_paulo, ["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"], "0:00 became 1:00");
    let toronto = bounds(Period::Day, "America/Toronto", "1919-03-31T12:00:00Z");
    assert_eq!(toronto, ["1919-03-31T04:30:00Z", "1919-04-01T04:00:00Z"], "23:30 became 0:30");
}

#[test]
fn a_midnight_that_comes_twice_begins_the_day_once() {
    let havana = bounds(Period::Day, "America/Havana", "2026-11-01T05:30:00Z");
    assert_eq!(havana, ["2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"], "1:00 became 0:00");
    // One minute past midnight the clocks went back to 23:01; the new day had begun and goes on.
    let before = bounds(Period::Day, "America/St_Johns", "2006-10-29T02:29:59Z");
    assert_eq!(before, ["2006-10-28T02:30:00Z", "2006-10-29T02:30:00Z"]);
    let again = bounds(Period::Day, "America/St_Johns", "2006-10-29T02:31:30Z");
    assert_eq!(again, ["2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z"]);
}

#[test]
fn a_date_that_never_was_has_no_window() {
    let before = bounds(Period::Day, "Pacific/Apia", "2011-12-30T09:59:59Z");
    assert_eq!(before, ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"], "29 December");
    let after = bounds(Period::Day, "Pacific/Apia", "2011-12-30T10:00:00Z");
    assert_eq!(after, ["2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"], "31 December");
    assert_eq!(hours(Period::Week, "Pacific/Apia", "2011-12-30T10:00:00Z"), 6 * 24);
    assert_eq!(hours(Period::Month, "Pacific/Apia", "2011-12-15T10:00:00Z"), 30 * 24);
}

#[test]
fn a_date_that_came_twice_has_one_window() {
    // Alaska changed sides of the date line: 18 October 1867 followed on itself.
    let zone = Zone::parse("America/Juneau").unwrap();
    let jump = zone_of(&zone).following(jiff::Timestamp::MIN).next().unwrap().timestamp();
    let jump = Timestamp::from_micros(jump.as_microsecond());
    assert_eq!(jump, at("1867-10-19T00:31:13Z"));
    for side in -50..=50 {
        is_sound(Period::Day, &zone, moved(jump, side * HOUR)).unwrap();
    }
    let window = Period::Day.window(&zone, moved(jump, -SECOND));
    assert!(window.contains(moved(jump, HOUR)), "{window:?}");
}

#[test]
fn the_total_has_no_bounds() {
    for now in [i64::MIN, -1, 0, i64::MAX] {
        let window = Period::Total.window(&Zone::default(), Timestamp::from_micros(now));
        assert_eq!(window, Window::ALL);
        assert_eq!(window.resets_at(), None);
        assert!(window.contains(Timestamp::from_micros(now)));
    }
}

#[test]
fn all_zones_are_sound_around_each_jump_of_their_clocks_near_midnight() {
    let (mut seen, mut looked_at) = (BTreeSet::new(), 0);
    for zone in all_zones() {
        let jumps = jumps_of(&zone);
        // Many names are names of one zone.
        if !seen.insert(jumps.clone()) {
            continue;
        }
        let near_midnight = |jump: &Timestamp| {
            zone.date_at(moved(*jump, -3 * HOUR / 2)) != zone.date_at(moved(*jump, 3 * HOUR / 2))
        };
        for jump in jumps.into_iter().map(|(jump, _)| jump).filter(near_midnight) {
            for now in SIDES.map(|side| moved(jump, side)) {
                PERIODS.iter().try_for_each(|period| is_sound(*period, &zone, now)).unwrap();
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 1_000, "only {looked_at} jumps looked at");
    assert!(seen.len() > 300, "only {} zones looked at", seen.len());
}

/// When the zone's clocks were changed, and how far from UTC they were from then on.
fn jumps_of(zone: &Zone) -> Vec<(Timestamp, i32)> {
    let zone = zone_of(zone);
    let told = zone
        .following(jiff::Timestamp::MIN)
        .map(|jump| (Timestamp::from_micros(jump.timestamp().as_microsecond()), jump.offset().seconds()));
    told.take_while(|(moment, _)| *moment < at("2030-01-01T00:00:00Z")).collect()
}

#[test]
fn all_zones_are_sound_at_the_ends_of_time() {
    let (first, last) = (jiff::Timestamp::MIN.as_microsecond(), jiff::Timestamp::MAX.as_microsecond());
    for zone in all_zones() {
        for now in [i64::MIN, i64::MIN + 1, first - 1, first, first + 1, last - 1, last, last + 1, i64::MAX] {
            let now = Timestamp::from_micros(now);
            PERIODS.iter().try_for_each(|period| is_sound(*period, &zone, now)).unwrap();
        }
    }
}

#[test]
fn a_name_is_found_in_any_case_and_told_as_the_database_spells_it() {
    for (name, told) in [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("utc", "UTC"),
        ("US/Pacific", "US/Pacific"),
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("America/Argentina/ComodRivadavia", "America/Argentina/ComodRivadavia"),
    ] {
        assert_eq!(Zone::parse(name).unwrap().to_string(), told);
    }
    assert_eq!(Zone::default(), Zone::parse("UTC").unwrap());
}

#[test]
fn invariant_7_a_zones_name_has_a_longest_form() {
    assert!(all_zones().iter().all(|zone| zone.as_str().len() <= Zone::MAX_LEN));
    assert_eq!(Zone::parse(&"a".repeat(Zone::MAX_LEN + 1)), Err(UnknownZone));
    assert_eq!(Zone::parse(&"Europe/".repeat(1 << 18)), Err(UnknownZone));
}

#[test]
fn an_unknown_zone_is_refused() {
    let long = "a".repeat(Zone::MAX_LEN + 1);
    let names = [
        "",
        " ",
        "Mars/Olympus",
        "Europe/Berlin ",
        " UTC",
        "Europe",
        "Europe/",
        "/Europe/Berlin",
        "../UTC",
        "Europe/../UTC",
        "/etc/localtime",
        "+02:00",
        "UTC+2",
        "Etc/Unknown",
        "Factory",
        "Europe/Berlin\0",
        "Europa/Zürich",
        &long,
    ];
    for name in names {
        assert_eq!(Zone::parse(name), Err(UnknownZone), "{name:?}");
    }
    for json in ["null", "2", "[]", r#""Mars/Olympus""#] {
        assert!(serde_json::from_str::<Zone>(json).is_err(), "{json}");
    }
}

#[test]
fn every_zone_is_read_as_it_was_written() {
    let zones = all_zones();
    assert!(zones.len() > 400, "only {} zones", zones.len());
    for zone in zones {
        let json = serde_json::to_string(&zone).unwrap();
        assert_eq!(serde_json::from_str::<Zone>(&json).unwrap(), zone);
    }
}

#[test]
fn a_period_is_read_as_it_was_written() {
    for period in Period::ALL {
        let json = format!("\"{period}\"");
        assert_eq!(serde_json::to_string(&period).unwrap(), json);
        assert_eq!(serde_json::from_str::<Period>(&json).unwrap(), period);
    }
    assert!(serde_json::from_str::<Period>("\"year\"").is_err());
    assert!(serde_json::from_str::<Period>("\"Day\"").is_err());
}

fn all_zones() -> Vec<Zone> {
    let names = TimeZoneDatabase::bundled();
    names.available().filter_map(|name| Zone::parse(name.as_str()).ok()).collect()
}

fn zone_of(zone: &Zone) -> TimeZone {
    TimeZoneDatabase::bundled().get(zone.as_str()).unwrap()
}

proptest! {
    #[test]
    fn any_moment_is_in_a_sound_window(
        zone in proptest::sample::select(all_zones()),
        period in proptest::sample::select(PERIODS.to_vec()),
        now in prop_oneof![any::<i64>(), -62_135_596_800_000_000..253_402_207_200_000_000_i64],
    ) {
        is_sound(period, &zone, Timestamp::from_micros(now)).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn any_name_is_judged(name in "[A-Za-z/_+.-]{0,30}|\\PC{0,80}") {
        if let Ok(zone) = Zone::parse(&name) {
            prop_assert!(zone.as_str().eq_ignore_ascii_case(&name));
        }
    }
}
