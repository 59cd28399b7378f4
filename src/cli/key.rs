//! `fal-relay key …`: the relay's own keys.

use std::io::Write;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::admin::{Actor, KeyCreate, KeyMade, KeyQuery, KeyRotate, KeyUpdate, KeyView};
use crate::ids::KeyId;

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
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,
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
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,
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

/// Does what `command` says.
pub async fn run(command: &KeyCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create(create) => print_new(&office.create_key(create.input()).await?, create.json, out),
        KeyCommand::List(list) => {
            let query = KeyQuery { tenant: list.tenant.clone(), ..KeyQuery::default() };
            print_list(&office.keys(query).await?.items, list.json, out)
        }
        KeyCommand::Show(show) => print_one(&office.key(KeyId(show.id)).await?, show.json, out),
        KeyCommand::Update(update) => {
            let change = KeyUpdate {
                name: update.name.clone(),
                expires_in: update.expires_in.clone(),
                ..KeyUpdate::default()
            };
            print_one(&office.update_key(KeyId(update.id), change).await?, update.json, out)
        }
        KeyCommand::Rotate(rotate) => {
            let how = KeyRotate { grace: Some(rotate.grace.clone()) };
            print_new(&office.rotate_key(KeyId(rotate.id), how).await?, rotate.json, out)
        }
        KeyCommand::Revoke(revoke) => {
            print_one(&office.revoke_key(KeyId(revoke.id)).await?, revoke.json, out)
        }
    }
}

impl Create {
    fn input(&self) -> KeyCreate {
        KeyCreate {
            tenant: self.tenant.clone(),
            name: Some(self.name.clone()),
            expires_in: self.expires_in.clone(),
            ..KeyCreate::default()
        }
    }
}

fn print_new(made: &KeyMade, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    match json {
        true => print_json(made, out),
        false => Ok(writeln!(out, "{}", made.key)?),
    }
}

fn print_list(keys: &[KeyView], json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return print_json(&keys, out);
    }
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            [
                key.id.to_string(),
                key.tenant.clone(),
                key.name.clone(),
                key.kind.as_str().into(),
                key.last_four.clone(),
                key.created_at.clone(),
                key.state.as_str().into(),
            ]
        })
        .collect();
    Ok(table::write(out, ["ID", "TENANT", "NAME", "KIND", "ENDS IN", "CREATED", "STATE"], &rows)?)
}

fn print_one(key: &KeyView, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return print_json(key, out);
    }
    let never = |moment: &Option<String>| moment.clone().unwrap_or_else(|| "never".into());
    writeln!(out, "id       {}", key.id)?;
    writeln!(out, "tenant   {}", key.tenant)?;
    writeln!(out, "name     {}", key.name)?;
    writeln!(out, "kind     {}", key.kind.as_str())?;
    writeln!(out, "ends in  {}", key.last_four)?;
    writeln!(out, "state    {}", key.state.as_str())?;
    writeln!(out, "created  {}", key.created_at)?;
    writeln!(out, "expires  {}", never(&key.expires_at))?;
    writeln!(out, "revoked  {}", never(&key.revoked_at))?;
    Ok(())
}

/// One value, one line.
pub(super) fn print_json(value: &impl Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    Ok(writeln!(out)?)
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
