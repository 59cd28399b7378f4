//! What goes into the store's verbs and what comes out.

use std::sync::Arc;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::ids::{AccountName, CallId, KeyId, RequestId, TenantId};
use crate::key::{KeyDigest, KeyKind};

/// A key about to be made. The key itself stays with the caller; the store sees its digest.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The tenant's name; the tenant is made when there is none.
    pub tenant: String,
    /// A name for people.
    pub name: String,
    /// What it may be used for.
    pub kind: KeyKind,
    /// The SHA-256 of the whole key.
    pub digest: KeyDigest,
    /// The last four characters, for lists.
    pub last_four: String,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// Now.
    pub created_at: Timestamp,
}

/// A key as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRecord {
    /// Its number.
    pub id: KeyId,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// That tenant's name.
    pub tenant: Arc<str>,
    /// A name for people.
    pub name: String,
    /// What it may be used for.
    pub kind: KeyKind,
    /// The last four characters.
    pub last_four: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Whether the key opens anything at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// What changes in a key, all in one transaction; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// Another name.
    pub name: Option<String>,
    /// Another end, or `Some(None)` for no end.
    pub expires_at: Option<Option<Timestamp>>,
    /// Ends it for good. Revoking a revoked key keeps the first moment.
    pub revoked_at: Option<Timestamp>,
}

/// A tenant as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TenantRecord {
    /// Its number.
    pub id: TenantId,
    /// Its name, unique.
    pub name: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// How a billable call travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// A job of fal's queue.
    Queue,
    /// A direct run.
    Run,
    /// A direct run that streams events.
    Stream,
}

impl CallKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Queue, Self::Run, Self::Stream];

    /// The kind's name, as people and the store write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Run => "run",
            Self::Stream => "stream",
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
    /// The fal account that carries it for its whole life.
    pub account: AccountName,
    /// The endpoint as called.
    pub endpoint: Arc<str>,
    /// How it travels.
    pub kind: CallKind,
    /// Now.
    pub held_at: Timestamp,
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
    /// Now.
    pub settled_at: Timestamp,
}

/// Why nothing can have been billed.
#[derive(Clone, Debug)]
pub struct Release {
    /// The status of fal's refusal, when fal was reached.
    pub status: Option<u16>,
    /// Now.
    pub released_at: Timestamp,
}

/// A row's state. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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
}

/// A row of the ledger, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each column is told at the verb that writes it")]
pub struct CallRecord {
    pub id: CallId,
    pub tenant_id: TenantId,
    pub tenant: Arc<str>,
    pub key_id: KeyId,
    pub account: AccountName,
    pub endpoint: Arc<str>,
    pub kind: CallKind,
    pub state: CallState,
    pub request_id: Option<RequestId>,
    pub app_base: Option<Arc<str>>,
    pub body_sha256: Option<String>,
    pub body_bytes: Option<u64>,
    pub status: Option<u16>,
    pub billable_units: Option<String>,
    pub held_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    pub settled_at: Option<Timestamp>,
    pub released_at: Option<Timestamp>,
    pub lost_at: Option<Timestamp>,
}
