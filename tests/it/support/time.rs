//! Time that does not keep anybody waiting.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fal_relay::clock::{Clock, Sleep, Timestamp};

/// A clock on which every sleep is over as soon as others have had their turn, and has taken its time all the same.
#[derive(Clone)]
pub(crate) struct LeapingClock {
    epoch: Timestamp,
    elapsed: Arc<Mutex<Duration>>,
}

impl LeapingClock {
    /// A clock that stands at this moment until somebody sleeps.
    pub(crate) fn at(epoch: Timestamp) -> Self {
        Self { epoch, elapsed: Arc::default() }
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.elapsed.lock().unwrap() += by;
    }
}

impl Clock for LeapingClock {
    fn now(&self) -> Timestamp {
        self.epoch.plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.advance(duration);
        Box::pin(tokio::task::yield_now())
    }
}
