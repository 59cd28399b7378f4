//! Direct runs: calls whose caller waits for the answer, and cancels by leaving.

use std::sync::Arc;
use std::time::Duration;

use super::answer::Answer;
use super::fal::Fal;
use super::job::Job;

/// A direct run under way.
pub(super) struct Run {
    fal: Arc<Fal>,
    pub(super) job: Arc<Job>,
    ended: bool,
}

impl Run {
    /// The run that `job` describes begins.
    pub(super) fn new(fal: Arc<Fal>, job: Job) -> Self {
        Self { fal, job: Arc::new(job), ended: false }
    }

    /// Waits for the model, and gives its answer. The run is over when that was sent: see [`Run::end`].
    pub(super) async fn finish(&self) -> Answer {
        self.wait_until(self.job.timeline.ends()).await;
        self.job.answer()
    }

    /// Waits for the moment `at` of the clock's elapsed time.
    pub(super) async fn wait_until(&self, at: Duration) {
        // A sleeper may wake a little early; a loop makes sure that the moment has come.
        loop {
            let left = at.saturating_sub(self.fal.clock().elapsed());
            if left.is_zero() {
                return;
            }
            self.fal.clock().sleep(left).await;
        }
    }

    /// The answer is on its way; leaving is no cancel any more.
    pub(super) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.ended {
            self.fal.left(&self.job);
        }
    }
}
