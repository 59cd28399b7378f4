//! What the limits in memory promise beyond their story: they stay small, and forget only what they may.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::clock::{Clock, HandClock, Sleep, Timestamp};
use crate::ids::{GroupId, KeyId, TenantId};

fn owners(tenant: i64, key: i64) -> Owners {
    Owners { tenant: TenantId(tenant), group: Some(GroupId(1)), key: KeyId(key) }
}

fn bounds(owners: Owners, limit: u32) -> Vec<Bound> {
    let whats = [What::Requests, What::Submits, What::Jobs];
    let limit = NonZeroU32::new(limit).unwrap();
    owners.each().flat_map(|owner| whats.map(|what| Bound { owner, what, limit })).collect()
}

/// The answer is at hand when the verb returns.
fn admit(limits: &MemoryLimits, owners: Owners, limit: u32, job: Option<i64>) -> Admission {
    let ask = Ask { owners, job: job.map(LeaseId) };
    limits.admit(&bounds(owners, limit), ask).now_or_never().unwrap().unwrap()
}

fn release(limits: &MemoryLimits, lease: i64) -> bool {
    limits.release(LeaseId(lease)).now_or_never().unwrap().unwrap()
}

fn is_granted(admission: Admission) -> bool {
    matches!(admission, Admission::Granted(_))
}

fn small(clock: &HandClock) -> MemoryLimits {
    let settings = Settings { records_max: 200, leases_max: 10, lease_term: Duration::from_secs(600) };
    MemoryLimits::new(Arc::new(clock.clone()), settings)
}

#[test]
fn invariant_7_limits_remember_a_bounded_number_of_keys() {
    let limits = small(&HandClock::new(Timestamp::default()));
    for key in 0..10_000 {
        assert!(is_granted(admit(&limits, owners(key / 3, key), u32::MAX, None)));
        // What one ask adds is forgotten with the next.
        assert!(limits.size().records <= 200 + 2 * 9, "{:?} after {key}", limits.size());
    }
    assert!(limits.size().records > 150, "{:?}: what there is room for is kept", limits.size());
}

#[test]
fn invariant_7_limits_remember_a_bounded_number_of_jobs() {
    let limits = small(&HandClock::new(Timestamp::default()));
    for job in 0..1_000 {
        assert!(is_granted(admit(&limits, owners(job, job), u32::MAX, Some(job))));
        assert!(limits.size().leases <= 10 + 1);
        // What cannot be forgotten is what the jobs in flight are counted in: three slots with a key each.
        assert!(limits.size().records <= 200 + 10 * 6 + 4 * 18, "{:?} after {job}", limits.size());
    }
    assert!(!release(&limits, 0), "the oldest is no longer counted");
    assert!(release(&limits, 999));
}

#[test]
fn invariant_7_what_is_at_rest_is_dropped() {
    let clock = HandClock::new(Timestamp::default());
    let limits = MemoryLimits::new(Arc::new(clock.clone()), Settings::default());
    for key in 0..1_000 {
        assert!(is_granted(admit(&limits, Owners { group: None, ..owners(key, key) }, 1_000, Some(key))));
    }
    let most = limits.size();
    assert!(most.records > 6_000 && most.leases == 1_000, "{most:?}");
    clock.advance(Duration::from_secs(3_600));
    for _ in 0..4_000 {
        clock.advance(Duration::from_millis(1));
        assert!(is_granted(admit(&limits, owners(1, 1), 1_000_000, None)));
    }
    assert!(limits.size().records < 20 && limits.size().leases == 0, "{:?}", limits.size());
}

#[test]
fn invariant_9_a_rate_may_be_forgotten_but_no_job_in_flight() {
    let limits = small(&HandClock::new(Timestamp::default()));
    let me = Owners { group: None, ..owners(1, 1) };
    assert!(is_granted(admit(&limits, me, 1, Some(1))));
    assert!(!is_granted(admit(&limits, me, 1, None)), "the rate is used up");
    for stranger in 10..1_000 {
        admit(&limits, Owners { group: None, ..owners(stranger, stranger) }, 1, None);
    }
    assert!(is_granted(admit(&limits, me, 1, None)), "the rate is forgotten");
    let jobs: Vec<Bound> = bounds(me, 1).into_iter().filter(|bound| bound.what == What::Jobs).collect();
    let standings = limits.peek(&jobs, me).now_or_never().unwrap().unwrap();
    assert_eq!(standings.iter().map(|standing| standing.remaining).collect::<Vec<_>>(), [0, 0]);
}

/// A clock that may be set back.
struct Wild(std::sync::atomic::AtomicU64);

impl Clock for Wild {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let clock = Arc::new(Wild(1_000.into()));
    let limits = MemoryLimits::new(clock.clone(), Settings::default());
    assert!(is_granted(admit(&limits, owners(1, 1), 1, None)));
    let Admission::Limited(before) = admit(&limits, owners(1, 1), 1, None) else { panic!("let in") };
    clock.0.store(10, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(admit(&limits, owners(1, 1), 1, None), Admission::Limited(before));
    clock.0.store(1_060, std::sync::atomic::Ordering::Relaxed);
    assert!(is_granted(admit(&limits, owners(1, 1), 1, None)));
}

#[test]
fn threads_together_get_no_more_than_one() {
    let limits = MemoryLimits::new(Arc::new(HandClock::new(Timestamp::default())), Settings::default());
    let granted = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (limits, granted) = (&limits, &granted);
            scope.spawn(move || {
                for job in 0..500 {
                    if is_granted(admit(limits, owners(1, 1), 70, Some(thread * 1_000 + job))) {
                        granted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!((granted.into_inner(), limits.size().leases), (70, 70));
}
