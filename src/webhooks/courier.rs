//! One try: signed anew, sent once, judged by the status alone, and written down.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::ladder::{Ladder, retry_after};
use super::places::Returned;
use super::{STORE_PAUSE, Settings, Signing};
use crate::clock::{Clock, Timestamp};
use crate::metrics::WebhookCounts;
use crate::outside::{Client, Guard, Pace, refusal, tls_fault};
use crate::random::Random;
use crate::store::{Attempt, DueDelivery, Message, Next, Store, StoreError};

/// As much of an answer is read, so that its connection can be used again; a longer one ends its connection.
const ANSWER_MAX_BYTES: usize = 4096;
/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections that are kept for each receiver, and for how long.
const IDLE_MAX: usize = 32;
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How the deliverer's client waits.
pub(super) fn pace(settings: &Settings) -> Pace {
    Pace {
        connect_timeout: CONNECT_TIMEOUT.min(settings.answer_timeout),
        answer_timeout: settings.answer_timeout,
        idle_max: IDLE_MAX,
        idle_timeout: IDLE_TIMEOUT,
    }
}

pub(super) struct Courier {
    pub(super) store: Arc<dyn Store>,
    pub(super) guard: Guard,
    pub(super) client: Client,
    pub(super) key: Signing,
    pub(super) ladder: Ladder,
    pub(super) counts: Arc<WebhookCounts>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Random,
}

/// What a receiver made of a try.
struct Answer {
    status: Option<StatusCode>,
    /// Why it is a failure.
    failure: Option<String>,
    retry_after: Option<Duration>,
}

impl Answer {
    fn none(reason: impl Into<String>) -> Self {
        Self { status: None, failure: Some(reason.into()), retry_after: None }
    }

    /// There is nobody to call, and nothing left to do.
    const fn nobody() -> Self {
        Self { status: None, failure: None, retry_after: None }
    }
}

impl Courier {
    /// Tries once and writes down what came of it.
    pub(super) async fn deliver(&self, due: DueDelivery) -> Returned {
        let message = match self.store.message(due.id).await {
            Ok(Some(message)) => message,
            Ok(None) => return Returned { due, arrived: None },
            Err(error) => {
                tracing::warn!(delivery = %due.id, %error, "a delivery cannot be read");
                self.clock.sleep(STORE_PAUSE).await;
                return Returned { due, arrived: None };
            }
        };
        let (at, start) = (self.clock.now(), self.clock.elapsed());
        let answer = self.send(&message).await;
        let took = self.clock.elapsed().saturating_sub(start);
        let arrived = answer.failure.is_none();
        let next = self.next(&message, &answer);
        self.count(next, took);
        let status = answer.status.map(|status| status.as_u16());
        let attempt = Attempt { at, status, reason: answer.failure, took };
        self.write(&message, attempt, next).await;
        Returned { due, arrived: Some(arrived) }
    }

    async fn send(&self, message: &Message) -> Answer {
        let target = match self.guard.judge(&message.target) {
            Ok(target) => target,
            Err(refused) => return Answer::none(format!("the address {refused}")),
        };
        if target.is_for_listeners() {
            return Answer::nobody();
        }
        let Some(headers) = self.headers(message) else {
            return Answer::none("it cannot be signed");
        };
        let sent = self.client.post(&target).headers(headers).body(message.body.clone()).send().await;
        match sent {
            Ok(answer) => judge(answer, self.clock.now()).await,
            Err(error) => Answer::none(in_words(&error)),
        }
    }

    /// fal's four, signed by the relay, and the delivery's id.
    fn headers(&self, message: &Message) -> Option<HeaderMap> {
        let now = self.clock.now();
        message.headers(&*(self.key)(now)?, now)
    }

    fn next(&self, message: &Message, answer: &Answer) -> Next {
        if answer.failure.is_none() {
            return Next::Delivered;
        }
        // The receiver itself says that it will never take it.
        if answer.status == Some(StatusCode::GONE) {
            return Next::Dead;
        }
        match self.ladder.wait(message.tries, answer.retry_after, &self.random) {
            Ok(Some(wait)) => Next::Again(self.clock.now().plus(wait)),
            Ok(None) => Next::Dead,
            Err(_) => Next::Again(self.clock.now().plus(STORE_PAUSE)),
        }
    }

    fn count(&self, next: Next, took: Duration) {
        self.counts.tries.observe(took);
        match next {
            Next::Delivered => self.counts.delivered.add(1),
            Next::Again(_) => self.counts.failed.add(1),
            Next::Dead => {
                self.counts.failed.add(1);
                self.counts.given_up.add(1);
            }
        }
    }

    /// What is not written down would be sent again at once, so this waits for the disk and keeps its place meanwhile.
    async fn write(&self, message: &Message, attempt: Attempt, next: Next) {
        if next == Next::Dead {
            tracing::warn!(delivery = %message.name, tenant = %message.tenant_id, reason = attempt.reason, "a webhook was given up");
        }
        loop {
            match self.store.attempted(message.id, attempt.clone(), next).await {
                Ok(_) => return,
                Err(StoreError::Unwritable(reason)) => {
                    tracing::warn!(delivery = %message.name, reason, "a delivery waits to be written down");
                    self.clock.sleep(STORE_PAUSE).await;
                }
                Err(error) => {
                    tracing::error!(delivery = %message.name, %error, "a delivery cannot be written down");
                    return self.clock.sleep(STORE_PAUSE).await;
                }
            }
        }
    }
}

async fn judge(mut answer: reqwest::Response, now: Timestamp) -> Answer {
    let status = answer.status();
    let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| retry_after(value, now));
    let mut read = 0;
    while read <= ANSWER_MAX_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        read += chunk.len();
    }
    let failure = (!status.is_success()).then(|| format!("the receiver answered {}", status.as_u16()));
    Answer { status: Some(status), failure, retry_after }
}

/// Without the address, which may hold a secret.
fn in_words(error: &reqwest::Error) -> String {
    if let Some(refused) = refusal(error) {
        return format!("the address {refused}");
    }
    if let Some(fault) = tls_fault(error) {
        return format!("the receiver {fault}");
    }
    let words = match error {
        error if error.is_timeout() => "the receiver did not answer in time",
        error if error.is_connect() => "no connection could be made",
        _ => "the connection broke before the answer",
    };
    words.to_owned()
}
