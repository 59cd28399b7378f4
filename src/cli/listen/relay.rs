//! The relay's side: its stream of webhooks, and the keys by which they are verified.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use http::{HeaderName, StatusCode, header};
use serde::Deserialize;

use super::events::{Event, Reader, Webhook};
use crate::clock::Clock;
use crate::fal::webhook::{Unverified, verify};
use crate::ids::RequestId;
use crate::jwks::{self, FalKeys};
use crate::key::ApiKey;
use crate::tls;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence: some of the relay's own signs of life.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// As much of a refusal is read.
const REFUSAL_MAX_BYTES: usize = 4096;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Why there are no more events.
pub(in crate::cli) enum Ended {
    /// Asking again may help.
    ForNow(String),
    /// Asking again does not help.
    ForGood(anyhow::Error),
}

impl Ended {
    /// For those who do not ask again.
    pub(in crate::cli) fn into_error(self) -> anyhow::Error {
        match self {
            Self::ForNow(why) => anyhow!(why),
            Self::ForGood(error) => error,
        }
    }
}

/// The relay.
pub(in crate::cli) struct Source {
    client: reqwest::Client,
    url: String,
    key: ApiKey,
    keys: FalKeys,
    clock: Arc<dyn Clock>,
}

/// A stream that is open.
pub(in crate::cli) struct Stream {
    answer: reqwest::Response,
    reader: Reader,
}

#[derive(Deserialize)]
struct Refused {
    detail: String,
}

impl Source {
    pub(in crate::cli) fn new(
        base: &str,
        ca_file: Option<&Path>,
        key: ApiKey,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(ca_file, true)?)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX)
            .build()?;
        let settings = jwks::Settings { url: format!("{base}/.well-known/jwks.json"), loopback_only: false };
        let keys = FalKeys::new(&settings, tls::client_config(ca_file, false)?, clock.clone())?;
        Ok(Self { client, url: format!("{base}/v1/webhooks/events"), key, keys, clock })
    }

    /// Opens the stream behind the event `last`.
    pub(in crate::cli) async fn open(&self, last: Option<&str>) -> Result<Stream, Ended> {
        let mut request = self.client.get(&self.url).bearer_auth(self.key.expose());
        request = request.header(header::ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header(LAST_EVENT_ID, last);
        }
        let answer = request.send().await.map_err(|error| Ended::ForNow(in_words(&error)))?;
        match answer.status() {
            StatusCode::OK => Ok(Stream { answer, reader: Reader::default() }),
            status => Err(refused(status, answer).await),
        }
    }

    /// Whether a webhook is signed with a key of the relay; tells the request that it is about.
    pub(in crate::cli) async fn verify(&self, webhook: &Webhook) -> anyhow::Result<RequestId> {
        let now = self.clock.now();
        let unknown = "the relay's keys cannot be read";
        let keys = self.keys.current().await.context(unknown)?;
        match verify(&webhook.headers, &webhook.body, &keys, now) {
            Err(Unverified::Signature) => {
                let keys = self.keys.after_misfit().await.context(unknown)?;
                Ok(verify(&webhook.headers, &webhook.body, &keys, now)?)
            }
            judged => Ok(judged?),
        }
    }
}

impl Stream {
    /// The next event.
    pub(in crate::cli) async fn next(&mut self) -> Result<Event, Ended> {
        loop {
            if let Some(event) = self.reader.next() {
                return Ok(event);
            }
            match self.answer.chunk().await {
                Ok(Some(piece)) => self.reader.push(&piece).map_err(Ended::ForGood)?,
                Ok(None) => return Err(Ended::ForNow("the relay has ended the stream".into())),
                Err(error) => return Err(Ended::ForNow(in_words(&error))),
            }
        }
    }
}

fn in_words(error: &reqwest::Error) -> String {
    let words = match error {
        error if error.is_connect() => "the relay cannot be reached",
        error if error.is_timeout() => "the relay is silent",
        _ => "the connection to the relay broke",
    };
    words.to_owned()
}

/// What the relay says is for the user; asking again helps where the relay or its limits are the reason.
async fn refused(status: StatusCode, mut answer: reqwest::Response) -> Ended {
    let mut body = Vec::new();
    while body.len() < REFUSAL_MAX_BYTES
        && let Ok(Some(piece)) = answer.chunk().await
    {
        body.extend_from_slice(&piece);
    }
    let said = serde_json::from_slice::<Refused>(&body).map(|refused| refused.detail);
    let said = said.unwrap_or_else(|_| "what answers there is no relay that can be listened to".into());
    let said = format!("the relay answers {}: {}", status.as_u16(), said.replace(char::is_control, " "));
    match status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        true => Ended::ForNow(said),
        false => Ended::ForGood(anyhow!(said)),
    }
}
