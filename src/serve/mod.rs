//! Builds the house from a [`Config`], binds its listeners, starts what runs beside them, and drains all of it.
//!
//! One thread and one single-threaded runtime for each worker: a connection, its calls and its connections to fal stay
//! on one core. All workers accept from the same sockets. Beside them the main runtime serves operators, watches keys
//! and certificates, and runs the sandbox.

mod background;
mod bind;
mod error;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use bind::{Https, Sockets};
pub use error::ServeError;
use worker::Workers;

use crate::admin::{Admin, KeyCreate, KeyQuery, OperatorCreate};
use crate::alerts::{self, Alerts};
use crate::billing::{self, Billing};
use crate::call_log::CallLog;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::{Capacity, Desk, Readiness, admin_router};
use crate::jwks::{self, FalKeys};
use crate::key::{ApiKey, KeyKind};
use crate::limits::{self, MemoryLimits};
use crate::metrics::Metrics;
use crate::outside::{self, Guard};
use crate::platform::Platform;
use crate::random::Random;
use crate::relay::{self, Secrets, Shared};
use crate::store::{PriceOverride, Role, SqliteStore, Store};
use crate::upstream::{self, Account};
use crate::webhooks::{self, Deliverer};
use crate::{sandbox, tls};

/// The tenant of the key that a first start makes.
const FIRST_TENANT: &str = "default";

/// The operator of the token that a first start makes.
const FIRST_OPERATOR: &str = "owner";

/// A house that is built and bound, and not yet open.
pub struct House {
    /// What a newcomer must be told.
    pub welcome: Welcome,
    /// What is known of the roads to fal.
    pub roads: Arc<upstream::Shared>,
    config: Config,
    admin: Admin,
    admin_listener: TcpListener,
    workers: Workers,
    store: Arc<dyn Store>,
    shared: Arc<Shared>,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    certificates: Option<Arc<tls::Certificates>>,
    sandbox: Option<sandbox::Running>,
    alerting: Option<alerts::Sending>,
    billing: Arc<Billing>,
    deliverer: Deliverer,
    log: Arc<CallLog>,
    clock: Arc<dyn Clock>,
}

/// What a house is given and does not make itself: where it writes calls down, its time and its chance.
pub struct Given {
    /// The log of calls.
    pub log: Arc<CallLog>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Random,
}

/// Where the house stands, and the key of its first start.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// The http listener for tenants.
    pub http: SocketAddr,
    /// The https listener for tenants.
    pub https: Option<SocketAddr>,
    /// The listener for operators.
    pub admin: SocketAddr,
    /// The simulated fal.
    pub sandbox: Option<SocketAddr>,
    /// The certificate authority that clients of the https listener must trust, in sandbox mode.
    pub ca_file: Option<PathBuf>,
    /// The key that this first start made. It is shown once.
    pub first_key: Option<ApiKey>,
    /// The operator's token that this first start made. It is shown once.
    pub first_token: Option<ApiKey>,
}

impl House {
    /// Opens the store, starts the sandbox when there is one, and binds every listener. Nothing is served yet.
    pub async fn build(mut config: Config, in_sandbox: bool, given: Given) -> Result<Self, ServeError> {
        config.require_account()?;
        let Given { log, clock, random } = given;
        let (store, metrics) = open_store(&config, &*clock).await?;
        let sandbox = start_sandbox(&mut config, in_sandbox, &clock, &random).await?;
        let accounts = accounts(&config)?;
        let kind = if in_sandbox { KeyKind::Test } else { KeyKind::Live };
        let guard = Guard::new(config.outside.clone());
        let (alerts, alerting) = alerts(in_sandbox, &guard, &clock)?;
        let billing = Arc::new(billing(&config, store.clone(), clock.clone())?);
        let outbox = tokio::sync::watch::Sender::new(store.last_delivery().await?);
        let given = relay::Given {
            store: store.clone(),
            limits: Arc::new(MemoryLimits::new(clock.clone(), limits::Settings::default())),
            alerts,
            accounts,
            clock: clock.clone(),
            guard: guard.clone(),
            random: random.clone(),
            outbox: outbox.clone(),
            kind,
            secrets: Secrets::open(&*store, &*clock, &random).await?,
            fal_keys: fal_keys(&config, clock.clone())?,
            first_lease: first_lease(&random)?,
        };
        let shared = Shared::new(config.relay.clone(), &config.upstream, given).await?;
        let delivering = webhooks::Given {
            store: store.clone(),
            guard,
            key: signing(shared.clone()),
            outbox: outbox.subscribe(),
            counts: metrics.webhooks(),
            clock: clock.clone(),
            random: random.clone(),
        };
        let deliverer = Deliverer::new(config.webhooks.clone(), delivering).map_err(ServeError::Webhooks)?;
        let readiness = Readiness::new(shared.clone(), clock.clone());
        let https = bind::certificates(&config, in_sandbox, &clock)?;
        let sockets = Sockets::open(&config.server, https.is_some())?;
        let desk = Desk::new(log.clone(), clock.clone(), process_number(&random)?);
        let admin = admin(&config, kind, store.clone(), clock.clone(), random);
        let first = first_keys(&admin).await?;
        let welcome = welcome(&sockets, https.as_ref(), sandbox.as_ref(), first)?;
        let roads: Arc<upstream::Shared> = Arc::default();
        let workers = Workers {
            http: sockets.http,
            https: sockets.https.zip(https.as_ref().map(|https| https.server.clone())),
            settings: Arc::new(config.server.clone()),
            upstream: config.upstream.clone(),
            upstream_tls: bind::upstream_tls(&config)?,
            roads: roads.clone(),
            shared: shared.clone(),
            readiness: readiness.clone(),
            capacity: Capacity::new(&config.server),
            desk,
            metrics: metrics.clone(),
            clock: clock.clone(),
        };
        Ok(Self {
            welcome,
            roads,
            config,
            admin,
            admin_listener: TcpListener::from_std(sockets.admin).map_err(ServeError::Runtime)?,
            workers,
            store,
            shared,
            readiness,
            metrics,
            certificates: https.and_then(|https| https.certificates),
            sandbox,
            alerting,
            billing,
            deliverer,
            log,
            clock,
        })
    }

