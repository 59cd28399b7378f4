//! The way to addresses that tenants name: receivers of webhooks and of alerts. A tenant could name an address inside the
//! operator's own network, so each is judged by its text, and again by every address that its name stands for at the moment
//! of connecting; only what was judged is dialled.

mod certificate;
mod client;
mod networks;
mod refused;
mod resolver;
mod target;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

pub use certificate::tls_fault;
pub use client::Client;
pub use refused::{Refused, refusal};
pub use target::Target;

/// What the operator lets tenants name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Networks that may be named though they are not public.
    pub allow_targets: Vec<IpNet>,
    /// Whether `http` may be named, or `https` alone.
    pub allow_http: bool,
    /// Nothing leaves this machine: its own addresses may be named, and no others.
    pub loopback_only: bool,
}

/// How long a client waits, and what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// For a connection, with the look-up of its name and the TLS handshake.
    pub connect_timeout: Duration,
    /// For a whole answer, connection included.
    pub answer_timeout: Duration,
    /// Idle connections that are kept for each host, and for how long.
    pub idle_max: usize,
    /// How long they are kept.
    pub idle_timeout: Duration,
}

/// The addresses of a name, as they are looked up.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// How names are looked up: by the system, or in a test by the test.
pub type LookUp = Arc<dyn Fn(String) -> Found + Send + Sync>;

/// Judges where the relay may be sent.
#[derive(Clone)]
pub struct Guard {
    settings: Arc<Settings>,
    look_up: LookUp,
}

impl Guard {
    /// A guard that asks the system for names.
    pub fn new(settings: Settings) -> Self {
        Self::with_names(settings, Arc::new(resolver::ask_the_system))
    }

    /// A guard that looks names up like this.
    pub fn with_names(settings: Settings, look_up: LookUp) -> Self {
        Self { settings: Arc::new(settings), look_up }
    }

    /// Judges an address as a tenant wrote it. A name is only read here, and looked up when a connection is made.
    pub fn judge(&self, text: &str) -> Result<Target, Refused> {
        Target::judge(text, self)
    }

    /// Judges a numeric address.
    pub fn judge_ip(&self, address: IpAddr) -> Result<(), Refused> {
        let settings = &self.settings;
        let excepted = |one: &IpAddr| settings.allow_targets.iter().any(|network| network.contains(one));
        let ends = networks::ends(address);
        if settings.loopback_only {
            return if ends.iter().all(IpAddr::is_loopback) { Ok(()) } else { Err(Refused::Elsewhere) };
        }
        let reserved = |one: &IpAddr| networks::reserved(*one).filter(|_| !excepted(one));
        match ends.iter().find_map(reserved) {
            Some(what) if !excepted(&address) => Err(Refused::Network(what)),
            _ => Ok(()),
        }
    }

    /// A client that reaches nothing else than what this guard lets pass.
    pub fn client(&self, pace: Pace) -> Result<Client, reqwest::Error> {
        Client::new(self.clone(), pace)
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
