//! `fal-relay webhook`: the key that signs webhooks.

use std::io::Write;

use clap::{Args, Subcommand};

use super::args::{Why, print_json};
use crate::admin::Actor;

/// `webhook`
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Make a new key that signs webhooks; it is published at once and signs after a day
    RotateKey(RotateKey),
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
pub async fn run(command: &WebhookCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let WebhookCommand::RotateKey(rotate) = command;
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
