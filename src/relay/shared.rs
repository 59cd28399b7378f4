//! What all workers of a process share: keys, owners, prices, limits, the ledger, the accounts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::watch;

use super::accounts::Accounts;
use super::addresses::AddressBook;
use super::identity::Identities;
use super::owners::Owners;
use super::prices::Prices;
use super::secrets::{self, Secrets, SecretsError};
use super::settings::Settings;
use super::sockets::OpenSockets;
use super::uploads::{Book, Hosts, SECRET_NAME, Seals, Tokens};
use super::webhook::{Following, Listeners};
use crate::alerts::Alerts;
use crate::clock::{Clock, Timestamp};
use crate::fal::webhook::SigningKey;
use crate::ids::{CallId, DeliveryId, LeaseId};
use crate::jwks::FalKeys;
use crate::key::KeyKind;
use crate::limits::{Lease, Limits, Owners as LeaseOwners};
use crate::outside::Guard;
use crate::random::Random;
use crate::store::{CallState, OpenCall, Store, StoreError};
use crate::upstream::{self, Account};

/// Rows that are in memory at once while the jobs in flight are counted.
const PAGE: u32 = 1000;

/// What the relay is given and does not make itself.
pub struct Given {
    /// The ledger, and who may spend.
    pub store: Arc<dyn Store>,
    /// Rates and jobs in flight.
    pub limits: Arc<dyn Limits>,
    /// Where a tenant is told that its budget is nearly spent.
    pub alerts: Alerts,
    /// The operator's fal accounts.
    pub accounts: Vec<Account>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where webhooks may go.
    pub guard: Guard,
    /// Chance.
    pub random: Random,
    /// Told of each webhook that is put into the outbox.
    pub outbox: watch::Sender<DeliveryId>,
    /// Keys of this kind open the relay's ports, others do not.
    pub kind: KeyKind,
    /// What the relay signs with.
    pub secrets: Secrets,
    /// What fal signs with.
    pub fal_keys: FalKeys,
    /// Where the numbers of jobs in flight begin: drawn, so that two processes give different ones.
    pub first_lease: i64,
}

/// What all workers share.
pub struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) limits: Arc<dyn Limits>,
    pub(super) alerts: Alerts,
    pub(super) clock: Arc<dyn Clock>,
    /// When this process began: rows from before it were another's.
    pub(super) began_at: Timestamp,
    pub(super) random: Random,
    pub(super) identities: Identities,
    pub(super) owners: Owners,
    pub(super) sockets: OpenSockets,
    pub(super) prices: Arc<Prices>,
    pub(super) accounts: Accounts,
    pub(super) addresses: AddressBook,
    pub(super) guard: Guard,
    /// Jobs whose webhooks are to be sent.
    pub(super) following: Following,
    /// Those who hear of their webhooks.
    pub(super) listeners: Arc<Listeners>,
    pub(super) outbox: watch::Sender<DeliveryId>,
    pub(super) secrets: Secrets,
    pub(super) fal_keys: FalKeys,
    pub(super) settings: Settings,
    pub(super) seals: Seals,
    pub(super) hosts: Hosts,
    pub(super) media_tokens: Tokens,
    /// Bytes of the uploads under way.
    pub(super) uploads: Book,
    /// Tells this relay's calls from another's on fal's bill.
    pub(super) instance: Arc<str>,
    /// Whether any key or client token lists browser origins.
    lists_origins: AtomicBool,
    next_lease: AtomicI64,
}

impl Shared {
    /// What the workers of one process share, with what the store remembers: prices, and jobs in flight.
    pub async fn new(
        settings: Settings,
        upstream: &upstream::Settings,
        given: Given,
    ) -> Result<Arc<Self>, StoreError> {
        let Given { store, limits, alerts, accounts, clock, guard, random, outbox, kind, .. } = given;
        let Given { secrets, fal_keys, first_lease, .. } = given;
        let seals = seals(&*store, random.clone(), &clock, &settings).await?;
        let prices = Arc::new(Prices::new(settings.pricing.clone()));
        prices.remember(&*store).await?;
        prices.reload(&*store).await?;
        let shared = Self {
            identities: Identities::new(store.clone(), clock.clone(), kind, settings.identity_cache_entries),
            sockets: OpenSockets::default(),
            owners: Owners::new(store.clone(), settings.owner_cache_entries),
            seals,
            hosts: Hosts::new(upstream),
            media_tokens: Tokens::of(accounts.iter()),
            uploads: Book::default(),
            accounts: Accounts::new(accounts),
            addresses: AddressBook::new(upstream),
            instance: store.instance().await?,
            lists_origins: AtomicBool::new(store.lists_origins().await?),
            next_lease: AtomicI64::new(first_lease),
            prices,
            secrets,
            fal_keys,
            store,
            limits,
            alerts,
            began_at: clock.now(),
            clock,
            guard,
            random,
            following: Following::default(),
            listeners: Arc::default(),
            outbox,
            settings,
        };
        shared.restore_leases().await?;
        Ok(Arc::new(shared))
    }

