//! Webhooks: what is to be told of a job, and what became of the telling.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::fal::webhook::{Delivery, SigningKey};
use crate::ids::{CallId, DeliveryId, RequestId, TenantId};

use super::ledger::OpenCall;

/// A webhook that comes with a queued call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// The receiver's address, checked.
    pub target: Arc<str>,
    /// Its origin.
    pub host: Arc<str>,
    /// The delivery's id as the receiver sees it.
    pub name: Arc<str>,
}

/// A job whose webhook is not in the outbox yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedCall {
    /// The job. Unlike others in such a record it may be closed: its result is still to be kept.
    pub call: OpenCall,
    /// With which status it was closed.
    pub status: Option<u16>,
}

/// What is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The bytes, the same at each try.
    pub body: Bytes,
    /// Now, when the first try is due.
    pub created_at: Timestamp,
}

/// How an end was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Whether this closed the call's row.
    pub closed: bool,
    /// The delivery; `None` when it was in the outbox already.
    pub delivery: Option<DeliveryId>,
}

/// A delivery whose next try has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// Its target's origin.
    pub host: Arc<str>,
    /// The length of its body.
    pub bytes: u64,
}

/// Which deliveries are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueQuery {
    /// Now.
    pub now: Timestamp,
    /// No try is ever put off beyond this: one that is was put there by a clock that was wrong.
    pub horizon: Timestamp,
    /// Origins that take none at the moment.
    pub without: Vec<Arc<str>>,
    /// How many are wanted.
    pub limit: u32,
}

/// All that a try needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of a DeliveryRecord")]
pub struct Message {
    pub id: DeliveryId,
    pub name: Arc<str>,
    pub target: Arc<str>,
    pub tenant_id: TenantId,
    pub request_id: RequestId,
    /// Tries on the ladder so far.
    pub tries: u32,
    pub body: Bytes,
}

impl Message {
    /// Its headers when it leaves at `now`, signed with `key`.
    pub fn headers(&self, key: &SigningKey, now: Timestamp) -> Option<HeaderMap> {
        let user_id = self.tenant_id.to_string();
        let request_id = self.request_id.as_str();
        Delivery { id: &self.name, request_id, user_id: &user_id, body: &self.body }.headers(key, now)
    }
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// The status of the answer, when there was one.
    pub status: Option<u16>,
    /// Why it failed, in words; `None` when it did not.
    pub reason: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What comes after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it arrived.
    Delivered,
    /// Another one.
    Again(Timestamp),
    /// Nothing: the receiver is given up.
    Dead,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It will be tried, or tried again.
    Waiting,
    /// Its receiver has taken it.
    Delivered,
    /// Its receiver did not take it at any try, or said that it is gone.
    Dead,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// The state's name, as people and the store write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// A delivery as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each column is told at the verb that writes it")]
pub struct DeliveryRecord {
    pub id: DeliveryId,
    /// The id that its receiver sees.
    pub name: Arc<str>,
    pub tenant_id: TenantId,
    pub tenant: Arc<str>,
    pub call_id: CallId,
    pub request_id: RequestId,
    pub target: Arc<str>,
    pub state: DeliveryState,
    pub bytes: u64,
    pub tries: u32,
    pub attempts: u32,
    pub created_at: Timestamp,
    pub due_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub status: Option<u16>,
    pub reason: Option<String>,
}

/// A try as it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the members of an Attempt, and its number")]
pub struct AttemptRecord {
    pub number: u32,
    pub at: Timestamp,
    pub status: Option<u16>,
    pub reason: Option<String>,
    pub took: Duration,
}

/// Which deliveries are wanted; all that is `None` stands for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of a DeliveryRecord")]
pub struct DeliveryFilter {
    pub tenant_id: Option<TenantId>,
    pub call_id: Option<CallId>,
    pub request_id: Option<RequestId>,
    pub state: Option<DeliveryState>,
}

/// Which deliveries are tried anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// This one, whatever became of it.
    One(DeliveryId),
    /// All dead ones of a tenant.
    DeadOf(TenantId),
}

/// How many deliveries stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// Jobs that are followed to their end.
    pub followed: u64,
    /// Deliveries that will be tried.
    pub waiting: u64,
    /// Deliveries that were given up.
    pub dead: u64,
}
