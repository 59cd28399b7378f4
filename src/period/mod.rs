//! Budget periods: calendar days, weeks and months in a time zone. Pure: the moment is handed in.

#[cfg(test)]
mod tests;
mod zone;

pub use zone::{UnknownZone, Zone};

use std::fmt;

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// How long a budget lasts.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// For ever.
    Total,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first to the last day of a month.
    Month,
}

/// The stretch of time in which a budget counts: from `starts_at` to just before `ends_at`. A stretch without a
/// beginning starts at the least moment, one without an end ends at the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Window {
    /// The first moment inside.
    pub starts_at: Timestamp,
    /// The first moment after.
    pub ends_at: Timestamp,
}

impl Window {
    /// All of time.
    pub const ALL: Self =
        Self { starts_at: Timestamp::from_micros(i64::MIN), ends_at: Timestamp::from_micros(i64::MAX) };

    /// Whether a moment lies inside.
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.starts_at <= moment && self.resets_at().is_none_or(|ends_at| moment < ends_at)
    }

    /// When the next window begins; `None` when there is no next.
    pub fn resets_at(&self) -> Option<Timestamp> {
        (self.ends_at != Self::ALL.ends_at).then_some(self.ends_at)
    }
}

impl Period {
    /// All periods, the longest first and then from short to long.
    pub const ALL: [Self; 4] = [Self::Total, Self::Day, Self::Week, Self::Month];

    /// The period's name in settings, answers and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The window that holds `now`. The windows of a period and zone follow each other without gap or overlap, whatever
    /// the zone's clocks do.
    pub fn window(self, zone: &Zone, now: Timestamp) -> Window {
        let today = zone.date_at(now);
        let (first, length) = match self {
            Self::Total => return Window::ALL,
            Self::Day => (Some(today), 1.day()),
            Self::Week => (monday(today), 1.week()),
            Self::Month => (Some(today.first_of_month()), 1.month()),
        };
        let window = between(zone, first, length);
        match window.contains(now) {
            true => window,
            // Clocks set back over midnight show yesterday's date again; the day that had begun goes on.
            false => between(zone, later(first, length), length),
        }
    }
}

/// The time from a date's beginning on. A date that the calendar does not have lies before its beginning as the first
/// one, behind its end as the second.
fn between(zone: &Zone, first: Option<Date>, length: Span) -> Window {
    let starts_at = first.and_then(|date| zone.midnight(date));
    let ends_at = later(first, length).and_then(|date| zone.midnight(date));
    Window {
        starts_at: starts_at.unwrap_or(Window::ALL.starts_at),
        ends_at: ends_at.unwrap_or(Window::ALL.ends_at),
    }
}

fn later(date: Option<Date>, length: Span) -> Option<Date> {
    date?.checked_add(length).ok()
}

fn monday(date: Date) -> Option<Date> {
    date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()).ok()
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
