//! Budget periods: calendar days, weeks and months in a time zone.
use serde::{Serialize, Deserialize};
use crate::clock::Timestamp;
/// P
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "stub")]
pub enum Period { Total, Day, Week, Month }
impl Period {
    /// A
    pub const ALL: [Self; 4] = [Self::Total, Self::Day, Self::Week, Self::Month];
    /// A
    pub const fn as_str(self) -> &'static str { match self { Self::Total => "total", Self::Day => "day", Self::Week => "week", Self::Month => "month" } }
    /// W
    pub fn window(self, _zone: &Zone, _now: Timestamp) -> Window { Window { starts_at: Timestamp::from_micros(i64::MIN), ends_at: Timestamp::from_micros(i64::MAX) } }
}
/// Z
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Zone(String);
impl Zone {
    /// P
    pub fn parse(text: &str) -> Result<Self, String> { Ok(Self(text.into())) }
    /// N
    pub fn as_str(&self) -> &str { &self.0 }
}
/// W
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "stub")]
pub struct Window { pub starts_at: Timestamp, pub ends_at: Timestamp }
