//! Time, handed in: the real clock in production, a hand-wound one in tests.
//!
//! Two kinds of time are kept apart. [`Clock::now`] is the wall clock, for records that people read.
//! [`Clock::elapsed`] never goes back, for limits and measurements.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// A moment on the wall clock, in whole microseconds since the Unix epoch (UTC), as the store keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment that lies `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment `duration` later; stops at the end of time instead of wrapping.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// So much earlier.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this moment lies; zero when it lies before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds, the one form in which the product prints moments.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => write!(f, "{moment:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// The future that [`Clock::sleep`] returns.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where every room gets its time from.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock.
    fn now(&self) -> Timestamp;
    /// Time since the clock was made; never goes back.
    fn elapsed(&self) -> Duration;
    /// Resolves once `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The machine's clock.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts counting [`Clock::elapsed`] now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where time enters the program")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where time enters the program")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place where time enters the program")]
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until a test winds it.
#[derive(Debug, Clone)]
pub struct HandClock {
    epoch: Timestamp,
    elapsed: Arc<Mutex<watch::Sender<Duration>>>,
}

impl HandClock {
    /// A clock that stands at `epoch`.
    pub fn new(epoch: Timestamp) -> Self {
        Self { epoch, elapsed: Arc::new(Mutex::new(watch::Sender::new(Duration::ZERO))) }
    }

    /// Winds the clock forward and wakes every sleeper whose time has come.
    pub fn advance(&self, by: Duration) {
        let sender = self.elapsed.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send_modify(|elapsed| *elapsed += by);
    }

    fn subscribe(&self) -> watch::Receiver<Duration> {
        self.elapsed.lock().unwrap_or_else(PoisonError::into_inner).subscribe()
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        self.epoch.plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        *self.subscribe().borrow()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut receiver = self.subscribe();
        let due = *receiver.borrow() + duration;
        Box::pin(async move {
            // An error means that the clock is gone; nobody can wind it any more, so nobody wakes.
            if receiver.wait_for(|elapsed| *elapsed >= due).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_is_wound_past_its_time() {
        let clock = HandClock::new(Timestamp::from_micros(0));
        let sleep = tokio::spawn(clock.sleep(Duration::from_secs(5)));
        clock.advance(Duration::from_secs(4));
        assert!(!sleep.is_finished());
        clock.advance(Duration::from_secs(1));
        sleep.await.unwrap();
        assert_eq!(clock.now().as_micros(), 5_000_000);
    }

    #[test]
    fn moments_print_as_rfc_3339() {
        assert_eq!(Timestamp::from_micros(1_700_000_000_123_456).to_string(), "2023-11-14T22:13:20.123456Z");
    }
}
