//! Rows of the ledger, and the steps of a call's life.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::ids::{AccountName, CallId, GroupId, KeyId, LeaseId, RequestId, TenantId, TokenId};
use crate::money::{Delta, Multiplier, UnitPrice, Usd};
use crate::period::{Period, Window};
use crate::pricing::Basis;

use super::directory::Payer;
use super::webhooks::NewWebhook;

/// How a billable call travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// A job of fal's queue.
    Queue,
    /// A direct run.
    Run,
    /// A direct run that streams events.
    Stream,
    /// A realtime socket, for as long as it is open.
    Realtime,
}

impl CallKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Run, Self::Stream, Self::Realtime];

    /// The kind's name, as people and the store write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Run => "run",
            Self::Stream => "stream",
            Self::Realtime => "realtime",
        }
    }
}

/// A billable call about to be sent.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// Who pays.
    pub tenant_id: TenantId,
    /// With which key.
    pub key_id: KeyId,
    /// With which of the key's client tokens, if with one: then its ceiling holds, too.
    pub token_id: Option<TokenId>,
    /// The fal account that carries it for its whole life.
    pub account: AccountName,
    /// The endpoint as called.
    pub endpoint: Arc<str>,
    /// How it travels.
    pub kind: CallKind,
    /// Its place among the jobs in flight.
    pub lease: LeaseId,
    /// The tenant's own tags, `k=v,k=v`.
    pub tags: Option<Arc<str>>,
    /// The price, frozen.
    pub terms: Terms,
    /// What is held until the cost is known.
    pub hold: Usd,
    /// How that was found, in a word.
    pub hold_basis: &'static str,
    /// The windows of now of the caller's budgets: meters that are not there yet are opened.
    pub windows: Vec<MeterWindow>,
    /// What is to be told when it ends.
    pub webhook: Option<NewWebhook>,
    /// Now.
    pub held_at: Timestamp,
}

/// The price of a call, frozen when it was held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// fal's price of a unit; `None` when it was not known.
    pub unit_price: Option<UnitPrice>,
    /// What a unit is.
    pub unit: Option<Arc<str>>,
    /// What the tenant pays for each dollar at fal.
    pub multiplier: Multiplier,
    /// The version of the price list.
    pub price_version: Option<i64>,
}

/// A budget's window of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeterWindow {
    /// Whether it is the key's budget or the tenant's.
    pub of_key: bool,
    /// The budget's period.
    pub period: Period,
    /// From when to when.
    pub window: Window,
}

/// A call that is written down, its money held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCall {
    /// Its row.
    pub id: CallId,
    /// The budgets that it brought past the point where somebody is told, each once in a window.
    pub told: Vec<Spent>,
}

/// What is held for a call beyond what was held at first.
#[derive(Clone, Copy, Debug)]
pub struct TopUp {
    /// How much more.
    pub amount: Usd,
    /// Now.
    pub at: Timestamp,
}

/// How far a budget is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Whose budget.
    pub payer: Payer,
    /// The client token whose ceiling it is, if it is one.
    pub token_id: Option<TokenId>,
    /// Of which period.
    pub period: Period,
    /// The cap.
    pub limit: Usd,
    /// What is left of it, holds counted as spent.
    pub left: Usd,
    /// When the next window begins; `None` for a budget of all time.
    pub resets_at: Option<Timestamp>,
}

/// What is known once fal took a queued call.
#[derive(Clone, Debug)]
pub struct SentCall {
    /// fal's id.
    pub request_id: RequestId,
    /// The app base of the addresses that fal returned: follow-ups go there.
    pub app_base: Arc<str>,
    /// SHA-256 of the request's body; `None` when fal answered before it had read all of it.
    pub body_sha256: Option<[u8; 32]>,
    /// Length of the request's body.
    pub body_bytes: u64,
    /// Now.
    pub sent_at: Timestamp,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The status of fal's final answer.
    pub status: u16,
    /// `x-fal-billable-units` as fal wrote it; `None` is unknown, never zero.
    pub billable_units: Option<String>,
    /// What it costs; `None` is unknown, never zero, and the hold stays.
    pub cost: Option<Cost>,
    /// Now.
    pub settled_at: Timestamp,
}

