//! `fal-relay ledger …`: the ledger for people, spreadsheets and scripts.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};

use super::args::{Why, print_json};
use super::table::{self, or};
use crate::admin::{Actor, AdjustmentInput, AdjustmentView, CallQuery, CallView, ExportQuery};
use crate::ids::CallId;
use crate::store::CallState;

/// The verbs of `fal-relay ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Print the ledger, oldest row first
    Export(Export),
    /// List calls, the newest first
    Search(Search),
    /// Show one call and its corrections
    Show(Show),
    /// Correct what a closed call costs
    Adjust(Adjust),
}

/// Which calls are wanted.
#[derive(Debug, Default, Args)]
pub struct Wanted {
    /// Only calls of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only calls with the key of this number
    #[arg(long, value_name = "ID")]
    key: Option<i64>,
    /// Only calls to this endpoint
    #[arg(long, visible_alias = "model")]
    endpoint: Option<String>,
    /// Only calls that carry this tag
    #[arg(long, value_name = "K=V")]
    tag: Option<String>,
    /// Only calls in this state: held, sent, settled, released or unknown
    #[arg(long, value_parser = state)]
    state: Option<CallState>,
    /// Only calls held from then on: a day, a moment, or how long ago, such as 7d
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only calls held before
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

fn state(text: &str) -> Result<CallState, String> {
    let found = CallState::ALL.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| "write held, sent, settled, released or unknown".into())
}

/// `ledger export`
#[derive(Debug, Args)]
pub struct Export {
    /// How to write rows
    #[arg(long, value_enum)]
    format: Format,
    /// Only rows after this number: the last `id` of an earlier export
    #[arg(long, value_name = "ID", default_value_t = 0)]
    after: i64,
    #[command(flatten)]
    wanted: Wanted,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object per line; what is not known is null
    Jsonl,
    /// RFC 4180 with a head line; what is not known is empty
    Csv,
}

/// `ledger search`
#[derive(Debug, Args)]
pub struct Search {
    #[command(flatten)]
    wanted: Wanted,
    /// Only calls that ended with this status
    #[arg(long)]
    status: Option<i64>,
    /// Only the call that fal gave this id
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only calls that cost their tenant at least this
    #[arg(long, value_name = "USD")]
    min_cost: Option<String>,
    /// Only calls whose cost is not known
    #[arg(long)]
    unpriced: bool,
    /// The most rows, 1000 at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `ledger show`
#[derive(Debug, Args)]
pub struct Show {
    /// The row's number
    id: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `ledger adjust`
#[derive(Debug, Args)]
pub struct Adjust {
    /// The row's number
    id: i64,
    /// What fal bills, from now on, in US dollars
    #[arg(long, value_name = "USD")]
    cost: String,
    /// What the tenant pays, from now on; when not given, fal's cost times the multiplier of the call
    #[arg(long, value_name = "USD")]
    charge: Option<String>,
    #[command(flatten)]
    why: Why,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what `command` says.
pub async fn run(command: &LedgerCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        LedgerCommand::Export(export) => run_export(export, office, out).await,
        LedgerCommand::Search(search) => {
            let calls = office.calls(search.query()).await?.items;
            match search.json {
                true => print_json(&calls, out),
                false => print_table(&calls, out),
            }
        }
        LedgerCommand::Show(show) => {
            let call = office.call(CallId(show.id)).await?;
            let adjustments = office.adjustments(CallId(show.id)).await?;
            match show.json {
                true => print_json(&serde_json::json!({"call": call, "adjustments": adjustments}), out),
                false => print_one(&call, &adjustments, out),
            }
        }
        LedgerCommand::Adjust(adjust) => {
            let input =
                AdjustmentInput { fal_cost_usd: adjust.cost.clone(), cost_usd: adjust.charge.clone() };
            let made = adjust.why.tell(office).adjust(CallId(adjust.id), input).await?;
            match adjust.json {
                true => print_json(&made, out),
                false => print_adjustments(&[made], out),
            }
        }
    }
}

async fn run_export(export: &Export, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    if export.format == Format::Csv {
        write!(out, "{}", CallView::csv_head())?;
    }
    let (query, mut after) = (export.wanted.export(), CallId(export.after));
    loop {
        let page = office.export_page(&query, after).await?;
        for call in &page {
            match export.format {
                Format::Jsonl => print_json(call, out)?,
                Format::Csv => write!(out, "{}", call.csv_line())?,
            }
        }
        match page.last() {
            Some(last) => after = CallId(last.id),
            None => return Ok(out.flush()?),
        }
    }
}

impl Wanted {
    fn export(&self) -> ExportQuery {
        ExportQuery {
            after: None,
            tenant: self.tenant.clone(),
            key_id: self.key,
            endpoint: self.endpoint.clone(),
            tag: self.tag.clone(),
            state: self.state,
            start: self.since.clone(),
            end: self.until.clone(),
        }
    }
}

impl Search {
    fn query(&self) -> CallQuery {
        let wanted = self.wanted.export();
        CallQuery {
            tenant: wanted.tenant,
            key_id: wanted.key_id,
            endpoint: wanted.endpoint,
            tag: wanted.tag,
            state: wanted.state,
            status: self.status,
            request_id: self.request_id.clone(),
            start: wanted.start,
            end: wanted.end,
            min_cost_usd: self.min_cost.clone(),
            unpriced: Some(self.unpriced),
            limit: Some(self.limit),
            cursor: None,
        }
    }
}

fn print_table(calls: &[CallView], out: &mut impl Write) -> anyhow::Result<()> {
    let row = |call: &CallView| {
        [
            call.id.to_string(),
            call.held_at.clone(),
            call.tenant.clone(),
            call.key_id.to_string(),
            call.endpoint.clone(),
            call.state.clone(),
            call.status.map_or_else(|| "-".into(), |status| status.to_string()),
            or(call.cost_usd.as_ref(), "-"),
            or(call.request_id.as_ref(), "-"),
        ]
    };
    let head = ["ID", "HELD", "TENANT", "KEY", "ENDPOINT", "STATE", "STATUS", "COST", "REQUEST"];
    let rows: Vec<_> = calls.iter().map(row).collect();
    Ok(table::write(out, head, &rows)?)
}

fn print_one(call: &CallView, adjustments: &[AdjustmentView], out: &mut impl Write) -> anyhow::Result<()> {
    let fields = call.fields();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.clone())).collect();
    table::record(out, &fields)?;
    match adjustments {
        [] => Ok(()),
        adjustments => {
            writeln!(out)?;
            print_adjustments(adjustments, out)
        }
    }
}

