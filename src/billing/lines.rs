//! Lines of the bill, gathered by request: fal may bill one request in parts.

use std::collections::BTreeMap;

use crate::ids::{CallId, RequestId};
use crate::money::Usd;
use crate::platform::Event;

/// Requests that are looked up together. More are looked up in several goes, and a request whose parts lie in two of them
/// is then named as a difference.
pub(super) const REQUESTS_MAX: usize = 10_000;

/// What fal billed for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) request_id: RequestId,
    pub(super) endpoint: String,
    pub(super) cost: Usd,
    /// As fal wrote them; `None` for a request that was billed in parts.
    pub(super) units: Option<String>,
    pub(super) owner: Owner,
}

/// Whose call a line is, by the relay's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// This relay's.
    Ours(CallId),
    /// That of another relay on the same fal account.
    AnotherRelay,
    /// The line does not say.
    Untold,
}

impl Owner {
    /// Reads `<instance>.<call>`.
    fn of(tag: Option<&str>, instance: &str) -> Self {
        let Some(tag) = tag else { return Self::Untold };
        let ours = tag.strip_prefix(instance).and_then(|rest| rest.strip_prefix('.'));
        match ours.map(str::parse) {
            Some(Ok(id)) => Self::Ours(CallId(id)),
            Some(Err(_)) => Self::Untold,
            None => Self::AnotherRelay,
        }
    }
}

/// Lines by request.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, Line>);

impl Lines {
    /// Adds what an event says; `false` when the sum is no amount any more.
    pub(super) fn add(&mut self, event: Event, instance: &str) -> bool {
        let owner = Owner::of(event.relay_tag.as_deref(), instance);
        let Some(line) = self.0.get_mut(event.request_id.as_str()) else {
            let Event { request_id, endpoint, units, cost, .. } = event;
            let name = request_id.as_str().to_owned();
            self.0.insert(name, Line { request_id, endpoint, cost, units, owner });
            return true;
        };
        let Some(cost) = line.cost.checked_add(event.cost) else { return false };
        (line.cost, line.units) = (cost, None);
        if line.owner == Owner::Untold {
            line.owner = owner;
        }
        true
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= REQUESTS_MAX
    }

    pub(super) fn into_lines(self) -> impl Iterator<Item = Line> {
        self.0.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(request: &str, nanos: i64, tag: Option<&str>) -> Event {
        Event {
            request_id: RequestId::parse(request).unwrap(),
            endpoint: "fal-ai/x".into(),
            units: Some("1".into()),
            cost: Usd::from_nanos(nanos).unwrap(),
            relay_tag: tag.map(str::to_owned),
        }
    }

    #[test]
    fn parts_of_a_request_are_added_up() {
        let mut lines = Lines::default();
        assert!(lines.add(event("a", 5, None), "me"));
        assert!(lines.add(event("b", 1, Some("me.7")), "me"));
        assert!(lines.add(event("a", 7, Some("me.8")), "me"));
        let lines: Vec<_> =
            lines.into_lines().map(|line| (line.cost.nanos(), line.units, line.owner)).collect();
        assert_eq!(
            lines,
            [(12, None, Owner::Ours(CallId(8))), (1, Some("1".into()), Owner::Ours(CallId(7)))]
        );
    }

    #[test]
    fn sums_beyond_all_amounts_are_told() {
        let most = 1_000_000_000 * 1_000_000_000;
        let mut lines = Lines::default();
        assert!(lines.add(event("a", most, None), "me"));
        assert!(!lines.add(event("a", 1, None), "me"));
    }

    #[test]
    fn a_tag_tells_whose_call_it_is() {
        for (tag, owner) in [
            (Some("me.7"), Owner::Ours(CallId(7))),
            (Some("me.x"), Owner::Untold),
            (Some("me"), Owner::AnotherRelay),
            (Some("mean.7"), Owner::AnotherRelay),
            (Some("you.7"), Owner::AnotherRelay),
            (None, Owner::Untold),
        ] {
            assert_eq!(Owner::of(tag, "me"), owner, "{tag:?}");
        }
    }
}
