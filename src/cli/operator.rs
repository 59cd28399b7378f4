//! `fal-relay operator …`: who may administer the relay over the admin API.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};

use super::args::{Sure, Why, print_json};
use super::table::{self, or};
use crate::admin::{Actor, OperatorCreate, OperatorView};
use crate::ids::OperatorId;
use crate::store::Role;

/// The verbs of `fal-relay operator`.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Make an operator and print his token, alone; it is never shown again
    Create(Create),
    /// List operators
    List(List),
    /// End an operator's token for good
    Revoke(Revoke),
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Look at everything
    Read,
    /// Change tenants, groups, keys, budgets and prices, too
    Manage,
    /// Change operators, too
    Owner,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Read => Self::Read,
            RoleArg::Manage => Self::Manage,
            RoleArg::Owner => Self::Owner,
        }
    }
}

/// `operator create`
#[derive(Debug, Args)]
pub struct Create {
    /// The name that the audit log shows
    name: String,
    /// What he may do
    #[arg(long, value_enum)]
    role: RoleArg,
    /// How long his token works, such as 90d; without end when not given
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,
    #[command(flatten)]
    why: Why,
    /// Print the whole record as JSON, with the token in it
    #[arg(long)]
    json: bool,
}

/// `operator list`
#[derive(Debug, Args)]
pub struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `operator revoke`
#[derive(Debug, Args)]
pub struct Revoke {
    /// His number, from `operator list`
    id: i64,
    #[command(flatten)]
    sure: Sure,
}

/// Does what `command` says.
pub async fn run(command: &OperatorCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        OperatorCommand::Create(create) => {
            let input = OperatorCreate {
                name: create.name.clone(),
                role: create.role.into(),
                expires_at: None,
                expires_in: create.expires_in.clone(),
            };
            let made = create.why.tell(office).create_operator(input).await?;
            match create.json {
                true => print_json(&made, out),
                false => Ok(writeln!(out, "{}", made.token)?),
            }
        }
        OperatorCommand::List(list) => {
            let operators = office.operators().await?;
            match list.json {
                true => print_json(&operators, out),
                false => print_table(&operators, out),
            }
        }
        OperatorCommand::Revoke(revoke) => {
            revoke.sure.confirm(&format!("ending the token of operator {}", revoke.id))?;
            let ended = revoke.sure.why.tell(office).revoke_operator(OperatorId(revoke.id)).await?;
            Ok(writeln!(out, "the token of operator `{}` is revoked", ended.name)?)
        }
    }
}

fn print_table(operators: &[OperatorView], out: &mut impl Write) -> anyhow::Result<()> {
    let row = |operator: &OperatorView| {
        [
            operator.id.to_string(),
            operator.name.clone(),
            operator.role.as_str().into(),
            operator.last_four.clone(),
            operator.created_at.clone(),
            or(operator.expires_at.as_ref(), "never"),
            operator.state.as_str().into(),
        ]
    };
    let rows: Vec<_> = operators.iter().map(row).collect();
    Ok(table::write(out, ["ID", "NAME", "ROLE", "ENDS IN", "CREATED", "EXPIRES", "STATE"], &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::{Desk, lines_of};
    use crate::key::{ApiKey, KeyKind};

    lines_of!(operator, OperatorCommand);

    #[tokio::test]
    async fn a_token_is_printed_alone_and_ends_for_good() {
        let desk = Desk::new();
        let token = operator(&desk, "create anna --role manage --expires-in 90d").await.unwrap();
        assert_eq!(ApiKey::parse(token.trim_end()).unwrap().kind(), KeyKind::Admin);
        operator(&desk, "create ben --role read").await.unwrap();
        assert_eq!(
            operator(&desk, "revoke 1 --yes").await.unwrap(),
            "the token of operator `anna` is revoked\n"
        );
        insta::assert_snapshot!(operator(&desk, "list").await.unwrap(), @r"
        ID  NAME  ROLE    ENDS IN  CREATED                      EXPIRES                      STATE
        1   anna  manage  R5Jw     2023-11-14T22:13:20.000000Z  2024-02-12T22:13:20.000000Z  revoked
        2   ben   read    ErTv     2023-11-14T22:13:20.000000Z  never                        active
        ");
        assert_eq!(
            operator(&desk, "create ben --role read").await.unwrap_err(),
            "there is already one named `ben`"
        );
        assert_eq!(operator(&desk, "revoke 9 --yes").await.unwrap_err(), "there is no operator 9");
    }
}
