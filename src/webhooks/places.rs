//! Who is sent to next. Each receiver has a lane with a few places, fewer when it has failed in a row, and all receivers in
//! trouble together have half of the places: one that hangs, or many, cannot keep others waiting.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::ids::DeliveryId;
use crate::store::DueDelivery;

/// Deliveries that wait in a lane, for each of its places. Further ones wait in the store.
const QUEUED_PER_PLACE: usize = 4;
/// Deliveries that wait in all lanes.
const QUEUED_MAX: usize = 4096;
/// Bodies that are in memory at once, unless one alone is longer.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// So many failures in a row are trouble.
const TROUBLE_AFTER: u32 = 3;
/// Places of a receiver in trouble.
const PLACES_IN_TROUBLE: usize = 2;
/// Receivers that are remembered when nothing is on its way to them.
const LANES_KEPT: usize = 10_000;

/// What became of a delivery that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Returned {
    pub(super) due: DueDelivery,
    /// Whether its receiver took it; `None` when it was not asked.
    pub(super) arrived: Option<bool>,
}

/// The places.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    max_per_target: usize,
    lanes: HashMap<Arc<str>, Lane>,
    in_hand: HashSet<DeliveryId>,
    queued: usize,
    busy: usize,
    busy_in_trouble: usize,
    bytes: u64,
    /// Whether the store may have more than is in hand.
    look: bool,
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<DueDelivery>,
    busy: usize,
    failures: u32,
    /// Whether the store has more for it than it had room for.
    left_out: bool,
}

impl Lane {
    fn is_in_trouble(&self) -> bool {
        self.failures >= TROUBLE_AFTER
    }
}

impl Places {
    pub(super) fn new(max: usize, max_per_target: usize) -> Self {
        Self {
            max,
            max_per_target,
            lanes: HashMap::new(),
            in_hand: HashSet::new(),
            queued: 0,
            busy: 0,
            busy_in_trouble: 0,
            bytes: 0,
            look: true,
        }
    }

    fn queue_max(&self) -> usize {
        self.max_per_target * QUEUED_PER_PLACE
    }

    /// There may be something new in the store.
    pub(super) fn look_again(&mut self) {
        self.look = true;
    }

    /// Whether it is time to read from the store.
    pub(super) fn wants_more(&self) -> bool {
        let half = self.queue_max() / 2;
        let has_room = |lane: &Lane| lane.left_out && lane.queue.len() <= half;
        self.queued < QUEUED_MAX / 2 && (self.look || self.lanes.values().any(has_room))
    }

    /// Deliveries that are queued or on their way.
    pub(super) fn in_hand(&self) -> u32 {
        u32::try_from(self.in_hand.len()).unwrap_or(u32::MAX)
    }

    /// Receivers that have no room.
    pub(super) fn full(&self) -> Vec<Arc<str>> {
        let full = self.lanes.iter().filter(|(_, lane)| lane.queue.len() >= self.queue_max());
        full.map(|(host, _)| host.clone()).collect()
    }

    /// Takes what is due, as far as there is room; `all` tells that the store has no more for those that are not full.
    pub(super) fn offer(&mut self, due: Vec<DueDelivery>, all: bool) {
        let max = self.queue_max();
        for lane in self.lanes.values_mut() {
            lane.left_out = lane.queue.len() >= max;
        }
        self.look = !all;
        for delivery in due {
            if self.in_hand.contains(&delivery.id) {
                continue;
            }
            let lane = self.lanes.entry(delivery.host.clone()).or_default();
            if lane.queue.len() >= max || self.queued >= QUEUED_MAX {
                lane.left_out = true;
                continue;
            }
            self.queued += 1;
            self.in_hand.insert(delivery.id);
            lane.queue.push_back(delivery);
        }
    }

    /// Whether a delivery has a place.
    pub(super) fn may_start(&self) -> bool {
        self.free_lane().is_some()
    }

    /// The next delivery that has a place: of the receiver with the fewest on their way.
    pub(super) fn start(&mut self) -> Option<DueDelivery> {
        let host = self.free_lane()?;
        let lane = self.lanes.get_mut(&host)?;
        let due = lane.queue.pop_front()?;
        lane.busy += 1;
        self.queued -= 1;
        self.busy += 1;
        self.busy_in_trouble += usize::from(lane.is_in_trouble());
        self.bytes += due.bytes;
        Some(due)
    }

    fn free_lane(&self) -> Option<Arc<str>> {
        if self.busy >= self.max {
            return None;
        }
        let free = self.lanes.iter().filter(|(_, lane)| self.has_place(lane));
        free.min_by_key(|(_, lane)| lane.busy).map(|(host, _)| host.clone())
    }

    fn has_place(&self, lane: &Lane) -> bool {
        let Some(due) = lane.queue.front() else { return false };
        let fits = self.busy == 0 || self.bytes + due.bytes <= BYTES_MAX;
        let is_free = match lane.is_in_trouble() {
            true => lane.busy < PLACES_IN_TROUBLE && self.busy_in_trouble <= self.max / 2,
            false => lane.busy < self.max_per_target,
        };
        fits && is_free
    }

