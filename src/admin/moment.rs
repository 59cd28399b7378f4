//! Moments, days and spans of time as people write them.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp as Instant};

use super::AdminError;
use crate::clock::Timestamp;

/// A hundred years. What should live longer has no end.
const LONGEST: Duration = Duration::from_secs(36_525 * 24 * 60 * 60);

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// Reads a moment: RFC 3339, or a day for its first moment in UTC.
pub(super) fn moment(field: &'static str, text: &str) -> Result<Timestamp, AdminError> {
    let micros = match text.parse::<Instant>() {
        Ok(moment) => moment.as_microsecond(),
        Err(_) => day(field, text)?.saturating_mul(DAY_MICROS),
    };
    Ok(Timestamp::from_micros(micros))
}

/// Reads a moment, or how long ago it was, such as `7d`.
pub(super) fn past(field: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, AdminError> {
    let ago = duration(field, text).ok().and_then(|ago| i64::try_from(ago.as_micros()).ok());
    match ago {
        Some(ago) => Ok(Timestamp::from_micros(now.as_micros().saturating_sub(ago))),
        None => moment(field, text),
    }
}

/// Reads a day, counted from the epoch.
pub(super) fn day(field: &'static str, text: &str) -> Result<i64, AdminError> {
    let midnight = text.parse().ok().and_then(|day: Date| day.to_zoned(TimeZone::UTC).ok());
    match midnight {
        Some(midnight) => Ok(midnight.timestamp().as_microsecond().div_euclid(DAY_MICROS)),
        None => Err(AdminError::field(
            field,
            "must be a day such as 2026-01-31 or a moment such as 2026-01-31T12:00:00Z",
        )),
    }
}

/// The day of a moment, counted from the epoch.
pub(super) fn day_of(moment: Timestamp) -> i64 {
    moment.as_micros().div_euclid(DAY_MICROS)
}

/// Writes a day.
pub(super) fn day_text(day: i64) -> String {
    let moment = Timestamp::from_micros(day.saturating_mul(DAY_MICROS)).to_string();
    moment.split('T').next().unwrap_or_default().to_owned()
}

/// Reads `90s`, `12h`, `30d`, `1h 30m`. A day has 24 hours.
pub(super) fn duration(field: &'static str, text: &str) -> Result<Duration, AdminError> {
    let read = || -> Option<Duration> {
        let span: jiff::Span = text.parse().ok()?;
        Duration::try_from(span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?).ok()
    };
    let wrong = || AdminError::field(field, "must be a number and a unit, such as 90s, 30m, 12h, 30d or 2w");
    read().ok_or_else(wrong)
}

/// The moment that lies `text` after `now`, with something in between.
pub(super) fn after(field: &'static str, now: Timestamp, text: &str) -> Result<Timestamp, AdminError> {
    match duration(field, text)? {
        Duration::ZERO => Err(AdminError::field(field, "must be longer than zero")),
        duration if duration > LONGEST => {
            Err(AdminError::field(field, "must be at most 100 years; a key without an end has none"))
        }
        duration => Ok(now.plus(duration)),
    }
}

/// The end that was given as a moment or as a span from now; it must lie ahead.
pub(super) fn end(
    now: Timestamp,
    expires_at: Option<&str>,
    expires_in: Option<&str>,
) -> Result<Option<Timestamp>, AdminError> {
    match (expires_at, expires_in) {
        (Some(_), Some(_)) => Err(AdminError::field("expires_in", "must not be given beside expires_at")),
        (None, None) => Ok(None),
        (None, Some(span)) => after("expires_in", now, span).map(Some),
        (Some(text), None) => match moment("expires_at", text)? {
            end if end <= now => Err(AdminError::field("expires_at", "must lie in the future")),
            end if end.since(now) > LONGEST => Err(AdminError::field(
                "expires_at",
                "must be at most 100 years from now; a key without an end has none",
            )),
            end => Ok(Some(end)),
        },
    }
}
