//! `fal-relay ledger …`: the ledger for spreadsheets and scripts.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};

use crate::admin::{Actor, CallView, ExportQuery};
use crate::ids::CallId;

use super::key::print_json;

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

/// Does what `command` says.
pub async fn run(command: &LedgerCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let LedgerCommand::Export(export) = command;
    if export.format == Format::Csv {
        write!(out, "{}", CallView::csv_head())?;
    }
    let (query, mut after) = (ExportQuery::default(), CallId(export.after));
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
