//! How fast fal is asked.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// Gives turns, evenly spaced.
pub(super) struct Pace {
    gap: Duration,
    /// When the next turn is, on the clock's elapsed time.
    next: Mutex<Duration>,
}

impl Pace {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self { gap: Duration::from_secs(1) / per_second.get(), next: Mutex::default() }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self, clock: &dyn Clock) {
        let now = clock.elapsed();
        let mine = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let mine = now.max(*next);
            *next = mine + self.gap;
            mine
        };
        if mine > now {
            clock.sleep(mine - now).await;
        }
    }
}
