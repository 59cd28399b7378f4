//! Alerts: what a tenant's own address is told, such as that a budget is nearly spent. A courtesy, not a ledger: a few
//! tries, a bounded queue, and every alert is in the log too.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::clock::Clock;

/// Alerts that may wait to be sent; beyond that they are only logged.
const WAITING_MAX: usize = 256;
/// Alerts that are being sent at once.
const SENT_AT_ONCE: usize = 16;
/// How often an alert is tried.
const TRIES: u32 = 4;
/// Between tries, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Where alerts are handed in.
#[derive(Clone, Debug)]
pub struct Alerts(Option<mpsc::Sender<Alert>>);

#[derive(Debug)]
struct Alert {
    url: String,
    body: Value,
}

/// What sends alerts, until it is dropped.
pub struct Sending {
    waiting: mpsc::Receiver<Alert>,
    courier: Courier,
}

struct Courier {
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

impl Alerts {
    /// Alerts that go nowhere: in the sandbox nothing leaves the machine.
    pub fn silent() -> Self {
        Self(None)
    }

    /// Alerts, and what sends them.
    pub fn new(clock: Arc<dyn Clock>) -> Result<(Self, Sending), reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(ANSWER_TIMEOUT)
            .build()?;
        let (alerts, waiting) = mpsc::channel(WAITING_MAX);
        Ok((Self(Some(alerts)), Sending { waiting, courier: Courier { client, clock } }))
    }

    /// Hands an alert in; never waits.
    pub fn raise(&self, url: &str, body: Value) {
        let Some(alerts) = &self.0 else { return };
        if alerts.try_send(Alert { url: url.to_owned(), body }).is_err() {
            tracing::warn!("too many alerts wait already; one was only logged");
        }
    }
}

impl Sending {
    /// Sends until nobody can raise any more, several at once: a receiver that hangs does not keep others waiting.
    pub async fn run(self) {
        let Self { waiting, courier } = self;
        let alerts = stream::unfold(waiting, async |mut waiting| Some((waiting.recv().await?, waiting)));
        alerts.for_each_concurrent(SENT_AT_ONCE, |alert| courier.send(alert)).await;
    }
}

impl Courier {
    async fn send(&self, alert: Alert) {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=TRIES {
            match self.attempt(&alert).await {
                Ok(()) => return,
                Err(reason) if attempt == TRIES => tracing::warn!(reason, "an alert could not be delivered"),
                Err(_) => {
                    self.clock.sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }

    /// One try. The address is the tenant's and may hold a secret, so it is not part of the reason.
    async fn attempt(&self, alert: &Alert) -> Result<(), String> {
        let sent = self.client.post(&alert.url).json(&alert.body).send().await;
        let answer = sent.map_err(|error| error.without_url().to_string())?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("its receiver answered {status}")),
        }
    }
}
