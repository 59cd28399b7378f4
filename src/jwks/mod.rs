//! fal's public keys, by which its webhooks are verified: fetched when they are needed, kept for a day, and used beyond it while
//! fal does not answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{StatusCode, redirect};
use tokio::sync::Mutex;
use url::Url;

use crate::clock::Clock;
use crate::fal::webhook::{BadKeys, PublicKeys};
use crate::outside::{self, Guard};

/// How long keys are used without asking again (protocol 6.3).
const FRESH_FOR: Duration = Duration::from_secs(86_400);
/// How long they are used while fal does not answer.
const STALE_FOR: Duration = Duration::from_secs(604_800);
/// Between two questions. A forged webhook looks like one that was signed with a new key, and must not make us ask fal for
/// each.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// The longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer. fal's is a few hundred bytes.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// Where fal's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The document.
    pub url: String,
    /// Whether only this machine may be asked. The sandbox sets it; no operator can.
    pub loopback_only: bool,
}

/// Why there are no keys, or no newer ones.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The address cannot be asked.
    #[error("upstream.jwks_url cannot be asked: {0}")]
    Address(String),
    /// No answer.
    #[error("no answer: {0}")]
    Silent(String),
    /// Another answer than a document.
    #[error("the answer has status {0}")]
    Status(StatusCode),
    /// Too long a document.
    #[error("the answer has more than {ANSWER_MAX_BYTES} bytes")]
    TooLarge,
    /// A document without keys.
    #[error(transparent)]
    Bad(#[from] BadKeys),
}

/// fal's keys, for all workers of a process.
pub struct FalKeys {
    client: reqwest::Client,
    url: Url,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

/// What is known, on [`Clock::elapsed`].
#[derive(Default)]
struct Known {
    keys: Option<(Arc<PublicKeys>, Duration)>,
    asked_at: Option<Duration>,
}

impl FalKeys {
    /// Nothing is asked yet. `tls` says who is trusted.
    pub fn new(
        settings: &Settings,
        tls: rustls::ClientConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeysError> {
        let url = Url::parse(&settings.url).map_err(|error| KeysError::Address(error.to_string()))?;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .timeout(ANSWER_TIMEOUT);
        let builder = match settings.loopback_only {
            true => builder.dns_resolver(only_here(&settings.url)?),
            false => builder,
        };
        let client = builder.build().map_err(|error| KeysError::Address(error.to_string()))?;
        Ok(Self { client, url, clock, known: Mutex::default() })
    }

    /// The keys; `None` when fal has never told any, or too long ago. Whoever asks first asks fal for all who wait.
    pub async fn current(&self) -> Option<Arc<PublicKeys>> {
        self.newer_than(FRESH_FOR).await
    }

    /// The keys after a signature fitted none of them: fal may have a new one since.
    pub async fn after_misfit(&self) -> Option<Arc<PublicKeys>> {
        self.newer_than(ASK_EVERY).await
    }

    async fn newer_than(&self, age: Duration) -> Option<Arc<PublicKeys>> {
        let mut known = self.known.lock().await;
        let now = self.clock.elapsed();
        let is_within = |at: Duration, limit| now.saturating_sub(at) < limit;
        let is_new = known.keys.as_ref().is_some_and(|(_, at)| is_within(*at, age));
        if !is_new && !known.asked_at.is_some_and(|at| is_within(at, ASK_EVERY)) {
            known.asked_at = Some(now);
            match self.ask().await {
                Ok(keys) => known.keys = Some((Arc::new(keys), now)),
                Err(error) => tracing::warn!(%error, "fal's keys for webhooks cannot be read"),
            }
        }
        known.keys.as_ref().filter(|(_, at)| is_within(*at, STALE_FOR)).map(|(keys, _)| keys.clone())
    }

    async fn ask(&self) -> Result<PublicKeys, KeysError> {
        let answer = self.client.get(self.url.clone()).send().await.map_err(silent)?;
        match answer.status() {
            StatusCode::OK => Ok(PublicKeys::parse(&read(answer).await?)?),
            status => Err(KeysError::Status(status)),
        }
    }
}

/// A resolver that knows this machine alone. A numeric address is never looked up, so it is judged at once.
fn only_here(url: &str) -> Result<Guard, KeysError> {
    let guard = Guard::new(outside::Settings {
        allow_http: true,
        loopback_only: true,
        ..outside::Settings::default()
    });
    guard.judge(url).map_err(|refused| KeysError::Address(refused.to_string()))?;
    Ok(guard)
}

fn silent(error: reqwest::Error) -> KeysError {
    KeysError::Silent(error.without_url().to_string())
}

async fn read(mut answer: reqwest::Response) -> Result<Bytes, KeysError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(silent)? {
        if body.len() + piece.len() > ANSWER_MAX_BYTES {
            return Err(KeysError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}
