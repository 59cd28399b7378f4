//! `fal-relay prices …`: what endpoints cost, at fal and here.

mod list;
mod sync;

use std::io::Write;

use clap::Subcommand;

use super::Place;

/// The verbs of `fal-relay prices`.
#[derive(Debug, Subcommand)]
pub enum PricesCommand {
    /// Those that ask fal.
    #[command(flatten)]
    Sync(sync::SyncVerb),
    /// Those that ask the store.
    #[command(flatten)]
    List(list::ListVerb),
}

/// Does what `command` says.
pub async fn run(command: &PricesCommand, place: &Place, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        PricesCommand::Sync(verb) => sync::run(verb, &place.billing()?, out).await,
        PricesCommand::List(verb) => list::run(verb, &place.office()?, out).await,
    }
}
