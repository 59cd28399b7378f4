//! Webhooks as fal makes them (protocol 6): what is signed, by whom it may be, and what the body looks like.

mod envelope;
mod key;
mod keys;
mod verify;

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderName;

pub use envelope::{envelope, envelope_without, not_json};
pub use key::{Delivery, Signature, SigningKey};
pub use keys::{BadKeys, PublicKey, PublicKeys};
pub use verify::{Claim, Unverified, verify};

/// The queue's id of the request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-webhook-request-id");
/// The user of fal whose request it was; the relay's own deliveries name the tenant.
pub const USER_ID: HeaderName = HeaderName::from_static("x-fal-webhook-user-id");
/// When it was signed, in seconds since the Unix epoch.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("x-fal-webhook-timestamp");
/// The signature in hex.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-fal-webhook-signature");

/// The id of a delivery of the relay's, the same at each try, so that a receiver can tell a copy.
const X_RELAY_DELIVERY_ID: HeaderName = HeaderName::from_static("x-relay-delivery-id");
/// The same under the name of Standard Webhooks.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

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
    pub fn message(&self, body: &BodyDigest) -> String {
        [self.request_id, self.user_id, self.timestamp, &hex::encode(body.0)].join("\n")
    }
}

/// The SHA-256 of a webhook's body: all that signatures need of it, so that a long one need not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyDigest(pub [u8; 32]);

impl BodyDigest {
    /// The digest of a body.
    pub fn of(body: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, body).as_ref());
        Self(bytes)
    }
}

#[cfg(test)]
mod tests;