    /// A delivery has come back.
    pub(super) fn take_back(&mut self, returned: &Returned) {
        let Returned { due, arrived } = returned;
        self.in_hand.remove(&due.id);
        self.busy = self.busy.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(due.bytes);
        if let Some(lane) = self.lanes.get_mut(&due.host) {
            lane.busy = lane.busy.saturating_sub(1);
            match arrived {
                Some(true) => lane.failures = 0,
                Some(false) => lane.failures = lane.failures.saturating_add(1),
                None => {}
            }
        }
        let troubled = self.lanes.values().filter(|lane| lane.is_in_trouble());
        self.busy_in_trouble = troubled.map(|lane| lane.busy).sum();
        self.forget_idle();
    }

    /// A receiver that is forgotten begins anew as a good one.
    fn forget_idle(&mut self) {
        if self.lanes.len() > LANES_KEPT {
            self.lanes.retain(|_, lane| lane.busy > 0 || !lane.queue.is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn due(id: i64, host: &str, bytes: u64) -> DueDelivery {
        DueDelivery { id: DeliveryId(id), host: host.into(), bytes }
    }

    fn many(from: i64, count: i64, host: &str) -> Vec<DueDelivery> {
        (from..from + count).map(|id| due(id, host, 100)).collect()
    }

    fn start_all(places: &mut Places) -> Vec<DueDelivery> {
        std::iter::from_fn(|| places.start()).collect()
    }

    #[test]
    fn invariant_7_a_receiver_that_hangs_does_not_keep_others_waiting() {
        let mut places = Places::new(64, 16);
        places.offer(many(0, 1000, "hangs"), false);
        assert_eq!(start_all(&mut places).len(), 16);
        places.offer(many(0, 1000, "hangs"), false);
        assert_eq!(start_all(&mut places).len(), 0);
        assert_eq!(places.full(), [Arc::from("hangs")]);
        assert!(places.queued <= 16 * QUEUED_PER_PLACE);
        places.offer(many(5000, 10, "good"), true);
        assert_eq!(start_all(&mut places).len(), 10);
    }

    #[test]
    fn invariant_7_receivers_in_trouble_have_few_places_and_together_half() {
        let mut places = Places::new(20, 5);
        for host in 0..40 {
            let name = format!("bad-{host}");
            places.offer(many(host * 1000, 20, &name), true);
        }
        for _ in 0..12 {
            for due in start_all(&mut places) {
                places.take_back(&Returned { due, arrived: Some(false) });
            }
        }
        let under_way = start_all(&mut places).len();
        assert!((1..=11).contains(&under_way), "{under_way}");
        places.offer(many(90_000, 20, "good"), true);
        assert_eq!(start_all(&mut places).iter().filter(|due| &*due.host == "good").count(), 5);
    }

    #[test]
    fn invariant_7_long_bodies_wait_for_room_in_memory() {
        let mut places = Places::new(64, 64);
        places.offer((0..10).map(|id| due(id, "a", BYTES_MAX / 4)).collect(), true);
        assert_eq!(start_all(&mut places).len(), 4);
        let mut places = Places::new(64, 64);
        places.offer(vec![due(1, "a", BYTES_MAX * 2)], true);
        assert_eq!(start_all(&mut places).len(), 1, "one alone always goes");
    }

    #[test]
    fn invariant_7_lanes_of_receivers_that_are_done_are_forgotten() {
        let mut places = Places::new(16, 2);
        for id in 0..(LANES_KEPT as i64 + 100) {
            places.offer(vec![due(id, &format!("host-{id}"), 1)], true);
            for due in start_all(&mut places) {
                places.take_back(&Returned { due, arrived: Some(false) });
            }
        }
        assert!(places.lanes.len() <= LANES_KEPT);
    }

    proptest! {
        #[test]
        fn invariant_7_no_bound_is_passed_and_nothing_is_in_hand_twice(
            steps in prop::collection::vec((0..3_u8, 0..8_i64, any::<bool>()), 1..200),
        ) {
            let (mut places, mut under_way, mut next) = (Places::new(6, 3), Vec::new(), 0);
            for (step, pick, arrived) in steps {
                match step {
                    0 => {
                        let host = format!("h{}", pick % 4);
                        // The store offers again what is in hand.
                        places.offer(many((next - 3).max(0), 10, &host), true);
                        next += 7;
                    }
                    1 => under_way.extend(places.start()),
                    _ if under_way.is_empty() => {}
                    _ => {
                        let due = under_way.swap_remove(pick as usize % under_way.len());
                        places.take_back(&Returned { due, arrived: Some(arrived) });
                    }
                }
                let ids: HashSet<_> = under_way.iter().map(|due: &DueDelivery| due.id).collect();
                prop_assert_eq!(ids.len(), under_way.len());
                prop_assert!(under_way.len() <= 6 && places.busy == under_way.len());
                prop_assert_eq!(places.in_hand.len(), places.queued + places.busy);
                prop_assert!(places.lanes.values().all(|lane| lane.busy <= 3 && lane.queue.len() <= 12));
                prop_assert!(places.queued <= QUEUED_MAX);
            }
        }
    }
}
