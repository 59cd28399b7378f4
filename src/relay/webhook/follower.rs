//! Looks at jobs with webhooks until they have ended, a few at once.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::following::{Look, gap};
use crate::ids::CallId;
use crate::relay::Relay;
use crate::relay::ledger::Row;
use crate::store::{FollowedCall, NewDelivery, StoreError};

/// Looks at once.
const FOLLOWED_AT_ONCE: usize = 64;
/// Rows that are read at once at a start.
const FOLLOWED_PAGE: u32 = 1000;
/// Between tries to read or write in a store that does not let us.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// A job that is older may lose its place among those in flight, unless it is said again that it runs.
const PLACE_KEPT_AFTER: Duration = Duration::from_secs(60);

impl Relay {
    /// Follows jobs with webhooks for ever.
    pub async fn follow_webhooks(&self) {
        self.remember_followed().await;
        let (following, clock) = (&self.shared.following, &self.shared.clock);
        let mut looks = FuturesUnordered::new();
        loop {
            while looks.len() < FOLLOWED_AT_ONCE
                && let Some(look) = following.take(clock.elapsed())
            {
                looks.push(self.look_once(look));
            }
            if following.wants_more() {
                self.remember_followed().await;
            }
            let has_room = looks.len() < FOLLOWED_AT_ONCE;
            tokio::select! {
                Some(()) = looks.next(), if !looks.is_empty() => {}
                () = self.next_look(), if has_room => {}
            }
        }
    }

    /// Until there may be something to look at.
    async fn next_look(&self) {
        let (following, clock) = (&self.shared.following, &self.shared.clock);
        match following.next_at() {
            None => following.changed().await,
            Some(at) => tokio::select! {
                () = following.changed() => {}
                () = clock.sleep(at.saturating_sub(clock.elapsed())) => {}
            },
        }
    }

    /// What an earlier process left, or what there was no room for.
    async fn remember_followed(&self) {
        let mut after = CallId(0);
        loop {
            match self.shared.store.followed_calls(after, FOLLOWED_PAGE).await {
                Ok(page) => {
                    let now = self.shared.clock.elapsed();
                    page.iter().for_each(|job| self.shared.following.follow(job.call.id, now));
                    let Some(last) = page.last() else { return };
                    after = last.call.id;
                }
                Err(error) => {
                    tracing::warn!(%error, "jobs with webhooks cannot be read");
                    self.shared.clock.sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    async fn look_once(&self, look: Look) {
        let next = match self.shared.store.followed_call(look.id).await {
            Ok(None) => None,
            Ok(Some(job)) => self.look_at(&job).await,
            Err(error) => {
                tracing::warn!(%error, "a job with a webhook cannot be read");
                Some(STORE_PAUSE)
            }
        };
        let next = next.map(|after| self.shared.clock.elapsed() + after);
        self.shared.following.looked(look, next);
    }

    /// One look; says after how long the next is due, if any is.
    async fn look_at(&self, job: &FollowedCall) -> Option<Duration> {
        let age = job.call.sent_at.map_or(Duration::ZERO, |sent| self.shared.clock.now().since(sent));
        let Some(ending) = self.webhook_ending(job).await else {
            if age > PLACE_KEPT_AFTER && !job.call.state.is_closed() {
                self.keep_place(&job.call).await;
            }
            return Some(gap(age));
        };
        let row = Row::from(&job.call);
        let settlement = match job.call.state.is_closed() {
            true => None,
            false => Some(self.ledger.settlement(&row, ending.status, ending.units)),
        };
        let delivery = NewDelivery { body: ending.body, created_at: self.shared.clock.now() };
        match self.ledger.finish(&row, settlement, delivery).await {
            Ok(delivery) => {
                if let Some(id) = delivery {
                    self.shared.outbox.send_if_modified(|last| std::mem::replace(last, id) != id);
                }
                None
            }
            Err(error) => {
                self.tell_unwritten(job, &error);
                Some(STORE_PAUSE)
            }
        }
    }

    fn tell_unwritten(&self, job: &FollowedCall, error: &StoreError) {
        tracing::warn!(call_id = %job.call.id, %error, "a job's end cannot be written down; it is tried again");
    }
}
