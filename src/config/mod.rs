//! (being built)

use crate::ids::AccountName;
use crate::secret::Secret;
use crate::{http, relay, sandbox, store, telemetry, tls, upstream};

/// Everything that the operator said, checked, made of each room's own settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The listeners.
    pub server: http::Settings,
    /// The certificate of the https listener.
    pub tls: tls::Settings,
    /// The road to fal.
    pub upstream: upstream::Settings,
    /// The fal accounts.
    pub accounts: Vec<Account>,
    /// Keys and the ledger.
    pub store: store::Settings,
    /// The journey of a call.
    pub relay: relay::Settings,
    /// Logs.
    pub log: telemetry::Settings,
    /// The simulated fal.
    pub sandbox: sandbox::Settings,
    /// What the operator should know though it is no fault, one sentence each.
    pub notices: Vec<String>,
}

/// A fal account: its name here, and its key there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The operator's name for it.
    pub name: AccountName,
    /// The fal key, `id:secret`.
    pub key: Secret,
}
