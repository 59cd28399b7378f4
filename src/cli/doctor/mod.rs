//! `fal-relay doctor`: prints what a user of one client writes to use this relay, does it with the client that is
//! installed here, and says step by step what works and what cannot.

mod child;
mod limits;
pub(super) mod lines;
mod loan;
mod official;
pub(super) mod place;
mod plain;
mod report;
mod steps;
mod tool;
mod webhook;

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::Place;
use crate::clock::{Clock, SystemClock};
use crate::key::ApiKey;
use crate::random::Random;
use crate::secret::Secret;
use lines::{ENDPOINT, KEY_PLACEHOLDER, Site};
use loan::Loan;
use report::{Form, Outcome, Report, Step};
use steps::Trial;

/// The variable with the key that doctor uses.
pub const KEY_VARIABLE: &str = "FAL_RELAY_KEY";

/// What `--spend` makes at most: pictures, and fal's price of one of the size that the model makes by itself.
const IMAGES_MAX: &str = "6 pictures of 1 megapixel, 0.003 USD each at fal's list price";

/// A program that speaks fal's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Client {
    /// fal-client, the official Python client
    Python,
    /// @fal-ai/client, the official JavaScript client
    Js,
    /// curl
    Curl,
    /// HTTPie
    Httpie,
}

/// `doctor`
#[derive(Clone, Debug, clap::Args)]
pub struct Doctor {
    /// Which client to try
    #[arg(long, value_enum)]
    client: Client,
    /// The relay's address, if it is not the one of the configuration
    #[arg(long)]
    url: Option<String>,
    /// The certificate authority of the relay's https address, as a PEM file
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A key of the relay; without one, doctor makes a key and ends it again. Better given by the environment, since
    /// everyone on this machine sees arguments
    #[arg(long, env = KEY_VARIABLE, hide_env_values = true, value_parser = secret)]
    key: Option<Secret>,
    /// The client's program: another python3, node, curl or http
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// The folder of your JavaScript program, where @fal-ai/client is installed [default: this folder]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// On a relay that is not in sandbox mode, also walk the steps that fal bills: up to 6 pictures of the cheapest
    /// model, 0.003 USD each at fal's list price
    #[arg(long)]
    spend: bool,
    /// Print one JSON object for each step
    #[arg(long)]
    json: bool,
    /// Print the lines only, and try nothing
    #[arg(long)]
    lines: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "the form that clap wants")]
pub(super) fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

impl Client {
    fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Js => "js",
            Self::Curl => "curl",
            Self::Httpie => "httpie",
        }
    }

    /// The program that runs it.
    fn program(self) -> &'static str {
        match self {
            Self::Python => "python3",
            Self::Js => "node",
            Self::Curl => "curl",
            Self::Httpie => "http",
        }
    }

    fn lines(self, site: &Site, key: &str) -> Option<String> {
        match self {
            Self::Python => lines::python(site, key),
            Self::Js => lines::javascript(site, key),
            Self::Curl => lines::curl(site, key),
            Self::Httpie => lines::httpie(site, key),
        }
    }
}

/// Prints the lines, walks the steps, and fails when one fails that should work.
pub(super) async fn run(doctor: &Doctor, place: &Place, out: &mut impl Write) -> anyhow::Result<()> {
    let config = place.load()?;
    let site = place::site(doctor.url.as_deref(), doctor.ca_file.as_deref(), &config, place.sandbox)?;
    let address = place::address(doctor.client, &site)?;
    let given = Loan::given(doctor, place.kind())?;
    if doctor.lines {
        return print_lines(doctor, &site, given.as_ref(), out);
    }
    let mut report = Report::new(out, form(doctor));
    if let Err(error) = place::answers(address, site.ca_file.as_deref()).await {
        let start = format!("start it with `fal-relay serve{}`, or say where it is with --url", flag(place));
        report.tell(&Step::new("relay", Outcome::Fails, format!("{error:#}")).remedy(start))?;
        bail!("no relay to try");
    }
    report.tell(&Step::new("relay", Outcome::Works, format!("answers at {address}")))?;
    // From here on a signal ends the walk and not the process, so that a key of ours is always ended.
    let (mut interrupt, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let loan = match given {
        Some(loan) => loan,
        None => Loan::make(place, &config).await?,
    };
    let outcome = tokio::select! {
        outcome = walk(doctor, place, &site, &loan, &mut report) => outcome,
        _ = interrupt.recv() => Err(anyhow!("interrupted")),
        _ = term.recv() => Err(anyhow!("stopped by a signal")),
    };
    loan.give_back().await?;
    outcome
}

fn form(doctor: &Doctor) -> Form {
    match (doctor.json, std::io::stdout().is_terminal()) {
        (true, _) => Form::Json,
        (false, true) => Form::Marks,
        (false, false) => Form::Words,
    }
}

fn flag(place: &Place) -> &'static str {
    if place.sandbox { " --sandbox" } else { "" }
}

