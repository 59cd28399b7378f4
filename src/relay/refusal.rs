//! Why a call is not carried out, in the relay's own words. A closed list: each entry says whose fault it is, and the
//! listeners turn each into one status, one body and one log level.

use std::sync::Arc;

use crate::limits::{Limited, LimitsError, What};
use crate::money::Usd;
use crate::store::{Spent, StoreError};
use crate::upstream::{BodyEnd, UpstreamError};

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The tenant can mend it.
    Client,
    /// The operator can mend it.
    Relay,
    /// fal can mend it.
    Fal,
}

/// A call that the relay does not carry out, or whose outcome it cannot tell.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request is not well formed.
    #[error("{0}")]
    Malformed(&'static str),
    /// The path is one that no route has, whatever the method.
    #[error("The path is malformed: {0}.")]
    MalformedPath(&'static str),
    /// What the proxy convention names as a target is no address of fal's that this relay serves.
    #[error("Invalid request")]
    BadTarget,
    /// A parameter of the query has a value that it cannot have.
    #[error("`{name}` {reason}.")]
    Parameter {
        /// Its name.
        name: String,
        /// What is wrong with it, and what it may be.
        reason: String,
    },
    /// The body broke off before its end.
    #[error("The request body broke off before its end.")]
    BodyBroken,
    /// The body stopped coming.
    #[error("The request body stopped coming; send it without long pauses.")]
    BodyStalled,
    /// The body is too large.
    #[error("The request body is larger than the {max_bytes} bytes that this relay takes.")]
    BodyTooLarge {
        /// `relay.max_body_bytes`.
        max_bytes: u64,
    },
    /// No key, or none that opens anything: one answer for all causes.
    #[error(
        "This key is not known here. Send a key of this relay as `Authorization: Bearer <key>` or `Key <key>`."
    )]
    Unauthorized,
    /// The key does not open anything from where the call comes.
    #[error(
        "This key may not be used from this network address. Ask the operator to add the network to the key."
    )]
    SourceNotAllowed,
    /// The key does not open anything for pages of this origin.
    #[error(
        "Pages of this origin may not call. Ask for the origin to be added to the key or client token, or to the relay's \
         `cors.allow_origins`."
    )]
    OriginNotAllowed,
    /// A client token asks for what only the holder of a key may do.
    #[error("A client token cannot do this. Send a key of this relay.")]
    KeyNeeded,
    /// A key has as many client tokens as it may.
    #[error(
        "This key has {max} client tokens that have not ended, as many as it may. Wait until some have ended."
    )]
    TooManyTokens {
        /// How many that is.
        max: u32,
    },
    /// A key, or the process, has as many listeners for webhooks as it may.
    #[error(
        "{max} listen to the webhooks of this key or relay already, as many as may. End one, or come again later."
    )]
    TooManyListeners {
        /// How many that is.
        max: usize,
    },
    /// The key has no client token of this number, or not any more.
    #[error("This key has no client token of that number, or not any more.")]
    UnknownToken,
    /// The key may not call this endpoint.
    #[error("This key may not call `{0}`. `GET /v1/models` lists what it may call.")]
    EndpointNotAllowed(Arc<str>),
    /// A rate or the jobs in flight are used up.
    #[error("{}", limited(.0))]
    Limited(Limited),
    /// A budget has not enough left.
    #[error("{}", over_budget(.0))]
    OverBudget(Box<Spent>),
    /// The call may cost more than one call of this key may.
    #[error(
        "This call may cost ${estimate}, and one call of this key may cost ${limit}. Ask for less, or ask the operator."
    )]
    TooDear {
        /// What it may cost.
        estimate: Usd,
        /// What it may cost at most.
        limit: Usd,
    },
    /// What the call costs is not known, and the operator refuses such calls.
    #[error(
        "The price of `{0}` is not known here, so it cannot be called. Ask the operator to set a price for it."
    )]
    PriceUnknown(Arc<str>),
    /// The address that is to be told of the job's end cannot be one.
    #[error("`fal_webhook` {0}. Nothing was sent.")]
    WebhookTarget(String),
    /// An upload is larger than the key may upload.
    #[error("This upload is larger than the {max_bytes} bytes that this key may upload.")]
    UploadTooLarge {
        /// As much as it may be, all its parts together.
        max_bytes: u64,
    },
    /// An address to upload to, or the id of an upload, was not given out here, has ended, or is another's: one answer for all.
    #[error("This upload cannot be found: its address was not given out here or has ended. Begin it anew.")]
    UploadAddress,
    /// No request of this tenant has that id: one answer for those that never existed and those of others.
    #[error("No such request.")]
    UnknownRequest,
    /// A webhook that is not fal's, not fresh, or not about this call.
    #[error("This is no webhook that fal has signed for this address.")]
    Unverified,
    /// fal's keys are not known, so nothing that it signs can be believed.
    #[error("The keys by which fal's webhooks are verified cannot be read at the moment; try again later.")]
    NoKeys,
    /// No such path.
    #[error("There is nothing at this path. See the relay's documentation for its routes.")]
    UnknownRoute,
    /// The path exists, for other methods.
    #[error("This path takes {allow} only.")]
    Method {
        /// The methods that it takes.
        allow: &'static str,
    },
    /// The path is a WebSocket's, and the request is no handshake that can go on as one.
    #[error("{0}")]
    UpgradeRequired(&'static str),
    /// No fal account can carry the call: none is left, or fal refuses the relay's own key.
    #[error(
        "The operator's fal account cannot take calls at the moment. Nothing was charged; the operator has been told."
    )]
    AccountUnavailable,
    /// fal could not be reached. Nothing was sent.
    #[error("fal could not be reached. Nothing was sent; try again.")]
    Unreachable(#[source] UpstreamError),
    /// fal has not answered for a while. Nothing was sent.
    #[error("fal does not answer at the moment. Nothing was sent; try again in a second.")]
    Resting(#[source] UpstreamError),
    /// fal did not answer a question that changes nothing.
    #[error("fal did not answer in time; ask again.")]
    NoAnswer(#[source] UpstreamError),
    /// fal's answer cannot be read.
    #[error("fal's answer could not be read; ask again.")]
    BadAnswer(String),
    /// A billable call left and its outcome is not known. It is written down and not sent again.
    #[error(
        "fal may have taken this call, but its answer was lost. It is recorded as unknown and will not be sent again; \
         sending it again may be billed twice."
    )]
    OutcomeUnknown(String),
    /// The ledger cannot be written or read. Nothing was sent.
    #[error("The relay's ledger cannot be used at the moment. Nothing was sent; try again later.")]
    Store(#[source] StoreError),
    /// Rates cannot be counted. Nothing was sent.
    #[error("The relay's limits cannot be counted at the moment. Nothing was sent; try again later.")]
    Limits(#[from] LimitsError),
    /// Something in the relay failed that should not.
    #[error("The relay failed to carry out this call; the operator's log says why.")]
    Internal(String),
}

impl Refusal {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Malformed(_)
            | Self::MalformedPath(_)
            | Self::BadTarget
            | Self::Parameter { .. }
            | Self::BodyBroken
            | Self::BodyStalled
            | Self::BodyTooLarge { .. }
            | Self::Unauthorized
            | Self::SourceNotAllowed
            | Self::OriginNotAllowed
            | Self::KeyNeeded
            | Self::TooManyTokens { .. }
            | Self::TooManyListeners { .. }
            | Self::UnknownToken
            | Self::EndpointNotAllowed(_)
            | Self::Limited(_)
            | Self::OverBudget(_)
            | Self::TooDear { .. }
            | Self::PriceUnknown(_)
            | Self::WebhookTarget(_)
            | Self::UploadTooLarge { .. }
            | Self::UploadAddress
            | Self::UnknownRequest
            | Self::Unverified
            | Self::UnknownRoute
            | Self::UpgradeRequired(_)
            | Self::Method { .. } => Fault::Client,
            Self::AccountUnavailable | Self::Store(_) | Self::Limits(_) | Self::Internal(_) => Fault::Relay,
            Self::NoKeys
            | Self::Unreachable(_)
            | Self::Resting(_)
            | Self::NoAnswer(_)
            | Self::BadAnswer(_)
            | Self::OutcomeUnknown(_) => Fault::Fal,
        }
    }

    /// What the operator's log should say beyond the sentence for the tenant.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Unreachable(cause) | Self::Resting(cause) | Self::NoAnswer(cause) => {
                Some(cause.to_string())
            }
            Self::Store(cause) => Some(cause.to_string()),
            Self::Limits(cause) => Some(cause.to_string()),
            Self::BadAnswer(cause) | Self::OutcomeUnknown(cause) | Self::Internal(cause) => {
                Some(cause.clone())
            }
            _ => None,
        }
    }

    /// What a failed exchange means for a call that fal may bill.
    pub(super) fn of_billable(error: UpstreamError, max_bytes: u64) -> Self {
        match error {
            UpstreamError::ClientBody(end) => Self::of_body(end, max_bytes),
            UpstreamError::Connect { .. } => Self::Unreachable(error),
            UpstreamError::Resting { .. } => Self::Resting(error),
            UpstreamError::Unsendable(_) => Self::Internal(error.to_string()),
            UpstreamError::Timeout { .. }
            | UpstreamError::Lost { .. }
            | UpstreamError::Garbage { .. }
            | UpstreamError::Cut(_) => Self::OutcomeUnknown(error.to_string()),
        }
    }

    /// What a failed exchange means for a question that changes nothing.
    pub(super) fn of_question(error: UpstreamError, max_bytes: u64) -> Self {
        match error {
            UpstreamError::ClientBody(end) => Self::of_body(end, max_bytes),
            UpstreamError::Connect { .. } => Self::Unreachable(error),
            UpstreamError::Resting { .. } => Self::Resting(error),
            UpstreamError::Unsendable(_) => Self::Internal(error.to_string()),
            UpstreamError::Timeout { .. } => Self::NoAnswer(error),
            UpstreamError::Lost { .. } | UpstreamError::Garbage { .. } | UpstreamError::Cut(_) => {
                Self::BadAnswer(error.to_string())
            }
        }
    }

    pub(super) fn of_body(end: BodyEnd, max_bytes: u64) -> Self {
        match end {
            BodyEnd::TooLarge => Self::BodyTooLarge { max_bytes },
            BodyEnd::Stalled => Self::BodyStalled,
            BodyEnd::Broken | BodyEnd::Complete { .. } => Self::BodyBroken,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OverBudget(spent) => Self::OverBudget(spent),
            StoreError::TokenEnded => Self::Unauthorized,
            error => Self::Store(error),
        }
    }
}

fn limited(limited: &Limited) -> String {
    let bound = limited.standing.bound;
    let whose = bound.owner.kind();
    match bound.what {
        What::Jobs => format!(
            "This {whose} has {} jobs in flight, as many as it may. Wait until one has ended.",
            bound.limit
        ),
        what => format!(
            "This {whose} may make {} {} a minute. Send this again later.",
            bound.limit,
            what.as_str()
        ),
    }
}

fn over_budget(spent: &Spent) -> String {
    if spent.token_id.is_some() {
        return format!(
            "The ceiling of this client token has ${} left of ${}, which is not enough. Ask for another token.",
            spent.left, spent.limit
        );
    }
    let whose = if spent.payer.key_id.is_some() { "key" } else { "tenant" };
    let period = spent.period.as_str();
    let resets = spent.resets_at.map_or_else(
        || "It does not reset by itself; ask the operator.".to_owned(),
        |at| format!("It resets at {at}."),
    );
    format!(
        "The {period} budget of this {whose} has ${} left of ${}, which is not enough. {resets}",
        spent.left, spent.limit
    )
}
