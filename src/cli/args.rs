//! Flags that several verbs share.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{bail, ensure};
use clap::Args;
use serde::Serialize;

use crate::admin::{Actor, AdminError, BudgetInput, BudgetView, Page, RulesSpec};
use crate::period::Period;

/// The most rows of a page: lists are read in as few pages as can be.
pub(super) const PAGE: i64 = 1000;

/// What takes a limit away.
const NONE: &str = "none";

/// Why something is changed.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Why {
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Why {
    /// The service, told why.
    pub(super) fn tell(&self, office: &Actor) -> Actor {
        office.clone().because(self.reason.clone())
    }
}

/// Whether to go ahead with what cannot be undone.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Sure {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pub(super) why: Why,
}

impl Sure {
    /// Asks, unless somebody has said yes; without a terminal nobody can be asked.
    pub(super) fn confirm(&self, what: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        ensure!(io::stdin().is_terminal(), "{what} cannot be undone; say --yes to do it");
        eprint!("{what} cannot be undone. Go ahead? [y/N] ");
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => bail!("nothing was done"),
        }
    }
}

/// What a tenant, a group or a key may do.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Rules")]
pub(super) struct RulesArgs {
    /// Endpoints that may be called, such as 'fal-ai/flux/**', with commas between; `none` for no list: all may be called
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    models: Vec<String>,
    /// Endpoints that may not be called, whatever is allowed; `none` for no list
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    deny_models: Vec<String>,
    /// Requests of any kind in a minute; `none` for no limit
    #[arg(long, value_name = "N", value_parser = limit)]
    requests_per_minute: Option<Limit>,
    /// Calls that can cost something, in a minute; `none` for no limit
    #[arg(long, value_name = "N", value_parser = limit)]
    submits_per_minute: Option<Limit>,
    /// Jobs at one time; `none` for no limit
    #[arg(long, value_name = "N", value_parser = limit)]
    jobs_in_flight: Option<Limit>,
    /// Uploads that begin, in a minute; `none` for no limit
    #[arg(long, value_name = "N", value_parser = limit)]
    uploads_per_minute: Option<Limit>,
    /// The most bytes of one upload; such uploads run through the relay. `none` for no limit
    #[arg(long, value_name = "BYTES", value_parser = limit)]
    max_upload_bytes: Option<Limit>,
    /// The largest price of one request in US dollars, such as 0.10; `none` for no limit
    #[arg(long, value_name = "USD")]
    max_per_request: Option<String>,
    /// Networks that calls may come from, such as 10.0.0.0/8, with commas between; `none` for no list
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    networks: Vec<String>,
    /// Browser origins that calls may come from, such as https://app.example.com; `none` for no list
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',')]
    origins: Vec<String>,
}

/// A number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit(Option<i64>);

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        NONE => Ok(Limit(None)),
        text => text.parse().map(|number| Limit(Some(number))).map_err(|_| "write a number or `none`".into()),
    }
}

impl RulesArgs {
    /// The rules `old` with what was said in place of what was.
    pub(super) fn over(&self, old: RulesSpec) -> RulesSpec {
        let max_per_request = self.max_per_request.as_deref();
        RulesSpec {
            allow: list(&self.models, old.allow),
            deny: list(&self.deny_models, old.deny),
            requests_per_minute: self.requests_per_minute.map_or(old.requests_per_minute, |limit| limit.0),
            submits_per_minute: self.submits_per_minute.map_or(old.submits_per_minute, |limit| limit.0),
            jobs_in_flight: self.jobs_in_flight.map_or(old.jobs_in_flight, |limit| limit.0),
            uploads_per_minute: self.uploads_per_minute.map_or(old.uploads_per_minute, |limit| limit.0),
            max_upload_bytes: self.max_upload_bytes.map_or(old.max_upload_bytes, |limit| limit.0),
            max_request_usd: max_per_request
                .map_or(old.max_request_usd, |text| (text != NONE).then(|| text.to_owned())),
            networks: list(&self.networks, old.networks),
            origins: list(&self.origins, old.origins),
        }
    }

    /// The changed rules, when anything was said.
    pub(super) fn change(&self, old: &RulesSpec) -> Option<RulesSpec> {
        let new = self.over(old.clone());
        (new != *old).then_some(new)
    }
}

