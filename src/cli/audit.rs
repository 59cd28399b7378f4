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
