//! The jobs in flight by name, and when each is given up.

use std::collections::{BTreeSet, HashMap};

use super::records::{Lease, Owners};
use crate::ids::LeaseId;

/// All leases that are held.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: HashMap<LeaseId, Held>,
    by_end: BTreeSet<(u64, LeaseId)>,
}

#[derive(Debug)]
struct Held {
    owners: Owners,
    ends_at: u64,
}

impl Leases {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn contains(&self, id: LeaseId) -> bool {
        self.held.contains_key(&id)
    }

    /// Holds a lease until `ends_at`; `false` when it was held already, by whomever.
    pub(super) fn hold(&mut self, lease: Lease, ends_at: u64) -> bool {
        let owners = self.release(lease.id);
        self.by_end.insert((ends_at, lease.id));
        self.held.insert(lease.id, Held { owners: owners.unwrap_or(lease.owners), ends_at });
        owners.is_none()
    }

    /// Ends a lease, and says on whom it counted.
    pub(super) fn release(&mut self, id: LeaseId) -> Option<Owners> {
        let held = self.held.remove(&id)?;
        self.by_end.remove(&(held.ends_at, id));
        Some(held.owners)
    }

    /// The lease that is next to be given up, if its time has come or there are more than `most`.
    pub(super) fn overdue(&self, now: u64, most: usize) -> Option<LeaseId> {
        let (ends_at, id) = self.by_end.first()?;
        (*ends_at <= now || self.held.len() > most).then_some(*id)
    }
}
