//! Limits of one process, counted in memory behind one lock that is held for moments.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, ready};

use super::records::{Admission, Ask, Bound, Lease, Owners, Standing};
use super::state::State;
use super::{Limits, Verb};
use crate::clock::Clock;
use crate::ids::LeaseId;

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most records: one for each owner and what is counted of it, one for each active key of a tenant or group.
    /// Beyond it a rate that was not looked at for long is forgotten, that is, starts anew.
    pub records_max: usize,
    /// The most jobs in flight that are counted. Beyond it the one whose term ends first is no longer counted.
    pub leases_max: usize,
    /// How long a job counts when nobody ends it or renews its term.
    pub lease_term: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { records_max: 200_000, leases_max: 100_000, lease_term: Duration::from_secs(60 * 60) }
    }
}

/// How much is remembered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Records.
    pub records: usize,
    /// Jobs in flight.
    pub leases: usize,
}

/// Limits in memory. Every verb's answer is at hand when the verb returns.
pub struct MemoryLimits {
    clock: Arc<dyn Clock>,
    settings: Settings,
    state: Mutex<State>,
}

impl MemoryLimits {
    /// Limits that nobody has used yet.
    pub fn new(clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self { clock, settings, state: Mutex::new(State::new(settings)) }
    }

    /// How much is remembered.
    pub fn size(&self) -> Size {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).size()
    }

    /// The state as of now, tidied. The clock is read under the lock, so what is done in turn has times in turn.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
        state.tidy(now);
        state
    }
}

impl std::fmt::Debug for MemoryLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLimits").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Limits for MemoryLimits {
    fn admit<'a>(&'a self, bounds: &'a [Bound], ask: Ask) -> Verb<'a, Admission> {
        answer(self.state().admit(bounds, ask))
    }

    fn release(&self, lease: LeaseId) -> Verb<'_, bool> {
        answer(self.state().release(lease))
    }

    fn restore<'a>(&'a self, leases: &'a [Lease]) -> Verb<'a, ()> {
        let mut state = self.state();
        for lease in leases {
            state.hold(*lease);
        }
        answer(())
    }

    fn peek<'a>(&'a self, bounds: &'a [Bound], owners: Owners) -> Verb<'a, Vec<Standing>> {
        let state = self.state();
        answer(bounds.iter().map(|bound| state.peek(*bound, owners)).collect())
    }
}

fn answer<'a, T>(answer: T) -> Verb<'a, T> {
    Either::Left(ready(Ok(answer)))
}
