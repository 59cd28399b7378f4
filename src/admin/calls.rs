//! Rows of the ledger: searched, shown, corrected.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::rules::usd;
use super::{Actor, AdminError, CallView, Page, check, moment};
use crate::ids::{CallId, KeyId, RequestId, TenantId};
use crate::money::{Multiplier, UnitPrice, Units, Usd, cost};
use crate::store::{AdjustmentRecord, CallFilter, CallRecord, CallState, NewAdjustment, Role};

/// The longest endpoint or tag that is looked for.
const MAX_TEXT_LEN: usize = 512;

/// Which calls are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct CallQuery {
    /// Only calls of the tenant of this name.
    pub tenant: Option<String>,
    /// Only calls with the key of this number.
    pub key_id: Option<i64>,
    /// Only calls to this endpoint.
    pub endpoint: Option<String>,
    /// Only calls that carry this tag, `k=v`.
    pub tag: Option<String>,
    /// Only calls in this state.
    #[param(value_type = Option<CallState>, inline)]
    pub state: Option<CallState>,
    /// Only calls that ended with this status.
    #[param(minimum = 100, maximum = 999)]
    pub status: Option<i64>,
    /// Only the call that fal gave this id.
    pub request_id: Option<String>,
    /// Only calls held at this moment or later; `7d` is seven days ago.
    pub start: Option<String>,
    /// Only calls held before this moment.
    pub end: Option<String>,
    /// Only calls that cost their tenant at least this.
    pub min_cost_usd: Option<String>,
    /// Only calls whose cost is not known.
    pub unpriced: Option<bool>,
    /// The most rows, 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// What was learned of a call's cost after it was closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustmentInput {
    /// What fal bills, from now on, in US dollars.
    #[schema(example = "0.05")]
    pub fal_cost_usd: String,
    /// What the tenant pays, from now on; when not given, fal's cost times the multiplier of the call.
    #[serde(default)]
    #[schema(example = "0.06")]
    pub cost_usd: Option<String>,
}

/// A correction as JSON shows it: differences to what was known before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the columns of an AdjustmentRecord")]
pub struct AdjustmentView {
    pub id: i64,
    pub call_id: i64,
    pub at: String,
    pub fal_cost_usd: String,
    pub cost_usd: String,
    pub reason: String,
    pub author: String,
}

impl From<&AdjustmentRecord> for AdjustmentView {
    fn from(adjustment: &AdjustmentRecord) -> Self {
        Self {
            id: adjustment.id.0,
            call_id: adjustment.call_id.0,
            at: adjustment.at.to_string(),
            fal_cost_usd: adjustment.cost_usd.to_string(),
            cost_usd: adjustment.charge_usd.to_string(),
            reason: adjustment.reason.clone(),
            author: adjustment.author.clone(),
        }
    }
}

impl Actor {
    /// Calls that were asked for, the newest first.
    pub async fn calls(&self, query: CallQuery) -> Result<Page<CallView>, AdminError> {
        self.may(Role::Read)?;
        let limit = check::limit(query.limit)?;
        let before = check::cursor(query.cursor.as_deref())?.map(CallId);
        let Some(filter) = self.call_filter(&query).await? else { return Ok(Page::empty()) };
        let calls = self.store().search(filter, before, limit + 1).await?;
        Ok(Page::cut(calls, limit, |call| call.id, |call| CallView::from(&call)))
    }

    /// One call.
    pub async fn call(&self, id: CallId) -> Result<CallView, AdminError> {
        self.may(Role::Read)?;
        Ok((&self.call_record(id).await?).into())
    }

    /// The corrections of a call, oldest first.
    pub async fn adjustments(&self, id: CallId) -> Result<Vec<AdjustmentView>, AdminError> {
        self.may(Role::Read)?;
        self.call_record(id).await?;
        Ok(self.store().adjustments(id).await?.iter().map(AdjustmentView::from).collect())
    }

    /// Corrects what a closed call costs. It takes a reason.
    pub async fn adjust(&self, id: CallId, input: AdjustmentInput) -> Result<AdjustmentView, AdminError> {
        let author = self.author(Role::Manage)?;
        if author.reason.is_none() {
            return Err(AdminError::field("reason", "must say why the cost is corrected"));
        }
        let cost = usd("fal_cost_usd", &input.fal_cost_usd)?;
        let given = input.cost_usd.as_deref().map(|text| usd("cost_usd", text)).transpose()?;
        let call = self.call_record(id).await?;
        let charge = match given {
            Some(charge) => charge,
            None => times(cost, call.terms.multiplier)?,
        };
        let made = self.store().adjust(NewAdjustment { call_id: id, cost, charge }, author).await?;
        made.as_ref().map(AdjustmentView::from).ok_or(AdminError::NothingToAdjust(id))
    }

    /// What the store is to look for; `None` when that can be no call.
    pub(super) async fn call_filter(&self, query: &CallQuery) -> Result<Option<CallFilter>, AdminError> {
        let status = |status| u16::try_from(status).ok().filter(|status| (100..=999).contains(status));
        let wrong_status = || AdminError::field("status", "must be from 100 to 999");
        let tenant_id = match &query.tenant {
            None => None,
            Some(name) => match self.tenant_number(name).await? {
                None => return Ok(None),
                found => found,
            },
        };
        Ok(Some(CallFilter {
            tenant_id,
            key_id: query.key_id.map(KeyId),
            endpoint: short("endpoint", query.endpoint.as_deref())?,
            tag: short("tag", query.tag.as_deref())?,
            state: query.state,
            status: query.status.map(|text| status(text).ok_or_else(wrong_status)).transpose()?,
            request_id: match query.request_id.as_deref().map(RequestId::parse) {
                None => None,
                Some(Ok(id)) => Some(id),
                Some(Err(error)) => {
                    return Err(AdminError::field("request_id", format!("is wrong: {error}")));
                }
            },
            from: query.start.as_deref().map(|text| moment::past("start", text, self.now())).transpose()?,
            until: query.end.as_deref().map(|text| moment::past("end", text, self.now())).transpose()?,
            min_charge: query.min_cost_usd.as_deref().map(|text| usd("min_cost_usd", text)).transpose()?,
            unpriced: query.unpriced.unwrap_or(false),
        }))
    }

    /// The number of the tenant of this name.
    pub(super) async fn tenant_number(&self, name: &str) -> Result<Option<TenantId>, AdminError> {
        Ok(self.store().tenant_named(name.to_owned()).await?.map(|tenant| tenant.id))
    }

    async fn call_record(&self, id: CallId) -> Result<CallRecord, AdminError> {
        self.store().call(id).await?.ok_or_else(|| AdminError::no_such("call", id))
    }
}

/// A text to look for.
pub(super) fn short(field: &'static str, text: Option<&str>) -> Result<Option<String>, AdminError> {
    match text {
        Some(text) if text.len() > MAX_TEXT_LEN => {
            Err(AdminError::field(field, format!("must have at most {MAX_TEXT_LEN} characters")))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

/// What the tenant pays for what fal asks.
fn times(cost_usd: Usd, multiplier: Multiplier) -> Result<Usd, AdminError> {
    let wrong = |error| AdminError::field("fal_cost_usd", error);
    let units = Units::parse(&cost_usd.to_string()).map_err(wrong)?;
    let dollar = UnitPrice::parse("1").map_err(wrong)?;
    cost(units, dollar, multiplier).map_err(wrong)
}