    /// Serves until `stop`, then drains: not ready for `server.drain_delay_seconds`, then no new connections, and calls
    /// under way may finish within `server.drain_seconds`.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeError> {
        let shared = self.shared.clone();
        let watching = tokio::spawn(async move { shared.watch_keys().await });
        let following = self.workers.watch()?;
        let alerting = self.alerting.map(|alerting| tokio::spawn(alerting.run()));
        let delivering = tokio::spawn(self.deliverer.run());
        let billing = self.billing.clone();
        let keeping = tokio::spawn(async move { billing.keep().await });
        let logging = tokio::spawn(self.log.clone().flush_often());
        let reloading = self
            .certificates
            .clone()
            .map(|certificates| tokio::spawn(certificates.watch(self.clock.clone(), self.config.tls.reload)));
        let close = CancellationToken::new();
        let admin = tokio::spawn(
            axum::serve(
                self.admin_listener,
                admin_router(self.readiness.clone(), self.metrics.clone(), self.admin),
            )
            .with_graceful_shutdown(close.clone().cancelled_owned())
            .into_future(),
        );
        let working = self.workers.start(self.config.server.workers, &close)?;
        // Not before: the workers would inherit it.
        background::step_back();
        stop.cancelled().await;
        self.readiness.drain();
        leave_balancers_time(self.config.server.drain_delay, &*self.clock).await;
        close.cancel();
        tracing::info!("draining: no new connections; calls under way may finish");
        if !working.finished(self.config.server.drain, &*self.clock).await {
            tracing::warn!("the drain's time is over; calls that were still under way are cut off");
            // Another process may have begun on this store already: nobody else would mark them.
            give_up_abandoned(&*self.store, &*self.clock).await?;
        }
        watching.abort();
        following.abort();
        keeping.abort();
        delivering.abort();
        if let Some(alerting) = alerting {
            alerting.abort();
        }
        logging.abort();
        self.log.flush();
        if let Some(reloading) = reloading {
            reloading.abort();
        }
        admin.abort();
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
        Ok(())
    }
}

/// Opens the ledger, and the metrics that count what it does.
async fn open_store(
    config: &Config,
    clock: &dyn Clock,
) -> Result<(Arc<dyn Store>, Arc<Metrics>), ServeError> {
    let store = SqliteStore::open(&config.store)?;
    let names = config.accounts.iter().map(|account| account.name.clone()).collect();
    let metrics = Metrics::new(clock.now(), names, store.counts());
    metrics.abandoned(give_up_abandoned(&store, clock).await?);
    Ok((Arc::new(store), metrics))
}

/// What tells tenants of their budgets; in the sandbox nothing leaves the machine.
fn alerts(
    in_sandbox: bool,
    guard: &Guard,
    clock: &Arc<dyn Clock>,
) -> Result<(Alerts, Option<alerts::Sending>), ServeError> {
    if in_sandbox {
        return Ok((Alerts::silent(), None));
    }
    let (alerts, sending) = Alerts::new(guard, clock.clone()).map_err(ServeError::Alerts)?;
    Ok((alerts, Some(sending)))
}

/// The service that administers `store`, as `config` says; new keys are of `kind`.
pub fn admin(
    config: &Config,
    kind: KeyKind,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Random,
) -> Admin {
    let own = config.relay.pricing.overrides.iter().map(|(pattern, price)| PriceOverride {
        pattern: pattern.to_string(),
        unit_price: price.unit_price,
        unit: price.unit.to_string(),
    });
    // What is written down in the sandbox may be meant for later.
    let guard = Guard::new(outside::Settings { loopback_only: false, ..config.outside.clone() });
    Admin::new(store, clock, random).with_kind(kind).with_own_prices(own.collect()).with_guard(guard)
}

