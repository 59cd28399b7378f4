//! fal's price list.

use std::io::{self, IsTerminal, Write};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::billing::{Billing, Sync};
use crate::platform::Progress;
use crate::store::Author;

use super::super::args::print_json;

/// The most problems that are shown.
const SHOWN_PROBLEMS: usize = 20;

/// The verbs that ask fal.
#[derive(Debug, Subcommand)]
pub enum FalCommand {
    /// Take fal's whole price list, and show what changes
    Sync(SyncCommand),
    /// Show what a sync would change
    Diff(DiffCommand),
}

/// `prices sync`
#[derive(Debug, Args)]
pub struct SyncCommand {
    /// Take a list too that lacks more than half of the known prices
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `prices diff`
#[derive(Debug, Args)]
pub struct DiffCommand {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what `command` says.
pub async fn run(command: &FalCommand, billing: &Billing, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        FalCommand::Sync(command) => sync(command, billing, out).await,
        FalCommand::Diff(command) => diff(command, billing, out).await,
    }
}

async fn sync(command: &SyncCommand, billing: &Billing, out: &mut impl Write) -> anyhow::Result<()> {
    let author = Author { name: "cli".into(), reason: None, at: billing.now() };
    let synced = billing.sync_prices(Sync { author, force: command.force, progress: &show }).await?;
    let (version, unusable) = (&synced.version, synced.problems.len() + synced.more_problems);
    if command.json {
        let told = json!({ "version": version, "models": synced.models, "changes": synced.diff,
                           "unusable": unusable, "problems": synced.problems });
        return print_json(&told, out);
    }
    write!(out, "{}", synced.diff)?;
    let (number, prices, changes) = (version.version, version.endpoints, version.changes);
    writeln!(out, "Version {number}: {prices} prices of {} models, {changes} changes.", synced.models)?;
    Ok(tell_problems(&synced.problems, unusable, out)?)
}

async fn diff(command: &DiffCommand, billing: &Billing, out: &mut impl Write) -> anyhow::Result<()> {
    let fetched = billing.fetch_prices(&show).await?;
    let unusable = fetched.gathered.problems.len() + fetched.gathered.more_problems;
    if command.json {
        let told = json!({ "models": fetched.gathered.models, "changes": fetched.diff,
                           "unusable": unusable, "problems": fetched.gathered.problems });
        return print_json(&told, out);
    }
    match fetched.diff.is_empty() {
        true => writeln!(out, "fal's prices are those that are known here.")?,
        false => write!(out, "{}", fetched.diff)?,
    }
    Ok(tell_problems(&fetched.gathered.problems, unusable, out)?)
}

fn tell_problems(problems: &[String], all: usize, out: &mut impl Write) -> io::Result<()> {
    if all == 0 {
        return Ok(());
    }
    writeln!(out, "{all} entries of fal's list cannot be used:")?;
    problems.iter().take(SHOWN_PROBLEMS).try_for_each(|problem| writeln!(out, "  {problem}"))?;
    match all.checked_sub(SHOWN_PROBLEMS) {
        Some(more) if more > 0 => writeln!(out, "  and {more} more"),
        _ => Ok(()),
    }
}

/// Shows on a terminal how far it has come.
fn show(progress: Progress) {
    let mut err = io::stderr();
    if err.is_terminal() {
        let Progress { done, of } = progress;
        let end = if done == of { "\n" } else { "" };
        // Nobody misses a line that cannot be shown.
        drop(write!(err, "\rprices of {done} of {of} models{end}"));
    }
}
