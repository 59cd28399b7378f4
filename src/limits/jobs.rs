//! The jobs of one owner that are in flight.
//!
//! With `n` active keys each has a share of `limit / n` places, rounded down. A key takes a place within its share as
//! soon as one is free, and one beyond it only while enough stay free for what the others have not used of theirs.
//! A place that is taken is not taken back, so a key that comes when all are taken waits for the first that ends,
//! and then it is the one to get it. With more active keys than places, each that was refused is owed one place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::{ACTIVE_WINDOW, SWEEP_INTERVAL};
use crate::ids::KeyId;

/// What a refused client is told to wait: nobody knows when a job ends.
pub const JOBS_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Who has how many.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs {
    running: u32,
    keys: HashMap<KeyId, Places>,
    swept_at: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Places {
    running: u32,
    asked_at: u64,
    /// The last ask was refused.
    waiting: bool,
}

impl Places {
    fn is_active(&self, now: u64) -> bool {
        self.running > 0 || now.saturating_sub(self.asked_at) < ACTIVE_WINDOW.as_nanos() as u64
    }
}

impl Jobs {
    /// How many keys it keeps.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Forgets the keys that have no job in flight; whether nothing is left to remember.
    pub(super) fn forget_idle_keys(&mut self) -> bool {
        self.keys.retain(|_, places| places.running > 0);
        self.keys.is_empty()
    }

    /// Forgets the keys that are no longer active; whether nothing is left to remember.
    pub(super) fn is_at_rest(&mut self, now: u64) -> bool {
        self.sweep(now);
        self.keys.is_empty()
    }

    /// Notes that `key` asks, if there is room for the note.
    pub(super) fn ask(&mut self, key: KeyId, limit: u32, now: u64, room: bool) {
        if now.saturating_sub(self.swept_at) >= SWEEP_INTERVAL.as_nanos() as u64 {
            self.sweep(now);
        }
        if room || self.keys.contains_key(&key) {
            self.keys.entry(key).or_default().asked_at = now;
        }
        let refused = self.remaining(key, limit) == 0;
        if let Some(places) = self.keys.get_mut(&key) {
            places.waiting = refused;
        }
    }

    /// How many more jobs of `key` are let in.
    pub(super) fn remaining(&self, key: KeyId, limit: u32) -> u32 {
        let free = limit.saturating_sub(self.running);
        let own = self.share(key, limit).saturating_sub(self.running_of(key)).min(free);
        own.max(free.saturating_sub(self.owed_to_others(key, limit)))
    }

    /// Counts a job.
    pub(super) fn take(&mut self, key: KeyId, now: u64) {
        let places = self.keys.entry(key).or_default();
        *places = Places { running: places.running.saturating_add(1), asked_at: now, waiting: false };
        self.running = self.running.saturating_add(1);
    }

    /// Ends a job.
    pub(super) fn end(&mut self, key: KeyId, now: u64) {
        let Entry::Occupied(mut places) = self.keys.entry(key) else { return };
        if places.get().running > 0 {
            places.get_mut().running -= 1;
            self.running = self.running.saturating_sub(1);
        }
        if !places.get().is_active(now) {
            places.remove();
        }
    }

    fn sweep(&mut self, now: u64) {
        self.keys.retain(|_, places| places.is_active(now));
        self.swept_at = now;
    }

    /// At least one place, so that with more keys than places whoever has none comes before whoever has some.
    fn share(&self, key: KeyId, limit: u32) -> u32 {
        (limit / self.active(key)).max(1)
    }

    fn active(&self, key: KeyId) -> u32 {
        let newcomer = usize::from(!self.keys.contains_key(&key));
        u32::try_from(self.keys.len() + newcomer).unwrap_or(u32::MAX)
    }

    fn running_of(&self, key: KeyId) -> u32 {
        self.keys.get(&key).map_or(0, |places| places.running)
    }

    fn owed_to_others(&self, key: KeyId, limit: u32) -> u32 {
        let (share, crowded) = (self.share(key, limit), self.active(key) > limit);
        let owed = |places: &Places| match crowded && !places.waiting {
            true => 0,
            false => share.saturating_sub(places.running),
        };
        let others = self.keys.iter().filter(|(other, _)| **other != key);
        others.map(|(_, places)| owed(places)).fold(0, u32::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn ask(jobs: &mut Jobs, key: i64, limit: u32, now: u64) -> bool {
        jobs.ask(KeyId(key), limit, now, true);
        let granted = jobs.remaining(KeyId(key), limit) > 0;
        if granted {
            jobs.take(KeyId(key), now);
        }
        granted
    }

    #[test]
    fn a_place_that_ends_goes_to_the_key_that_has_less() {
        let mut jobs = Jobs::default();
        assert_eq!((0..9).filter(|_| ask(&mut jobs, 1, 4, 0)).count(), 4, "alone it may have all");
        assert!(!ask(&mut jobs, 2, 4, 0), "none is taken back");
        jobs.end(KeyId(1), 0);
        assert!(!ask(&mut jobs, 1, 4, 0), "the greedy key cannot have it again");
        assert!(ask(&mut jobs, 2, 4, 0));
        jobs.end(KeyId(1), 0);
        assert!(!ask(&mut jobs, 1, 4, 0), "the second is kept for the other, too");
        assert!(ask(&mut jobs, 2, 4, 0));
        assert!(!ask(&mut jobs, 2, 4, 0));
        // The other key goes; a minute later nothing is kept for it.
        jobs.end(KeyId(2), 0);
        jobs.end(KeyId(2), 0);
        assert!(!ask(&mut jobs, 1, 4, 59 * SECOND));
        assert!(ask(&mut jobs, 1, 4, 60 * SECOND) && ask(&mut jobs, 1, 4, 60 * SECOND));
        assert!(!ask(&mut jobs, 1, 4, 60 * SECOND));
    }

    #[test]
    fn with_more_keys_than_places_only_those_that_wait_are_owed_one() {
        let mut jobs = Jobs::default();
        for key in 0..10 {
            assert!(ask(&mut jobs, key, 4, 0) == (key < 4));
        }
        for key in 0..4 {
            jobs.end(KeyId(key), 0);
        }
        // Six wait for four places: whoever of them asks first gets one.
        assert!((4..8).all(|key| ask(&mut jobs, key, 4, 0)));
        (4..8).for_each(|key| jobs.end(KeyId(key), 0));
        assert!(ask(&mut jobs, 0, 4, 0), "four are free");
        assert!(ask(&mut jobs, 0, 4, 0), "of which two are owed");
        assert!(!ask(&mut jobs, 0, 4, 0));
        assert!(ask(&mut jobs, 8, 4, 0) && ask(&mut jobs, 9, 4, 0));
    }

    #[test]
    fn ending_more_than_began_changes_nothing() {
        let mut jobs = Jobs::default();
        jobs.end(KeyId(1), 0);
        assert!(ask(&mut jobs, 1, 1, 0));
        jobs.end(KeyId(2), 0);
        assert!(!ask(&mut jobs, 2, 1, 0));
        assert!(!jobs.forget_idle_keys());
        jobs.end(KeyId(1), 0);
        jobs.end(KeyId(1), 0);
        assert!(!jobs.is_at_rest(0) && jobs.clone().is_at_rest(60 * SECOND) && jobs.forget_idle_keys());
    }

    proptest! {
        /// Key 0 keeps to its share, the others do what they like.
        #[test]
        fn a_key_within_its_share_is_never_refused(
            limit in 4..20u32,
            keys in 2..5i64,
            steps in prop::collection::vec((any::<bool>(), 0..5i64), 1..300),
        ) {
            let (mut jobs, mut held) = (Jobs::default(), vec![0u32; 5]);
            for key in 0..keys {
                jobs.ask(KeyId(key), limit, 0, true);
            }
            for (begins, key) in steps {
                let key = key % keys;
                let mine = held[key as usize];
                if begins && (key != 0 || mine < limit / keys as u32) {
                    let granted = ask(&mut jobs, key, limit, 0);
                    prop_assert!(granted || key != 0, "refused with {mine} of {limit} among {keys}");
                    held[key as usize] += u32::from(granted);
                } else if !begins && mine > 0 {
                    jobs.end(KeyId(key), 0);
                    held[key as usize] -= 1;
                }
                prop_assert!(held.iter().sum::<u32>() <= limit);
            }
        }

        #[test]
        fn what_remains_is_exact(limit in 1..12u32, asks in prop::collection::vec((any::<bool>(), 0..8i64), 0..60)) {
            let mut jobs = Jobs::default();
            for (begins, key) in asks {
                match begins {
                    true => drop(ask(&mut jobs, key, limit, 0)),
                    false => jobs.end(KeyId(key), 0),
                }
            }
            jobs.ask(KeyId(0), limit, 0, true);
            let remaining = jobs.remaining(KeyId(0), limit);
            let let_in = (0..limit + 1).filter(|_| ask(&mut jobs, 0, limit, 0)).count();
            prop_assert_eq!(let_in, remaining as usize);
        }
    }
}
