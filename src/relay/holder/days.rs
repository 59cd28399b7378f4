//! Days of UTC, by which usage is kept, as their numbers since the epoch and as people write them.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

const DAY_SECONDS: i64 = 86_400;

/// The day of a moment.
pub(super) fn of(moment: Timestamp) -> i64 {
    moment.as_seconds().div_euclid(DAY_SECONDS)
}

/// A day as text: `2026-01-31`.
pub(super) fn text(day: i64) -> String {
    let moment = day.checked_mul(DAY_SECONDS).and_then(|second| jiff::Timestamp::from_second(second).ok());
    moment.map_or_else(|| day.to_string(), |moment| TimeZone::UTC.to_datetime(moment).date().to_string())
}

/// The day that begins at a date, or the one in which a moment lies; and whether it lies after the day's beginning.
pub(super) fn read(text: &str) -> Option<(i64, bool)> {
    let moment = match text.contains(['T', 't']) {
        true => text.parse::<jiff::Timestamp>().ok()?,
        false => date(text)?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
    };
    let day = moment.as_second().div_euclid(DAY_SECONDS);
    let begins = moment.as_second().rem_euclid(DAY_SECONDS) == 0 && moment.subsec_nanosecond() == 0;
    Some((day, !begins))
}

/// A date in the one form that cannot be mistaken for a number.
fn date(text: &str) -> Option<Date> {
    let form = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
    form.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_written() {
        for (written, day, after) in [
            ("1970-01-01", 0, false),
            ("2026-01-31", 20_484, false),
            ("2026-01-31T00:00:00Z", 20_484, false),
            ("2026-01-31T00:00:00.5Z", 20_484, true),
            ("2026-01-31T01:00:00+02:00", 20_483, true),
            ("1969-12-31T23:59:59Z", -1, true),
        ] {
            assert_eq!(read(written), Some((day, after)), "{written}");
        }
        assert_eq!((text(20_484), text(-1)), ("2026-01-31".into(), "1969-12-31".into()));
        for wrong in
            ["", "2026", "20260131", "2026-1-31", "2026-02-30", "2026-01-31T00:00:00", "T", "-", "yesterday"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_day_has_every_moment_up_to_the_next() {
        let day = |micros| of(Timestamp::from_micros(micros));
        assert_eq!([day(0), day(86_399_999_999), day(86_400_000_000), day(-1)], [0, 0, 1, -1]);
    }
}
