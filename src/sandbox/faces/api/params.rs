//! The parameters of a call to the platform's API. Those that are not understood are ignored, as the platform does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Uri;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Reply, invalid};
use crate::clock::Timestamp;

/// Values that one filter may name.
pub(super) const MAX_VALUES: usize = 50;

/// The decoded query.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn read(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default().as_bytes();
        Self(url::form_urlencoded::parse(query).into_owned().collect())
    }

    /// The values of `name`, each as often as it was given.
    pub(super) fn each<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of `name`, unless it is empty.
    pub(super) fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.each(name).next().filter(|value| !value.is_empty())
    }

    /// All values of `name`, repeated or between commas; empty when it is not given.
    pub(super) fn list<'a>(&'a self, name: &'a str) -> Result<Vec<&'a str>, Reply> {
        let values: Vec<&str> =
            self.each(name).flat_map(|value| value.split(',')).filter(|value| !value.is_empty()).collect();
        match values.len() {
            0..=MAX_VALUES => Ok(values),
            _ => Err(invalid(&format!("{name} takes at most {MAX_VALUES} values"))),
        }
    }

    /// How many entries a page may have: what was asked for, within `most`; else `usual`.
    pub(super) fn limit(&self, usual: usize, most: usize) -> Result<usize, Reply> {
        let Some(text) = self.one("limit") else { return Ok(usual) };
        let asked = text.parse::<usize>().ok().filter(|asked| *asked > 0);
        asked.map(|asked| asked.min(most)).ok_or_else(|| invalid("limit must be a whole number from 1"))
    }

    /// Where the page begins, when it is not the first: what [`cursor`] was made of.
    pub(super) fn cursor(&self) -> Result<Option<String>, Reply> {
        let Some(text) = self.one("cursor") else { return Ok(None) };
        let read = BASE64.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        read.map(Some).ok_or_else(bad_cursor)
    }

    /// A moment, or a day that stands for its beginning in `zone`.
    pub(super) fn moment(&self, name: &str, zone: &TimeZone) -> Result<Option<Timestamp>, Reply> {
        let Some(text) = self.one(name) else { return Ok(None) };
        let day = || text.parse::<Date>().ok()?.to_zoned(zone.clone()).ok().map(|start| start.timestamp());
        let is_day = text.len() == "2025-01-01".len();
        let moment = if is_day { day() } else { text.parse::<jiff::Timestamp>().ok() };
        let moment = moment.map(|moment| Timestamp::from_micros(moment.as_microsecond()));
        moment.map(Some).ok_or_else(|| invalid(&format!("{name} must be a date or a moment in ISO 8601")))
    }
}

/// What a caller brings back to get the page that begins at `place`.
pub(super) fn cursor(place: &str) -> String {
    BASE64.encode(place)
}

/// The cursor was not made here.
pub(super) fn bad_cursor() -> Reply {
    invalid("cursor is not one that was given out")
}
