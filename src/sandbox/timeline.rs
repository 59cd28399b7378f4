//! When a request waits, runs and ends. Everything is derived from the moment of the submit, so that a hand-wound clock
//! moves it all and nothing ticks in the background.

use std::time::Duration;

/// The steps of the wait: the place in the queue counts down once per step.
pub(super) const QUEUE_STEPS: u32 = 2;
/// The steps of the run: a log line appears at the start and after each.
pub(super) const RUN_STEPS: u32 = 3;
/// What a model writes while it works.
pub(super) const LOG_LINES: [&str; RUN_STEPS as usize + 1] =
    ["Loading the model", "Generating: 33%", "Generating: 67%", "Generating: 100%"];

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting behind so many others.
    Queued(u32),
    /// On a runner.
    Running,
    /// Ended, well or badly.
    Ended,
}

/// The plan of one request, in the clock's elapsed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    /// When it was submitted.
    pub(super) submitted: Duration,
    /// How long it waits.
    pub(super) queue: Duration,
    /// How long it runs.
    pub(super) run: Duration,
}

impl Timeline {
    /// Where the request stands at `now`.
    pub(super) fn phase(&self, now: Duration) -> Phase {
        let since = now.saturating_sub(self.submitted);
        if since >= self.queue + self.run {
            return Phase::Ended;
        }
        if since >= self.queue {
            return Phase::Running;
        }
        let steps_done = (1..QUEUE_STEPS).filter(|step| since >= self.queue * *step / QUEUE_STEPS).count();
        Phase::Queued(QUEUE_STEPS - 1 - u32::try_from(steps_done).unwrap_or(0))
    }

    /// When it starts to run.
    pub(super) fn starts(&self) -> Duration {
        self.submitted + self.queue
    }

    /// When it ends.
    pub(super) fn ends(&self) -> Duration {
        self.starts() + self.run
    }

    /// When each log line appears.
    pub(super) fn log_times(&self) -> impl Iterator<Item = Duration> {
        let (starts, run) = (self.starts(), self.run);
        (0..=RUN_STEPS).map(move |step| starts + run * step / RUN_STEPS)
    }

    /// Log lines that have appeared by `now`.
    pub(super) fn logs_by(&self, now: Duration) -> usize {
        self.log_times().filter(|time| *time <= now).count()
    }

    /// The first moment after `now` at which anything about the request changes.
    pub(super) fn next_change(&self, now: Duration) -> Option<Duration> {
        let queue_steps = (1..QUEUE_STEPS).map(|step| self.submitted + self.queue * step / QUEUE_STEPS);
        queue_steps.chain(self.log_times()).filter(|time| *time > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_request_waits_runs_and_ends() {
        let timeline = Timeline { submitted: seconds(100), queue: seconds(4), run: seconds(6) };
        for (now, phase, logs) in [
            (100, Phase::Queued(1), 0),
            (102, Phase::Queued(0), 0),
            (104, Phase::Running, 1),
            (108, Phase::Running, 3),
            (110, Phase::Ended, 4),
            (999, Phase::Ended, 4),
        ] {
            assert_eq!(timeline.phase(seconds(now)), phase, "{now}");
            assert_eq!(timeline.logs_by(seconds(now)), logs, "{now}");
        }
    }

    #[test]
    fn every_change_is_announced_once() {
        let timeline = Timeline { submitted: seconds(0), queue: seconds(4), run: seconds(6) };
        let changes: Vec<_> =
            std::iter::successors(Some(seconds(0)), |now| timeline.next_change(*now)).collect();
        assert_eq!(changes, [0, 2, 4, 6, 8, 10].map(seconds));
    }

    #[test]
    fn without_steps_all_is_over_at_once() {
        let timeline = Timeline { submitted: seconds(5), queue: seconds(0), run: seconds(0) };
        assert_eq!(timeline.phase(seconds(5)), Phase::Ended);
        assert_eq!(timeline.next_change(seconds(5)), None);
    }
}