fn print_lines(
    doctor: &Doctor,
    site: &Site,
    given: Option<&Loan>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let key = given.map_or_else(|| KEY_PLACEHOLDER.to_owned(), Loan::shown);
    let lines = doctor.client.lines(site, &key).unwrap_or_default();
    match doctor.json {
        true => writeln!(out, "{}", json!({"client": doctor.client.as_str(), "lines": lines}))?,
        false => writeln!(out, "{lines}")?,
    }
    Ok(())
}

/// Walks all steps and sums up.
async fn walk<W: Write>(
    doctor: &Doctor,
    place: &Place,
    site: &Site,
    loan: &Loan,
    report: &mut Report<'_, W>,
) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let wrong_key = ApiKey::generate(place.kind(), &Random::system())?;
    let trial = trial(doctor, place, site, loan, &wrong_key, &clock)?;
    let lines = doctor.client.lines(site, &loan.shown()).unwrap_or_default();
    report.say(&format!("\n{lines}\n{}\n", about_key(loan)))?;
    match doctor.client {
        Client::Python | Client::Js => official::walk(&trial, report).await?,
        Client::Curl | Client::Httpie => plain::walk(&trial, report).await?,
    }
    if trial.spend {
        webhook::walk(&trial, report).await?;
    }
    tell_the_rest(&trial, report)?;
    sum_up(doctor, report)
}

fn about_key(loan: &Loan) -> &'static str {
    match loan.is_ours() {
        true => "(a key of doctor's own, which ends with this walk; make yours with `fal-relay key create`)",
        false => "(put your whole key where **** stands)",
    }
}

fn trial<'a>(
    doctor: &'a Doctor,
    place: &Place,
    site: &'a Site,
    loan: &'a Loan,
    wrong_key: &'a ApiKey,
    clock: &'a dyn Clock,
) -> anyhow::Result<Trial<'a>> {
    let program = match &doctor.program {
        // The child may run in another folder.
        Some(path) if path.components().count() > 1 => std::path::absolute(path)?,
        Some(name) => name.clone(),
        None => PathBuf::from(doctor.client.program()),
    };
    Ok(Trial {
        client: doctor.client,
        site,
        key: &loan.key,
        key_is_ours: loan.is_ours(),
        wrong_key,
        program,
        folder: doctor.folder.as_deref(),
        spend: place.sandbox || doctor.spend,
        sandbox: place.sandbox,
        clock,
    })
}

/// What was left out to save money, and what no setting makes work.
fn tell_the_rest<W: Write>(trial: &Trial<'_>, report: &mut Report<'_, W>) -> anyhow::Result<()> {
    let left_out = trial.left_out().iter().map(|what| what.as_str());
    let left_out = left_out.chain((!trial.spend).then_some(webhook::STEP));
    for (at, what) in left_out.enumerate() {
        let step = Step::new(what, Outcome::NotTried, "not without --spend, since fal bills for this walk");
        let remedy = format!("--spend walks these steps too; it makes up to {IMAGES_MAX} ({ENDPOINT})");
        report.tell(&if at == 0 { step.remedy(remedy) } else { step })?;
    }
    let limit = limits::of(trial.client);
    report.tell(&Step::new(limit.step, Outcome::Cannot, limit.reason).remedy(limit.remedy))?;
    Ok(())
}

fn sum_up<W: Write>(doctor: &Doctor, report: &mut Report<'_, W>) -> anyhow::Result<()> {
    let client = doctor.client.as_str();
    if report.fails > 0 {
        bail!("{} of {} steps fail with {client}", report.fails, report.works + report.fails);
    }
    report.say(&format!("\nAll that can work with {client} works: {} steps.", report.works))?;
    Ok(())
}
