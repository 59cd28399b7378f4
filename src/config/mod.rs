//! What the operator said, and what it means. The defaults are the commented file `config/fal-relay.toml`; the
//! operator's own file lies over it, and the environment over both. What is said and what is meant are two types: the
//! first knows where every value came from, the second is each room's own settings, checked.

mod accounts;
mod environment;
mod explain;
mod file;
mod meant;
mod problem;
mod reader;
mod said;
mod sandboxed;
#[cfg(test)]
mod tests;
mod values;

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::ids::AccountName;
use crate::secret::Secret;
use crate::{billing, http, outside, platform, relay, sandbox, store, telemetry, tls, upstream};

pub use environment::environment;
pub use explain::Explanation;
pub use problem::{ConfigError, Origin, Problem};
use reader::Reader;
use said::Said;

/// The file that is read, when it exists, if no other is named.
pub const DEFAULT_FILE: &str = "fal-relay.toml";

/// Everything that the operator said, checked, made of each room's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The listeners.
    pub server: http::Settings,
    /// The certificate of the https listener.
    pub tls: tls::Settings,
    /// The road to fal.
    pub upstream: upstream::Settings,
    /// The road to fal's platform API.
    pub platform: platform::Settings,
    /// Prices and fal's bill.
    pub billing: billing::Settings,
    /// The fal accounts; may be empty, since not every verb calls fal.
    pub accounts: Vec<Account>,
    /// Keys and the ledger.
    pub store: store::Settings,
    /// The journey of a call.
    pub relay: relay::Settings,
    /// Addresses that tenants name.
    pub outside: outside::Settings,
    /// Logs.
    pub log: telemetry::Settings,
    /// The simulated fal.
    pub sandbox: sandbox::Settings,
    /// What the operator should know though it is no fault, one sentence each.
    pub notices: Vec<String>,
    explanation: Explanation,
}

/// A fal account: its name here, and its key there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The operator's name for it.
    pub name: AccountName,
    /// The fal key, `id:secret`.
    pub key: Secret,
    /// An admin key of the same account, for its bill.
    pub admin_key: Option<Secret>,
}

impl Config {
    /// Reads the defaults, then `file` (or [`DEFAULT_FILE`] when it exists), then `environment`, and checks the whole.
    /// With `sandbox`, no real fal key is looked at and every address of fal means this machine.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        sandbox: bool,
    ) -> Result<Self, ConfigError> {
        let mut said = Said::new(sandbox);
        // A default file that cannot even be looked for is read, so that the fault is told.
        let default_file = Some(Path::new(DEFAULT_FILE)).filter(|path| path.try_exists().unwrap_or(true));
        if let Some(path) = file.or(default_file) {
            file::read(path, &mut said);
        }
        environment::read(environment, &mut said);
        if sandbox {
            sandboxed::lay_over(&mut said);
        }
        Self::mean(said)
    }

    /// Reads the settings out of what was said.
    fn mean(mut said: Said) -> Result<Self, ConfigError> {
        let mut explanation = Explanation::new(&said.entries);
        let accounts = match said.sandbox {
            true => accounts::pretend(&mut said, &mut explanation),
            false => accounts::read(&mut said, &mut explanation),
        };
        let mut reader = Reader { said: &mut said };
        let mut config = Self {
            server: reader.server(),
            tls: reader.tls(),
            platform: reader.platform(),
            billing: reader.billing(),
            upstream: reader.upstream(),
            accounts,
            store: reader.store(),
            relay: reader.relay(),
            outside: reader.outside(),
            log: reader.log(),
            sandbox: reader.sandbox(),
            notices: Vec::new(),
            explanation,
        };
        refuse_shared_addresses(&config, &mut said);
        config.notices = said.notices;
        match said.problems.is_empty() {
            true => Ok(config),
            false => Err(ConfigError { problems: said.problems, explanation: config.explanation }),
        }
    }

    /// Refuses a configuration without a fal account, for the verbs that call fal.
    pub fn require_account(&self) -> Result<(), ConfigError> {
        match self.accounts.is_empty() {
            false => Ok(()),
            true => {
                Err(ConfigError { problems: vec![Problem::NoAccount], explanation: self.explanation.clone() })
            }
        }
    }

    /// Writes every key, the value in force and where it was said; secrets are stars with their last four characters.
    pub fn explain(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.explanation.write(out)
    }
}

/// Notes listeners that cannot all be bound.
fn refuse_shared_addresses(config: &Config, said: &mut Said) {
    let server = &config.server;
    let https = config.tls.files.is_some() || said.sandbox;
    let bound = [
        ("server.listen", server.listen, true),
        ("server.https_listen", server.https_listen, https),
        ("server.admin_listen", server.admin_listen, true),
        ("sandbox.listen", config.sandbox.listen, said.sandbox),
    ];
    let bound: Vec<_> = bound.into_iter().filter(|(_, _, bound)| *bound).collect();
    for (at, (key, address, _)) in bound.iter().enumerate() {
        if let Some((other, ..)) = bound[..at].iter().find(|(_, earlier, _)| collide(*earlier, *address)) {
            let origin = said.get(key).map_or(Origin::Default, |entry| entry.origin.clone());
            said.refuse(
                origin,
                *key,
                format!("is {address}, which {other} takes already; give it another port"),
            );
        }
    }
}

/// Whether two listeners cannot both be bound. Port 0 takes a free port.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_place = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_place
}
