//! Budgets, and how far they are spent.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rules::usd;
use super::{Actor, AdminError};
use crate::ids::{KeyId, TenantId};
use crate::period::{Period, Zone};
use crate::store::{Budget, BudgetRecord, Payer, Role};

/// At which part of a budget somebody is told, when nobody says.
pub(super) const SOFT_PERCENT: u8 = 80;

/// A cap on what may be spent in a period.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetInput {
    /// How long it lasts.
    pub period: Period,
    /// The cap in US dollars.
    #[schema(example = "5.00")]
    pub limit_usd: String,
    /// At which part of it somebody is told; 80 when not given.
    #[schema(minimum = 1, maximum = 100)]
    pub soft_percent: Option<i64>,
    /// Whose midnight begins a day, by its IANA name; UTC when not given.
    #[schema(example = "Europe/Berlin")]
    pub zone: Option<String>,
}

impl BudgetInput {
    /// Checks every field; `at` is the path to them.
    pub(super) fn read(&self, at: &str) -> Result<Budget, AdminError> {
        let soft = self.soft_percent.unwrap_or(i64::from(SOFT_PERCENT));
        let soft = u8::try_from(soft).ok().filter(|soft| (1..=100).contains(soft));
        let wrong = || AdminError::field(format!("{at}soft_percent"), "must be from 1 to 100");
        let zone = match &self.zone {
            None => Zone::default(),
            Some(name) => Zone::parse(name).map_err(|error| AdminError::field(format!("{at}zone"), error))?,
        };
        Ok(Budget {
            period: self.period,
            limit_usd: usd(format!("{at}limit_usd"), &self.limit_usd)?,
            soft_percent: soft.ok_or_else(wrong)?,
            zone,
        })
    }
}

/// Checks budgets that are given together.
pub(super) fn read_all(inputs: &[BudgetInput]) -> Result<Vec<Budget>, AdminError> {
    let mut budgets: Vec<Budget> = Vec::new();
    for (nth, input) in inputs.iter().enumerate() {
        let budget = input.read(&format!("budgets[{nth}]."))?;
        if budgets.iter().any(|other| other.period == budget.period) {
            return Err(AdminError::field(
                format!("budgets[{nth}].period"),
                "has a budget already; there is one for each period",
            ));
        }
        budgets.push(budget);
    }
    Ok(budgets)
}

/// A budget as JSON shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BudgetView {
    /// How long it lasts.
    pub period: Period,
    /// The cap in US dollars.
    pub limit_usd: String,
    /// At which part of it somebody is told.
    pub soft_percent: u8,
    /// Whose midnight begins a day.
    pub zone: String,
}

impl From<&Budget> for BudgetView {
    fn from(budget: &Budget) -> Self {
        Self {
            period: budget.period,
            limit_usd: budget.limit_usd.to_string(),
            soft_percent: budget.soft_percent,
            zone: budget.zone.to_string(),
        }
    }
}

/// The budgets of the tenant itself, or of one of its keys.
pub(super) fn views(records: &[BudgetRecord], key: Option<KeyId>) -> Vec<BudgetView> {
    records.iter().filter(|record| record.key_id == key).map(|record| (&record.budget).into()).collect()
}

impl Actor {
    /// Sets a tenant's budget for a period.
    pub async fn set_tenant_budget(
        &self,
        id: TenantId,
        input: BudgetInput,
    ) -> Result<BudgetView, AdminError> {
        self.may(Role::Manage)?;
        self.tenant(id).await?;
        self.set(Payer { tenant_id: id, key_id: None }, &input).await
    }

    /// Lifts a tenant's budget for a period; lifting one that is not there changes nothing.
    pub async fn lift_tenant_budget(&self, id: TenantId, period: Period) -> Result<(), AdminError> {
        self.may(Role::Manage)?;
        self.tenant(id).await?;
        self.lift(Payer { tenant_id: id, key_id: None }, period).await
    }

    /// Sets a key's budget for a period.
    pub async fn set_key_budget(&self, id: KeyId, input: BudgetInput) -> Result<BudgetView, AdminError> {
        self.may(Role::Manage)?;
        let payer = self.payer(id).await?;
        self.set(payer, &input).await
    }

    /// Lifts a key's budget for a period; lifting one that is not there changes nothing.
    pub async fn lift_key_budget(&self, id: KeyId, period: Period) -> Result<(), AdminError> {
        self.may(Role::Manage)?;
        let payer = self.payer(id).await?;
        self.lift(payer, period).await
    }

    async fn payer(&self, id: KeyId) -> Result<Payer, AdminError> {
        let key = self.key_record(id).await?;
        Ok(Payer { tenant_id: key.tenant.id, key_id: Some(id) })
    }

    async fn set(&self, payer: Payer, input: &BudgetInput) -> Result<BudgetView, AdminError> {
        let budget = input.read("")?;
        let view = BudgetView::from(&budget);
        self.store().set_budget(payer, budget.period, Some(budget), self.author(Role::Manage)?).await?;
        Ok(view)
    }

    async fn lift(&self, payer: Payer, period: Period) -> Result<(), AdminError> {
        Ok(self.store().set_budget(payer, period, None, self.author(Role::Manage)?).await?)
    }
}
