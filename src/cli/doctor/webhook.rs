//! The webhook of a job, taken as fal's rules say. Doctor itself is the receiver where the relay may call this machine; where it
//! may not, doctor listens.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::Router;
use axum::body::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::{Host, Url, form_urlencoded};

use super::lines::ENDPOINT;
use super::place;
use super::report::{Outcome, Report, Step};
use super::steps::Trial;
use crate::cli::listen::{Ended, Source, Webhook};
use crate::clock::{Clock, SystemClock};

/// The step's name.
pub(super) const STEP: &str = "webhook";

/// How long the webhook is waited for. A model that nobody has used for a while takes minutes to begin.
const LIMIT: Duration = Duration::from_secs(300);

/// Webhooks that wait to be looked at.
const WAITING_MAX: usize = 8;

/// The address that is never called.
const NOBODY: &str = "https://listen.invalid/doctor";

/// What the relay says to a submit: an id, or why there is none.
#[derive(Deserialize)]
struct Said {
    request_id: Option<String>,
    error_type: Option<String>,
    detail: Option<serde_json::Value>,
}

/// Walks the step, and tells how it went.
pub(super) async fn walk<W: Write>(trial: &Trial<'_>, report: &mut Report<'_, W>) -> anyhow::Result<()> {
    if report.fails > 0 {
        report.tell(&Step::new(STEP, Outcome::NotTried, "an earlier step fails"))?;
        return Ok(());
    }
    let outcome = tokio::select! {
        outcome = take(trial) => outcome,
        () = trial.clock.sleep(LIMIT) => Err(anyhow::anyhow!("none has come after {} seconds", LIMIT.as_secs())),
    };
    report.tell(&match outcome {
        Ok(detail) => trial.success(STEP, &detail),
        Err(error) => trial.failure(STEP, &format!("{error:#}")),
    })?;
    Ok(())
}

async fn take(trial: &Trial<'_>) -> anyhow::Result<String> {
    let (base, ca_file) = trial.site.either().context("the relay has no address")?;
    let ca_file = ca_file.map(std::path::Path::new);
    let submitting = Submitting { client: place::client(ca_file)?, base, trial };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let source = Source::new(base, ca_file, trial.key.clone(), clock)?;
    let why = match is_here(base) {
        false => "since it is another machine's".to_owned(),
        true => match submitting.receive(&source).await? {
            Ok(id) => return Ok(format!("called this machine and verified, request {id}")),
            Err(why) => format!("since {why}"),
        },
    };
    let id = submitting.listen(&source).await?;
    Ok(format!("heard of by listening, {why}; verified, request {id}"))
}

/// Whether the relay's loopback is ours.
fn is_here(base: &str) -> bool {
    match Url::parse(base).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

struct Submitting<'a> {
    client: reqwest::Client,
    base: &'a str,
    trial: &'a Trial<'a>,
}

impl Submitting<'_> {
    /// The id of a job that was taken; or why the relay calls nobody there.
    async fn submit(&self, target: &str) -> anyhow::Result<Result<String, String>> {
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("fal_webhook", target).finish();
        let url = format!("{}/{ENDPOINT}?{query}", self.base);
        let request = self.client.post(url).bearer_auth(self.trial.key.expose());
        let answer = request.json(&serde_json::json!({"prompt": "a cat"})).send().await;
        let answer = answer.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        let said: Said = answer.json().await.map_err(reqwest::Error::without_url)?;
        let detail = said.detail.map(|detail| detail.to_string()).unwrap_or_default();
        match (status, said.request_id, said.error_type.as_deref()) {
            (StatusCode::OK, Some(id), _) => Ok(Ok(id)),
            (StatusCode::BAD_REQUEST, _, Some("webhook_target")) => {
                Ok(Err("the relay calls no receiver on this machine (webhooks.allow_targets)".into()))
            }
            _ => bail!("the submit is answered with {status}: {detail}"),
        }
    }

    /// A receiver of doctor's own on this machine.
    async fn receive(&self, source: &Source) -> anyhow::Result<Result<String, String>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let target = format!("http://{}/doctor", listener.local_addr()?);
        let (sender, mut webhooks) = mpsc::channel(WAITING_MAX);
        let take = move |headers: HeaderMap, body: Bytes| {
            let sender = sender.clone();
            // One for which there is no room comes again.
            async move {
                match sender.try_send(Webhook { headers, body: body.to_vec() }) {
                    Ok(()) => StatusCode::OK,
                    Err(_) => StatusCode::SERVICE_UNAVAILABLE,
                }
            }
        };
        let serving = axum::serve(listener, Router::new().fallback(take)).into_future();
        let taking = async {
            let id = match self.submit(&target).await? {
                Ok(id) => id,
                Err(why) => return Ok(Err(why)),
            };
            let webhook = webhooks.recv().await.context("the receiver has ended")?;
            check(source, &webhook, &id).await?;
            Ok(Ok(id))
        };
        tokio::select! {
            taken = taking => taken,
            ended = serving => bail!("the receiver has ended: {ended:?}"),
        }
    }

    async fn listen(&self, source: &Source) -> anyhow::Result<String> {
        let mut stream = source.open(None).await.map_err(Ended::into_error)?;
        // From here on nothing is missed.
        stream.next().await.map_err(Ended::into_error)?;
        let id = self.submit(NOBODY).await?.map_err(anyhow::Error::msg)?;
        loop {
            let event = stream.next().await.map_err(Ended::into_error)?;
            let Some(data) = event.data else { continue };
            let webhook = Webhook::read(&data)?;
            if webhook.is_about(&id) {
                check(source, &webhook, &id).await?;
                return Ok(id);
            }
        }
    }
}

async fn check(source: &Source, webhook: &Webhook, id: &str) -> anyhow::Result<()> {
    let about = source.verify(webhook).await.context("it is not believed")?;
    ensure!(about.as_str() == id, "it is about another request, {about}");
    ensure!(webhook.status() == "OK", "it tells of an error");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_elsewhere_is_not_asked_to_call_its_own_machine() {
        for here in ["http://127.0.0.1:8787", "https://localhost:8788", "http://[::1]:1"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in ["https://relay.example.com", "http://10.0.0.1:8787", ""] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
