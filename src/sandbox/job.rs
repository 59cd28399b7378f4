//! One request: what was decided when it came in, and where it stands at a given moment.

use std::sync::OnceLock;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Timestamp;
use crate::ids::RequestId;
use crate::secret::Secret;

use super::answer::{self, Answer};
use super::endpoint::Endpoint;
use super::faults::Faults;
use super::timeline::{Phase, Timeline};

/// Whoever holds a key. Requests are seen only with the key that made them.
pub(super) type Account = Secret;

/// The part of the key that is no secret.
pub(super) fn key_id(account: &Account) -> &str {
    account.expose().split(':').next().unwrap_or_default()
}

/// A request in the queue, or a direct run.
pub(super) struct Job {
    pub(super) id: RequestId,
    pub(super) account: Account,
    pub(super) endpoint: Endpoint,
    pub(super) faults: Faults,
    pub(super) submitted_at: Timestamp,
    pub(super) timeline: Timeline,
    answer: Answer,
    cancelled: OnceLock<Duration>,
    cancelling: CancellationToken,
}

/// How a cancel went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    /// It had not started and never will.
    Removed,
    /// It was running and was told to stop.
    Requested,
    /// It had ended before.
    TooLate,
}

impl Job {
    pub(super) fn new(
        id: RequestId,
        account: Account,
        endpoint: Endpoint,
        faults: Faults,
        (submitted_at, timeline): (Timestamp, Timeline),
        answer: Answer,
    ) -> Self {
        let (cancelled, cancelling) = (OnceLock::new(), CancellationToken::new());
        Self { id, account, endpoint, faults, submitted_at, timeline, answer, cancelled, cancelling }
    }

    /// Where it stands at `now`.
    pub(super) fn phase(&self, now: Duration) -> Phase {
        match self.cancelled.get() {
            Some(at) if *at <= now => Phase::Ended,
            _ => self.timeline.phase(now),
        }
    }

    /// Log lines that have appeared by `now`; none are added after a cancel.
    pub(super) fn logs_by(&self, now: Duration) -> usize {
        self.timeline.logs_by(self.cancelled.get().map_or(now, |at| now.min(*at)))
    }

    /// The first moment after `now` at which anything changes, as things stand.
    pub(super) fn next_change(&self, now: Duration) -> Option<Duration> {
        let planned = self.timeline.next_change(now)?;
        match self.cancelled.get() {
            Some(at) if *at <= now => None,
            Some(at) => Some(planned.min(*at)),
            None => Some(planned),
        }
    }

    /// Whether it was stopped before its end.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.get().is_some()
    }

    /// What it answers once it has ended.
    pub(super) fn answer(&self) -> Answer {
        if self.is_cancelled() { answer::cancelled() } else { self.answer.clone() }
    }

    /// Bytes that keeping it takes, besides a little that is the same for all.
    pub(super) fn kept_bytes(&self) -> usize {
        self.answer.body.head().len()
    }

    /// Seconds that the model ran.
    pub(super) fn inference_seconds(&self) -> Option<f64> {
        (!self.is_cancelled()).then_some(self.timeline.run.as_secs_f64())
    }

    /// The wall clock at the moment `elapsed`.
    pub(super) fn wall_clock(&self, elapsed: Duration) -> Timestamp {
        self.submitted_at.plus(elapsed.saturating_sub(self.timeline.submitted))
    }

    /// Stops it at `now` if that is still possible.
    pub(super) fn cancel(&self, now: Duration) -> Cancel {
        match self.phase(now) {
            Phase::Ended => Cancel::TooLate,
            Phase::Running if self.faults.stubborn => Cancel::Requested,
            phase => {
                // Of two cancels at once the first one counts; both were in time.
                self.cancelled.get_or_init(|| now);
                self.cancelling.cancel();
                if phase == Phase::Running { Cancel::Requested } else { Cancel::Removed }
            }
        }
    }

    /// Resolves when it is cancelled.
    pub(super) async fn cancelled(&self) {
        self.cancelling.cancelled().await;
    }
}
