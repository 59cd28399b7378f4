//! `fal-relay webhook listen`: a developer's machine hears of the webhooks of its tenant, and sends them on to the receiver
//! that is being written. It goes on where it was when the relay or the network comes back.

mod events;
mod relay;
mod sender;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::Place;
use super::doctor::{self, KEY_VARIABLE, place as doctor_place};
use crate::clock::{Clock, SystemClock};
use crate::key::ApiKey;
use crate::secret::Secret;
use events::Event;
pub(super) use events::Webhook;
use relay::Stream;
pub(super) use relay::{Ended, Source};
use sender::Sender;

/// Where fal's own clients look for a key.
pub(super) const FAL_KEY_VARIABLE: &str = "FAL_KEY";

/// The waits before the relay is asked again, one after the other; the last stays.
const WAITS: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// `webhook listen`
#[derive(Debug, clap::Args)]
pub struct Listen {
    /// Send each webhook on to this address, such as http://localhost:3000/hook
    #[arg(long, value_name = "URL")]
    forward: Option<String>,
    /// The relay's address, if it is not the one of the configuration
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
    /// The certificate authority of https addresses that systems do not trust, as a PEM file
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A key of the relay; else the one in FAL_KEY. Better given by the environment, since everyone on this machine sees
    /// arguments
    #[arg(long, env = KEY_VARIABLE, hide_env_values = true, value_parser = doctor::secret)]
    key: Option<Secret>,
    /// Begin with the oldest webhook that the relay still has, and not with the next
    #[arg(long)]
    replay: bool,
}

/// Listens until it is interrupted, or the relay does not take the key.
pub(super) async fn run(listen: &Listen, place: &Place, out: &mut impl Write) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let config = place.load_for_client()?;
    let (named, ca_file) = (listen.relay.as_deref(), listen.ca_file.as_deref());
    let site = doctor_place::site(named, ca_file, &config, place.sandbox)?;
    let (base, ca_file) = site.either().context("the relay has no address")?;
    let ca_file = listen.ca_file.as_deref().or(ca_file.map(std::path::Path::new));
    let source = Source::new(base, ca_file, key(listen)?, clock.clone())?;
    let sender = listen.forward.as_deref().map(|to| Sender::new(to, ca_file)).transpose()?;
    let to = listen.forward.as_deref().map_or_else(String::new, |to| format!(" for {to}"));
    let greeting = Some(format!("Listening to the webhooks of {base}{to}. Ctrl-C ends it."));
    let last = listen.replay.then(|| "0".to_owned());
    Listener { source, sender, clock, greeting, last, failures: 0 }.run(out).await
}

/// The key, which is looked at before it is shown to anybody: what is in `FAL_KEY` may be one of fal's.
fn key(listen: &Listen) -> anyhow::Result<ApiKey> {
    let given = listen.key.as_ref().filter(|key| !key.expose().is_empty());
    let text = match given {
        Some(key) => key.expose().to_owned(),
        None => std::env::var(FAL_KEY_VARIABLE).ok().with_context(|| {
            format!("a key of the relay is needed: put it into {FAL_KEY_VARIABLE} or {KEY_VARIABLE}")
        })?,
    };
    ApiKey::parse(&text)
        .context("this is no key of fal-relay: they begin with fr_live_ or fr_test_; copy it whole")
}

struct Listener {
    /// What is said once, when it has begun.
    greeting: Option<String>,
    source: Source,
    sender: Option<Sender>,
    clock: Arc<dyn Clock>,
    /// The number of the last event.
    last: Option<String>,
    /// In a row.
    failures: usize,
}

impl Listener {
    async fn run(mut self, out: &mut impl Write) -> anyhow::Result<()> {
        loop {
            let ended = match self.source.open(self.last.as_deref()).await {
                Ok(stream) => self.hear(stream, out).await?,
                Err(ended) => ended,
            };
            let wait = WAITS[self.failures.min(WAITS.len() - 1)];
            match ended {
                Ended::ForGood(error) => return Err(error),
                // Whoever reads the output of a script is not interested.
                Ended::ForNow(why) => writeln!(std::io::stderr(), "{why}; again in {wait:?}")?,
            }
            self.failures += 1;
            self.clock.sleep(wait).await;
        }
    }

    /// Takes events until there are no more.
    async fn hear(&mut self, mut stream: Stream, out: &mut impl Write) -> anyhow::Result<Ended> {
        loop {
            let event = match stream.next().await {
                Ok(event) => event,
                Err(ended) => return Ok(ended),
            };
            if let Some(greeting) = self.greeting.take() {
                writeln!(out, "{greeting}")?;
                out.flush()?;
            }
            if let Some(data) = &event.data {
                self.failures = 0;
                let line = self.take(data).await;
                writeln!(out, "{} {line}", self.clock.now())?;
                out.flush()?;
            }
            let Event { id, .. } = event;
            self.last = id.or(self.last.take());
        }
    }

    /// Sends one on; what became of it.
    async fn take(&self, data: &str) -> String {
        let webhook = match Webhook::read(data) {
            Ok(webhook) => webhook,
            Err(error) => return format!("something that is no webhook: {error}"),
        };
        let verified = match self.source.verify(&webhook).await {
            Ok(request_id) => request_id,
            Err(why) => return format!("a webhook that is not believed: {why}"),
        };
        let status = webhook.status();
        match &self.sender {
            None => format!("{verified} {status}"),
            Some(sender) => format!("{verified} {status} -> {}", sender.send(webhook).await),
        }
    }
}
