//! Webhooks as fal makes them (protocol 6): what is signed, by whom it may be, and what the body looks like.

mod envelope;
mod key;
mod keys;
mod verify;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderName;

pub use envelope::{envelope, not_json};
pub use key::{Signature, SigningKey};
pub use keys::{BadKeys, PublicKey, PublicKeys};
pub use verify::{Unverified, Verified, verify};

/// The queue's id of the request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-webhook-request-id");
/// The user of fal whose request it was; the relay's own deliveries name the tenant.
pub const USER_ID: HeaderName = HeaderName::from_static("x-fal-webhook-user-id");
/// When it was signed, in seconds since the Unix epoch.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("x-fal-webhook-timestamp");
/// The signature in hex.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-fal-webhook-signature");

/// The query parameter of a submit that names the receiver.
pub const FAL_WEBHOOK: &str = "fal_webhook";

/// What is signed beside the body, as it stands in the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The value of [`REQUEST_ID`].
    pub request_id: &'a str,
    /// The value of [`USER_ID`].
    pub user_id: &'a str,
    /// The value of [`TIMESTAMP`].
    pub timestamp: &'a str,
}

impl Stamp<'_> {
    /// The text that is signed: the three values and the body's digest, a line each (protocol 6.3).
    pub fn message(&self, body: &[u8]) -> String {
        let body = hex::encode(digest(&SHA256, body));
        [self.request_id, self.user_id, self.timestamp, &body].join("\n")
    }
}

#[cfg(test)]
mod tests;
