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
    use serde_json::Value;

    use super::*;
    use crate::cli::bench::{Desk, lines_of};

    lines_of!(ledger, LedgerCommand);

    #[tokio::test]
    async fn both_formats_say_the_same() {
        let desk = Desk::new();
        desk.make_call("=cmd|' /C calc'!A0, \"x\"", Some("-job")).await;
        desk.make_call("beta", None).await;
        insta::assert_snapshot!(ledger(&desk, "export --format jsonl").await.unwrap(), @r#"
        {"id":1,"request_id":"-job","idempotency_key":null,"tenant":"=cmd|' /C calc'!A0, \"x\"","key_id":1,"account":"main","endpoint":"fal-ai/flux-1/dev","kind":"queue","state":"settled","status":200,"billable_units":"1.50","cost_usd":"0.046875","cost_basis":"billed","body_bytes":17,"body_sha256":"0707070707070707070707070707070707070707070707070707070707070707","held_at":"2023-11-14T22:13:20.000000Z","sent_at":"2023-11-14T22:13:20.000000Z","settled_at":"2023-11-14T22:13:20.000000Z","released_at":null,"lost_at":null,"fal_cost_usd":"0.0375","adjusted_usd":null,"hold_usd":"0.05","hold_open":false,"unit_price":"0.025","unit":"megapixels","multiplier":"1.25","tags":"project=a,=1+1=2","reason":null,"token_id":null}
        {"id":2,"request_id":null,"idempotency_key":null,"tenant":"beta","key_id":2,"account":"main","endpoint":"fal-ai/flux-1/dev","kind":"queue","state":"held","status":null,"billable_units":null,"cost_usd":null,"cost_basis":null,"body_bytes":null,"body_sha256":null,"held_at":"2023-11-14T22:13:20.000000Z","sent_at":null,"settled_at":null,"released_at":null,"lost_at":null,"fal_cost_usd":null,"adjusted_usd":null,"hold_usd":"0.05","hold_open":true,"unit_price":"0.025","unit":"megapixels","multiplier":"1.25","tags":"project=a,=1+1=2","reason":null,"token_id":null}
        "#);
        insta::assert_snapshot!(ledger(&desk, "export --format csv").await.unwrap().replace("\r\n", "\n"), @r#"
        id,request_id,idempotency_key,tenant,key_id,account,endpoint,kind,state,status,billable_units,cost_usd,cost_basis,body_bytes,body_sha256,held_at,sent_at,settled_at,released_at,lost_at,fal_cost_usd,adjusted_usd,hold_usd,hold_open,unit_price,unit,multiplier,tags,reason,token_id
        1,'-job,,"'=cmd|' /C calc'!A0, ""x""",1,main,fal-ai/flux-1/dev,queue,settled,200,1.50,0.046875,billed,17,0707070707070707070707070707070707070707070707070707070707070707,2023-11-14T22:13:20.000000Z,2023-11-14T22:13:20.000000Z,2023-11-14T22:13:20.000000Z,,,0.0375,,0.05,false,0.025,megapixels,1.25,"project=a,=1+1=2",,
        2,,,beta,2,main,fal-ai/flux-1/dev,queue,held,,,,,,,2023-11-14T22:13:20.000000Z,,,,,,,0.05,true,0.025,megapixels,1.25,"project=a,=1+1=2",,
        "#);
        let some = ledger(&desk, "export --format jsonl --tenant beta --state held").await.unwrap();
        assert_eq!(some.lines().count(), 1);
    }

    #[tokio::test]
    async fn every_page_is_exported_once() {
        let desk = Desk::new();
        let rows = 2001;
        desk.make_calls(rows).await;
        let export = async |format: &str, after: i64| {
            ledger(&desk, &format!("export --format {format} --after {after}")).await.unwrap()
        };
        let lines = export("jsonl", 0).await;
        let ids =
            lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_i64().unwrap());
        assert!(ids.eq(1..=rows));
        assert_eq!(export("jsonl", rows - 2).await.lines().count(), 2);
        assert_eq!(export("jsonl", rows).await, "");
        assert_eq!(export("csv", rows).await.lines().count(), 1, "the head line");
    }

    #[tokio::test]
    async fn a_call_is_found_shown_and_corrected() {
        let desk = Desk::new();
        desk.make_call("alpha", Some("job-1")).await;
        desk.make_call("beta", Some("job-2")).await;
        insta::assert_snapshot!(ledger(&desk, "search --tag project=a --since 1h").await.unwrap(), @r"
        ID  HELD                         TENANT  KEY  ENDPOINT           STATE    STATUS  COST      REQUEST
        2   2023-11-14T22:13:20.000000Z  beta    2    fal-ai/flux-1/dev  settled  200     0.046875  job-2
        1   2023-11-14T22:13:20.000000Z  alpha   1    fal-ai/flux-1/dev  settled  200     0.046875  job-1
        ");
        assert_eq!(ledger(&desk, "search --request-id job-2").await.unwrap().lines().count(), 2);
        assert_eq!(ledger(&desk, "search --min-cost 1 --json").await.unwrap(), "[]\n");
        assert_eq!(ledger(&desk, "search --tenant nobody --json").await.unwrap(), "[]\n");
        let refused = ledger(&desk, "adjust 1 --cost 0.04").await.unwrap_err();
        assert_eq!(refused, "reason must say why the cost is corrected");
        insta::assert_snapshot!(ledger(&desk, "adjust 1 --cost 0.04 --reason 'the bill says so'").await.unwrap(), @r"
        ADJUSTED                     COST BY   AT FAL BY  WHO  WHY
        2023-11-14T22:13:20.000000Z  0.003125  0.0025     cli  the bill says so
        ");
        insta::assert_snapshot!(ledger(&desk, "show 1").await.unwrap(), @r"
        id               1
        request_id       job-1
        idempotency_key  -
        tenant           alpha
        key_id           1
        account          main
        endpoint         fal-ai/flux-1/dev
        kind             queue
        state            settled
        status           200
        billable_units   1.50
        cost_usd         0.05
        cost_basis       billed
        body_bytes       17
        body_sha256      0707070707070707070707070707070707070707070707070707070707070707
        held_at          2023-11-14T22:13:20.000000Z
        sent_at          2023-11-14T22:13:20.000000Z
        settled_at       2023-11-14T22:13:20.000000Z
        released_at      -
        lost_at          -
        fal_cost_usd     0.04
        adjusted_usd     0.003125
        hold_usd         0.05
        hold_open        false
        unit_price       0.025
        unit             megapixels
        multiplier       1.25
        tags             project=a,=1+1=2
        reason           -
        token_id         -

        ADJUSTED                     COST BY   AT FAL BY  WHO  WHY
        2023-11-14T22:13:20.000000Z  0.003125  0.0025     cli  the bill says so
        ");
        let again = ledger(&desk, "adjust 1 --cost 0.04 --reason twice").await.unwrap_err();
        assert_eq!(again, "call 1 cannot be adjusted: it is not closed yet, or costs just this already");
        assert_eq!(ledger(&desk, "show 9").await.unwrap_err(), "there is no call 9");
        let refused = ledger(&desk, "search --request-id a/b").await.unwrap_err();
        assert_eq!(refused, "request_id is wrong: a request id has 1 to 128 letters, digits, `_` or `-`");
    }
}
