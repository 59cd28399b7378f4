//! `fal-relay key …`: the relay's own keys.

use std::io::Write;

use clap::{Args, Subcommand};

use super::args::{BudgetArgs, PAGE, RulesArgs, Sure, Why, all, budget_texts, print_json, rules_fields};
use super::table::{self, or};
use super::tenant::print_meters;
use crate::admin::{
    Actor, KeyCreate, KeyMade, KeyQuery, KeyRotate, KeyUpdate, KeyView, ListQuery, ModelView,
};
use crate::ids::KeyId;

/// The verbs of `fal-relay key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it, alone; it is never shown again
    Create(Create),
    /// List keys
    List(List),
    /// Show one key
    Show(One),
    /// List what a key may call, and what it pays
    Models(One),
    /// Change a key
    Update(Update),
    /// Make a successor of a key and print it, alone; the old key works on for a while
    Rotate(Rotate),
    /// End a key for good
    Revoke(Revoke),
    /// End all client tokens of a key for good; the key goes on
    RevokeTokens(Revoke),
    /// Delete a key; its rows in the ledger stay
    Delete(Delete),
}

/// `key create`
#[derive(Debug, Args)]
pub struct Create {
    /// Whose key it is; a tenant of this name is made when there is none
    #[arg(long, default_value = "default")]
    tenant: String,
    /// A name for people
    #[arg(long, default_value = "default")]
    name: String,
    /// The group it belongs to, which sets its prices
    #[arg(long)]
    group: Option<String>,
    /// How long the key works, such as 12h or 30d; without end when not given
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,
    /// When it stops working, such as 2030-01-31T12:00:00Z
    #[arg(long, value_name = "MOMENT", conflicts_with = "expires_in")]
    expires_at: Option<String>,
    /// When it begins to work; at once when not given
    #[arg(long, value_name = "MOMENT")]
    starts_at: Option<String>,
    #[command(flatten)]
    rules: RulesArgs,
    #[command(flatten)]
    budgets: BudgetArgs,
    #[command(flatten)]
    why: Why,
    /// Print the whole record as JSON, with the key in it
    #[arg(long)]
    json: bool,
}

