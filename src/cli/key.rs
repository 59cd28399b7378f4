//! `fal-relay key …`: the relay's own keys.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::admin::{Admin, CreateKey, Expiry, KeyState, KeyView, UpdateKey};
use crate::clock::Timestamp;
use crate::ids::KeyId;
use crate::key::{ApiKey, KeyKind};
use crate::store::KeyRecord;

use super::table;

/// The verbs of `fal-relay key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it, alone; it is never shown again
    Create(Create),
    /// List keys
    List(List),
    /// Show one key
    Show(Show),
    /// Change a key's name or end
    Update(Update),
    /// Make a successor of a key and print it, alone; the old key works on for a while
    Rotate(Rotate),
    /// End a key for good
    Revoke(Revoke),
}

/// `key create`
#[derive(Debug, Args)]
pub struct Create {
    /// Whose key it is; a tenant of this name is made when there is none
    #[arg(long)]
    tenant: String,
    /// A name for people
    #[arg(long, default_value = "default")]
    name: String,
    /// How long the key works, such as 12h or 30d; without end when not given
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires_in: Option<Duration>,
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `key show`
#[derive(Debug, Args)]
pub struct Show {
    /// The key's number, from `key list`
    id: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `key update`
#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true, args = ["name", "expires_in"])]
pub struct Update {
    /// The key's number, from `key list`
    id: i64,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// How long the key works from now, such as 12h or 30d, or `never` for no end
    #[arg(long, value_name = "DURATION", value_parser = expiry)]
    expires_in: Option<Expiry>,
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
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    grace: Duration,
    /// Print the new key's whole record as JSON, with the key in it
    #[arg(long)]
    json: bool,
}

/// `key revoke`
#[derive(Debug, Args)]
pub struct Revoke {
    /// The key's number, from `key list`
    id: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what `command` says; keys that it makes are of `kind_for_new_keys`.
pub async fn run(
    command: &KeyCommand,
    admin: &Admin,
    kind_for_new_keys: KeyKind,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create(create) => {
            let made = admin.create_key(create.at(kind_for_new_keys)).await?;
            print_new(&made, create.json, admin.now(), out)
        }
        KeyCommand::List(list) => {
            let keys = admin.keys(list.tenant.as_deref()).await?;
            print_list(&keys, list.json, admin.now(), out)
        }
        KeyCommand::Show(show) => {
            let key = admin.key(KeyId(show.id)).await?;
            print_one(&key, show.json, admin.now(), out)
        }
        KeyCommand::Update(update) => {
            let change = UpdateKey { name: update.name.clone(), expiry: update.expires_in };
            let key = admin.update_key(KeyId(update.id), change).await?;
            print_one(&key, update.json, admin.now(), out)
        }
        KeyCommand::Rotate(rotate) => {
            let made = admin.rotate_key(KeyId(rotate.id), rotate.grace).await?;
            print_new(&made, rotate.json, admin.now(), out)
        }
        KeyCommand::Revoke(revoke) => {
            let key = admin.revoke_key(KeyId(revoke.id)).await?;
            print_one(&key, revoke.json, admin.now(), out)
        }
    }
}

impl Create {
    fn at(&self, kind: KeyKind) -> CreateKey {
        CreateKey { tenant: self.tenant.clone(), name: self.name.clone(), kind, expires_in: self.expires_in }
    }
}

/// A record with the key in it: printed once, when the key is made.
#[derive(Serialize)]
struct WithKey<'a> {
    key: &'a str,
    #[serde(flatten)]
    record: KeyView,
}

fn print_new(
    (key, record): &(ApiKey, KeyRecord),
    json: bool,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match json {
        true => print_json(&WithKey { key: key.expose(), record: KeyView::new(record, now) }, out),
        false => Ok(writeln!(out, "{}", key.expose())?),
    }
}

fn print_list(keys: &[KeyRecord], json: bool, now: Timestamp, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return print_json(&keys.iter().map(|key| KeyView::new(key, now)).collect::<Vec<_>>(), out);
    }
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            [
                key.id.to_string(),
                key.tenant.name.to_string(),
                key.name.clone(),
                key.kind.as_str().into(),
                key.last_four.clone(),
                key.created_at.to_string(),
                KeyState::of(key, now).as_str().into(),
            ]
        })
        .collect();
    Ok(table::write(out, ["ID", "TENANT", "NAME", "KIND", "ENDS IN", "CREATED", "STATE"], &rows)?)
}

