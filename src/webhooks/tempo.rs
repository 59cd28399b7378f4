//! How fast deliveries begin. A full outbox would take all of a core for itself, a batch of them at a time, and calls would
//! wait for each batch; spread out it drains as well and nobody notices.

use std::time::Duration;

/// Deliveries that begin in a second.
const BEGUN_PER_SECOND: u32 = 2000;
/// Deliveries that may begin together after a rest.
const BEGUN_TOGETHER: u32 = 8;

const GAP: Duration = Duration::from_micros(1_000_000 / BEGUN_PER_SECOND as u64);

/// The beat, on [`Clock::elapsed`](crate::clock::Clock::elapsed).
#[derive(Debug, Default)]
pub(super) struct Tempo {
    /// When the next would begin if there had been no rest.
    next_at: Duration,
}

impl Tempo {
    /// How long until one may begin; nothing when it may now.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        (self.next_at + GAP).saturating_sub(now + GAP * BEGUN_TOGETHER)
    }

    /// One begins.
    pub(super) fn begin(&mut self, now: Duration) {
        self.next_at = self.next_at.max(now) + GAP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_7_a_full_outbox_begins_so_many_in_a_second_and_few_together() {
        let (mut tempo, mut now, mut begun) = (Tempo::default(), Duration::from_secs(100), 0);
        let rest = |tempo: &mut Tempo, now| {
            std::iter::from_fn(|| (tempo.wait(now) == Duration::ZERO).then(|| tempo.begin(now))).count()
        };
        assert_eq!(rest(&mut tempo, now), BEGUN_TOGETHER as usize);
        for _ in 0..1000 {
            // Timers ring by the millisecond.
            now += tempo.wait(now).max(Duration::from_millis(1));
            begun += rest(&mut tempo, now);
        }
        assert_eq!(now, Duration::from_secs(101));
        assert_eq!(begun, BEGUN_PER_SECOND as usize);
    }
}