/// `key list`
#[derive(Debug, Args)]
pub struct List {
    /// Only the keys of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only those whose name contains this
    #[arg(long)]
    search: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `key show`, `key models`
#[derive(Debug, Args)]
pub struct One {
    /// The key's number, from `key list`
    id: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `key update`
#[derive(Debug, Args)]
pub struct Update {
    /// The key's number, from `key list`
    id: i64,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// Another group
    #[arg(long)]
    group: Option<String>,
    /// How long the key works from now, such as 12h or 30d, or `never` for no end
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,
    /// When it begins to work, or `now`
    #[arg(long, value_name = "MOMENT")]
    starts_at: Option<String>,
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

/// `key rotate`
#[derive(Debug, Args)]
pub struct Rotate {
    /// The key's number, from `key list`
    id: i64,
    /// How long the old key works on
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    grace: String,
    #[command(flatten)]
    why: Why,
    /// Print the new key's whole record as JSON, with the key in it
    #[arg(long)]
    json: bool,
}

/// `key revoke`, `key revoke-tokens`
#[derive(Debug, Args)]
pub struct Revoke {
    /// The key's number, from `key list`
    id: i64,
    #[command(flatten)]
    why: Why,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `key delete`
#[derive(Debug, Args)]
pub struct Delete {
    /// The key's number, from `key list`
    id: i64,
    #[command(flatten)]
    sure: Sure,
}

/// Does what `command` says.
pub async fn run(command: &KeyCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create(create) => {
            print_new(&create.why.tell(office).create_key(create.input()).await?, create.json, out)
        }
        KeyCommand::List(list) => print_list(list, office, out).await,
        KeyCommand::Show(show) => print_one(&office.key(KeyId(show.id)).await?, office, show.json, out).await,
        KeyCommand::Models(models) => print_models(models, office, out).await,
        KeyCommand::Update(update) => run_update(update, office, out).await,
        KeyCommand::Rotate(rotate) => {
            let how = KeyRotate { grace: Some(rotate.grace.clone()) };
            print_new(&rotate.why.tell(office).rotate_key(KeyId(rotate.id), how).await?, rotate.json, out)
        }
        KeyCommand::Revoke(revoke) => {
            let key = revoke.why.tell(office).revoke_key(KeyId(revoke.id)).await?;
            print_one(&key, office, revoke.json, out).await
        }
        KeyCommand::RevokeTokens(revoke) => {
            let ended = revoke.why.tell(office).revoke_tokens(KeyId(revoke.id)).await?;
            match revoke.json {
                true => print_json(&ended, out),
                false => Ok(writeln!(out, "ended client tokens of key {}: {}", revoke.id, ended.revoked)?),
            }
        }
        KeyCommand::Delete(delete) => {
            let key = office.key(KeyId(delete.id)).await?;
            let what = format!("deleting key {} (`{}` of `{}`)", key.id, key.name, key.tenant);
            delete.sure.confirm(&what)?;
            delete.sure.why.tell(office).delete_key(key.id).await?;
            Ok(writeln!(out, "key {} is deleted", key.id)?)
        }
    }
}

impl Create {
    fn input(&self) -> KeyCreate {
        KeyCreate {
            tenant: self.tenant.clone(),
            name: Some(self.name.clone()),
            group: self.group.clone(),
            kind: None,
            rules: self.rules.over(Default::default()),
            budgets: self.budgets.inputs(),
            starts_at: self.starts_at.clone(),
            expires_at: self.expires_at.clone(),
            expires_in: self.expires_in.clone(),
        }
    }
}

async fn run_update(update: &Update, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let (office, id) = (update.why.tell(office), KeyId(update.id));
    let found = office.key(id).await?;
    let unless = |word: &str, text: &String| (text != word).then(|| text.clone());
    let ends = update.expires_in.as_ref().map(|text| unless("never", text));
    let change = KeyUpdate {
        name: update.name.clone(),
        group: update.group.clone(),
        rules: update.rules.change(&found.rules),
        starts_at: update.starts_at.as_ref().map(|text| unless("now", text)),
        expires_at: matches!(ends, Some(None)).then_some(None),
        expires_in: ends.flatten(),
    };
    anyhow::ensure!(
        change != KeyUpdate::default() || !update.budgets.is_empty(),
        "say what to change; `fal-relay key update --help` lists it"
    );
    office.update_key(id, change).await?;
    for (period, budget) in update.budgets.each() {
        match budget {
            Some(budget) => drop(office.set_key_budget(id, budget).await?),
            None => office.lift_key_budget(id, period).await?,
        }
    }
    print_one(&office.key(id).await?, &office, update.json, out).await
}

fn print_new(made: &KeyMade, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    match json {
        true => print_json(made, out),
        false => Ok(writeln!(out, "{}", made.key)?),
    }
}

async fn print_list(list: &List, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let keys = all(async |cursor| {
        let (tenant, search) = (list.tenant.clone(), list.search.clone());
        office.keys(KeyQuery { tenant, search, limit: Some(PAGE), cursor }).await
    })
    .await?;
    if list.json {
        return print_json(&keys, out);
    }
    let row = |key: &KeyView| {
        [
            key.id.to_string(),
            key.tenant.clone(),
            key.name.clone(),
            key.group.clone(),
            key.kind.as_str().into(),
            key.last_four.clone(),
            budget_texts(&key.budgets),
            key.created_at.clone(),
            key.state.as_str().into(),
        ]
    };
    let head = ["ID", "TENANT", "NAME", "GROUP", "KIND", "ENDS IN", "BUDGETS", "CREATED", "STATE"];
    let rows: Vec<_> = keys.iter().map(row).collect();
    Ok(table::write(out, head, &rows)?)
}

async fn print_one(key: &KeyView, office: &Actor, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return print_json(key, out);
    }
    let mut fields = vec![
        ("id", key.id.to_string()),
        ("tenant", key.tenant.clone()),
        ("name", key.name.clone()),
        ("group", key.group.clone()),
        ("kind", key.kind.as_str().into()),
        ("ends in", key.last_four.clone()),
        ("state", key.state.as_str().into()),
        ("budgets", budget_texts(&key.budgets)),
        ("created", key.created_at.clone()),
        ("starts", or(key.starts_at.as_ref(), "at once")),
        ("expires", or(key.expires_at.as_ref(), "never")),
        ("revoked", or(key.revoked_at.as_ref(), "never")),
    ];
    fields.push(("client tokens", office.key_tokens(key.id).await?.live.to_string()));
    fields.extend(rules_fields(&key.rules));
    table::record(out, &fields)?;
    writeln!(out)?;
    print_meters(&office.key_account(key.id).await?, out)
}

async fn print_models(one: &One, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let models = all(async |cursor| {
        let query = ListQuery { search: None, limit: Some(PAGE), cursor };
        office.key_models(KeyId(one.id), query).await
    })
    .await?;
    if one.json {
        return print_json(&models, out);
    }
    let row = |model: &ModelView| [model.endpoint.clone(), model.unit_price.clone(), model.unit.clone()];
    let rows: Vec<_> = models.iter().map(row).collect();
    Ok(table::write(out, ["ENDPOINT", "USD", "FOR A"], &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::{DAY, Desk, lines_of};
    use crate::key::{ApiKey, KeyKind};

    lines_of!(key, KeyCommand);

    #[tokio::test]
    async fn a_key_is_printed_alone() {
        let desk = Desk::new();
        let printed = key(&desk, "create --tenant alpha").await.unwrap();
        let made = ApiKey::parse(printed.strip_suffix('\n').unwrap()).unwrap();
        assert_eq!(made.kind(), KeyKind::Live);

        let printed = key(&desk, "create --tenant alpha --name web --expires-in 30d --json").await.unwrap();
        let record: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert!(ApiKey::parse(record["key"].as_str().unwrap()).is_some());
        assert_eq!((record["id"].as_i64(), record["tenant"].as_str()), (Some(2), Some("alpha")));
        assert_eq!(record["created_at"], "2023-11-14T22:13:20.000000Z");
        assert_eq!(record["expires_at"], "2023-12-14T22:13:20.000000Z");
        assert_eq!((&record["state"], &record["kind"]), (&"active".into(), &"live".into()));

        let printed = key(&desk, "rotate 2 --grace 1h").await.unwrap();
        assert!(ApiKey::parse(printed.trim_end()).is_some());
        let old = key(&desk, "show 2").await.unwrap();
        assert!(old.contains("expires              2023-11-14T23:13:20.000000Z\n"), "{old}");
        assert!(!old.contains("fr_live_"));
    }

    #[tokio::test]
    async fn a_key_is_narrowed_on_one_line() {
        let desk = Desk::new();
        let line = "create --name web --budget 5/day,100/month@Europe/Berlin --alert-at 90 \
                    --models 'fal-ai/flux/**' --max-per-request 0.10 --requests-per-minute 60 --networks 10.0.0.0/8";
        key(&desk, line).await.unwrap();
        insta::assert_snapshot!(key(&desk, "show 1").await.unwrap(), @r"
        id                   1
        tenant               default
        name                 web
        group                default
        kind                 live
        ends in              a5jQ
        state                active
        budgets              5.00/day, 100.00/month@Europe/Berlin
        created              2023-11-14T22:13:20.000000Z
        starts               at once
        expires              never
        revoked              never
        client tokens        0
        models               fal-ai/flux/**
        not models           -
        requests per minute  60
        submits per minute   -
        jobs in flight       -
        uploads per minute   -
        largest upload       -
        most per request     0.10
        networks             10.0.0.0/8
        origins              -

        WHOSE   PERIOD  LIMIT   SPENT  HELD  LEFT    RESETS
        tenant  total   -       0.00   0.00  -       never
        key 1   day     5.00    0.00   0.00  5.00    2023-11-15T00:00:00.000000Z
        key 1   month   100.00  0.00   0.00  100.00  2023-11-30T23:00:00.000000Z
        ");
        key(&desk, "update 1 --budget none/month,7/day --models none --deny-models 'fal-ai/veo3/**' --requests-per-minute none")
            .await
            .unwrap();
        insta::assert_snapshot!(key(&desk, "show 1").await.unwrap(), @r"
        id                   1
        tenant               default
        name                 web
        group                default
        kind                 live
        ends in              a5jQ
        state                active
        budgets              7.00/day
        created              2023-11-14T22:13:20.000000Z
        starts               at once
        expires              never
        revoked              never
        client tokens        0
        models               -
        not models           fal-ai/veo3/**
        requests per minute  -
        submits per minute   -
        jobs in flight       -
        uploads per minute   -
        largest upload       -
        most per request     0.10
        networks             10.0.0.0/8
        origins              -

        WHOSE   PERIOD  LIMIT  SPENT  HELD  LEFT  RESETS
        tenant  total   -      0.00   0.00  -     never
        key 1   day     7.00   0.00   0.00  7.00  2023-11-15T00:00:00.000000Z
        ");
    }

    #[tokio::test]
    async fn a_key_lists_its_models_at_its_own_price() {
        let desk = Desk::new();
        desk.save_prices(&[("fal-ai/flux/dev", "0.025", "megapixel"), ("fal-ai/veo3", "0.75", "second")])
            .await;
        desk.office
            .create_group(crate::admin::GroupCreate {
                name: "vip".into(),
                multiplier: Some("0.8".into()),
                ..Default::default()
            })
            .await
            .unwrap();
        key(&desk, "create --group vip --models 'fal-ai/flux/**'").await.unwrap();
        insta::assert_snapshot!(key(&desk, "models 1").await.unwrap(), @r"
        ENDPOINT         USD   FOR A
        fal-ai/flux/dev  0.02  megapixel
        ");
    }

    #[tokio::test]
    async fn a_list_is_a_table() {
        let desk = Desk::new();
        key(&desk, "create --tenant alpha --name web --budget 5/day").await.unwrap();
        key(&desk, "create --tenant Zürich --expires-in 1d").await.unwrap();
        key(&desk, "create --tenant alpha --starts-at 2023-12-24").await.unwrap();
        key(&desk, "revoke 1").await.unwrap();
        desk.clock.advance(DAY);
        insta::assert_snapshot!(key(&desk, "list").await.unwrap(), @r"
        ID  TENANT  NAME     GROUP    KIND  ENDS IN  BUDGETS   CREATED                      STATE
        1   alpha   web      default  live  a5jQ     5.00/day  2023-11-14T22:13:20.000000Z  revoked
        2   Zürich  default  default  live  Nf6d     -         2023-11-14T22:13:20.000000Z  expired
        3   alpha   default  default  live  Fdu0     -         2023-11-14T22:13:20.000000Z  pending
        ");
        insta::assert_snapshot!(key(&desk, "list --tenant alpha").await.unwrap(), @r"
        ID  TENANT  NAME     GROUP    KIND  ENDS IN  BUDGETS   CREATED                      STATE
        1   alpha   web      default  live  a5jQ     5.00/day  2023-11-14T22:13:20.000000Z  revoked
        3   alpha   default  default  live  Fdu0     -         2023-11-14T22:13:20.000000Z  pending
        ");
        insta::assert_snapshot!(key(&desk, "list --json --tenant Zürich").await.unwrap(), @r#"
        [{"id":2,"tenant_id":2,"tenant":"Zürich","group_id":1,"group":"default","name":"default","kind":"live","last_four":"Nf6d","state":"expired","rules":{"allow":[],"deny":[],"requests_per_minute":null,"submits_per_minute":null,"jobs_in_flight":null,"uploads_per_minute":null,"max_upload_bytes":null,"max_request_usd":null,"networks":[],"origins":[]},"budgets":[],"created_at":"2023-11-14T22:13:20.000000Z","starts_at":null,"expires_at":"2023-11-15T22:13:20.000000Z","revoked_at":null}]
        "#);
        insta::assert_snapshot!(key(&desk, "list --tenant nobody --json").await.unwrap(), @"[]");
        let renewed = key(&desk, "update 2 --name door --expires-in never --json").await.unwrap();
        assert!(
            renewed.contains(r#""name":"door""#) && renewed.contains(r#""expires_at":null"#),
            "{renewed}"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_done_is_said() {
        let desk = Desk::new();
        let refused = async |line| key(&desk, line).await.unwrap_err();
        assert_eq!(refused("show 7").await, "there is no key 7");
        assert_eq!(refused("revoke 7 --json").await, "there is no key 7");
        assert_eq!(refused("create --tenant a\u{7}").await, "tenant must have printable characters only");
        assert_eq!(refused("create --group vip").await, "group names no group; see the list of groups");
        for bad in ["30", "1 day ago", "soon"] {
            let said = key(&desk, &format!("create --expires-in '{bad}'")).await.unwrap_err();
            assert_eq!(said, "expires_in must be a number and a unit, such as 90s, 30m, 12h, 30d or 2w");
        }
        assert_eq!(
            refused("create --budget 5/day,6/day").await,
            "budgets[1].period has a budget already; there is one for each period"
        );
        assert_eq!(
            refused("create --budget 1e9/day").await,
            "budgets[0].limit_usd must be a plain decimal number such as 5 or 0.10"
        );
        assert_eq!(
            refused("create --budget 5/day@Mars/Olympus").await,
            "budgets[0].zone must be a time zone by its IANA name, such as UTC or Europe/Berlin"
        );
        assert!(refused("create --budget 5/year").await.contains("write an amount and a period"));
        assert!(refused("create --models 'fal-ai/***'").await.starts_with("rules.allow is wrong: "));
        assert_eq!(key(&desk, "list --json").await.unwrap(), "[]\n", "nothing was made");
        key(&desk, "create").await.unwrap();
        assert!(refused("update 1").await.starts_with("say what to change"));
        assert_eq!(
            refused("delete 1").await,
            "deleting key 1 (`default` of `default`) cannot be undone; say --yes to do it"
        );
        assert_eq!(key(&desk, "delete 1 --yes").await.unwrap(), "key 1 is deleted\n");
        assert_eq!(refused("show 1").await, "there is no key 1");
    }
}
