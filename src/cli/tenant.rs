//! `fal-relay tenant …`: those whose calls and money are kept apart.

use std::io::Write;

use clap::{Args, Subcommand};

use super::args::{
    BudgetArgs, PAGE, RulesArgs, Sure, Why, all, budget_texts, print_json, rules_fields, words,
};
use super::table::{self, or};
use crate::admin::{AccountView, Actor, ListQuery, MeterView, TenantCreate, TenantUpdate, TenantView};
use crate::store::TenantStatus;

/// The verbs of `fal-relay tenant`.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant
    Create(Create),
    /// List tenants
    List(List),
    /// Show one tenant, and how far its money is spent
    Show(One),
    /// Change a tenant
    Update(Update),
    /// Let a tenant's keys open nothing for now
    Suspend(Changed),
    /// Let a suspended tenant's keys work again
    Resume(Changed),
    /// Delete a tenant and its keys; its rows in the ledger stay
    Delete(Delete),
}

/// `tenant create`
#[derive(Debug, Args)]
pub struct Create {
    /// Its name
    name: String,
    /// Where alerts go
    #[arg(long, value_name = "URL")]
    alert_url: Option<String>,
    /// Words for people, with commas between
    #[arg(long, value_delimiter = ',')]
    tags: Vec<String>,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    budgets: BudgetArgs,
    #[command(flatten)]
    why: Why,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `tenant list`
#[derive(Debug, Args)]
pub struct List {
    /// Only those whose name contains this
    #[arg(long)]
    search: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `tenant show`
#[derive(Debug, Args)]
pub struct One {
    /// Its name or number
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `tenant suspend`, `tenant resume`
#[derive(Debug, Args)]
pub struct Changed {
    /// Its name or number
    tenant: String,
    #[command(flatten)]
    why: Why,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `tenant update`
#[derive(Debug, Args)]
pub struct Update {
    /// Its name or number
    tenant: String,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Another address for alerts, or `none`
    #[arg(long, value_name = "URL")]
    alert_url: Option<String>,
    /// Other words for people, with commas between, or `none`
    #[arg(long, value_delimiter = ',')]
    tags: Option<Vec<String>>,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    budgets: BudgetArgs,
    #[command(flatten)]
    why: Why,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `tenant delete`
#[derive(Debug, Args)]
pub struct Delete {
    /// Its name or number
    tenant: String,
    #[command(flatten)]
    sure: Sure,
}

/// Does what `command` says.
pub async fn run(command: &TenantCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        TenantCommand::Create(create) => {
            let made = create.why.tell(office).create_tenant(create.input()).await?;
            print_one(&made, &[], create.json, out)
        }
        TenantCommand::List(list) => print_list(list, office, out).await,
        TenantCommand::Show(show) => {
            let found = office.find_tenant(&show.tenant).await?;
            print_account(&office.account(found.id).await?, show.json, out)
        }
        TenantCommand::Update(update) => run_update(update, office, out).await,
        TenantCommand::Suspend(changed) => set_status(changed, TenantStatus::Suspended, office, out).await,
        TenantCommand::Resume(changed) => set_status(changed, TenantStatus::Active, office, out).await,
        TenantCommand::Delete(delete) => {
            let found = office.find_tenant(&delete.tenant).await?;
            delete.sure.confirm(&format!("deleting tenant `{}` and its keys", found.name))?;
            delete.sure.why.tell(office).delete_tenant(found.id).await?;
            Ok(writeln!(out, "tenant `{}` is deleted", found.name)?)
        }
    }
}

impl Create {
    fn input(&self) -> TenantCreate {
        TenantCreate {
            name: self.name.clone(),
            alert_url: self.alert_url.clone(),
            tags: self.tags.clone(),
            rules: self.rules.over(Default::default()),
            budgets: self.budgets.inputs(),
        }
    }
}

async fn run_update(update: &Update, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let office = update.why.tell(office);
    let found = office.find_tenant(&update.tenant).await?;
    let none = |text: &String| (text != "none").then(|| text.clone());
    let change = TenantUpdate {
        name: update.name.clone(),
        status: None,
        alert_url: update.alert_url.as_ref().map(none),
        tags: update.tags.clone().map(|tags| if tags == ["none"] { Vec::new() } else { tags }),
        rules: update.rules.change(&found.rules),
    };
    office.update_tenant(found.id, change).await?;
    for (period, budget) in update.budgets.each() {
        match budget {
            Some(budget) => drop(office.set_tenant_budget(found.id, budget).await?),
            None => office.lift_tenant_budget(found.id, period).await?,
        }
    }
    print_account(&office.account(found.id).await?, update.json, out)
}

async fn set_status(
    changed: &Changed,
    status: TenantStatus,
    office: &Actor,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let found = office.find_tenant(&changed.tenant).await?;
    let change = TenantUpdate { status: Some(status), ..TenantUpdate::default() };
    let tenant = changed.why.tell(office).update_tenant(found.id, change).await?;
    print_one(&tenant, &[], changed.json, out)
}

async fn print_list(list: &List, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let tenants = all(async |cursor| {
        office.tenants(ListQuery { search: list.search.clone(), limit: Some(PAGE), cursor }).await
    })
    .await?;
    if list.json {
        return print_json(&tenants, out);
    }
    let row = |tenant: &TenantView| {
        [
            tenant.id.to_string(),
            tenant.name.clone(),
            tenant.status.as_str().into(),
            budget_texts(&tenant.budgets),
            tenant.created_at.clone(),
        ]
    };
    let rows: Vec<_> = tenants.iter().map(row).collect();
    Ok(table::write(out, ["ID", "NAME", "STATUS", "BUDGETS", "CREATED"], &rows)?)
}

fn print_account(account: &AccountView, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    match json {
        true => print_json(account, out),
        false => print_one(&account.tenant, &account.meters, false, out),
    }
}

fn print_one(
    tenant: &TenantView,
    meters: &[MeterView],
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if json {
        return print_json(tenant, out);
    }
    let mut fields = vec![
        ("id", tenant.id.to_string()),
        ("name", tenant.name.clone()),
        ("status", tenant.status.as_str().into()),
        ("alerts", or(tenant.alert_url.as_ref(), "-")),
        ("tags", words(&tenant.tags)),
        ("budgets", budget_texts(&tenant.budgets)),
        ("created", tenant.created_at.clone()),
    ];
    fields.extend(rules_fields(&tenant.rules));
    table::record(out, &fields)?;
    match meters {
        [] => Ok(()),
        meters => {
            writeln!(out)?;
            print_meters(meters, out)
        }
    }
}

/// How far budgets are spent.
pub(super) fn print_meters(meters: &[MeterView], out: &mut impl Write) -> anyhow::Result<()> {
    let row = |meter: &MeterView| {
        [
            meter.key_id.map_or_else(|| "tenant".into(), |key| format!("key {key}")),
            meter.period.as_str().into(),
            or(meter.limit_usd.as_ref(), "-"),
            meter.spent_usd.clone(),
            meter.held_usd.clone(),
            or(meter.left_usd.as_ref(), "-"),
            or(meter.resets_at.as_ref(), "never"),
        ]
    };
    let rows: Vec<_> = meters.iter().map(row).collect();
    Ok(table::write(out, ["WHOSE", "PERIOD", "LIMIT", "SPENT", "HELD", "LEFT", "RESETS"], &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::{Desk, lines_of};

    lines_of!(tenant, TenantCommand);

    #[tokio::test]
    async fn tenants_live_and_end() {
        let desk = Desk::new();
        for name in ["alpha", "beta", "alpha"] {
            desk.make_key(name).await;
        }
        tenant(&desk, "create gamma --budget 20/total --tags art,paid --alert-url https://example.com/hook")
            .await
            .unwrap();
        tenant(&desk, "suspend beta --reason 'has not paid'").await.unwrap();
        insta::assert_snapshot!(tenant(&desk, "list").await.unwrap(), @r"
        ID  NAME   STATUS     BUDGETS      CREATED
        1   alpha  active     -            2023-11-14T22:13:20.000000Z
        2   beta   suspended  -            2023-11-14T22:13:20.000000Z
        3   gamma  active     20.00/total  2023-11-14T22:13:20.000000Z
        ");
        insta::assert_snapshot!(tenant(&desk, "list --json --search BET").await.unwrap(), @r#"
        [{"id":2,"name":"beta","status":"suspended","alert_url":null,"tags":[],"rules":{"allow":[],"deny":[],"requests_per_minute":null,"submits_per_minute":null,"jobs_in_flight":null,"uploads_per_minute":null,"max_upload_bytes":null,"max_request_usd":null,"networks":[],"origins":[]},"budgets":[],"created_at":"2023-11-14T22:13:20.000000Z"}]
        "#);
        desk.make_call("gamma", Some("job-1")).await;
        insta::assert_snapshot!(tenant(&desk, "show gamma").await.unwrap(), @r"
        id                   3
        name                 gamma
        status               active
        alerts               https://example.com/hook
        tags                 art, paid
        budgets              20.00/total
        created              2023-11-14T22:13:20.000000Z
        models               -
        not models           -
        requests per minute  -
        submits per minute   -
        jobs in flight       -
        uploads per minute   -
        largest upload       -
        most per request     -
        networks             -
        origins              -

        WHOSE   PERIOD  LIMIT  SPENT     HELD  LEFT       RESETS
        tenant  total   20.00  0.046875  0.00  19.953125  never
        ");
        tenant(&desk, "resume beta").await.unwrap();
        tenant(&desk, "update gamma --name delta --alert-url none --tags none --budget none/total")
            .await
            .unwrap();
        insta::assert_snapshot!(tenant(&desk, "show 3 --json").await.unwrap(), @r#"
        {"tenant":{"id":3,"name":"delta","status":"active","alert_url":null,"tags":[],"rules":{"allow":[],"deny":[],"requests_per_minute":null,"submits_per_minute":null,"jobs_in_flight":null,"uploads_per_minute":null,"max_upload_bytes":null,"max_request_usd":null,"networks":[],"origins":[]},"budgets":[],"created_at":"2023-11-14T22:13:20.000000Z"},"meters":[{"key_id":null,"period":"total","starts_at":null,"resets_at":null,"limit_usd":null,"spent_usd":"0.046875","held_usd":"0.00","left_usd":null}]}
        "#);
        assert_eq!(
            tenant(&desk, "delete delta").await.unwrap_err(),
            "deleting tenant `delta` and its keys cannot be undone; say --yes to do it"
        );
        assert_eq!(tenant(&desk, "delete delta --yes").await.unwrap(), "tenant `delta` is deleted\n");
        assert_eq!(tenant(&desk, "show delta").await.unwrap_err(), "there is no tenant `delta`");
        assert_eq!(tenant(&desk, "create alpha").await.unwrap_err(), "there is already one named `alpha`");
    }
}
