//! Alerts: what a tenant's own address is told, such as that a budget is nearly spent. A courtesy, not a ledger: a few
//! tries, a bounded queue, and every alert is in the log too.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::outside::{Client, Guard, Pace, Target, refusal};

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

/// No connection is kept: alerts to one receiver are rare.
const PACE: Pace = Pace {
    connect_timeout: ANSWER_TIMEOUT,
    answer_timeout: ANSWER_TIMEOUT,
    idle_max: 0,
    idle_timeout: ANSWER_TIMEOUT,
};

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
    guard: Guard,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl Alerts {
    /// Alerts that go nowhere: in the sandbox nothing leaves the machine.
    pub fn silent() -> Self {
        Self(None)
    }

    /// Alerts, and what sends them.
    pub fn new(guard: &Guard, clock: Arc<dyn Clock>) -> Result<(Self, Sending), reqwest::Error> {
        let client = guard.client(PACE)?;
        let guard = guard.clone();
        let (alerts, waiting) = mpsc::channel(WAITING_MAX);
        Ok((Self(Some(alerts)), Sending { waiting, courier: Courier { guard, client, clock } }))
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
    /// The address is judged again: what the operator allows may have changed since it was written down.
    async fn send(&self, alert: Alert) {
        match self.guard.judge(&alert.url) {
            Ok(target) => self.send_to(&target, &alert.body).await,
            Err(refused) => give_up(&format!("its address {refused}")),
        }
    }

    async fn send_to(&self, target: &Target, body: &Value) {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=TRIES {
            match self.attempt(target, body).await {
                Ok(()) => return,
                Err(reason) if attempt == TRIES => give_up(&reason),
                Err(_) => {
                    self.clock.sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }

    /// One try. The address is the tenant's and may hold a secret, so it is not part of the reason.
    async fn attempt(&self, target: &Target, body: &Value) -> Result<(), String> {
        let answer = self.client.post(target).json(body).send().await.map_err(|error| reason(&error))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("its receiver answered {status}")),
        }
    }
}

fn give_up(reason: &str) {
    tracing::warn!(reason, "an alert could not be delivered");
}

fn reason(error: &reqwest::Error) -> String {
    match refusal(error) {
        Some(refused) => format!("its address {refused}"),
        None if error.is_timeout() => "its receiver did not answer in time".into(),
        None => "its receiver cannot be reached".into(),
    }
}
