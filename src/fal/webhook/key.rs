//! The key that signs.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use http::{HeaderMap, HeaderValue, header};

use super::{
    BodyDigest, PublicKey, REQUEST_ID, SIGNATURE, Stamp, TIMESTAMP, USER_ID, WEBHOOK_ID, X_RELAY_DELIVERY_ID,
};
use crate::clock::Timestamp;
use crate::secret::Seed;

/// An ED25519 key pair.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// A signature of a webhook, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(String);

/// A delivery of the relay's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The delivery's id.
    pub id: &'a str,
    /// The request that it is about.
    pub request_id: &'a str,
    /// Whose request it is.
    pub user_id: &'a str,
    /// What is sent.
    pub body: &'a [u8],
}

impl SigningKey {
    /// The key that grows from `seed`, always the same one. `None` when the cryptographic library refuses it.
    pub fn from_seed(seed: &Seed) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
        let public = PublicKey::new(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, public })
    }

    /// What verifies its signatures.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs.
    pub fn sign(&self, stamp: &Stamp<'_>, body: &BodyDigest) -> Signature {
        Signature(hex::encode(self.pair.sign(stamp.message(body).as_bytes())))
    }

    /// The four headers of a delivery that leaves at `now`. `None` when an id cannot stand in a header.
    pub fn headers(&self, request_id: &str, user_id: &str, now: Timestamp, body: &[u8]) -> Option<HeaderMap> {
        let timestamp = now.as_seconds().to_string();
        let stamp = Stamp { request_id, user_id, timestamp: &timestamp };
        let Signature(signature) = self.sign(&stamp, &BodyDigest::of(body));
        let values = [
            (REQUEST_ID, request_id),
            (USER_ID, user_id),
            (TIMESTAMP, timestamp.as_str()),
            (SIGNATURE, signature.as_str()),
        ];
        values.into_iter().map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?))).collect()
    }
}

impl Delivery<'_> {
    /// Its headers when it leaves at `now`: fal's four, its id, and what its body is.
    pub fn headers(&self, key: &SigningKey, now: Timestamp) -> Option<HeaderMap> {
        let mut headers = key.headers(self.request_id, self.user_id, now, self.body)?;
        let id = HeaderValue::from_str(self.id).ok()?;
        headers.insert(X_RELAY_DELIVERY_ID, id.clone());
        headers.insert(WEBHOOK_ID, id);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(headers)
    }
}

impl Signature {
    /// As it stands in its header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}
