//! What is counted of one owner.

use std::time::Duration;

use super::fair::SharedRate;
use super::gcra::{Pace, Rate};
use super::jobs::{JOBS_RETRY_AFTER, Jobs};
use super::records::{Bound, Owner, Standing, What};
use crate::ids::KeyId;

/// What one owner has used of one thing.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    /// The rate of a single key.
    Rate(Rate),
    /// The rate of a tenant or a group.
    Shared(SharedRate),
    /// Jobs in flight.
    Jobs(Jobs),
}

/// Who looks at a slot, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) key: KeyId,
    pub(super) now: u64,
    /// Whether a key that is new here may be noted.
    pub(super) room: bool,
}

impl Slot {
    pub(super) fn new(owner: Owner, what: What) -> Self {
        match (what, owner) {
            (What::Jobs, _) => Self::Jobs(Jobs::default()),
            (_, Owner::Key(_)) => Self::Rate(Rate::default()),
            (_, Owner::Tenant(_) | Owner::Group(_)) => Self::Shared(SharedRate::default()),
        }
    }

    /// How many keys it keeps.
    pub(super) fn keys(&self) -> usize {
        match self {
            Self::Rate(_) => 0,
            Self::Shared(rate) => rate.len(),
            Self::Jobs(jobs) => jobs.len(),
        }
    }

    /// Whether dropping it forgets nothing.
    pub(super) fn is_at_rest(&mut self, now: u64) -> bool {
        match self {
            Self::Rate(rate) => rate.is_at_rest(now),
            Self::Shared(rate) => rate.is_at_rest(now),
            Self::Jobs(jobs) => jobs.is_at_rest(now),
        }
    }

    /// Forgets what may be forgotten when there is no more room, which is all but jobs in flight; whether that was all.
    pub(super) fn forget(&mut self) -> bool {
        match self {
            Self::Rate(_) | Self::Shared(_) => true,
            Self::Jobs(jobs) => jobs.forget_idle_keys(),
        }
    }

    /// Notes an ask; says how long to wait, zero when the bound lets it in.
    pub(super) fn ask(&mut self, bound: Bound, visit: Visit) -> Duration {
        let Visit { key, now, room } = visit;
        match self {
            Self::Rate(rate) => Duration::from_nanos(rate.wait(Pace::new(bound.limit), now)),
            Self::Shared(rate) => {
                Duration::from_nanos(rate.member(key, Pace::new(bound.limit), now, room).wait())
            }
            Self::Jobs(jobs) => {
                jobs.ask(key, bound.limit.get(), now, room);
                match jobs.remaining(key, bound.limit.get()) {
                    0 => JOBS_RETRY_AFTER,
                    _ => Duration::ZERO,
                }
            }
        }
    }

    /// Counts a call at a rate. Jobs are counted by their leases.
    pub(super) fn take(&mut self, bound: Bound, visit: Visit) {
        let Visit { key, now, room } = visit;
        match self {
            Self::Rate(rate) => rate.take(Pace::new(bound.limit), now),
            Self::Shared(rate) => rate.member(key, Pace::new(bound.limit), now, room).take(),
            Self::Jobs(_) => {}
        }
    }

    /// How the visitor stands. Counts as having asked at a shared rate.
    pub(super) fn standing(&mut self, bound: Bound, visit: Visit) -> Standing {
        let Visit { key, now, room } = visit;
        let pace = Pace::new(bound.limit);
        let (remaining, reset) = match self {
            Self::Rate(rate) => (rate.remaining(pace, now), rate.reset(pace, now)),
            Self::Shared(rate) => {
                let member = rate.member(key, pace, now, room);
                (member.remaining(), member.reset())
            }
            Self::Jobs(jobs) => (u64::from(jobs.remaining(key, bound.limit.get())), None),
        };
        Standing { bound, remaining: u32::try_from(remaining).unwrap_or(u32::MAX), reset }
    }

    pub(super) fn begin_job(&mut self, visit: Visit) {
        if let Self::Jobs(jobs) = self {
            jobs.take(visit.key, visit.now);
        }
    }

    pub(super) fn end_job(&mut self, visit: Visit) {
        if let Self::Jobs(jobs) = self {
            jobs.end(visit.key, visit.now);
        }
    }
}
