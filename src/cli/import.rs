//! `fal-relay import`: keys and groups of another gateway.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::args::{Why, print_json, words};
use super::table;
use crate::admin::{Actor, AdminError, EntryProblem, ImportInput, ImportReport};

/// `import`
#[derive(Debug, Args)]
pub struct Import {
    /// The tokens of a one-api or new-api, with whole keys: JSON, one JSON object a line, or CSV with a head line
    file: PathBuf,
    /// Its group ratios: a JSON object such as {"default": 1, "vip": 0.8}
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
    /// The tenant of all keys; when not given, each user there becomes a tenant here
    #[arg(long)]
    tenant: Option<String>,
    /// How many quota points one US dollar has there
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    quota_per_usd: i64,
    /// Fields of the tokens that do not matter, with commas between
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Import the rest when some tokens cannot be taken
    #[arg(long)]
    skip_bad: bool,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    why: Why,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what the command line says.
pub async fn run(import: &Import, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let input = ImportInput {
        tokens: read(&import.file)?,
        groups: import.groups.as_deref().map(read).transpose()?,
        tenant: import.tenant.clone(),
        quota_per_usd: Some(import.quota_per_usd),
        ignore: import.ignore.clone(),
        skip_bad: import.skip_bad,
        dry_run: import.dry_run,
    };
    match import.why.tell(office).import(input).await {
        Ok(report) => print_report(&report, import, out),
        Err(AdminError::Import(report)) => {
            match import.json {
                true => print_json(&*report, out)?,
                false => print_problems(&report.problems, out)?,
            }
            out.flush()?;
            bail!("nothing was imported; correct the file, or say --skip-bad to import the rest")
        }
        Err(error) => Err(error.into()),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn print_report(report: &ImportReport, import: &Import, out: &mut impl Write) -> anyhow::Result<()> {
    if import.json {
        return print_json(report, out);
    }
    if !report.problems.is_empty() {
        print_problems(&report.problems, out)?;
        writeln!(out)?;
    }
    let done = if import.dry_run { "would be imported" } else { "imported" };
    let fields = [
        ("keys", format!("{} {done}", report.imported)),
        ("new groups", words(&report.groups)),
        ("deleted there", report.deleted.to_string()),
        ("left out", report.problems.len().to_string()),
    ];
    Ok(table::record(out, &fields)?)
}

fn print_problems(problems: &[EntryProblem], out: &mut impl Write) -> anyhow::Result<()> {
    let row =
        |problem: &EntryProblem| [problem.line.to_string(), problem.field.clone(), problem.reason.clone()];
    let rows: Vec<_> = problems.iter().map(row).collect();
    Ok(table::write(out, ["LINE", "FIELD", "PROBLEM"], &rows)?)
}