fn print_adjustments(adjustments: &[AdjustmentView], out: &mut impl Write) -> anyhow::Result<()> {
    let row = |adjustment: &AdjustmentView| {
        let (cost, fal) = (adjustment.cost_usd.clone(), adjustment.fal_cost_usd.clone());
        [adjustment.at.clone(), cost, fal, adjustment.author.clone(), adjustment.reason.clone()]
    };
    let rows: Vec<_> = adjustments.iter().map(row).collect();
    Ok(table::write(out, ["ADJUSTED", "COST BY", "AT FAL BY", "WHO", "WHY"], &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::Desk;

    async fn export(desk: &Desk, format: Format, after: i64) -> String {
        let mut out = Vec::new();
        run(&LedgerCommand::Export(Export { format, after }), &desk.admin, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn both_formats_say_the_same() {
        let desk = Desk::new();
        desk.make_call("=cmd|' /C calc'!A0, \"x\"", Some("-job")).await;
        desk.make_call("beta", None).await;
        insta::assert_snapshot!(export(&desk, Format::Jsonl, 0).await, @r#"
        {"id":1,"request_id":"-job","idempotency_key":null,"tenant":"=cmd|' /C calc'!A0, \"x\"","key_id":1,"account":"main","endpoint":"fal-ai/flux-1/dev","kind":"queue","state":"settled","status":200,"billable_units":"1.50","cost_usd":null,"cost_basis":null,"body_bytes":17,"body_sha256":"0707070707070707070707070707070707070707070707070707070707070707","held_at":"2023-11-14T22:13:20.000000Z","sent_at":"2023-11-14T22:13:20.000000Z","settled_at":"2023-11-14T22:13:20.000000Z","released_at":null,"lost_at":null}
        {"id":2,"request_id":null,"idempotency_key":null,"tenant":"beta","key_id":2,"account":"main","endpoint":"fal-ai/flux-1/dev","kind":"queue","state":"held","status":null,"billable_units":null,"cost_usd":null,"cost_basis":null,"body_bytes":null,"body_sha256":null,"held_at":"2023-11-14T22:13:20.000000Z","sent_at":null,"settled_at":null,"released_at":null,"lost_at":null}
        "#);
        insta::assert_snapshot!(export(&desk, Format::Csv, 0).await.replace("\r\n", "\n"), @r#"
        id,request_id,idempotency_key,tenant,key_id,account,endpoint,kind,state,status,billable_units,cost_usd,cost_basis,body_bytes,body_sha256,held_at,sent_at,settled_at,released_at,lost_at
        1,'-job,,"'=cmd|' /C calc'!A0, ""x""",1,main,fal-ai/flux-1/dev,queue,settled,200,1.50,,,17,0707070707070707070707070707070707070707070707070707070707070707,2023-11-14T22:13:20.000000Z,2023-11-14T22:13:20.000000Z,2023-11-14T22:13:20.000000Z,,
        2,,,beta,2,main,fal-ai/flux-1/dev,queue,held,,,,,,,2023-11-14T22:13:20.000000Z,,,,
        "#);
    }

    #[tokio::test]
    async fn every_page_is_exported_once() {
        let desk = Desk::new();
        let rows = i64::from(PAGE) * 2 + 1;
        desk.make_calls(rows).await;
        let lines = export(&desk, Format::Jsonl, 0).await;
        let ids =
            lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap());
        assert!(ids.eq(1..=rows));
        assert_eq!(export(&desk, Format::Jsonl, rows - 2).await.lines().count(), 2);
        assert_eq!(export(&desk, Format::Jsonl, rows).await, "");
        assert_eq!(export(&desk, Format::Csv, rows).await.lines().count(), 1, "the head line");
    }

    #[test]
    fn no_text_becomes_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            let cell = csv_cell(text.into());
            assert!(cell.starts_with('\'') || cell.starts_with("\"'"), "{cell:?}");
        }
        assert_eq!(csv_cell("a,b\"c".into()), "\"a,b\"\"c\"");
        assert_eq!(csv_cell("plain = text".into()), "plain = text");
        assert_eq!(csv_cell(json!(-5)), "-5");
    }
}
