//! The watch: jobs whose owner never comes back are followed to their end and settled (invariants 5 and 11). It goes
//! through the open rows of the ledger in rounds and keeps nothing in memory, so a restart forgets nobody.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use http::{HeaderMap, Method, Response, StatusCode};

use super::ledger::Row;
use super::reply::read_envelope;
use super::shared::lease;
use super::{Relay, billable_units};
use crate::fal::{for_client, top_level_strings};
use crate::ids::{CallId, RequestId};
use crate::store::{CallKind, CallState, OpenCall};
use crate::upstream::{Account, Host, Outgoing, RequestBody, ResponseBody};

/// Rows that are in memory at once.
const PAGE: u32 = 500;
/// Questions to fal at once.
const LOOKS_AT_ONCE: usize = 16;
/// The longest time between two looks at a job: fal keeps a long result for six minutes (protocol 2.5).
const LONGEST_GAP: Duration = Duration::from_secs(180);
/// Marks an answer as the model's or fal's own, not that of a gateway before it (protocol 2.7).
const X_FAL_REQUEST_ID: &str = "x-fal-request-id";

/// How a job stands at fal.
pub(super) enum Look {
    /// It has ended, with this status and these units.
    Ended(StatusCode, Option<String>),
    /// fal does not know it any more; what it cost is not known.
    Gone,
    /// Not yet, or fal did not say.
    Later,
}

impl Relay {
    /// Watches for ever, a round at a time.
    pub async fn watch(&self) {
        let mut last = None;
        loop {
            let now = self.shared.clock.elapsed();
            let gap = last.map(|last| now.saturating_sub(last));
            self.round(gap).await;
            last = Some(now);
            self.shared.clock.sleep(self.shared.settings.watch_after / 4).await;
        }
    }

    /// Looks at each job whose time has come since the last round, `gap` ago; in the first, at all from before the start.
    async fn round(&self, gap: Option<Duration>) {
        let mut after = CallId(0);
        loop {
            let page = match self.shared.store.open_calls(after, PAGE).await {
                Ok(page) => page,
                Err(error) => return tracing::warn!(%error, "the watch cannot read the ledger"),
            };
            let Some(end) = page.last() else { return };
            after = end.id;
            let due = page.into_iter().filter(|call| self.is_due(call, gap));
            stream::iter(due).for_each_concurrent(LOOKS_AT_ONCE, |call| self.follow_up(call)).await;
        }
    }

    fn is_due(&self, call: &OpenCall, gap: Option<Duration>) -> bool {
        let (CallKind::Queue, CallState::Sent, Some(sent_at)) = (call.kind, call.state, call.sent_at) else {
            return false;
        };
        // One with a webhook is followed for that, and faster.
        if call.webhook {
            return false;
        }
        if gap.is_none() && sent_at < self.shared.began_at {
            return true;
        }
        let age = self.shared.clock.now().since(sent_at);
        let looks = |age| looks(self.shared.settings.watch_after, age);
        looks(age) > looks(age.saturating_sub(gap.unwrap_or(age)))
    }

    /// Looks at one job, and closes its row when it has ended.
    pub(super) async fn follow_up(&self, call: OpenCall) {
        let look = match self.look(&call).await {
            Some(look) => look,
            None => return,
        };
        let row = Row::from(&call);
        match look {
            Look::Ended(status, units) => {
                self.ledger.settle(&row, status.as_u16(), units);
            }
            Look::Gone => {
                tracing::warn!(call_id = %call.id, "fal has forgotten a job before its result was seen; its cost is not known");
                self.ledger.settle(&row, StatusCode::NOT_FOUND.as_u16(), None);
            }
            Look::Later => self.keep_place(&call).await,
        }
    }

    /// A place among the jobs in flight frees itself in time, in case its release was lost; this job still needs its own.
    pub(super) async fn keep_place(&self, call: &OpenCall) {
        if let Err(error) = self.shared.limits.restore(&[lease(call)]).await {
            tracing::debug!(%error, "a job's place could not be kept");
        }
    }

    async fn look(&self, call: &OpenCall) -> Option<Look> {
        let account = self.shared.accounts.named(&call.account).ok()?;
        let (request_id, app_base) = (call.request_id.as_ref()?, call.app_base.as_deref()?);
        let status = self.ask(account, app_base, request_id, "/status").await?;
        if status.status() == StatusCode::NOT_FOUND {
            return Some(Look::Gone);
        }
        let (_, body) = read_envelope(status).await.ok()?;
        let [state] = top_level_strings(&body, ["status"]);
        if state.as_deref() != Some("COMPLETED") {
            return Some(Look::Later);
        }
        let result = self.ask(account, app_base, request_id, "").await?;
        Some(read_end(&result))
    }

    /// A question in the relay's own name.
    pub(super) async fn ask(
        &self,
        account: &Account,
        app_base: &str,
        request_id: &RequestId,
        suffix: &str,
    ) -> Option<Response<ResponseBody>> {
        let outgoing = Outgoing {
            host: Host::Queue,
            method: Method::GET,
            path_and_query: ["/", app_base, "/requests/", request_id.as_str(), suffix].concat(),
            headers: HeaderMap::new(),
            body: RequestBody::empty(&*self.shared.clock),
        };
        let mut response = match self.upstream.send(account, outgoing).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(%error, "the watch got no answer");
                return None;
            }
        };
        for_client(response.headers_mut());
        Some(response)
    }
}

/// What the result of a completed job says. Its body is not read: dropping it closes one connection, which is cheaper
/// than a film.
pub(super) fn read_end(result: &Response<ResponseBody>) -> Look {
    let (status, units) = (result.status(), billable_units(result.headers()));
    match status {
        StatusCode::NOT_FOUND => Look::Gone,
        // fal refuses the account, or asks for patience: nothing about the job.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => Look::Later,
        status if status.is_server_error() && !result.headers().contains_key(X_FAL_REQUEST_ID) => Look::Later,
        status => Look::Ended(status, units),
    }
}

/// How many times a job of this age should have been looked at: first after `first`, then at growing gaps, half its
/// age each, and from [`LONGEST_GAP`] on at even ones.
fn looks(first: Duration, age: Duration) -> u64 {
    let (mut due, mut count) = (first.max(Duration::from_millis(1)), 0);
    while due <= age {
        count += 1;
        let gap = due / 2;
        if gap >= LONGEST_GAP {
            return count + (age.saturating_sub(due).as_millis() / LONGEST_GAP.as_millis()) as u64;
        }
        due += gap;
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn invariant_7_looks_come_at_growing_gaps_until_they_are_even() {
        let at = |seconds| looks(Duration::from_secs(30), Duration::from_secs(seconds));
        assert_eq!((at(0), at(29), at(30), at(44), at(45)), (0, 0, 1, 1, 2));
        assert_eq!(at(86_400) - at(86_400 - 1_800), 10);
    }

    proptest! {
        #[test]
        fn no_gap_is_longer_than_the_longest_and_the_age_is_never_doubled(first in 1_u64..60, age in 1_u64..200_000) {
            let at = |seconds: u64| looks(Duration::from_secs(first), Duration::from_secs(seconds));
            prop_assert!(at(age) >= at(age - 1));
            let gap = (age / 2).max(first).min(LONGEST_GAP.as_secs() + first);
            prop_assert!(at(age + gap + 1) > at(age), "{} {}", at(age + gap + 1), at(age));
        }
    }
}
