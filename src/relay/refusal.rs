//! Why a call is not carried out, in the relay's own words. A closed list: each entry says whose fault it is, and the
//! listeners turn each into one status, one body and one log level.

use crate::store::StoreError;
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
    /// No request of this tenant has that id: one answer for those that never existed and those of others.
    #[error("No such request.")]
    UnknownRequest,
    /// No such path.
    #[error("There is nothing at this path. See the relay's documentation for its routes.")]
    UnknownRoute,
    /// The path exists, for other methods.
    #[error("This path takes {allow} only.")]
    Method {
        /// The methods that it takes.
        allow: &'static str,
    },
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
    Store(#[from] StoreError),
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
            | Self::BodyBroken
            | Self::BodyStalled
            | Self::BodyTooLarge { .. }
            | Self::Unauthorized
            | Self::UnknownRequest
            | Self::UnknownRoute
            | Self::Method { .. } => Fault::Client,
            Self::AccountUnavailable | Self::Store(_) | Self::Internal(_) => Fault::Relay,
            Self::Unreachable(_)
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

    fn of_body(end: BodyEnd, max_bytes: u64) -> Self {
        match end {
            BodyEnd::TooLarge => Self::BodyTooLarge { max_bytes },
            BodyEnd::Stalled => Self::BodyStalled,
            BodyEnd::Broken | BodyEnd::Complete { .. } => Self::BodyBroken,
        }
    }
}
