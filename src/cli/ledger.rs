//! `fal-relay ledger …`: the ledger for spreadsheets and scripts.

use std::io::{self, Write};

use clap::{Args, Subcommand, ValueEnum};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::store::CallRecord;

use super::key::print_json;

/// Rows that are in memory at once.
const PAGE: u32 = 1000;

/// The verbs of `fal-relay ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Print the ledger, oldest row first
    Export(Export),
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
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object per line; what is not known is null
    Jsonl,
    /// RFC 4180 with a head line; what is not known is empty
    Csv,
}

/// A column: its name, on which scripts rely, and what stands in it.
type Column = (&'static str, fn(&CallRecord) -> Value);

/// The one list of columns, for every format. An idempotency key and a cost are not recorded yet, and a cost that is
/// not known is not zero.
const COLUMNS: [Column; 20] = [
    ("id", |call| json!(call.id)),
    ("request_id", |call| json!(call.request_id)),
    ("idempotency_key", |_| Value::Null),
    ("tenant", |call| json!(call.tenant)),
    ("key_id", |call| json!(call.key_id)),
    ("account", |call| json!(call.account)),
    ("endpoint", |call| json!(call.endpoint)),
    ("kind", |call| json!(call.kind)),
    ("state", |call| json!(call.state)),
    ("status", |call| json!(call.status)),
    ("billable_units", |call| json!(call.billable_units)),
    ("cost_usd", |_| Value::Null),
    ("cost_basis", |_| Value::Null),
    ("body_bytes", |call| json!(call.body_bytes)),
    ("body_sha256", |call| json!(call.body_sha256)),
    ("held_at", |call| moment(Some(call.held_at))),
    ("sent_at", |call| moment(call.sent_at)),
    ("settled_at", |call| moment(call.settled_at)),
    ("released_at", |call| moment(call.released_at)),
    ("lost_at", |call| moment(call.lost_at)),
];

fn moment(moment: Option<Timestamp>) -> Value {
    moment.map_or(Value::Null, |moment| Value::String(moment.to_string()))
}

/// Does what `command` says.
pub async fn run(command: &LedgerCommand, admin: &Admin, out: &mut impl Write) -> anyhow::Result<()> {
    let LedgerCommand::Export(export) = command;
    if export.format == Format::Csv {
        write_csv(COLUMNS.map(|(name, _)| name.into()), out)?;
    }
    let mut after = CallId(export.after);
    loop {
        let page = admin.calls(after, PAGE).await?;
        for call in &page {
            match export.format {
                Format::Jsonl => print_json(&Row(call), out)?,
                Format::Csv => write_csv(COLUMNS.map(|(_, cell)| cell(call)), out)?,
            }
        }
        match page.last() {
            Some(last) => after = last.id,
            None => return Ok(out.flush()?),
        }
    }
}

/// A row as a JSON object, its members in the order of the columns.
struct Row<'a>(&'a CallRecord);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(COLUMNS.map(|(name, cell)| (name, cell(self.0))))
    }
}

fn write_csv(cells: [Value; COLUMNS.len()], out: &mut impl Write) -> io::Result<()> {
    write!(out, "{}\r\n", cells.map(csv_cell).join(","))
}

/// One cell after RFC 4180. A text that a spreadsheet would run as a formula gets an apostrophe, as spreadsheets
/// themselves mark plain text.
fn csv_cell(value: Value) -> String {
    let mut text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text,
        other => return other.to_string(),
    };
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        text.insert(0, '\'');
    }
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
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
