//! Why an address is refused.

use std::error::Error;

/// The rest of a sentence that begins with the name of the field. None repeats the address, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// It cannot be read, or could be read in two ways.
    #[error(
        "must be an address such as https://example.com/hook, without spaces, control characters and backslashes"
    )]
    Form,
    /// It is too long.
    #[error("must have at most {max} bytes")]
    Long {
        /// The most.
        max: usize,
    },
    /// It is neither http nor https.
    #[error("must begin with https://, or with http:// where the operator allows it")]
    Scheme,
    /// It holds a user name or a password.
    #[error("must not hold a user name or a password; put a secret into the path or the query")]
    UserInfo,
    /// Its port is one that other protocols listen on.
    #[error("names port {0}, which is not for the web; use 80, 443 or a free one from 1024 on")]
    Port(u16),
    /// It is, or stands for, an address that is not public.
    #[error(
        "points at {0}; only public addresses are called, unless the operator lists the network in webhooks.allow_targets"
    )]
    Network(&'static str),
    /// In the sandbox: it is another machine.
    #[error("points at another machine; the sandbox calls this machine alone")]
    Elsewhere,
    /// Its name stands for no address.
    #[error("names a host that cannot be found")]
    Unknown,
}

/// What in a failed request was refused here, if that is why it failed: trying again is of no use while the name means the
/// same.
pub fn refusal(error: &reqwest::Error) -> Option<Refused> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(*refused);
        }
        cause = error.source();
    }
    None
}
