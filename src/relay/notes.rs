//! What is written down about a call as it goes: for the log line and the shape of an answer, never for a decision.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AccountName, KeyId, RequestId, TokenId};
use crate::metrics::Route;
use crate::upstream::BodyProgress;

/// The log line of one call, filled in station by station.
#[derive(Clone, Debug)]
pub struct Notes {
    /// Which kind of call it is.
    pub route: Route,
    /// Whose call it is.
    pub tenant: Option<Arc<str>>,
    /// With which key.
    pub key_id: Option<KeyId>,
    /// With which of its client tokens, if with one.
    pub token_id: Option<TokenId>,
    /// Whether the key, or the client token, lists the origin of the page that asks: once it is known, and of pages only.
    pub page_is_listed: Option<bool>,
    /// The endpoint as called; for a follow-up, the one that was submitted.
    pub endpoint: Option<Arc<str>>,
    /// fal's id.
    pub request_id: Option<RequestId>,
    /// The fal account that carries it.
    pub account: Option<AccountName>,
    /// The request's body on its way to fal.
    pub body: Option<Arc<BodyProgress>>,
    /// How long fal took until the head of its answer.
    pub upstream: Option<Duration>,
}

impl Default for Notes {
    /// Nothing is known yet.
    fn default() -> Self {
        Self {
            route: Route::None,
            tenant: None,
            key_id: None,
            token_id: None,
            page_is_listed: None,
            endpoint: None,
            request_id: None,
            account: None,
            body: None,
            upstream: None,
        }
    }
}
