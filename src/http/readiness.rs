//! Whether the process should be given traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::relay::Shared;

/// Whether the process should be given traffic.
pub struct Readiness {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    draining: AtomicBool,
    last: tokio::sync::Mutex<Option<(Duration, bool)>>,
}

/// How long an answer about the ledger is believed: asking writes, and anybody may ask.
const READY_FOR: Duration = Duration::from_secs(1);

impl Readiness {
    /// Ready when the ledger is.
    pub fn new(shared: Arc<Shared>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            clock,
            draining: AtomicBool::new(false),
            last: tokio::sync::Mutex::new(None),
        })
    }

    /// From now on not ready: the process is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The answer to `GET /ready`.
    pub async fn check(&self) -> (StatusCode, Value) {
        if self.draining.load(Ordering::Relaxed) {
            return (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "draining"}));
        }
        match self.ledger_answers().await {
            true => (StatusCode::OK, json!({"status": "ready"})),
            false => (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "ledger unavailable"})),
        }
    }

    async fn ledger_answers(&self) -> bool {
        let mut last = self.last.lock().await;
        let now = self.clock.elapsed();
        if let Some((at, answer)) = *last
            && now.saturating_sub(at) < READY_FOR
        {
            return answer;
        }
        let answer = match self.shared.ready().await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the ledger is not available");
                false
            }
        };
        *last = Some((now, answer));
        answer
    }
}
