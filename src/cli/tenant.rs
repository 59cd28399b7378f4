//! `fal-relay tenant …`: those whose calls are kept apart.

use std::io::Write;

use clap::{Args, Subcommand};

use crate::admin::{Actor, ListQuery, TenantView};

use super::key::print_json;
use super::table;

/// The verbs of `fal-relay tenant`.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// List tenants
    List(List),
}

/// `tenant list`
#[derive(Debug, Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what `command` says.
pub async fn run(command: &TenantCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let TenantCommand::List(list) = command;
    let tenants = office.tenants(ListQuery::default()).await?.items;
    if list.json {
        return print_json(&tenants, out);
    }
    let row = |tenant: TenantView| [tenant.id.to_string(), tenant.name, tenant.created_at];
    let rows: Vec<_> = tenants.into_iter().map(row).collect();
    Ok(table::write(out, ["ID", "NAME", "CREATED"], &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::Desk;

    #[tokio::test]
    async fn tenants_are_listed() {
        let desk = Desk::new();
        for tenant in ["alpha", "beta", "alpha"] {
            desk.make_key(tenant).await;
        }
        let list = async |json| {
            let mut out = Vec::new();
            run(&TenantCommand::List(List { json }), &desk.admin, &mut out).await.unwrap();
            String::from_utf8(out).unwrap()
        };
        insta::assert_snapshot!(list(false).await, @r"
        ID  NAME   CREATED
        1   alpha  2023-11-14T22:13:20.000000Z
        2   beta   2023-11-14T22:13:20.000000Z
        ");
        insta::assert_snapshot!(list(true).await, @r#"
        [{"id":1,"name":"alpha","created_at":"2023-11-14T22:13:20.000000Z"},{"id":2,"name":"beta","created_at":"2023-11-14T22:13:20.000000Z"}]
        "#);
    }
}
