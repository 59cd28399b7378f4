//! fal's own books: what each request was billed, from the moment it ended.
//!
//! The bill of a call is written when the call comes in, dated to the moment at which it will end, and is seen from then
//! on: whether anybody reads the answer makes no difference. A cancel in time strikes it out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::RequestId;
use crate::money::{Units, Usd};

use super::job::Job;
use super::prices::{Prices, Tariff};
use super::tags::Tags;

/// Events that are kept; those that ended first are forgotten first.
const MAX_EVENTS: usize = 100_000;
/// The texts of all kept events together.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// One request on the bill.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) request_id: RequestId,
    pub(super) endpoint: Arc<str>,
    /// The id of the key that made the request.
    pub(super) key_id: Arc<str>,
    /// When the request ended.
    pub(super) at: Timestamp,
    pub(super) tariff: Tariff,
    pub(super) units: Units,
    pub(super) cost: Usd,
    pub(super) tags: Tags,
}

impl Event {
    fn bytes(&self) -> usize {
        self.request_id.as_str().len() + self.endpoint.len() + self.key_id.len() + self.tags.bytes()
    }
}

/// Where an event stands: by the moment at which the request ends, then by the order of their coming.
pub(super) type Place = (Duration, u64);

/// All bills, also those of requests that have not ended.
pub(super) struct Events {
    by_place: BTreeMap<Place, Event>,
    written: u64,
    bytes: usize,
    forgotten: u64,
    max_events: usize,
}

impl Default for Events {
    fn default() -> Self {
        let by_place = BTreeMap::new();
        Self { by_place, written: 0, bytes: 0, forgotten: 0, max_events: MAX_EVENTS }
    }
}

impl Events {
    /// Writes the bill of a request that ends at `ends`.
    pub(super) fn write(&mut self, ends: Duration, event: Event) {
        self.bytes += event.bytes();
        self.by_place.insert((ends, self.written), event);
        self.written += 1;
        while self.by_place.len() > self.max_events || self.bytes > MAX_EVENT_BYTES {
            let Some((_, forgotten)) = self.by_place.pop_first() else { return };
            self.bytes -= forgotten.bytes();
            self.forgotten += 1;
        }
    }

    /// Strikes out the bill of `job`, which does not end as planned.
    pub(super) fn strike(&mut self, job: &Job) {
        let ends = job.timeline.ends();
        let mut at_its_end = self.by_place.range((ends, 0)..=(ends, u64::MAX));
        let found = at_its_end.find(|(_, event)| event.request_id == job.id).map(|(place, _)| *place);
        if let Some(event) = found.and_then(|place| self.by_place.remove(&place)) {
            self.bytes -= event.bytes();
        }
    }

    /// Bills that were forgotten to make room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The bills of requests that have ended by `now`, after `place` when there is one.
    pub(super) fn ended_by(
        &self,
        now: Duration,
        after: Option<Place>,
    ) -> impl Iterator<Item = (Place, &Event)> {
        let last = (now, u64::MAX);
        let first = after.map_or((Duration::ZERO, 0), |(ends, order)| (ends, order.saturating_add(1)));
        let some = (first <= last).then(|| self.by_place.range(first..=last));
        some.into_iter().flatten().map(|(place, event)| (*place, event))
    }
}

/// What can be set while it runs, and is usual otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Controls {
    /// Calls of the platform's API in one minute; any number when `None`.
    pub(super) api_calls_per_minute: Option<u32>,
    /// How long after its end a request shows up on the bill.
    pub(super) billing_lag: Duration,
}

/// Calls in the current minute.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    number: u64,
    calls: u32,
}

/// Prices, bills, and how they are told.
#[derive(Default)]
pub(super) struct Books {
    pub(super) prices: Prices,
    pub(super) events: Events,
    pub(super) controls: Controls,
    minute: Minute,
}

