//! How far a tenant's money is spent.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Actor, AdminError, TenantView};
use crate::clock::Timestamp;
use crate::ids::{KeyId, TenantId};
use crate::money::{Delta, Usd};
use crate::period::{Period, Window};
use crate::store::{BudgetRecord, Meter, Payer, Role};

/// A tenant, and how far its money is spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountView {
    /// The tenant.
    pub tenant: TenantView,
    /// What was spent in all its life, and how far each budget of now is spent, the tenant's and its keys'.
    pub meters: Vec<MeterView>,
}

/// What was spent and is held of one payer in one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MeterView {
    /// The key, when it is a key's.
    pub key_id: Option<i64>,
    /// Of which period.
    pub period: Period,
    /// When the window began; null for all time.
    pub starts_at: Option<String>,
    /// When the next window begins; null for all time.
    pub resets_at: Option<String>,
    /// The cap in US dollars; null when there is none.
    pub limit_usd: Option<String>,
    /// What was charged.
    pub spent_usd: String,
    /// What is held for calls whose cost is not known yet.
    pub held_usd: String,
    /// What is left of the cap; null when there is none.
    pub left_usd: Option<String>,
}

impl From<&Meter> for MeterView {
    fn from(meter: &Meter) -> Self {
        let left = |limit: Usd| {
            let left = limit.nanos().saturating_sub(meter.spent_nano).saturating_sub(meter.held.nanos());
            Delta::from_nanos(left.max(0)).to_string()
        };
        let starts_at = Some(meter.window.starts_at).filter(|start| *start != Window::ALL.starts_at);
        Self {
            key_id: meter.payer.key_id.map(|key| key.0),
            period: meter.period,
            starts_at: starts_at.map(|moment| moment.to_string()),
            resets_at: meter.window.resets_at().map(|moment| moment.to_string()),
            limit_usd: meter.limit.map(|limit| limit.to_string()),
            spent_usd: Delta::from_nanos(meter.spent_nano).to_string(),
            held_usd: meter.held.to_string(),
            left_usd: meter.limit.map(left),
        }
    }
}

impl Actor {
    /// A tenant's account: its own meters, and those of its keys that have budgets.
    pub async fn account(&self, id: TenantId) -> Result<AccountView, AdminError> {
        let tenant = self.tenant(id).await?;
        let budgets = self.store().budgets(id).await?;
        let mut keys: Vec<Option<KeyId>> = budgets.iter().map(|budget| budget.key_id).chain([None]).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut meters = Vec::new();
        for key in keys {
            meters.extend(self.meters_of(Payer { tenant_id: id, key_id: key }, &budgets).await?);
        }
        Ok(AccountView { tenant, meters })
    }

    /// A key's account: its own meters and its tenant's.
    pub async fn key_account(&self, id: KeyId) -> Result<Vec<MeterView>, AdminError> {
        self.may(Role::Read)?;
        let key = self.key_record(id).await?;
        let tenant = Payer { tenant_id: key.tenant.id, key_id: None };
        let mut meters = self.meters_of(tenant, &key.budgets).await?;
        let own = Payer { key_id: Some(id), ..tenant };
        meters.extend(self.meters_of(own, &key.budgets).await?);
        Ok(meters)
    }

    /// The payer's own meters of now, in the order of the periods; a budget without calls has one all the same.
    async fn meters_of(&self, payer: Payer, budgets: &[BudgetRecord]) -> Result<Vec<MeterView>, AdminError> {
        let now = self.now();
        let mut meters = self.store().meters(payer, now).await?;
        meters
            .retain(|meter| meter.payer == payer && (meter.limit.is_some() || meter.period == Period::Total));
        for record in budgets.iter().filter(|record| record.key_id == payer.key_id) {
            let fresh = unspent(payer, record, now);
            if !meters.iter().any(|meter| meter.period == fresh.period && meter.limit.is_some()) {
                meters.retain(|meter| meter.period != fresh.period);
                meters.push(fresh);
            }
        }
        meters.sort_by_key(|meter| meter.period);
        Ok(meters.iter().map(MeterView::from).collect())
    }
}

/// The meter of a budget under which nothing was called in this window.
fn unspent(payer: Payer, record: &BudgetRecord, now: Timestamp) -> Meter {
    let budget = &record.budget;
    Meter {
        payer,
        period: budget.period,
        window: budget.period.window(&budget.zone, now),
        spent_nano: 0,
        held: Usd::ZERO,
        limit: Some(budget.limit_usd),
    }
}