/// What a call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What fal bills.
    pub cost: Usd,
    /// What the tenant pays.
    pub charge: Usd,
    /// How it is known.
    pub basis: Basis,
}

/// Why nothing can have been billed.
#[derive(Clone, Debug)]
pub struct Release {
    /// The status of fal's refusal, when fal was reached.
    pub status: Option<u16>,
    /// Why, in a word.
    pub reason: &'static str,
    /// Now.
    pub released_at: Timestamp,
}

/// A row's state. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// Written down; its bytes may be leaving.
    Held,
    /// fal has it.
    Sent,
    /// Ended, and what fal said of it is known.
    Settled,
    /// Nothing can have been billed.
    Released,
    /// Whether fal has it is not known.
    Unknown,
}

impl CallState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Held, Self::Sent, Self::Settled, Self::Released, Self::Unknown];

    /// The state's name, as people and the store write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Sent => "sent",
            Self::Settled => "settled",
            Self::Released => "released",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing more can happen to the row.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Settled | Self::Released)
    }
}

/// What a follow-up needs to know of the call it follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedCall {
    /// Its row.
    pub id: CallId,
    /// The account that began it.
    pub account: AccountName,
    /// The endpoint as called.
    pub endpoint: Arc<str>,
    /// The app base of fal's addresses.
    pub app_base: Arc<str>,
    /// Whether the row is closed.
    pub closed: bool,
    /// Its place among the jobs in flight.
    pub lease: LeaseId,
    /// Its price.
    pub terms: Terms,
    /// What it costs its tenant, once that is known; corrections included.
    pub charge: Option<(Usd, Basis)>,
    /// Whether somebody is to be told of its end, and was not yet.
    pub webhook: bool,
}

/// A call that is not closed, or closed with a cost that is not known: the watch and the sweep go through these.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns of a CallRecord")]
pub struct OpenCall {
    pub id: CallId,
    pub tenant_id: TenantId,
    pub key_id: KeyId,
    /// The key's group of today.
    pub group_id: GroupId,
    pub account: AccountName,
    pub endpoint: Arc<str>,
    pub kind: CallKind,
    pub state: CallState,
    pub lease: LeaseId,
    pub request_id: Option<RequestId>,
    pub app_base: Option<Arc<str>>,
    pub terms: Terms,
    pub held_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    /// Whether its webhook is open: then it is followed for that.
    pub webhook: bool,
}

/// A row of the ledger, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each column is told at the verb that writes it")]
pub struct CallRecord {
    pub id: CallId,
    pub tenant_id: TenantId,
    pub tenant: Arc<str>,
    pub key_id: KeyId,
    pub token_id: Option<TokenId>,
    pub account: AccountName,
    pub endpoint: Arc<str>,
    pub kind: CallKind,
    pub state: CallState,
    pub request_id: Option<RequestId>,
    pub app_base: Option<Arc<str>>,
    pub body_sha256: Option<String>,
    pub body_bytes: Option<u64>,
    pub status: Option<u16>,
    pub reason: Option<String>,
    pub tags: Option<Arc<str>>,
    pub terms: Terms,
    pub hold_usd: Usd,
    pub hold_basis: String,
    pub hold_open: bool,
    pub billable_units: Option<String>,
    /// What fal bills, corrections included; `None` is unknown.
    pub cost_usd: Option<Delta>,
    /// What the tenant pays, corrections included; `None` is unknown.
    pub charge_usd: Option<Delta>,
    pub cost_basis: Option<Basis>,
    /// The part of `charge_usd` that corrections brought.
    pub adjusted_usd: Option<Delta>,
    pub held_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub settled_at: Option<Timestamp>,
    pub released_at: Option<Timestamp>,
    pub lost_at: Option<Timestamp>,
}
