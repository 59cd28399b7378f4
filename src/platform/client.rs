//! One question and its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use reqwest::redirect;
use url::Url;

use super::here::{OnlyHere, is_elsewhere};
use super::pace::Pace;
use super::{PlatformError, Settings};
use crate::clock::Clock;
use crate::secret::Secret;

/// The largest answer that is read. The largest is a page of billing events.
pub(super) const ANSWER_MAX_BYTES: usize = 8 * 1024 * 1024;
/// The longest wait for a whole answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a question is asked that fal has no time for: with the pauses below, about two minutes.
pub(super) const TRIES: u32 = 6;
/// Between tries, doubled each time, unless fal says how long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause, whatever fal says.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The client of fal's platform API.
pub struct Platform {
    client: reqwest::Client,
    base: Url,
    pace: Pace,
    clock: Arc<dyn Clock>,
}

/// Why a try brought nothing.
enum Failure {
    /// Another try may; after this long when fal said so.
    Passing(PlatformError, Option<Duration>),
    Final(PlatformError),
}

impl From<PlatformError> for Failure {
    fn from(error: PlatformError) -> Self {
        Self::Final(error)
    }
}

impl Platform {
    /// A client that checks certificates as `tls` does, which must not offer HTTP/2; needed for https only.
    pub fn new(
        settings: &Settings,
        tls: Option<rustls::ClientConfig>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PlatformError> {
        let base = Url::parse(&settings.url).map_err(|error| PlatformError::Address(error.to_string()))?;
        if settings.loopback_only && is_elsewhere(&base) {
            return Err(PlatformError::Address("it is not this machine, and --sandbox stays on it".into()));
        }
        let tls = tls.map_or_else(no_trust, Ok)?;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .connect_timeout(settings.connect_timeout)
            .timeout(ANSWER_TIMEOUT);
        let builder = if settings.loopback_only { builder.dns_resolver(OnlyHere) } else { builder };
        let client = builder.build().map_err(|error| PlatformError::Setup(error.to_string()))?;
        Ok(Self { client, base, pace: Pace::new(settings.requests_per_second), clock })
    }

    /// The address that is asked.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Asks until there is an answer, an error that asking again does not change, or no try is left.
    pub(super) async fn get(
        &self,
        key: &Secret,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Bytes, PlatformError> {
        let url = self.url(path, query)?;
        let authorization = authorization(key)?;
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            self.pace.turn(&*self.clock).await;
            match self.attempt(&url, &authorization).await {
                Ok(body) => return Ok(body),
                Err(Failure::Passing(_, told)) if tries < TRIES => {
                    self.clock.sleep(told.unwrap_or(pause).min(PAUSE_MAX)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    tries += 1;
                }
                Err(Failure::Passing(error, _) | Failure::Final(error)) => return Err(error),
            }
        }
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, PlatformError> {
        let text = format!("{}{path}", self.address());
        let mut url = Url::parse(&text).map_err(|error| PlatformError::Address(error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn attempt(&self, url: &Url, authorization: &HeaderValue) -> Result<Bytes, Failure> {
        let asked = self.client.get(url.clone()).header(AUTHORIZATION, authorization).send();
        let answer = asked.await.map_err(silent)?;
        match answer.status() {
            StatusCode::OK => read(answer).await,
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(PlatformError::Refused(status).into())
            }
            status => {
                let error = PlatformError::Status(status);
                Err(if error.is_passing() {
                    Failure::Passing(error, told_pause(&answer))
                } else {
                    error.into()
                })
            }
        }
    }
}

/// Trusts nobody: for addresses that are not https, on a machine without certificates too.
fn no_trust() -> Result<rustls::ClientConfig, PlatformError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| PlatformError::Setup(error.to_string()))?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

fn authorization(key: &Secret) -> Result<HeaderValue, PlatformError> {
    let value = HeaderValue::try_from(format!("Key {}", key.expose()));
    let mut value = value.map_err(|_| PlatformError::BadKey)?;
    value.set_sensitive(true);
    Ok(value)
}

/// `Retry-After` in seconds; fal sends no dates.
fn told_pause(answer: &reqwest::Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn silent(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    // The cause is what tells a refused connection from a name that is not known.
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        reason = deeper.to_string();
        cause = deeper.source();
    }
    Failure::Passing(PlatformError::Silent(reason), None)
}

/// Reads an answer to its end, or to the most that is read.
async fn read(mut answer: reqwest::Response) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(silent)? {
        if body.len() + piece.len() > ANSWER_MAX_BYTES {
            return Err(PlatformError::TooLarge(ANSWER_MAX_BYTES).into());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}
