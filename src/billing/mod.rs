//! What fal says of money, brought into the store: its price list, and its bill.
//!
//! - [`Billing::sync_prices`] takes a whole new price list, or none of it.
//! - [`Billing::reconcile`] lays fal's billing events beside the ledger. What was not known becomes known; what differs is
//!   named, and changed only when somebody asks for that.
//! - [`Billing::keep`] does both in the background.

mod error;
mod keep;
mod lines;
mod reconcile;
mod report;
mod settings;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::clock::{Clock, Timestamp};
use crate::ids::AccountName;
use crate::platform::{Gathering, Platform};
use crate::secret::Secret;
use crate::store::Store;

pub use error::BillingError;
pub use reconcile::Reconcile;
pub use report::{AccountReport, Difference, Report, Stranger};
pub use settings::Settings;
pub use sync::{Fetched, Sync, Synced};

/// A fal account of the operator's, as its bill is asked for.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name in the configuration.
    pub name: AccountName,
    /// The key with which its calls are made; it reads prices too.
    pub key: Secret,
    /// The key that may read the bill.
    pub admin_key: Option<Secret>,
}

/// The service. One for a process.
pub struct Billing {
    store: Arc<dyn Store>,
    platform: Platform,
    accounts: Vec<Account>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    /// A list that was interrupted, and when it was begun.
    gathering: Mutex<(Duration, Gathering)>,
}

impl Billing {
    /// A service that asks `platform` with the keys of `accounts`.
    pub fn new(
        store: Arc<dyn Store>,
        platform: Platform,
        accounts: Vec<Account>,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, platform, accounts, settings, clock, gathering: Mutex::default() }
    }

    /// Now, on the clock by which things are written down.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
