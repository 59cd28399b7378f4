//! `fal-relay prices …`: what endpoints cost.

pub mod fal;
pub mod own;

use clap::Subcommand;

/// The verbs of `fal-relay prices`.
#[derive(Debug, Subcommand)]
pub enum PricesCommand {
    /// Those that look at the store.
    #[command(flatten)]
    Own(own::OwnCommand),
    /// Those that ask fal.
    #[command(flatten)]
    Fal(fal::FalCommand),
}
