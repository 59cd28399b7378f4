//! How fast deliveries begin. A full outbox would take all of a core for itself, and calls would wait; a few at a time and
//! a rest in between, it drains as well. A few and not one, since those that begin together share wake-ups and a disk flush.

use std::time::Duration;

/// From one group of deliveries that begins to the next.
const BEGIN_EVERY: Duration = Duration::from_millis(5);
/// Deliveries that begin together: with the time between, 1,600 in a second.
const BEGUN_TOGETHER: usize = 8;

/// The beat, on [`Clock::elapsed`](crate::clock::Clock::elapsed).
#[derive(Debug, Default)]
pub(super) struct Tempo {
    /// When the next group begins.
    next_at: Duration,
    /// How many of the group under way have begun.
    begun: usize,
}

impl Tempo {
    /// How long until one may begin; nothing when it may now.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        match self.begun < BEGUN_TOGETHER {
            true => Duration::ZERO,
            false => self.next_at.saturating_sub(now),
        }
    }

    /// One begins. A timer that rings late makes the next wait shorter, a rest does not.
    pub(super) fn begin(&mut self, now: Duration) {
        if now >= self.next_at {
            let late = now - self.next_at;
            self.next_at = now + if late < BEGIN_EVERY { BEGIN_EVERY - late } else { BEGIN_EVERY };
            self.begun = 0;
        }
        self.begun += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin_all(tempo: &mut Tempo, now: Duration) -> usize {
        std::iter::from_fn(|| tempo.wait(now).is_zero().then(|| tempo.begin(now))).count()
    }

    #[test]
    fn invariant_7_a_full_outbox_begins_a_few_at_a_time() {
        let (mut tempo, mut now, mut begun) = (Tempo::default(), Duration::from_secs(100), 0);
        while now < Duration::from_secs(101) {
            let group = begin_all(&mut tempo, now);
            assert!((1..=BEGUN_TOGETHER).contains(&group), "{group}");
            begun += group;
            // Timers ring a little late.
            now += tempo.wait(now) + Duration::from_micros(700);
        }
        assert!((1590..=1610).contains(&begun), "{begun}");
    }

    #[test]
    fn those_that_come_one_by_one_do_not_wait() {
        let mut tempo = Tempo::default();
        for second in 1..10 {
            let now = Duration::from_secs(second);
            assert!(tempo.wait(now).is_zero());
            tempo.begin(now);
        }
    }
}
