//! Time zones by name.

use std::fmt;
use std::hash::{Hash, Hasher};

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;

/// The database's name for a machine that nobody set up.
const PLACEHOLDER: &str = "Factory";

/// A text that names no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a time zone by its IANA name, such as UTC or Europe/Berlin")]
pub struct UnknownZone;

/// A time zone of the IANA database that is compiled in: a period has the same bounds on every machine.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// The longest name that is looked up; the longest of the database has 32 characters.
    pub const MAX_LEN: usize = 64;

    /// Finds a zone by its name, in any case: `europe/berlin` is `Europe/Berlin`.
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        if name.len() > Self::MAX_LEN || !name.is_ascii() {
            return Err(UnknownZone);
        }
        let zone = Self(TimeZoneDatabase::bundled().get(name).map_err(|_| UnknownZone)?);
        match zone.0.is_unknown() || zone.as_str() == PLACEHOLDER {
            true => Err(UnknownZone),
            false => Ok(zone),
        }
    }

    /// The zone's name as the database spells it.
    pub fn as_str(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The date on the zone's calendars. A moment beyond the years -9999 to 9999 has the last date that there is.
    pub(super) fn date_at(&self, now: Timestamp) -> Date {
        let last = if now.as_micros() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        let moment = jiff::Timestamp::from_microsecond(now.as_micros()).unwrap_or(last);
        self.0.to_datetime(moment).date()
    }

    /// When the zone's clocks first reach or pass the beginning of a date; `None` beyond the end of the calendar.
    pub(super) fn midnight(&self, date: Date) -> Option<Timestamp> {
        let midnight = date.at(0, 0, 0, 0);
        let found = self.0.to_ambiguous_timestamp(midnight);
        let moment = match found.offset() {
            AmbiguousOffset::Gap { before, .. } => self.last_jump(before.to_timestamp(midnight).ok()?)?,
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => found.earlier().ok()?,
        };
        Some(Timestamp::from_micros(moment.as_microsecond()))
    }

    /// The last time at or before `moment` that the clocks were changed.
    fn last_jump(&self, moment: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let after = moment.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
        self.0.preceding(after).next().map(|jump| jump.timestamp())
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}