impl Books {
    /// The bills that can be seen at `now`, after `place` when there is one.
    pub(super) fn seen(&self, now: Duration, after: Option<Place>) -> impl Iterator<Item = (Place, &Event)> {
        let until = now.checked_sub(self.controls.billing_lag);
        until.into_iter().flat_map(move |until| self.events.ended_by(until, after))
    }

    /// Counts a call of the platform's API; the error says how long the caller has to wait.
    pub(super) fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        const MINUTE_SECONDS: u64 = 60;
        let number = now.as_secs() / MINUTE_SECONDS;
        if self.minute.number != number {
            self.minute = Minute { number, calls: 0 };
        }
        if self.controls.api_calls_per_minute.is_some_and(|most| self.minute.calls >= most) {
            return Err(Duration::from_secs((number + 1) * MINUTE_SECONDS).saturating_sub(now));
        }
        self.minute.calls = self.minute.calls.saturating_add(1);
        Ok(())
    }
}

/// What a key may see of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// The id of the key whose bills it sees; `None` for everybody's.
    workspace: Option<String>,
    /// Whether the key may see bills, and not only make calls.
    pub(super) is_admin: bool,
}

/// How the id of a key ends that may see bills.
const ADMIN: &str = "admin";

impl Scope {
    /// The key `acme-admin` may see what `acme` and itself are billed, the key `admin` what anybody is billed.
    pub(super) fn of(key_id: &str) -> Self {
        let name = key_id.strip_suffix(ADMIN).and_then(|name| name.strip_suffix('-'));
        match name {
            _ if key_id == ADMIN => Self { workspace: None, is_admin: true },
            Some(name) => Self { workspace: Some(name.to_owned()), is_admin: true },
            None => Self { workspace: Some(key_id.to_owned()), is_admin: false },
        }
    }

    /// Whether `event` is on this bill.
    pub(super) fn sees(&self, event: &Event) -> bool {
        let Some(name) = &self.workspace else { return true };
        event.key_id.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest == "-admin")
    }

    /// The name of the account.
    pub(super) fn username(&self) -> &str {
        self.workspace.as_deref().unwrap_or(ADMIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::UnitPrice;

    fn event(key_id: &str) -> Event {
        Event {
            request_id: RequestId::parse("r").unwrap(),
            endpoint: "a/b".into(),
            key_id: key_id.into(),
            at: Timestamp::default(),
            tariff: Tariff { unit_price: UnitPrice::parse("1").unwrap(), unit: "images".into() },
            units: Units::ONE,
            cost: Usd::ZERO,
            tags: Tags::default(),
        }
    }

    #[test]
    fn what_ended_first_is_forgotten_first() {
        let mut events = Events { max_events: 2, ..Events::default() };
        for (ends, key) in [(3, "late"), (1, "first"), (2, "second")] {
            events.write(Duration::from_secs(ends), event(key));
        }
        let kept: Vec<_> =
            events.ended_by(Duration::MAX, None).map(|(_, event)| event.key_id.to_string()).collect();
        assert_eq!((kept, events.forgotten(), events.bytes), (vec!["second".into(), "late".into()], 1, 18));
    }

    #[test]
    fn long_texts_make_room_for_each_other() {
        let mut events = Events::default();
        let long = "x".repeat(MAX_EVENT_BYTES / 3);
        for ends in 0..4 {
            events.write(Duration::from_secs(ends), event(&long));
        }
        assert_eq!((events.by_place.len(), events.forgotten()), (2, 2));
    }

    #[test]
    fn a_place_beyond_the_end_shows_nothing() {
        let mut events = Events::default();
        events.write(Duration::ZERO, event("a"));
        assert_eq!(events.ended_by(Duration::ZERO, Some((Duration::MAX, u64::MAX))).count(), 0);
        assert_eq!(events.ended_by(Duration::MAX, Some((Duration::ZERO, 0))).count(), 0);
        assert_eq!(events.ended_by(Duration::MAX, None).count(), 1);
    }
}
