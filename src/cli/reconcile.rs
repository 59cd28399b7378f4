//! `fal-relay reconcile`: fal's bill beside the ledger.

use std::io::Write;

use anyhow::bail;
use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::billing::{Billing, Reconcile};
use crate::clock::Timestamp;

use super::args::print_json;

/// `reconcile`
#[derive(Debug, Args)]
pub struct ReconcileCommand {
    /// From when, such as 2026-01-31 or 2026-01-31T12:00:00Z [default: the oldest call of unknown cost, 3 days at least]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    since: Option<Timestamp>,
    /// Take fal's word where the ledger says otherwise
    #[arg(long)]
    apply: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what `command` says.
pub async fn run(command: &ReconcileCommand, billing: &Billing, out: &mut impl Write) -> anyhow::Result<()> {
    let wish = Reconcile { author: "cli".into(), since: command.since, apply: command.apply };
    let report = billing.reconcile(&wish).await?;
    match command.json {
        true => print_json(&report, out)?,
        false => write!(out, "{report}")?,
    }
    if !report.is_whole() {
        bail!("a bill was not read to its end; what was read counts");
    }
    Ok(())
}

/// A moment, or a day that stands for its beginning (UTC).
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|start| start.timestamp());
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(day);
    let moment = moment.ok_or("write a day such as 2026-01-31, or a moment such as 2026-01-31T12:00:00Z")?;
    Ok(Timestamp::from_micros(moment.as_microsecond()))
}
