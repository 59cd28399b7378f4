//! Administration: the one service behind the command line and the admin API.
//!
//! [`Admin`] is the service; [`Admin::by`] hands out an [`Actor`], whose verbs check the role of whoever acts and write him
//! into the audit log. What comes in is checked here, field by field, whoever asks.

mod account;
mod audit;
mod budget;
mod calls;
mod check;
mod error;
mod export;
mod groups;
mod import;
mod keys;
mod moment;
mod operators;
mod page;
mod prices;
mod rules;
mod tenants;
mod usage;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::clock::{Clock, Timestamp};
use crate::key::{ApiKey, KeyKind};
use crate::outside::{self, Guard};
use crate::random::Random;
use crate::store::{Author, OperatorRecord, PriceOverride, Role, Store};

pub use account::{AccountView, MeterView};
pub use audit::{AuditQuery, AuditView};
pub use budget::{BudgetInput, BudgetView};
pub use calls::{AdjustmentInput, AdjustmentView, CallQuery};
pub use error::{AdminError, Named};
pub use export::{CallView, ExportQuery, csv_cell, csv_line};
pub use groups::{GroupCreate, GroupUpdate, GroupView};
pub use import::{EntryProblem, ImportInput, ImportReport};
pub use keys::{KeyCreate, KeyMade, KeyMode, KeyQuery, KeyRotate, KeyState, KeyUpdate, KeyView};
pub use operators::{OperatorCreate, OperatorMade, OperatorState, OperatorView};
pub use page::{ListQuery, Page};
pub use prices::{
    ModelView, OverrideInput, OverrideView, PriceChangeQuery, PriceChangeView, PriceVersionView, PriceView,
    PricesView,
};
pub use rules::RulesSpec;
pub use tenants::{TenantCreate, TenantUpdate, TenantView};
pub use usage::{UsageQuery, UsageReport, UsageRow};

/// The service.
#[derive(Clone)]
pub struct Admin {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Random,
    kind: KeyKind,
    own_prices: Arc<[PriceOverride]>,
    guard: Guard,
}

impl Admin {
    /// A service over `store`. Keys are live ones unless somebody says otherwise.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, random: Random) -> Self {
        let guard = Guard::new(outside::Settings { allow_http: true, ..outside::Settings::default() });
        Self { store, clock, random, kind: KeyKind::Live, own_prices: Arc::new([]), guard }
    }

    /// Says of which kind new keys are when nobody says.
    #[must_use]
    pub fn with_kind(self, kind: KeyKind) -> Self {
        Self { kind, ..self }
    }

    /// Tells the prices of the configuration file, which win over all others.
    #[must_use]
    pub fn with_own_prices(self, own_prices: Vec<PriceOverride>) -> Self {
        Self { own_prices: own_prices.into(), ..self }
    }

    /// Says where tenants may be told of alerts; public addresses alone, unless somebody says otherwise.
    #[must_use]
    pub fn with_guard(self, guard: Guard) -> Self {
        Self { guard, ..self }
    }

    /// Now, on the clock by which keys begin and end.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The service for one who is known already: his name for the audit log, and what he may do.
    pub fn by(&self, name: &str, role: Role) -> Actor {
        Actor { admin: self.clone(), name: name.into(), role, reason: None }
    }

    /// The service for whoever holds an operator's token; `None` for every text that opens nothing.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Actor>, AdminError> {
        let Some(token) = ApiKey::parse(token).filter(|token| token.kind() == KeyKind::Admin) else {
            return Ok(None);
        };
        let found: Option<OperatorRecord> = self.store.operator_by_digest(token.digest()).await?;
        let active = found.filter(|operator| operator.is_active(self.now()));
        Ok(active.map(|operator| self.by(&operator.name, operator.role)))
    }
}

/// The service in the hands of one who acts.
#[derive(Clone)]
pub struct Actor {
    admin: Admin,
    name: Arc<str>,
    role: Role,
    reason: Option<String>,
}

impl Actor {
    /// Says why the changes are made that follow; the audit log keeps it.
    #[must_use]
    pub fn because(self, reason: Option<String>) -> Self {
        Self { reason, ..self }
    }

    /// His name in the audit log.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What he may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Now, on the clock by which keys begin and end.
    pub fn now(&self) -> Timestamp {
        self.admin.now()
    }

    fn store(&self) -> &dyn Store {
        &*self.admin.store
    }

    /// The one place where a role is held against what it takes.
    pub fn may(&self, needed: Role) -> Result<(), AdminError> {
        match self.role >= needed {
            true => Ok(()),
            false => Err(AdminError::Forbidden { needed, has: self.role }),
        }
    }

    /// Who changes something that takes the role `needed`.
    fn author(&self, needed: Role) -> Result<Author, AdminError> {
        self.may(needed)?;
        self.reason.as_deref().map_or(Ok(()), check::reason)?;
        Ok(Author { name: self.name.clone(), reason: self.reason.clone(), at: self.now() })
    }
}
