//! `fal-relay webhook`: webhooks that were sent or wait, and the key that signs them.

use std::io::Write;

use clap::{Args, Subcommand};

use super::args::{Why, print_json};
use super::table::{self, or};
use crate::admin::{Actor, AttemptView, DeliveryQuery, DeliveryView};
use crate::ids::DeliveryId;
use crate::store::DeliveryState;

/// `webhook`
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Hear of the webhooks of a key's tenant as they happen, and send them on to a receiver on this machine
    Listen(super::listen::Listen),
    /// What is done in the store
    #[command(flatten)]
    Office(OfficeCommand),
}

/// What is done in the store.
#[derive(Debug, Subcommand)]
pub enum OfficeCommand {
    /// List webhooks of jobs that ended, the newest first
    List(List),
    /// Show a webhook with its tries
    Show(Show),
    /// Send a webhook anew, or all dead ones of a tenant
    Redeliver(Redeliver),
    /// Make a new key that signs webhooks; it is published at once and signs after a day
    RotateKey(RotateKey),
}

/// `webhook list`
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only that of the ledger's row of this number
    #[arg(long, value_name = "ID")]
    call: Option<i64>,
    /// Only that of the job that fal gave this id
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = state)]
    state: Option<DeliveryState>,
    /// The most lines, 1000 at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `webhook show`
#[derive(Debug, Args)]
pub struct Show {
    /// Its number, from `webhook list`
    id: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `webhook redeliver`
#[derive(Debug, Args)]
#[group(id = "which", args = ["id", "dead_of"], required = true, multiple = false)]
pub struct Redeliver {
    /// Its number, from `webhook list`
    id: Option<i64>,
    /// All dead ones of this tenant
    #[arg(long, value_name = "TENANT")]
    dead_of: Option<String>,
    #[command(flatten)]
    why: Why,
}

fn state(text: &str) -> Result<DeliveryState, String> {
    let found = DeliveryState::ALL.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| "must be waiting, delivered or dead".into())
}

/// `webhook rotate-key`
#[derive(Debug, Args)]
pub struct RotateKey {
    /// The old key was stolen: it ends now. Receivers who keep the list of keys refuse webhooks until they read it again
    #[arg(long)]
    at_once: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    why: Why,
}

/// Does what the command line says.
pub async fn run(command: &OfficeCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        OfficeCommand::List(list) => self::list(list, office, out).await,
        OfficeCommand::Show(show) => self::show(show, office, out).await,
        OfficeCommand::Redeliver(redeliver) => self::redeliver(redeliver, office, out).await,
        OfficeCommand::RotateKey(rotate) => rotate_key(rotate, office, out).await,
    }
}

async fn list(list: &List, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let query = DeliveryQuery {
        tenant: list.tenant.clone(),
        call_id: list.call,
        request_id: list.request_id.clone(),
        state: list.state,
        limit: Some(list.limit),
        cursor: None,
    };
    let found = office.deliveries(query).await?.items;
    if list.json {
        return print_json(&found, out);
    }
    let row = |one: &DeliveryView| {
        let state = one.state.as_str().to_owned();
        let next = or(one.due_at.as_ref().or(one.ended_at.as_ref()), "-");
        let last = or(one.last_reason.as_ref(), "-");
        let (tenant, request_id) = (one.tenant.clone(), one.request_id.clone());
        [
            one.id.to_string(),
            tenant,
            request_id,
            state,
            one.attempts.to_string(),
            next,
            last,
            one.target.clone(),
        ]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let head = ["ID", "TENANT", "REQUEST", "STATE", "TRIES", "NEXT OR END", "LAST FAILURE", "TARGET"];
    Ok(table::write(out, head, &rows)?)
}

async fn show(show: &Show, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let log = office.delivery(DeliveryId(show.id)).await?;
    if show.json {
        return print_json(&log, out);
    }
    let one = &log.delivery;
    let fields = [
        ("delivery id", one.delivery_id.clone()),
        ("tenant", one.tenant.clone()),
        ("request", one.request_id.clone()),
        ("call", one.call_id.to_string()),
        ("target", one.target.clone()),
        ("state", one.state.as_str().to_owned()),
        ("bytes", one.bytes.to_string()),
        ("job ended", one.created_at.clone()),
        ("next try", or(one.due_at.as_ref(), "-")),
        ("ended", or(one.ended_at.as_ref(), "-")),
    ];
    table::record(out, &fields)?;
    writeln!(out)?;
    let row = |attempt: &AttemptView| {
        let status = attempt.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let reason = or(attempt.reason.as_ref(), "-");
        [attempt.number.to_string(), attempt.at.clone(), status, format!("{} ms", attempt.took_ms), reason]
    };
    let rows: Vec<_> = log.attempts.iter().map(row).collect();
    Ok(table::write(out, ["TRY", "AT", "STATUS", "TOOK", "FAILURE"], &rows)?)
}

async fn redeliver(redeliver: &Redeliver, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let office = redeliver.why.tell(office);
    let done = match (redeliver.id, &redeliver.dead_of) {
        (Some(id), _) => office.redeliver(DeliveryId(id)).await?,
        (None, Some(name)) => {
            let tenant = office.find_tenant(name).await?.id;
            office.redeliver_dead(tenant).await?
        }
        (None, None) => anyhow::bail!("say which"),
    };
    Ok(writeln!(out, "{} begin anew; a running relay sends them now.", done.redelivered)?)
}

async fn rotate_key(rotate: &RotateKey, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let turn = rotate.why.tell(office).rotate_webhook_key(rotate.at_once).await?;
    if rotate.json {
        return print_json(&turn, out);
    }
    Ok(writeln!(
        out,
        "The new key signs from {}; the keys before it are published until {}.",
        turn.signs_from, turn.others_end_at
    )?)
}
