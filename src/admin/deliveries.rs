//! Webhooks that were sent, wait or died: listed, shown, begun anew.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Actor, AdminError, Page, check};
use crate::ids::{CallId, DeliveryId, RequestId, TenantId};
use crate::store::{AttemptRecord, DeliveryFilter, DeliveryRecord, DeliveryState, Redelivery, Role};

/// Which webhooks are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DeliveryQuery {
    /// Only those of the tenant of this name.
    pub tenant: Option<String>,
    /// Only that of the call of this number.
    pub call_id: Option<i64>,
    /// Only that of the call that fal gave this id.
    pub request_id: Option<String>,
    /// Only those in this state.
    #[param(value_type = Option<DeliveryState>, inline)]
    pub state: Option<DeliveryState>,
    /// The most rows, 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A webhook on its way, or at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeliveryView {
    /// Its number here.
    pub id: i64,
    /// The id that its receiver sees, the same at each try.
    pub delivery_id: String,
    /// Whose it is.
    pub tenant: String,
    /// The row of the ledger that it tells of.
    pub call_id: i64,
    /// fal's id of the job.
    pub request_id: String,
    /// The receiver, without a query, which may hold a secret.
    pub target: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// The length of its body.
    pub bytes: u64,
    /// Tries so far.
    pub attempts: u32,
    /// When the job had ended.
    pub created_at: String,
    /// When the next try is due.
    pub due_at: Option<String>,
    /// When it arrived or was given up.
    pub ended_at: Option<String>,
    /// The status of the last answer.
    pub last_status: Option<u16>,
    /// Why the last try failed.
    pub last_reason: Option<String>,
}

/// A webhook with its tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeliveryLog {
    /// The webhook.
    pub delivery: DeliveryView,
    /// Its last tries, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// A try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AttemptView {
    /// Which one it was.
    pub number: u32,
    /// When it began.
    pub at: String,
    /// The status of the answer, when there was one.
    pub status: Option<u16>,
    /// Why it failed; null when it did not.
    pub reason: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// How many webhooks begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Redelivered {
    /// So many.
    pub redelivered: u64,
}

impl From<DeliveryRecord> for DeliveryView {
    fn from(record: DeliveryRecord) -> Self {
        Self {
            id: record.id.0,
            delivery_id: record.name.to_string(),
            tenant: record.tenant.to_string(),
            call_id: record.call_id.0,
            request_id: record.request_id.to_string(),
            target: record.target.split('?').next().unwrap_or_default().to_owned(),
            state: record.state,
            bytes: record.bytes,
            attempts: record.attempts,
            created_at: record.created_at.to_string(),
            due_at: record.due_at.map(|at| at.to_string()),
            ended_at: record.ended_at.map(|at| at.to_string()),
            last_status: record.status,
            last_reason: record.reason,
        }
    }
}

impl From<AttemptRecord> for AttemptView {
    fn from(attempt: AttemptRecord) -> Self {
        Self {
            number: attempt.number,
            at: attempt.at.to_string(),
            status: attempt.status,
            reason: attempt.reason,
            took_ms: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Actor {
    /// Webhooks of jobs that ended, the newest first.
    pub async fn deliveries(&self, query: DeliveryQuery) -> Result<Page<DeliveryView>, AdminError> {
        self.may(Role::Read)?;
        let limit = check::limit(query.limit)?;
        let before = check::cursor(query.cursor.as_deref())?.map(DeliveryId);
        let tenant_id = match &query.tenant {
            None => None,
            Some(name) => match self.tenant_number(name).await? {
                None => return Ok(Page::empty()),
                found => found,
            },
        };
        let request_id = query.request_id.as_deref().map(RequestId::parse).transpose();
        let request_id =
            request_id.map_err(|error| AdminError::field("request_id", format!("is wrong: {error}")))?;
        let filter =
            DeliveryFilter { tenant_id, call_id: query.call_id.map(CallId), request_id, state: query.state };
        let rows = self.store().deliveries(filter, before, limit + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.id, DeliveryView::from))
    }

    /// One webhook with its tries.
    pub async fn delivery(&self, id: DeliveryId) -> Result<DeliveryLog, AdminError> {
        self.may(Role::Read)?;
        let found = self.store().delivery(id).await?;
        let delivery = found.ok_or_else(|| AdminError::no_such("webhook", id))?.into();
        let attempts = self.store().attempts(id).await?.into_iter().map(AttemptView::from).collect();
        Ok(DeliveryLog { delivery, attempts })
    }

    /// Lets a webhook begin anew, whatever became of it.
    pub async fn redeliver(&self, id: DeliveryId) -> Result<Redelivered, AdminError> {
        let author = self.author(Role::Manage)?;
        match self.store().redeliver(Redelivery::One(id), author).await? {
            0 => Err(AdminError::no_such("webhook", id)),
            redelivered => Ok(Redelivered { redelivered }),
        }
    }

    /// Lets all dead webhooks of a tenant begin anew.
    pub async fn redeliver_dead(&self, tenant: TenantId) -> Result<Redelivered, AdminError> {
        let author = self.author(Role::Manage)?;
        if self.store().tenant(tenant).await?.is_none() {
            return Err(AdminError::no_such("tenant", tenant));
        }
        let redelivered = self.store().redeliver(Redelivery::DeadOf(tenant), author).await?;
        Ok(Redelivered { redelivered })
    }
}
