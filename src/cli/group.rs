//! `fal-relay group …`: keys that share a price and limits.

use std::io::Write;

use clap::{Args, Subcommand};

use super::args::{PAGE, RulesArgs, Sure, Why, all, print_json, rules_fields, words};
use super::table;
use crate::admin::{Actor, GroupCreate, GroupUpdate, GroupView, ListQuery};

/// The verbs of `fal-relay group`.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a group
    Create(Create),
    /// List groups
    List(List),
    /// Show one group
    Show(One),
    /// Change a group
    Update(Update),
    /// Delete a group that no key belongs to
    Delete(Delete),
}

/// `group create`
#[derive(Debug, Args)]
pub struct Create {
    /// Its name
    name: String,
    /// What its keys pay for each dollar at fal, such as 1.25
    #[arg(long, value_name = "FACTOR", default_value = "1")]
    multiplier: String,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    why: Why,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `group list`
#[derive(Debug, Args)]
pub struct List {
    /// Only those whose name contains this
    #[arg(long)]
    search: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `group show`
#[derive(Debug, Args)]
pub struct One {
    /// Its name or number
    group: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `group update`
#[derive(Debug, Args)]
pub struct Update {
    /// Its name or number
    group: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// What its keys pay for each dollar at fal, for calls from now on
    #[arg(long, value_name = "FACTOR")]
    multiplier: Option<String>,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    why: Why,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `group delete`
#[derive(Debug, Args)]
pub struct Delete {
    /// Its name or number
    group: String,
    #[command(flatten)]
    sure: Sure,
}

/// Does what `command` says.
pub async fn run(command: &GroupCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        GroupCommand::Create(create) => {
            let input = GroupCreate {
                name: create.name.clone(),
                multiplier: Some(create.multiplier.clone()),
                rules: create.rules.over(Default::default()),
            };
            print_one(&create.why.tell(office).create_group(input).await?, create.json, out)
        }
        GroupCommand::List(list) => print_list(list, office, out).await,
        GroupCommand::Show(show) => print_one(&office.find_group(&show.group).await?, show.json, out),
        GroupCommand::Update(update) => {
            let found = office.find_group(&update.group).await?;
            let change = GroupUpdate {
                name: update.name.clone(),
                multiplier: update.multiplier.clone(),
                rules: update.rules.change(&found.rules),
            };
            print_one(&update.why.tell(office).update_group(found.id, change).await?, update.json, out)
        }
        GroupCommand::Delete(delete) => {
            let found = office.find_group(&delete.group).await?;
            delete.sure.confirm(&format!("deleting group `{}`", found.name))?;
            delete.sure.why.tell(office).delete_group(found.id).await?;
            Ok(writeln!(out, "group `{}` is deleted", found.name)?)
        }
    }
}

async fn print_list(list: &List, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let groups = all(async |cursor| {
        office.groups(ListQuery { search: list.search.clone(), limit: Some(PAGE), cursor }).await
    })
    .await?;
    if list.json {
        return print_json(&groups, out);
    }
    let row = |group: &GroupView| {
        let (allow, deny) = (words(&group.rules.allow), words(&group.rules.deny));
        [group.id.to_string(), group.name.clone(), group.multiplier.clone(), allow, deny]
    };
    let rows: Vec<_> = groups.iter().map(row).collect();
    Ok(table::write(out, ["ID", "NAME", "MULTIPLIER", "MODELS", "NOT MODELS"], &rows)?)
}

fn print_one(group: &GroupView, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return print_json(group, out);
    }
    let mut fields = vec![
        ("id", group.id.to_string()),
        ("name", group.name.clone()),
        ("multiplier", group.multiplier.clone()),
        ("created", group.created_at.clone()),
    ];
    fields.extend(rules_fields(&group.rules));
    Ok(table::record(out, &fields)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::{Desk, lines_of};

    lines_of!(group, GroupCommand);

    #[tokio::test]
    async fn groups_live_and_end() {
        let desk = Desk::new();
        group(&desk, "create vip --multiplier 0.8 --models 'fal-ai/**' --deny-models 'fal-ai/veo3/**'")
            .await
            .unwrap();
        insta::assert_snapshot!(group(&desk, "list").await.unwrap(), @r"
        ID  NAME     MULTIPLIER  MODELS     NOT MODELS
        1   default  1           -          -
        2   vip      0.8         fal-ai/**  fal-ai/veo3/**
        ");
        insta::assert_snapshot!(group(&desk, "update vip --multiplier 0.75 --jobs-in-flight 3").await.unwrap(), @r"
        id                   2
        name                 vip
        multiplier           0.75
        created              2023-11-14T22:13:20.000000Z
        models               fal-ai/**
        not models           fal-ai/veo3/**
        requests per minute  -
        submits per minute   -
        jobs in flight       3
        uploads per minute   -
        largest upload       -
        most per request     -
        networks             -
        origins              -
        ");
        assert_eq!(group(&desk, "delete vip --yes").await.unwrap(), "group `vip` is deleted\n");
        for (line, said) in [
            ("show vip", "there is no group `vip`"),
            (
                "delete default --yes",
                "group `default` cannot be deleted: keys that name no group belong to it",
            ),
            ("create x --multiplier -1", "multiplier must not be negative"),
            ("create x --multiplier 1e3", "multiplier must be a plain decimal number such as 5 or 0.10"),
            (
                "create x --requests-per-minute 0",
                "rules.requests_per_minute must be from 1 to 4294967295; to set no limit, leave it out",
            ),
        ] {
            let line = line.replace("--multiplier -1", "--multiplier=-1");
            assert_eq!(group(&desk, &line).await.unwrap_err(), said, "{line}");
        }
    }
}