fn list(said: &[String], old: Vec<String>) -> Vec<String> {
    match said {
        [] => old,
        [word] if word == NONE => Vec::new(),
        said => said.to_vec(),
    }
}

/// Budgets.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Budgets")]
pub(super) struct BudgetArgs {
    /// A cap in US dollars, such as 5/day, 100/month@Europe/Berlin or 20/total, several with commas between; `none/day`
    /// lifts one
    #[arg(long = "budget", value_name = "USD/PERIOD", value_delimiter = ',', value_parser = budget)]
    budgets: Vec<BudgetArg>,
    /// At which part of these budgets somebody is told
    #[arg(long, value_name = "PERCENT")]
    alert_at: Option<i64>,
}

/// One budget: its period, its cap unless it is lifted, its zone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BudgetArg {
    period: Period,
    limit_usd: Option<String>,
    zone: Option<String>,
}

fn budget(text: &str) -> Result<BudgetArg, String> {
    let wrong = "write an amount and a period, such as 5/day, 100/month@Europe/Berlin or 20/total";
    let (limit, rest) = text.split_once('/').ok_or(wrong)?;
    let (period, zone) = match rest.split_once('@') {
        Some((period, zone)) => (period, Some(zone.to_owned())),
        None => (rest, None),
    };
    let period = Period::ALL.into_iter().find(|known| known.as_str() == period).ok_or(wrong)?;
    Ok(BudgetArg { period, limit_usd: (limit != NONE).then(|| limit.to_owned()), zone })
}

impl BudgetArgs {
    pub(super) fn is_empty(&self) -> bool {
        self.budgets.is_empty()
    }

    /// The budgets of something new.
    pub(super) fn inputs(&self) -> Vec<BudgetInput> {
        self.each().filter_map(|(_, input)| input).collect()
    }

    /// Each period with its budget, or with none when it is lifted.
    pub(super) fn each(&self) -> impl Iterator<Item = (Period, Option<BudgetInput>)> {
        self.budgets.iter().map(|budget| {
            let input = budget.limit_usd.clone().map(|limit_usd| BudgetInput {
                period: budget.period,
                limit_usd,
                soft_percent: self.alert_at,
                zone: budget.zone.clone(),
            });
            (budget.period, input)
        })
    }
}

/// Budgets as a table shows them.
pub(super) fn budget_texts(budgets: &[BudgetView]) -> String {
    let text = |budget: &BudgetView| match budget.zone.as_str() {
        "UTC" => format!("{}/{}", budget.limit_usd, budget.period),
        zone => format!("{}/{}@{zone}", budget.limit_usd, budget.period),
    };
    words(&budgets.iter().map(text).collect::<Vec<_>>())
}

/// Rules as a record shows them.
pub(super) fn rules_fields(rules: &RulesSpec) -> Vec<(&'static str, String)> {
    let number = |limit: Option<i64>| limit.map_or_else(|| "-".into(), |limit| limit.to_string());
    vec![
        ("models", words(&rules.allow)),
        ("not models", words(&rules.deny)),
        ("requests per minute", number(rules.requests_per_minute)),
        ("submits per minute", number(rules.submits_per_minute)),
        ("jobs in flight", number(rules.jobs_in_flight)),
        ("uploads per minute", number(rules.uploads_per_minute)),
        ("largest upload", number(rules.max_upload_bytes)),
        ("most per request", rules.max_request_usd.clone().unwrap_or_else(|| "-".into())),
        ("networks", words(&rules.networks)),
        ("origins", words(&rules.origins)),
    ]
}

/// Words with commas between.
pub(super) fn words(words: &[String]) -> String {
    match words {
        [] => "-".into(),
        words => words.join(", "),
    }
}

/// All pages of a list.
pub(super) async fn all<T>(
    read: impl AsyncFn(Option<String>) -> Result<Page<T>, AdminError>,
) -> Result<Vec<T>, AdminError> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let page = read(cursor).await?;
        items.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(items);
        }
    }
}

/// One value, one line.
pub(super) fn print_json(value: &impl Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    Ok(writeln!(out)?)
}
