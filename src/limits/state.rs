//! What is counted, and how it is kept small.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use super::leases::Leases;
use super::memory::{Settings, Size};
use super::records::{Admission, Ask, Bound, Lease, Limited, Owner, Owners, Standing, What};
use super::slot::{Slot, Visit};
use crate::ids::{KeyId, LeaseId};

/// So many slots are looked at with every verb, to drop those that are at rest.
const TIDIED_EACH_TIME: usize = 2;
/// So many are looked at when there are too many records, to forget some. Only jobs in flight are passed over.
const FORGETTABLE_TRIED: usize = 64;

type Place = (Owner, What);

/// All slots and leases.
pub(super) struct State {
    settings: Settings,
    /// Nanoseconds on the clock; never goes back.
    now: u64,
    slots: HashMap<Place, Slot>,
    /// Every slot once, in the order in which they are looked at next.
    round: VecDeque<Place>,
    /// Slots and the keys in them.
    records: usize,
    leases: Leases,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        let (slots, round) = (HashMap::new(), VecDeque::new());
        Self { settings, now: 0, slots, round, records: 0, leases: Leases::default() }
    }

    pub(super) fn size(&self) -> Size {
        Size { records: self.records, leases: self.leases.len() }
    }

    pub(super) fn admit(&mut self, bounds: &[Bound], ask: Ask) -> Admission {
        let key = ask.owners.key;
        let begins_job = ask.job.is_some_and(|id| !self.leases.contains(id));
        let counted = || bounds.iter().filter(|bound| bound.what != What::Jobs || begins_job);
        if let Some(limited) = self.refusal(counted(), key) {
            return Admission::Limited(limited);
        }
        for bound in counted() {
            self.visit((bound.owner, bound.what), key, |slot, visit| slot.take(*bound, visit));
        }
        if let Some(id) = ask.job {
            self.hold(Lease { id, owners: ask.owners });
        }
        let standings = counted().map(|bound| self.standing(*bound, key));
        Admission::Granted(standings.min_by_key(|standing| standing.remaining))
    }

    /// The bound that refuses longest. All are asked, so that the key counts as active at each.
    fn refusal<'a>(&mut self, bounds: impl Iterator<Item = &'a Bound>, key: KeyId) -> Option<Limited> {
        let mut longest: Option<Limited> = None;
        for bound in bounds {
            let retry_after =
                self.visit((bound.owner, bound.what), key, |slot, visit| slot.ask(*bound, visit));
            if !retry_after.is_zero() && longest.is_none_or(|longest| longest.retry_after < retry_after) {
                longest = Some(Limited { standing: self.standing(*bound, key), retry_after });
            }
        }
        longest
    }

    fn standing(&mut self, bound: Bound, key: KeyId) -> Standing {
        self.visit((bound.owner, bound.what), key, |slot, visit| slot.standing(bound, visit))
    }

    /// How a key would stand if it asked now.
    pub(super) fn peek(&self, bound: Bound, owners: Owners) -> Standing {
        let (owner, what) = (bound.owner, bound.what);
        let mut slot = self.slots.get(&(owner, what)).cloned().unwrap_or_else(|| Slot::new(owner, what));
        slot.standing(bound, Visit { key: owners.key, now: self.now, room: true })
    }

    /// Counts a job for a full term from now, unless it is counted already; then only its term is renewed.
    pub(super) fn hold(&mut self, lease: Lease) {
        let term = u64::try_from(self.settings.lease_term.as_nanos()).unwrap_or(u64::MAX);
        if self.leases.hold(lease, self.now.saturating_add(term)) {
            for owner in lease.owners.each() {
                self.visit((owner, What::Jobs), lease.owners.key, Slot::begin_job);
            }
        }
    }

    /// Ends a job; `false` when it is not counted.
    pub(super) fn release(&mut self, id: LeaseId) -> bool {
        let Some(owners) = self.leases.release(id) else { return false };
        for owner in owners.each() {
            self.visit((owner, What::Jobs), owners.key, Slot::end_job);
        }
        true
    }

    /// Does `look` at the slot in `place`, which is made if there is none.
    fn visit<R>(&mut self, place: Place, key: KeyId, look: impl FnOnce(&mut Slot, Visit) -> R) -> R {
        let visit = Visit { key, now: self.now, room: self.records < self.settings.records_max };
        let slot = match self.slots.entry(place) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(vacant) => {
                self.round.push_back(place);
                self.records += 1;
                vacant.insert(Slot::new(place.0, place.1))
            }
        };
        let before = slot.keys();
        let seen = look(slot, visit);
        self.records = self.records + slot.keys() - before;
        seen
    }

    /// Goes on to `now`: ends the leases whose term is over, drops some of what is at rest, and forgets what is too much.
    pub(super) fn tidy(&mut self, now: u64) {
        self.now = self.now.max(now);
        while let Some(id) = self.leases.overdue(self.now, self.settings.leases_max) {
            self.release(id);
        }
        for _ in 0..TIDIED_EACH_TIME {
            self.tidy_next(false);
        }
        for _ in 0..FORGETTABLE_TRIED {
            if self.records <= self.settings.records_max {
                break;
            }
            self.tidy_next(true);
        }
    }

    /// Drops the next slot of the round if it is at rest or, when it may, `forget`s it.
    fn tidy_next(&mut self, forget: bool) {
        let Some(place) = self.round.pop_front() else { return };
        let Some(slot) = self.slots.get_mut(&place) else { return };
        let before = slot.keys();
        let drop = slot.is_at_rest(self.now) || (forget && slot.forget());
        let after = slot.keys();
        if drop {
            self.slots.remove(&place);
            self.records -= before + 1;
        } else {
            self.round.push_back(place);
            self.records -= before - after;
        }
    }
}
