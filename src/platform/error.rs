//! Why fal's platform API did not tell what it was asked.

use http::StatusCode;

use crate::pricing::PageError;

/// A question that has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The address in the configuration cannot be called.
    #[error("upstream.api_url cannot be called: {0}")]
    Address(String),
    /// The client cannot be made.
    #[error("fal's platform API cannot be called from here: {0}")]
    Setup(String),
    /// A key has characters that no header may have.
    #[error("the key has characters that cannot be sent in a header; copy it again from fal")]
    BadKey,
    /// fal refuses the key.
    #[error(
        "fal's platform API refuses the key ({0}); for billing events it must be an admin key, see accounts.admin_key"
    )]
    Refused(StatusCode),
    /// Any other answer that is none.
    #[error("fal's platform API answered {0}")]
    Status(StatusCode),
    /// No answer, however often it was asked.
    #[error("fal's platform API does not answer: {0}")]
    Silent(String),
    /// An answer without an end.
    #[error("fal's platform API answered with more than {0} bytes")]
    TooLarge(usize),
    /// An answer that is no page.
    #[error("fal's platform API answered with something else than a page: {0}")]
    Page(#[from] PageError),
    /// A list that leads back to itself.
    #[error("a list of fal's platform API leads back to a page that it had already")]
    Circle,
    /// A list without an end.
    #[error("a list of fal's platform API has more than {0} {1}")]
    Endless(usize, &'static str),
}

impl PlatformError {
    /// Whether fal did not understand the question: asked otherwise, it may.
    pub(super) fn is_misunderstanding(&self) -> bool {
        let odd = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY];
        matches!(self, Self::Status(status) if odd.contains(status))
    }

    /// Whether the same question may be answered later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Silent(_) => true,
            Self::Status(status) => *status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error(),
            _ => false,
        }
    }
}
