//! What calls to each endpoint were billed lately.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::money::Units;

/// Calls that are remembered of one endpoint.
const CALLS: usize = 20;
/// Endpoints that are remembered; the one that was billed longest ago makes room.
const MAX_ENDPOINTS: usize = 4_096;
/// The longest endpoint id that is remembered.
const MAX_ENDPOINT_BYTES: usize = 256;

/// The units of the last calls to each endpoint, for estimates where the request does not tell.
///
/// It may forget: then the next quote holds the ceiling. It never takes more than about two megabytes.
#[derive(Debug, Default)]
pub struct History(Mutex<Endpoints>);

#[derive(Debug, Default)]
struct Endpoints {
    calls: HashMap<Arc<str>, Calls>,
    /// Counts the notes: the age of an entry.
    now: u64,
}

#[derive(Debug, Default)]
struct Calls {
    units: VecDeque<Units>,
    noted_at: u64,
}

impl History {
    /// Notes what a call to `endpoint` was billed. Free calls say nothing about the next one.
    pub fn note(&self, endpoint: &str, units: Units) {
        if !units.is_zero() && endpoint.len() <= MAX_ENDPOINT_BYTES {
            self.lock().note(endpoint, units);
        }
    }

    /// The largest of the last calls to `endpoint`.
    pub fn largest(&self, endpoint: &str) -> Option<Units> {
        self.lock().calls.get(endpoint)?.units.iter().max().copied()
    }

    fn lock(&self) -> MutexGuard<'_, Endpoints> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoints {
    fn note(&mut self, endpoint: &str, units: Units) {
        self.now += 1;
        if !self.calls.contains_key(endpoint) {
            self.make_room();
            self.calls.insert(endpoint.into(), Calls::default());
        }
        if let Some(calls) = self.calls.get_mut(endpoint) {
            calls.noted_at = self.now;
            if calls.units.len() == CALLS {
                calls.units.pop_front();
            }
            calls.units.push_back(units);
        }
    }

    fn make_room(&mut self) {
        if self.calls.len() < MAX_ENDPOINTS {
            return;
        }
        let oldest = self.calls.iter().min_by_key(|(_, calls)| calls.noted_at);
        if let Some(oldest) = oldest.map(|(endpoint, _)| Arc::clone(endpoint)) {
            self.calls.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn units(number: u64) -> Units {
        Units::new(Decimal::from(number)).unwrap()
    }

    #[test]
    fn invariant_7_history_never_grows_beyond_its_limits_and_forgets_the_oldest() {
        let history = History::default();
        for nth in 0..=MAX_ENDPOINTS {
            history.note(&format!("a/{nth}"), units(1));
            history.note("a/busy", units(2));
        }
        assert_eq!(history.lock().calls.len(), MAX_ENDPOINTS);
        assert_eq!(history.largest("a/0"), None);
        assert_eq!(history.largest("a/busy"), Some(units(2)));
        assert_eq!(history.largest(&format!("a/{MAX_ENDPOINTS}")), Some(units(1)));
        let long = "a".repeat(MAX_ENDPOINT_BYTES + 1);
        history.note(&long, units(1));
        assert_eq!(history.largest(&long), None);
    }

    #[test]
    fn it_serves_many_threads() {
        let history = History::default();
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let history = &history;
                scope.spawn(move || (0..5).for_each(|nth| history.note("a/b", units(10 * thread + nth))));
            }
        });
        assert_eq!(history.largest("a/b"), Some(units(44)), "none of the twenty is lost");
    }

    proptest! {
        #[test]
        fn invariant_7_the_largest_of_the_last_twenty_counts(numbers in proptest::collection::vec(0u64..1000, 0..60)) {
            let history = History::default();
            numbers.iter().for_each(|number| history.note("a/b", units(*number)));
            let billed: Vec<u64> = numbers.into_iter().filter(|number| *number > 0).collect();
            let last = billed.iter().rev().take(CALLS).max().map(|number| units(*number));
            prop_assert_eq!(history.largest("a/b"), last);
        }
    }
}
