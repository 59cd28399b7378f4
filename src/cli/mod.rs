//! The verbs of the command line. Each reads the configuration, does its work through the room that knows it, and
//! prints for people or, with `--json`, for programs.

mod args;
pub mod audit;
#[cfg(test)]
mod bench;
pub mod check;
pub mod doctor;
pub mod group;
mod health;
pub mod import;
pub mod key;
pub mod ledger;
pub mod listen;
pub mod operator;
pub mod prices;
pub mod reconcile;
mod serve;
mod table;
pub mod tenant;
pub mod usage;
pub mod webhook;
mod welcome;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use self::prices::PricesCommand;
use self::webhook::WebhookCommand;
use crate::admin::{Actor, Admin};
use crate::billing::Billing;
use crate::clock::SystemClock;
use crate::config::{self, Config, ConfigError};
use crate::key::KeyKind;
use crate::random::Random;
use crate::store::{Role, SqliteStore};

/// A self-hosted gateway between programs that already speak fal.ai's API and fal.ai itself.
#[derive(Debug, Parser)]
#[command(name = "fal-relay", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    place: Place,
}

/// Which configuration a verb works with.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The configuration file [default: ./fal-relay.toml when it exists]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Work with the simulated fal: nothing leaves this machine, nothing is charged
    #[arg(long, global = true)]
    sandbox: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the relay
    Serve,
    /// Run the simulated fal alone, for test suites
    Sandbox,
    /// Explain the configuration
    Check(check::Check),
    /// Print what a client needs to use this relay, and try it with the client that is installed here
    Doctor(doctor::Doctor),
    /// Make, list, change and end the relay's keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Make, list, change and end tenants
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Make, list, change and end groups: keys that share a price and limits
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// Make, list and end operators, who use the admin API
    #[command(subcommand)]
    Operator(operator::OperatorCommand),
    /// List prices, bring fal's in, and set your own
    #[command(subcommand)]
    Prices(prices::PricesCommand),
    /// Sum up what was spent, by whom, on what
    Usage(usage::Usage),
    /// Read and correct the ledger
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// List who changed what, and why
    Audit(audit::Audit),
    /// Take over keys and groups of a one-api or new-api
    Import(import::Import),
    /// Lay fal's bill beside the ledger; needs an admin key of the fal account
    Reconcile(reconcile::ReconcileCommand),
    /// Look after webhooks
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Bring the store up to date (serve does it too)
    Migrate,
    /// Ask a running relay whether it is ready; for container health checks
    Health,
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.run_in_runtime())
    }

    async fn run_in_runtime(self) -> anyhow::Result<()> {
        let place = self.place;
        let mut out = std::io::stdout().lock();
        match self.verb {
            Verb::Serve => serve::serve(&place, &mut out).await,
            Verb::Sandbox => serve::sandbox(&place, &mut out).await,
            Verb::Check(check) => check::run(&check, place.loaded(), &mut out).await,
            Verb::Doctor(doctor) => doctor::run(&doctor, &place, &mut out).await,
            Verb::Key(command) => key::run(&command, &place.office()?, &mut out).await,
            Verb::Tenant(command) => tenant::run(&command, &place.office()?, &mut out).await,
            Verb::Group(command) => group::run(&command, &place.office()?, &mut out).await,
            Verb::Operator(command) => operator::run(&command, &place.office()?, &mut out).await,
            Verb::Prices(PricesCommand::Own(command)) => {
                prices::own::run(&command, &place.office()?, &mut out).await
            }
            Verb::Prices(PricesCommand::Fal(command)) => {
                prices::fal::run(&command, &place.billing()?, &mut out).await
            }
            Verb::Reconcile(command) => reconcile::run(&command, &place.billing()?, &mut out).await,
            Verb::Usage(usage) => usage::run(&usage, &place.office()?, &mut out).await,
            Verb::Audit(audit) => audit::run(&audit, &place.office()?, &mut out).await,
            Verb::Import(import) => import::run(&import, &place.office()?, &mut out).await,
            Verb::Ledger(command) => ledger::run(&command, &place.office()?, &mut out).await,
            Verb::Webhook(WebhookCommand::Listen(listen)) => listen::run(&listen, &place, &mut out).await,
            Verb::Webhook(WebhookCommand::Office(command)) => {
                webhook::run(&command, &place.office()?, &mut out).await
            }
            Verb::Migrate => {
                place.admin()?;
                Ok(writeln!(out, "The store is up to date.")?)
            }
            Verb::Health => health::run(&place.load()?).await,
        }
    }
}

/// The variables that are settings. One of the family is meant for doctor alone.
fn environment() -> impl Iterator<Item = (String, String)> {
    config::environment().filter(|(name, _)| name != doctor::KEY_VARIABLE)
}

impl Place {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(self.loaded()?)
    }

    /// The same, where `FAL_KEY` is what a client of the relay shows: no key of fal's, and no setting.
    fn load_for_client(&self) -> anyhow::Result<Config> {
        let settings = environment().filter(|(name, _)| name != listen::FAL_KEY_VARIABLE);
        Ok(Config::load(self.config.as_deref(), settings, self.sandbox)?)
    }

    fn loaded(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), environment(), self.sandbox)
    }

    /// The service over the configured store, whether or not a relay is running on it.
    fn admin(&self) -> anyhow::Result<Admin> {
        let config = self.load()?;
        let store = Arc::new(SqliteStore::open(&config.store)?);
        let clock = Arc::new(SystemClock::new());
        Ok(crate::serve::admin(&config, self.kind(), store, clock, Random::system()))
    }

    /// The service in the hands of whoever has the machine.
    fn office(&self) -> anyhow::Result<Actor> {
        Ok(self.admin()?.by("cli", Role::Owner))
    }

    /// Prices and bills over the configured store, whether or not a relay is running on it.
    fn billing(&self) -> anyhow::Result<Billing> {
        let config = self.load()?;
        let store = Arc::new(SqliteStore::open(&config.store)?);
        Ok(crate::serve::billing(&config, store, Arc::new(SystemClock::new()))?)
    }

    /// The kind of keys that tenants use here.
    fn kind(&self) -> KeyKind {
        if self.sandbox { KeyKind::Test } else { KeyKind::Live }
    }
}