    /// Looks every `relay.key_check_ms` whether any key or price has changed; never returns.
    pub async fn watch_keys(&self) {
        let (mut keys, mut prices) = (None, None);
        loop {
            match self.look_for_changes(&mut keys, &mut prices).await {
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "cannot ask whether keys or prices have changed"),
            }
            let (generation, now) = (self.identities.generation(), self.clock.now());
            if let Err(error) = self.sockets.look(&*self.store, generation, now).await {
                tracing::warn!(%error, "cannot ask whether sockets may stay open");
            }
            self.clock.sleep(self.settings.key_check).await;
        }
    }

    async fn look_for_changes(
        &self,
        keys: &mut Option<i64>,
        prices: &mut Option<i64>,
    ) -> Result<(), StoreError> {
        let revision = Some(self.store.keys_revision().await?);
        if *keys != revision {
            self.identities.forget();
            self.reload_secrets().await?;
            self.lists_origins.store(self.store.lists_origins().await?, Ordering::Relaxed);
            *keys = revision;
        }
        let revision = Some(self.store.prices_revision().await?);
        if *prices != revision {
            self.prices.reload(&*self.store).await?;
            *prices = revision;
        }
        Ok(())
    }

    async fn reload_secrets(&self) -> Result<(), StoreError> {
        match self.secrets.reload(&*self.store, &*self.clock).await {
            Ok(()) => Ok(()),
            Err(SecretsError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Backend(error.to_string())),
        }
    }

    /// What the relay signs with.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The key that signs webhooks at this moment.
    pub fn signing_key(&self, now: Timestamp) -> Option<Arc<SigningKey>> {
        self.secrets.signing_key(now)
    }

    /// Whether any key or client token lists browser origins: then pages may call, though none is known beforehand.
    pub(super) fn lists_origins(&self) -> bool {
        self.lists_origins.load(Ordering::Relaxed)
    }

    /// A client token that lists origins was just made here.
    pub(super) fn origins_are_listed(&self) {
        self.lists_origins.store(true, Ordering::Relaxed);
    }

    /// Whether the ledger answers.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// A name for a job's place among those in flight.
    pub(super) fn next_lease(&self) -> LeaseId {
        LeaseId(self.next_lease.fetch_add(1, Ordering::Relaxed))
    }

    /// Jobs that a stopped process left in flight count on.
    async fn restore_leases(&self) -> Result<(), StoreError> {
        let mut after = CallId(0);
        loop {
            let page = self.store.open_calls(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let leases: Vec<_> =
                page.iter().filter(|call| call.state == CallState::Sent).map(lease).collect();
            if let Err(error) = self.limits.restore(&leases).await {
                tracing::warn!(%error, "jobs in flight from before the start are not counted");
                return Ok(());
            }
        }
    }
}

/// What uploads are sealed with: the secret is drawn at the first start, and every process on the store has the same.
async fn seals(
    store: &dyn Store,
    random: Random,
    clock: &Arc<dyn Clock>,
    settings: &Settings,
) -> Result<Seals, StoreError> {
    let none = || StoreError::Backend("the secret for uploads cannot be made".into());
    let fresh = secrets::seed(&random).map_err(|_| none())?;
    let kept = store.secrets(SECRET_NAME, Some(fresh), clock.now()).await?;
    let secret = kept.last().ok_or_else(none)?.value.expose();
    Seals::new(secret, random, clock.clone(), settings.uploads.address_life).ok_or_else(none)
}

/// The place of an open call among the jobs in flight.
pub(super) fn lease(call: &OpenCall) -> Lease {
    let owners = LeaseOwners { tenant: call.tenant_id, group: Some(call.group_id), key: call.key_id };
    Lease { id: call.lease, owners }
}
