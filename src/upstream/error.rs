//! What can go wrong on the road to fal, told by what it means for the call.

use super::body::BodyEnd;
use crate::metrics::Failure;

/// A call that fal did not answer, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection could be made. Nothing was sent.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// Which of fal's hosts.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// The host has not answered for a while, so nothing is sent to it. Nothing was sent.
    #[error("{host} does not answer; calls to it are not sent until it does")]
    Resting {
        /// Which of fal's hosts.
        host: String,
    },
    /// The request cannot be written down as HTTP. Nothing was sent.
    #[error("the request cannot be written: {0}")]
    Unsendable(String),
    /// The tenant's own body broke off, was too large or came too slowly. fal cannot have taken the call.
    #[error("the request body did not arrive whole: {0:?}")]
    ClientBody(BodyEnd),
    /// No answer came in time. fal may have taken the call.
    #[error("{host} did not answer within {waited_ms} ms")]
    Timeout {
        /// Which of fal's hosts.
        host: String,
        /// How long nothing moved.
        waited_ms: u128,
    },
    /// The connection broke after bytes were sent. fal may have taken the call.
    #[error("the connection to {host} broke before it answered: {reason}")]
    Lost {
        /// Which of fal's hosts.
        host: String,
        /// What the connection said.
        reason: String,
    },
    /// What came back is not an HTTP answer. fal may have taken the call.
    #[error("{host} sent something that is not an HTTP answer: {reason}")]
    Garbage {
        /// Which of fal's hosts.
        host: String,
        /// What the parser said.
        reason: String,
    },
    /// The answer's body broke off or stalled.
    #[error("the answer's body broke off: {0}")]
    Cut(String),
}

impl UpstreamError {
    /// Whether fal can have taken the call. A call of which this is not known is never sent again.
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Resting { .. } | Self::Unsendable(_) | Self::ClientBody(_) => false,
            Self::Timeout { .. } | Self::Lost { .. } | Self::Garbage { .. } | Self::Cut(_) => true,
        }
    }

    /// Whether the host gave no answer at all, which speaks of the host and not of the call.
    pub(super) fn is_of_host(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { .. } | Self::Lost { .. })
    }

    pub(super) fn unsendable(error: &http::Error) -> Self {
        Self::Unsendable(error.to_string())
    }
}

impl From<&UpstreamError> for Failure {
    fn from(error: &UpstreamError) -> Self {
        match error {
            UpstreamError::Connect { .. } => Self::Connect,
            UpstreamError::ClientBody(_) => Self::ClientBody,
            UpstreamError::Timeout { .. } => Self::Timeout,
            UpstreamError::Lost { .. } => Self::Lost,
            UpstreamError::Garbage { .. } => Self::Garbage,
            UpstreamError::Cut(_) => Self::Cut,
            UpstreamError::Resting { .. } => Self::Resting,
            UpstreamError::Unsendable(_) => Self::Unsendable,
        }
    }
}
