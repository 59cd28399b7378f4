//! When each job with a webhook is looked at next: numbers and moments in memory, made again from the store at a start.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::ids::CallId;

/// Jobs whose next look is in memory, some 80 bytes each. Further ones are read from the store when there is room.
const FOLLOWED_MAX: usize = 100_000;
/// A job is first looked at when it is so old.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// The longest time between looks at a job of the first ten minutes.
const GAP_OF_YOUNG: Duration = Duration::from_secs(15);
/// The longest time between looks at any job: fal keeps a long result for six minutes (protocol 2.5).
const GAP_OF_OLD: Duration = Duration::from_secs(180);

/// The time from a look at a job of this age to the next: a quarter of its age, then even for a while, then longer again.
pub(super) fn gap(age: Duration) -> Duration {
    (age / 4).clamp(FIRST_LOOK, GAP_OF_YOUNG).max(age / 40).min(GAP_OF_OLD)
}

/// A look that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Look {
    pub(super) at: Duration,
    pub(super) id: CallId,
    /// Beside the job's own row of looks.
    pub(super) extra: bool,
}

/// Jobs whose webhooks are to be sent.
#[derive(Debug, Default)]
pub(crate) struct Following {
    looks: Mutex<Looks>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Looks {
    coming: BinaryHeap<Reverse<Look>>,
    /// Jobs in `coming`, and those that are being looked at.
    known: HashSet<CallId>,
    /// Whether some are only in the store.
    left_out: bool,
}

impl Following {
    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a job that was just submitted.
    pub(crate) fn begin(&self, id: CallId, now: Duration) {
        self.follow(id, now + FIRST_LOOK);
    }

    /// Follows a job, with a first look at `at`.
    pub(super) fn follow(&self, id: CallId, at: Duration) {
        {
            let mut looks = self.looks();
            if looks.known.len() >= FOLLOWED_MAX {
                looks.left_out = true;
                return;
            }
            if !looks.known.insert(id) {
                return;
            }
            looks.coming.push(Reverse(Look { at, id, extra: false }));
        }
        self.changed.notify_one();
    }

    /// Looks at a job at `at` whatever its own row of looks.
    pub(crate) fn hurry(&self, id: CallId, at: Duration) {
        {
            let mut looks = self.looks();
            // Beyond that it is found in its turn.
            if looks.coming.len() >= 2 * FOLLOWED_MAX {
                return;
            }
            looks.coming.push(Reverse(Look { at, id, extra: true }));
        }
        self.changed.notify_one();
    }

    /// The next look, if its time has come.
    pub(super) fn take(&self, now: Duration) -> Option<Look> {
        let mut looks = self.looks();
        let due = looks.coming.peek().is_some_and(|Reverse(look)| look.at <= now);
        due.then(|| looks.coming.pop()).flatten().map(|Reverse(look)| look)
    }

    /// What comes of a look: another one, or none.
    pub(super) fn looked(&self, look: Look, next: Option<Duration>) {
        let mut looks = self.looks();
        match next {
            Some(at) if !look.extra => looks.coming.push(Reverse(Look { at, ..look })),
            Some(_) => {}
            None => drop(looks.known.remove(&look.id)),
        }
    }

    /// When the next look is to be.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.looks().coming.peek().map(|Reverse(look)| look.at)
    }

    /// Resolves when a look was added.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether the store has jobs that are not here, and there is room for many again. Says so once.
    pub(super) fn wants_more(&self) -> bool {
        let mut looks = self.looks();
        let wants = looks.left_out && looks.known.len() <= FOLLOWED_MAX / 2;
        if wants {
            looks.left_out = false;
        }
        wants
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn invariant_7_no_more_jobs_are_followed_in_memory_than_may() {
        let following = Following::default();
        for id in 0..=FOLLOWED_MAX {
            following.begin(CallId(id as i64), Duration::ZERO);
        }
        assert_eq!(following.looks().known.len(), FOLLOWED_MAX);
        assert!(!following.wants_more(), "there is no room yet");
        while let Some(look) = following.take(FIRST_LOOK) {
            following.looked(look, None);
        }
        assert!(following.wants_more(), "what was left out is to be read");
        assert!(!following.wants_more(), "once");
        for _ in 0..3 * FOLLOWED_MAX {
            following.hurry(CallId(1), Duration::ZERO);
        }
        assert_eq!(following.looks().coming.len(), 2 * FOLLOWED_MAX);
    }

    #[test]
    fn a_job_has_one_row_of_looks() {
        let following = Following::default();
        following.begin(CallId(1), Duration::ZERO);
        following.begin(CallId(1), Duration::ZERO);
        following.hurry(CallId(1), Duration::ZERO);
        let extra = following.take(Duration::ZERO).unwrap();
        following.looked(extra, Some(Duration::from_secs(9)));
        assert_eq!(following.take(Duration::ZERO), None);
        let own = following.take(FIRST_LOOK).unwrap();
        following.looked(own, Some(Duration::from_secs(9)));
        assert_eq!(following.next_at(), Some(Duration::from_secs(9)));
        let own = following.take(Duration::from_secs(9)).unwrap();
        following.looked(own, None);
        assert_eq!(following.next_at(), None);
    }

    proptest! {
        #[test]
        fn invariant_7_gaps_grow_with_the_age_and_are_bounded(age in 0..1_000_000_u64) {
            let at = |millis| gap(Duration::from_millis(millis));
            prop_assert!(at(age) <= at(age + 1));
            prop_assert!(at(age) >= FIRST_LOOK && at(age) <= GAP_OF_OLD);
            prop_assert!(age > 600_000 || at(age) <= GAP_OF_YOUNG);
        }
    }
}
