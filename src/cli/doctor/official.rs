//! Walks through the official clients: a small program for each, run by the user's own interpreter, tells its steps
//! line by line.

use std::io::Write;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::Client;
use super::child::{self, Output};
use super::lines::{self, ENDPOINT};
use super::report::{Outcome, Report, Step};
use super::steps::{Trial, What};

/// How long the whole walk may take. A model that nobody has used for a while takes minutes to begin.
const LIMIT: Duration = Duration::from_secs(600);

const PYTHON_PROBE: &str = include_str!("probe.py");
const JAVASCRIPT_PROBE: &str = include_str!("probe.mjs");

/// What a probe says of a step.
#[derive(Deserialize)]
struct Said {
    step: String,
    ok: bool,
    detail: String,
}

/// Walks, and tells each step as it happens.
pub(super) async fn walk<W: Write>(trial: &Trial<'_>, report: &mut Report<'_, W>) -> anyhow::Result<()> {
    let Some(command) = command(trial) else { return Ok(()) };
    let mut told = Vec::new();
    let mut failed = false;
    let outcome = child::run_by_line(command, LIMIT, trial.clock, |line| {
        // Anything else that the program prints is not meant for doctor.
        let Ok(said) = serde_json::from_str::<Said>(line) else { return Ok(()) };
        let step = match said.ok {
            true => trial.success(&said.step, &said.detail),
            false => trial.failure(&said.step, &said.detail),
        };
        failed |= !said.ok;
        told.push(said.step);
        report.tell(&step)
    })
    .await;
    let end = match outcome {
        Ok(output) => ended_early(&output, failed || told.len() == trial.steps().count()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = end {
        report.tell(&trial.failure(What::Client.as_str(), &why))?;
    }
    for what in trial.steps().skip(1).filter(|what| !told.iter().any(|told| told == what.as_str())) {
        report.tell(&Step::new(what.as_str(), Outcome::NotTried, "an earlier step stopped the walk"))?;
    }
    Ok(())
}

/// Why a program ended that has not told all its steps.
fn ended_early(output: &Output, expected: bool) -> Option<String> {
    let missing = "ERR_MODULE_NOT_FOUND";
    match (output.success, expected) {
        (true, true) => None,
        _ if output.stderr.contains(missing) => Some("@fal-ai/client is not found".into()),
        _ => {
            let last = output.stderr.lines().rfind(|line| !line.trim().is_empty());
            Some(format!("the program ended before its time: {}", last.unwrap_or("it said nothing")))
        }
    }
}

/// The interpreter with its probe; the key and all settings travel in its environment.
fn command(trial: &Trial<'_>) -> Option<Command> {
    let mut command = child::command(&trial.program);
    match trial.client {
        Client::Js => {
            let settings = lines::javascript_settings(trial.site, "() => key")?;
            let probe = format!("let key = process.env.FAL_KEY;\n{settings}\n{JAVASCRIPT_PROBE}");
            command.args(["--input-type=module", "--eval", &probe]);
            if let Some(folder) = trial.folder {
                command.current_dir(folder);
            }
            if let Some((_, Some(ca_file))) = trial.site.either() {
                command.env("NODE_EXTRA_CA_CERTS", ca_file);
            }
        }
        _ => {
            command.args(["-c", PYTHON_PROBE]).envs(lines::python_settings(trial.site)?);
        }
    }
    command
        .env("FAL_KEY", trial.key.expose())
        .env("FAL_RELAY_DOCTOR_WRONG_KEY", trial.wrong_key.expose())
        .env("FAL_RELAY_DOCTOR_ENDPOINT", ENDPOINT)
        .env("FAL_RELAY_DOCTOR_CANCEL_PROMPT", trial.cancel_prompt())
        .env("FAL_RELAY_DOCTOR_SPEND", if trial.spend { "1" } else { "0" });
    Some(command)
}
