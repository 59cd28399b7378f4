//! The limits of one process, as a backend of the story.

use std::sync::Arc;
use std::time::Duration;

use fal_relay::clock::{HandClock, Timestamp};
use fal_relay::limits::{Limits, MemoryLimits, Settings};

use crate::limits_story::Backend;

/// Limits in memory on a clock of their own.
pub(crate) struct Memory {
    clock: HandClock,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self { clock: HandClock::new(Timestamp::from_micros(0)) }
    }
}

impl Backend for Memory {
    fn open(&self, settings: Settings) -> Arc<dyn Limits> {
        Arc::new(MemoryLimits::new(Arc::new(self.clock.clone()), settings))
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}
