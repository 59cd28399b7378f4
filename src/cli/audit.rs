//! `fal-relay audit`: who changed what, and why.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::args::print_json;
use super::table::{self, or};
use crate::admin::{Actor, AuditQuery, AuditView};

/// `audit`
#[derive(Debug, Args)]
pub struct Audit {
    /// Only changes of this, such as key:3 or tenant:1
    object: Option<String>,
    /// The most lines, 1000 at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: i64,
    /// Print JSON, with how things were and are
    #[arg(long)]
    json: bool,
}

/// Does what the command line says.
pub async fn run(audit: &Audit, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let query = AuditQuery { object: audit.object.clone(), limit: Some(audit.limit), cursor: None };
    let lines = office.audit(query).await?.items;
    if audit.json {
        return print_json(&lines, out);
    }
    let row = |line: &AuditView| {
        let (at, author, action) = (line.at.clone(), line.author.clone(), line.action.clone());
        [at, author, action, line.object.clone(), changes(line), or(line.reason.as_ref(), "-")]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    Ok(table::write(out, ["AT", "WHO", "ACTION", "WHAT", "CHANGED", "WHY"], &rows)?)
}

/// The names of the fields that a change changed; nothing for what was made or ended.
fn changes(line: &AuditView) -> String {
    let (Some(Value::Object(old)), Some(Value::Object(new))) = (&line.old, &line.new) else {
        return "-".into();
    };
    let changed = new.iter().filter(|(name, value)| old.get(*name) != Some(value));
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let names: Vec<_> = changed.map(|(name, _)| name).chain(gone).map(String::as_str).collect();
    if names.is_empty() { "-".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::Desk;

    async fn audit(desk: &Desk, line: &str) -> Result<String, String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Audit,
        }
        let line: Line = Desk::parse(line)?;
        let mut out = Vec::new();
        let done = run(&line.args, &desk.office, &mut out).await.map_err(|error| error.to_string());
        let printed = String::from_utf8(out).unwrap();
        done.map(|()| printed.clone()).map_err(|error| format!("{printed}{error}"))
    }

    #[tokio::test]
    async fn every_change_is_told() {
        let desk = Desk::new();
        desk.make_key("alpha").await;
        let anna = desk.office.clone().because(Some("a new name".into()));
        let change = crate::admin::KeyUpdate { name: Some("door".into()), ..Default::default() };
        anna.update_key(crate::ids::KeyId(1), change).await.unwrap();
        insta::assert_snapshot!(audit(&desk, "").await.unwrap(), @r"
        AT                           WHO  ACTION         WHAT      CHANGED  WHY
        2023-11-14T22:13:20.000000Z  cli  key.update     key:1     name     a new name
        2023-11-14T22:13:20.000000Z  cli  key.create     key:1     -        -
        2023-11-14T22:13:20.000000Z  cli  tenant.create  tenant:1  -        -
        ");
        insta::assert_snapshot!(audit(&desk, "key:1 --limit 1").await.unwrap(), @r"
        AT                           WHO  ACTION      WHAT   CHANGED  WHY
        2023-11-14T22:13:20.000000Z  cli  key.update  key:1  name     a new name
        ");
        assert_eq!(audit(&desk, "--limit 0").await.unwrap_err(), "limit must be from 1 to 1000");
    }
}
