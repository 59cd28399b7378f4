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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::Desk;

    async fn import(desk: &Desk, line: &str) -> Result<String, String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Import,
        }
        let line: Line = Desk::parse(line)?;
        let mut out = Vec::new();
        let done = run(&line.args, &desk.office, &mut out).await.map_err(|error| error.to_string());
        let printed = String::from_utf8(out).unwrap();
        done.map(|()| printed.clone()).map_err(|error| format!("{printed}{error}"))
    }

    const TOKENS: &str = r#"[
  {"id": 1, "user_id": 7, "key": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "status": 1, "name": "web",
   "expired_time": -1, "remain_quota": 2500000, "unlimited_quota": false, "group": "vip"},
  {"id": 2, "user_id": 7, "key": "short", "status": 1, "name": "bad"}
]"#;

    #[tokio::test]
    async fn an_import_tells_what_it_did() {
        let desk = Desk::new();
        let file = desk.file("tokens.json", TOKENS);
        let groups = desk.file("groups.json", r#"{"default": 1, "vip": 0.8}"#);
        insta::assert_snapshot!(import(&desk, &file).await.unwrap_err(), @r"
        LINE  FIELD  PROBLEM
        4     key    must be 16 to 256 visible ASCII characters, with or without `sk-`
        nothing was imported; correct the file, or say --skip-bad to import the rest
        ");
        let line = format!("{file} --groups {groups} --skip-bad");
        insta::assert_snapshot!(import(&desk, &format!("{line} --dry-run")).await.unwrap(), @r"
        LINE  FIELD  PROBLEM
        4     key    must be 16 to 256 visible ASCII characters, with or without `sk-`

        keys           1 would be imported
        new groups     vip
        deleted there  0
        left out       1
        ");
        insta::assert_snapshot!(import(&desk, &line).await.unwrap(), @r"
        LINE  FIELD  PROBLEM
        4     key    must be 16 to 256 visible ASCII characters, with or without `sk-`

        keys           1 imported
        new groups     vip
        deleted there  0
        left out       1
        ");
        let again = import(&desk, &line).await.unwrap();
        assert!(again.contains("is known here already, as key 1"), "{again}");
        let missing = import(&desk, "/nowhere").await.unwrap_err();
        assert_eq!(missing, "cannot read /nowhere");
    }
}
