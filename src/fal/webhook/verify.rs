//! Whether a webhook is what it says (protocol 6.3).

use http::{HeaderMap, HeaderName};

use super::{PublicKeys, REQUEST_ID, SIGNATURE, Stamp, TIMESTAMP, USER_ID};
use crate::clock::Timestamp;
use crate::ids::RequestId;

/// How far the sender's clock may be from ours, either way: what is older is a replay.
const TOLERANCE_SECONDS: u64 = 300;

/// The longest of the four headers that is looked at.
const HEADER_MAX_BYTES: usize = 256;

/// An ED25519 signature.
type Bytes = [u8; 64];

/// The webhook comes from one who has a key of the list, and is fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The request that it is about.
    pub request_id: RequestId,
}

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

/// Judges a webhook by its headers and the raw bytes of its body.
pub fn verify(
    headers: &HeaderMap,
    body: &[u8],
    keys: &PublicKeys,
    now: Timestamp,
) -> Result<Verified, Unverified> {
    let signed = Signed::read(headers)?;
    let apart = signed.at.checked_sub(now.as_seconds()).map_or(u64::MAX, i64::unsigned_abs);
    if apart > TOLERANCE_SECONDS {
        return Err(Unverified::Stale);
    }
    match keys.verify(signed.stamp.message(body).as_bytes(), &signed.signature) {
        true => Ok(Verified { request_id: signed.request_id }),
        false => Err(Unverified::Signature),
    }
}

struct Signed<'a> {
    stamp: Stamp<'a>,
    request_id: RequestId,
    at: i64,
    signature: Bytes,
}

impl<'a> Signed<'a> {
    fn read(headers: &'a HeaderMap) -> Result<Self, Unverified> {
        let stamp = Stamp {
            request_id: only(headers, REQUEST_ID)?,
            user_id: only(headers, USER_ID)?,
            timestamp: only(headers, TIMESTAMP)?,
        };
        let signature = only(headers, SIGNATURE)?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(signature, &mut bytes).map_err(|_| Unverified::Header(SIGNATURE))?;
        Ok(Self {
            request_id: RequestId::parse(stamp.request_id).map_err(|_| Unverified::Header(REQUEST_ID))?,
            at: seconds(stamp.timestamp).ok_or(Unverified::Header(TIMESTAMP))?,
            stamp,
            signature: bytes,
        })
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