/// What asks fal for prices and bills, as `config` says.
pub fn billing(config: &Config, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Billing, ServeError> {
    // HTTP/1.1: a few questions in a second need no more.
    let tls = match config.platform.url.starts_with("https:") {
        true => Some(tls::client_config(config.upstream.ca_file.as_deref(), false)?),
        false => None,
    };
    let platform = Platform::new(&config.platform, tls, clock.clone())?;
    let account = |said: &crate::config::Account| billing::Account {
        name: said.name.clone(),
        key: said.key.clone(),
        admin_key: said.admin_key.clone(),
    };
    let accounts = config.accounts.iter().map(account).collect();
    Ok(Billing::new(store, platform, accounts, config.billing.clone(), clock))
}

/// The key that signs deliveries, of any moment.
fn signing(shared: Arc<Shared>) -> webhooks::Signing {
    Arc::new(move |now| shared.signing_key(now))
}

/// What verifies fal's webhooks.
fn fal_keys(config: &Config, clock: Arc<dyn Clock>) -> Result<FalKeys, ServeError> {
    let (url, loopback_only) = (config.upstream.jwks_url.clone(), config.upstream.loopback_only);
    let trusted = match url.starts_with("https:") {
        true => tls::client_config(config.upstream.ca_file.as_deref(), false).ok(),
        false => None,
    };
    // On a machine without certificates the relay starts all the same: not every one is called back.
    let tls = trusted.map_or_else(tls::trusting_nobody, Ok)?;
    Ok(FalKeys::new(&jwks::Settings { url, loopback_only }, tls, clock)?)
}

/// Where this process's names of jobs in flight begin: far from where another's do.
fn first_lease(random: &Random) -> Result<i64, ServeError> {
    Ok(i64::try_from(random.below(1 << 62)?).unwrap_or(0))
}

/// Tells the calls of this process from those of others.
fn process_number(random: &Random) -> Result<u32, ServeError> {
    let mut number = [0; 4];
    random.fill(&mut number)?;
    Ok(u32::from_le_bytes(number))
}

fn welcome(
    sockets: &Sockets,
    https: Option<&Https>,
    sandbox: Option<&sandbox::Running>,
    first: FirstKeys,
) -> Result<Welcome, ServeError> {
    Ok(Welcome {
        http: bind::address(&sockets.http)?,
        https: sockets.https.as_ref().map(bind::address).transpose()?,
        admin: bind::address(&sockets.admin)?,
        sandbox: sandbox.map(|running| running.addr),
        ca_file: https.and_then(|https| https.ca_file.clone()),
        first_key: first.key,
        first_token: first.token,
    })
}

/// A load balancer sends calls until it has asked `/ready` again; they are served while it finds out.
async fn leave_balancers_time(delay: std::time::Duration, clock: &dyn Clock) {
    if !delay.is_zero() {
        tracing::info!(seconds = delay.as_secs(), "not ready any more; new calls are served for a while yet");
        clock.sleep(delay).await;
    }
}

/// A process that was killed left rows of which nobody knows whether fal has the call. They are never sent again.
async fn give_up_abandoned(store: &dyn Store, clock: &dyn Clock) -> Result<u64, ServeError> {
    let lost = store.lose_abandoned(clock.now()).await?;
    if lost > 0 {
        tracing::warn!(lost, "calls of a process that ended had no outcome; they are marked as unknown");
    }
    Ok(lost)
}

async fn start_sandbox(
    config: &mut Config,
    in_sandbox: bool,
    clock: &Arc<dyn Clock>,
    random: &Random,
) -> Result<Option<sandbox::Running>, ServeError> {
    if !in_sandbox {
        return Ok(None);
    }
    let running = sandbox::start(config.sandbox.clone(), clock.clone(), random.clone()).await?;
    config.point_at_sandbox(running.addr, &running.base_url);
    Ok(Some(running))
}

fn accounts(config: &Config) -> Result<Vec<Account>, ServeError> {
    let account = |said: &crate::config::Account| {
        Account::new(said.name.clone(), &said.key).ok_or_else(|| ServeError::BadKey(said.name.clone()))
    };
    config.accounts.iter().map(account).collect()
}

/// What a first start makes: a tenant's key and an operator's token.
#[derive(Default)]
struct FirstKeys {
    key: Option<ApiKey>,
    token: Option<ApiKey>,
}

/// A store without keys is a first start: it gets one, so that the next command can be a call. A store without operators
/// gets one, so that the next command can be one of the admin API.
async fn first_keys(admin: &Admin) -> Result<FirstKeys, ServeError> {
    let admin = admin.by("first start", Role::Owner);
    let mut first = FirstKeys::default();
    if admin.keys(KeyQuery { limit: Some(1), ..KeyQuery::default() }).await?.items.is_empty() {
        let create = KeyCreate {
            tenant: FIRST_TENANT.into(),
            name: Some("first start".into()),
            ..KeyCreate::default()
        };
        first.key = ApiKey::parse(&admin.create_key(create).await?.key);
    }
    if admin.operators().await?.is_empty() {
        let create = OperatorCreate {
            name: FIRST_OPERATOR.into(),
            role: Role::Owner,
            expires_at: None,
            expires_in: None,
        };
        first.token = ApiKey::parse(&admin.create_operator(create).await?.token);
    }
    Ok(first)
}
