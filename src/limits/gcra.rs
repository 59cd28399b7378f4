//! The generic cell rate algorithm, in whole nanoseconds.
//!
//! All that is kept of a rate is the moment at which it will be at rest again. What lies between now and then is the
//! backlog: each call adds the interval between two calls at the limit, and time alone takes away.

use std::num::NonZeroU32;
use std::time::Duration;

/// The most calls that a rate lets in at once after a rest. A limit below this may be used in one burst.
pub const BURST_MAX: u32 = 1_000;

const MINUTE_NANOS: u64 = 60_000_000_000;

/// A limit in a minute, as the arithmetic needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Nanoseconds from one call to the next at the limit; rounded up, so that a minute never holds one more.
    pub(super) interval: u64,
    /// The largest backlog.
    pub(super) span: u64,
}

impl Pace {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        let interval = MINUTE_NANOS.div_ceil(u64::from(per_minute.get()));
        Self { interval, span: interval * u64::from(per_minute.get().min(BURST_MAX)) }
    }
}

/// One rate: the moment at which it is at rest again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    rest_at: u64,
}

impl Rate {
    /// A rate that has `backlog` to work off.
    pub(super) fn with_backlog(backlog: u64, now: u64) -> Self {
        Self { rest_at: now.saturating_add(backlog) }
    }

    /// What is left to work off. It is never more than `most`: a limit that was raised may have left more behind.
    pub(super) fn backlog(self, now: u64, most: u64) -> u64 {
        self.rest_at.saturating_sub(now).min(most)
    }

    pub(super) fn is_at_rest(self, now: u64) -> bool {
        self.rest_at <= now
    }

    /// How long until a call is let in.
    pub(super) fn wait(self, pace: Pace, now: u64) -> u64 {
        (self.backlog(now, pace.span) + pace.interval).saturating_sub(pace.span)
    }

    /// Counts a call.
    pub(super) fn take(&mut self, pace: Pace, now: u64) {
        *self = Self::with_backlog(self.backlog(now, pace.span) + pace.interval, now);
    }

    /// How many calls are let in now.
    pub(super) fn remaining(self, pace: Pace, now: u64) -> u64 {
        (pace.span - self.backlog(now, pace.span)) / pace.interval
    }

    /// How long until one more call is let in than now; `None` when there will never be more.
    pub(super) fn reset(self, pace: Pace, now: u64) -> Option<Duration> {
        let backlog = self.backlog(now, pace.span);
        // The backlog is worked off interval by interval.
        (backlog > 0).then(|| Duration::from_nanos((backlog - 1) % pace.interval + 1))
    }
}

#[cfg(test)]
pub(in crate::limits) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pace(limit: u32) -> Pace {
        Pace::new(NonZeroU32::new(limit).unwrap())
    }

    fn limits() -> impl Strategy<Value = u32> {
        prop_oneof![1..10u32, 1..2_000u32, any::<u32>().prop_map(|limit| limit.max(1))]
    }

    /// Asks in the rhythm of `gaps`; the moments of the calls that were let in.
    fn let_in(pace: Pace, gaps: &[u64]) -> Vec<u64> {
        let (mut rate, mut now, mut taken) = (Rate::default(), 0, Vec::new());
        for gap in gaps {
            now += gap;
            if rate.wait(pace, now) == 0 {
                rate.take(pace, now);
                taken.push(now);
            }
        }
        taken
    }

    /// The sliding model: the most calls in any minute.
    pub(in crate::limits) fn most_in_a_minute(taken: &[u64]) -> usize {
        let within = |from: u64| taken.iter().filter(|at| (from..from + MINUTE_NANOS).contains(at)).count();
        taken.iter().map(|from| within(*from)).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_limit_and_burst(
            limit in 1..60u32,
            gaps in prop::collection::vec(prop_oneof![Just(0), 0..MINUTE_NANOS / 20, Just(MINUTE_NANOS)], 1..400),
        ) {
            prop_assert!(most_in_a_minute(&let_in(pace(limit), &gaps)) <= 2 * limit as usize);
        }

        #[test]
        fn a_client_at_the_rate_is_never_refused(
            limit in limits(),
            late in prop::collection::vec(0..1_000u64, 1..300),
        ) {
            let pace = pace(limit);
            let gaps: Vec<u64> = late.iter().map(|late| pace.interval + late).collect();
            prop_assert_eq!(let_in(pace, &gaps).len(), gaps.len());
        }

        #[test]
        fn invariant_7_a_burst_has_an_end_and_the_told_wait_is_exact(limit in limits(), calls in 0..3_000u32, start in 0..u64::from(u32::MAX)) {
            let pace = pace(limit);
            let mut rate = Rate::default();
            for _ in 0..calls.min(limit).min(BURST_MAX) {
                prop_assert_eq!(rate.wait(pace, start), 0);
                rate.take(pace, start);
            }
            let wait = rate.wait(pace, start);
            prop_assert_eq!(wait > 0, calls >= limit.min(BURST_MAX));
            prop_assert_eq!(rate.wait(pace, start + wait), 0);
            if wait > 0 {
                prop_assert!(rate.wait(pace, start + wait - 1) > 0);
                prop_assert_eq!(rate.reset(pace, start), Some(Duration::from_nanos(wait)));
            }
        }

        #[test]
        fn what_remains_and_its_reset_are_exact(limit in limits(), calls in 0..1_000u32, later in 0..MINUTE_NANOS) {
            let pace = pace(limit);
            let mut rate = Rate::default();
            for _ in 0..calls.min(limit) {
                rate.take(pace, 0);
            }
            let remaining = rate.remaining(pace, later);
            match rate.reset(pace, later) {
                Some(reset) => {
                    let reset = reset.as_nanos() as u64;
                    prop_assert!(rate.remaining(pace, later + reset) == remaining + 1);
                    prop_assert!(rate.remaining(pace, later + reset - 1) == remaining);
                }
                None => prop_assert_eq!(remaining, u64::from(limit.min(BURST_MAX))),
            }
            for _ in 0..remaining {
                prop_assert_eq!(rate.wait(pace, later), 0);
                rate.take(pace, later);
            }
            prop_assert!(rate.wait(pace, later) > 0);
        }

        #[test]
        fn a_changed_limit_holds_at_once(before in limits(), after in limits()) {
            let (old, new) = (pace(before), pace(after));
            let mut rate = Rate::default();
            while rate.wait(old, 0) == 0 {
                rate.take(old, 0);
            }
            // Whatever the old limit left behind, the next call is at most one interval of the new one away.
            prop_assert!(rate.wait(new, 0) <= new.interval);
            let mut taken = 0;
            while rate.wait(new, 0) == 0 {
                rate.take(new, 0);
                taken += 1;
            }
            prop_assert!(taken <= after.min(BURST_MAX));
        }
    }
}
