//! Logs, to standard error: one line for each call, and one where a fault stops. Never a body, a header or a key.
//!
//! The names of the fields, which mean the same wherever they stand:
//!
//! | field | what it holds |
//! | --- | --- |
//! | `tenant` | the tenant's name |
//! | `key_id` | the number of the relay's own key |
//! | `account` | the operator's name for the fal account |
//! | `method` | the request's method |
//! | `route` | the kind of call: submit, status, stream, result, cancel, run, upload … |
//! | `endpoint` | fal's id of the model, as called |
//! | `request_id` | fal's id of the request |
//! | `call_id` | the number of the ledger's row |
//! | `status` | the status that the client got |
//! | `request_bytes`, `response_bytes` | bytes of the bodies, as they were relayed |
//! | `upstream_ms` | milliseconds until fal's head had come |
//! | `total_ms` | milliseconds until the client had the last byte, or was gone |
//! | `id` | the call's number, which its answer carries as `x-relay-request-id` |
//! | `complete` | whether the client got the whole answer |
//! | `error` | what went wrong: of a call, the type that its answer names; else a sentence without secrets |
//! | `cause` | what was behind a call's error |

use std::io::{self, IsTerminal};
use std::sync::Arc;

use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::call_log::{CallLog, Form};
use crate::clock::Clock;

/// Libraries that tell more than an operator asks for. They are heard from `warn` up.
const NOISY: [&str; 8] =
    ["h2", "hyper", "hyper_util", "reqwest", "rustls", "rustls_platform_verifier", "tokio_util", "tower"];

/// Logs: `[log]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How lines look.
    pub format: Format,
    /// The least important level that is written.
    pub level: Level,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Settings {
    /// The values of `config/fal-relay.toml`; a test of the configuration compares them.
    fn default() -> Self {
        Self { format: Format::Auto, level: Level::INFO }
    }
}

/// Something else in this process has taken the logs already.
#[derive(Debug, thiserror::Error)]
#[error("logs cannot be started: {0}")]
pub struct AlreadyStarted(#[from] TryInitError);

/// Starts the logs of this process; once.
pub fn start(settings: &Settings) -> Result<(), AlreadyStarted> {
    Ok(subscriber(settings, io::stderr().is_terminal(), io::stderr).try_init()?)
}

/// The log of calls, beside the others and in their form.
pub fn call_log(settings: &Settings, clock: Arc<dyn Clock>) -> Arc<CallLog> {
    let form = if settings.is_json(io::stderr().is_terminal()) { Form::Json } else { Form::Text };
    CallLog::new(form, settings.level, clock, Box::new(io::stderr()))
}

impl Settings {
    fn is_json(&self, terminal: bool) -> bool {
        match self.format {
            Format::Auto => !terminal,
            Format::Text => false,
            Format::Json => true,
        }
    }
}

fn subscriber<W>(settings: &Settings, terminal: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match (settings.is_json(terminal), terminal) {
        (true, _) => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        // On a terminal the layer itself decides about colours: it respects NO_COLOR.
        (false, true) => lines.boxed(),
        (false, false) => lines.with_ansi(false).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(targets(settings.level)))
}

fn targets(level: Level) -> Targets {
    let quiet = LevelFilter::from(level).min(LevelFilter::WARN);
    Targets::new().with_default(level).with_targets(NOISY.map(|target| (target, quiet)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::{debug, info, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, terminal: bool, level: Level) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = subscriber(&Settings { format, level }, terminal, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            info!(status = 200, tenant = "a", "call");
            debug!("detail");
            info!(target: "hyper::proto", "noise");
            warn!(target: "rustls", "trouble");
        });
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_has_the_fields_at_the_top() {
        for text in [logged(Format::Json, true, Level::INFO), logged(Format::Auto, false, Level::INFO)] {
            let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
            assert_eq!((&line["status"], &line["tenant"]), (&200.into(), &"a".into()), "{text}");
            assert_eq!(line["message"], "call");
        }
    }

    #[test]
    fn text_is_for_people() {
        let text = logged(Format::Text, false, Level::INFO);
        assert!(text.contains("call status=200 tenant=\"a\""), "{text}");
        assert!(!logged(Format::Auto, true, Level::INFO).starts_with('{'));
    }

    #[test]
    fn levels_hold_and_libraries_are_quiet() {
        for (level, wanted) in [
            (Level::INFO, ["call", "trouble"].as_slice()),
            (Level::DEBUG, &["call", "detail", "trouble"]),
            (Level::ERROR, &[]),
        ] {
            let text = logged(Format::Json, false, level);
            let messages: Vec<serde_json::Value> =
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let messages: Vec<_> = messages.iter().map(|line| line["message"].as_str().unwrap()).collect();
            assert_eq!(messages, wanted);
        }
    }
}