fn print_one(key: &KeyRecord, json: bool, now: Timestamp, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return print_json(&KeyView::new(key, now), out);
    }
    let moment = |moment: Option<Timestamp>| moment.map_or("never".into(), |moment| moment.to_string());
    writeln!(out, "id       {}", key.id)?;
    writeln!(out, "tenant   {}", key.tenant.name)?;
    writeln!(out, "name     {}", key.name)?;
    writeln!(out, "kind     {}", key.kind.as_str())?;
    writeln!(out, "ends in  {}", key.last_four)?;
    writeln!(out, "state    {}", KeyState::of(key, now).as_str())?;
    writeln!(out, "created  {}", key.created_at)?;
    writeln!(out, "expires  {}", moment(key.expires_at))?;
    writeln!(out, "revoked  {}", moment(key.revoked_at))?;
    Ok(())
}

/// One value, one line.
pub(super) fn print_json(value: &impl Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    Ok(writeln!(out)?)
}

/// Reads `90s`, `12h`, `30d`, `1h 30m`. A day has 24 hours.
fn duration(text: &str) -> Result<Duration, String> {
    let read = || -> Option<Duration> {
        let span: jiff::Span = text.parse().ok()?;
        Duration::try_from(span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?).ok()
    };
    read().ok_or_else(|| "write a number and a unit, such as 90s, 30m, 12h, 30d or 2w".into())
}

fn expiry(text: &str) -> Result<Expiry, String> {
    match text {
        "never" => Ok(Expiry::Never),
        text => duration(text).map(Expiry::In),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::{DAY, Desk};

    async fn key(desk: &Desk, line: &str) -> Result<String, String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(subcommand)]
            command: KeyCommand,
        }
        let line: Line = Desk::parse(line)?;
        let mut out = Vec::new();
        run(&line.command, &desk.admin, KeyKind::Live, &mut out).await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

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
        assert!(old.contains("expires  2023-11-14T23:13:20.000000Z\n"), "{old}");
        assert!(!old.contains("fr_live_"));
    }

    #[tokio::test]
    async fn a_list_is_a_table() {
        let desk = Desk::new();
        key(&desk, "create --tenant alpha --name web").await.unwrap();
        key(&desk, "create --tenant Zürich --expires-in 1d").await.unwrap();
        key(&desk, "create --tenant alpha").await.unwrap();
        key(&desk, "revoke 1").await.unwrap();
        desk.clock.advance(DAY);
        insta::assert_snapshot!(key(&desk, "list").await.unwrap(), @r"
        ID  TENANT  NAME     KIND  ENDS IN  CREATED                      STATE
        1   alpha   web      live  a5jQ     2023-11-14T22:13:20.000000Z  revoked
        2   Zürich  default  live  Nf6d     2023-11-14T22:13:20.000000Z  expired
        3   alpha   default  live  Fdu0     2023-11-14T22:13:20.000000Z  active
        ");
        insta::assert_snapshot!(key(&desk, "list --tenant alpha").await.unwrap(), @r"
        ID  TENANT  NAME     KIND  ENDS IN  CREATED                      STATE
        1   alpha   web      live  a5jQ     2023-11-14T22:13:20.000000Z  revoked
        3   alpha   default  live  Fdu0     2023-11-14T22:13:20.000000Z  active
        ");
        insta::assert_snapshot!(key(&desk, "list --json --tenant Zürich").await.unwrap(), @r#"
        [{"id":2,"tenant_id":2,"tenant":"Zürich","name":"default","kind":"live","last_four":"Nf6d","state":"expired","created_at":"2023-11-14T22:13:20.000000Z","expires_at":"2023-11-15T22:13:20.000000Z","revoked_at":null}]
        "#);
        insta::assert_snapshot!(key(&desk, "show 2").await.unwrap(), @r"
        id       2
        tenant   Zürich
        name     default
        kind     live
        ends in  Nf6d
        state    expired
        created  2023-11-14T22:13:20.000000Z
        expires  2023-11-15T22:13:20.000000Z
        revoked  never
        ");
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
        assert_eq!(key(&desk, "show 7").await.unwrap_err(), "there is no key 7");
        assert_eq!(key(&desk, "revoke 7 --json").await.unwrap_err(), "there is no key 7");
        let refused = key(&desk, "create --tenant a\u{7}").await.unwrap_err();
        assert_eq!(refused, "tenant must have printable characters only");
        for bad in ["create --tenant a --expires-in 30", "create --tenant a --expires-in -1h", "update 1"] {
            assert!(key(&desk, bad).await.is_err(), "{bad}");
        }
        let refused = key(&desk, "create --tenant a --expires-in soon").await.unwrap_err();
        assert!(refused.contains("write a number and a unit"), "{refused}");
        assert_eq!(key(&desk, "list --json").await.unwrap(), "[]\n");
    }
}
