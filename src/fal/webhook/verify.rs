//! Whether a webhook is what it says (protocol 6.3).

use http::{HeaderMap, HeaderName};

use super::{BodyDigest, PublicKeys, REQUEST_ID, SIGNATURE, Stamp, TIMESTAMP, USER_ID};
use crate::clock::Timestamp;
use crate::ids::RequestId;

/// How far the sender's clock may be from ours, either way: what is older is a replay.
const TOLERANCE_SECONDS: u64 = 300;

/// The longest of the four headers that is looked at.
const HEADER_MAX_BYTES: usize = 256;

/// An ED25519 signature.
type Bytes = [u8; 64];

/// Why a webhook is not believed. The sender is told none of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// One of the four headers is missing, there twice, or no sound text.
    #[error("the header {0} is missing or not sound")]
    Header(HeaderName),
    /// Signed more than five minutes ago, or in the future.
    #[error("the timestamp is more than {TOLERANCE_SECONDS} seconds from now")]
    Stale,
    /// No key of the list made the signature.
    #[error("the signature fits none of the keys")]
    Signature,
}

/// Judges a webhook by its headers and the raw bytes of its body; tells the request that it is about.
pub fn verify(
    headers: &HeaderMap,
    body: &[u8],
    keys: &PublicKeys,
    now: Timestamp,
) -> Result<RequestId, Unverified> {
    let claim = Claim::read(headers, now)?;
    claim.check(keys, &BodyDigest::of(body))?;
    Ok(claim.request_id)
}

/// What the headers of a webhook say: sound and fresh, but said by whom is not known yet.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    stamp: Stamp<'a>,
    request_id: RequestId,
    signature: Bytes,
}

impl<'a> Claim<'a> {
    /// Reads the four headers.
    pub fn read(headers: &'a HeaderMap, now: Timestamp) -> Result<Self, Unverified> {
        let stamp = Stamp {
            request_id: only(headers, REQUEST_ID)?,
            user_id: only(headers, USER_ID)?,
            timestamp: only(headers, TIMESTAMP)?,
        };
        let signature = only(headers, SIGNATURE)?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(signature, &mut bytes).map_err(|_| Unverified::Header(SIGNATURE))?;
        let request_id = RequestId::parse(stamp.request_id).map_err(|_| Unverified::Header(REQUEST_ID))?;
        let at = seconds(stamp.timestamp).ok_or(Unverified::Header(TIMESTAMP))?;
        match at.checked_sub(now.as_seconds()).map_or(u64::MAX, i64::unsigned_abs) {
            0..=TOLERANCE_SECONDS => Ok(Self { stamp, request_id, signature: bytes }),
            _ => Err(Unverified::Stale),
        }
    }

    /// The request that it is about.
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// Whether one of the keys signed this with a body of this digest.
    pub fn check(&self, keys: &PublicKeys, body: &BodyDigest) -> Result<(), Unverified> {
        match keys.verify(self.stamp.message(body).as_bytes(), &self.signature) {
            true => Ok(()),
            false => Err(Unverified::Signature),
        }
    }
}

/// The one value of a header: with two, nobody knows which was signed.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<&str, Unverified> {
    let mut values = headers.get_all(&name).iter();
    let value = values.next().filter(|_| values.next().is_none());
    let text = value.and_then(|value| value.to_str().ok());
    let sound = |text: &&str| (1..=HEADER_MAX_BYTES).contains(&text.len());
    text.filter(sound).ok_or(Unverified::Header(name))
}

/// Plain digits: `+1` and ` 1` are numbers to some readers and not to others.
fn seconds(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
