//! `fal-relay usage`: what was spent, by whom, on what.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::args::print_json;
use super::table;
use crate::admin::{Actor, UsageQuery, UsageReport, UsageRow};

/// `usage`
#[derive(Debug, Args)]
pub struct Usage {
    /// By what to tell it apart: day, tenant, key, endpoint (or model) and tag, with commas between; tag not beside key or
    /// endpoint
    #[arg(long, default_value = "tenant")]
    by: String,
    /// The first day in UTC, such as 2026-01-31, or how long ago, such as 7d [default: 30 days before the end]
    #[arg(long, value_name = "DAY")]
    since: Option<String>,
    /// The day after the last [default: tomorrow]
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    /// Only this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only the key of this number
    #[arg(long, value_name = "ID")]
    key: Option<i64>,
    /// Only this endpoint
    #[arg(long, visible_alias = "endpoint", value_name = "ENDPOINT")]
    model: Option<String>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what the command line says.
pub async fn run(usage: &Usage, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let query = UsageQuery {
        start: usage.since.clone(),
        end: usage.until.clone(),
        by: Some(usage.by.clone()),
        tenant: usage.tenant.clone(),
        key_id: usage.key,
        endpoint: usage.model.clone(),
    };
    let report = office.usage(query).await?;
    match (usage.json, usage.csv) {
        (true, _) => print_json(&report, out),
        (false, true) => Ok(write!(out, "{}", report.csv())?),
        (false, false) => print_table(&report, out),
    }
}

fn print_table(report: &UsageReport, out: &mut impl Write) -> anyhow::Result<()> {
    let cell = |value: Value| match value {
        Value::Null => "-".into(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let sums = |row: &UsageRow| {
        let (calls, failed, unpriced) =
            (row.calls.to_string(), row.failed.to_string(), row.unpriced.to_string());
        [calls, failed, unpriced, row.cost_usd.clone(), row.fal_cost_usd.clone()]
    };
    let head = report.by.iter().map(|dimension| dimension.as_str());
    let head: Vec<_> = head.chain(["calls", "failed", "unpriced", "cost_usd", "fal_cost_usd"]).collect();
    let row = |row: &UsageRow| -> Vec<String> {
        let dimensions = report.by.iter().map(|dimension| cell(row.cell(*dimension)));
        dimensions.chain(sums(row)).collect()
    };
    let mut rows: Vec<_> = report.rows.iter().map(row).collect();
    if !report.by.is_empty() {
        let total =
            report.by.iter().enumerate().map(|(nth, _)| if nth == 0 { "total" } else { "" }.to_owned());
        rows.push(total.chain(sums(&report.total)).collect());
    } else {
        rows = vec![sums(&report.total).to_vec()];
    }
    table::write(out, head, &rows)?;
    match report.truncated {
        true => Ok(writeln!(out, "There are more lines than are shown; ask for fewer days.")?),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::Desk;

    async fn usage(desk: &Desk, line: &str) -> Result<String, String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Usage,
        }
        let line: Line = Desk::parse(line)?;
        let mut out = Vec::new();
        let done = run(&line.args, &desk.office, &mut out).await.map_err(|error| error.to_string());
        let printed = String::from_utf8(out).unwrap();
        done.map(|()| printed.clone()).map_err(|error| format!("{printed}{error}"))
    }

    #[tokio::test]
    async fn usage_is_told_apart() {
        let desk = Desk::new();
        for (tenant, id) in [("alpha", Some("job-1")), ("=beta", Some("job-2")), ("=beta", None)] {
            desk.make_call(tenant, id).await;
        }
        insta::assert_snapshot!(usage(&desk, "").await.unwrap(), @r"
        tenant  calls  failed  unpriced  cost_usd  fal_cost_usd
        =beta   1      0       0         0.046875  0.0375
        alpha   1      0       0         0.046875  0.0375
        total   2      0       0         0.09375   0.075
        ");
        insta::assert_snapshot!(usage(&desk, "--by key,model --since 7d").await.unwrap(), @r"
        key    endpoint           calls  failed  unpriced  cost_usd  fal_cost_usd
        1      fal-ai/flux-1/dev  1      0       0         0.046875  0.0375
        2      fal-ai/flux-1/dev  1      0       0         0.046875  0.0375
        total                     2      0       0         0.09375   0.075
        ");
        insta::assert_snapshot!(usage(&desk, "--by tenant,day --csv").await.unwrap().replace("\r\n", "\n"), @r"
        tenant,day,calls,failed,unpriced,cost_usd,fal_cost_usd
        '=beta,2023-11-14,1,0,0,0.046875,0.0375
        alpha,2023-11-14,1,0,0,0.046875,0.0375
        ");
        insta::assert_snapshot!(usage(&desk, "--by tag --tenant alpha --json").await.unwrap(), @r#"
        {"start":"2023-10-16","end":"2023-11-15","by":["tag"],"rows":[{"day":null,"tenant":null,"key_id":null,"endpoint":null,"tag":"=1+1=2","calls":1,"failed":0,"unpriced":0,"cost_usd":"0.046875","fal_cost_usd":"0.0375"},{"day":null,"tenant":null,"key_id":null,"endpoint":null,"tag":"project=a","calls":1,"failed":0,"unpriced":0,"cost_usd":"0.046875","fal_cost_usd":"0.0375"}],"truncated":false,"total":{"day":null,"tenant":null,"key_id":null,"endpoint":null,"tag":null,"calls":1,"failed":0,"unpriced":0,"cost_usd":"0.046875","fal_cost_usd":"0.0375"}}
        "#);
        assert!(!usage(&desk, "--until 2023-11-14").await.unwrap().contains("alpha"), "before the calls");
        for (line, said) in [
            ("--by tag,key", "by must not have tag beside key or endpoint"),
            ("--by day,day", "by must name each dimension once"),
            ("--by mood", "by must be of day, tenant, key, endpoint, tag, with commas between"),
            (
                "--since yesterday",
                "start must be a day such as 2026-01-31 or a moment such as 2026-01-31T12:00:00Z",
            ),
            ("--since 2024-01-02 --until 2024-01-01", "start must lie before end"),
        ] {
            assert_eq!(usage(&desk, line).await.unwrap_err(), said, "{line}");
        }
    }
}
