//! Public keys, and the JWKS document in which fal and the relay publish theirs.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, URL_SAFE as PADDED};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

/// Keys of a document that are looked at: each forged call costs a verification with every key.
const KEYS_MAX: usize = 16;

/// fal writes `x` with padding or without; both are read.
const EITHER: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(false),
);

/// The public half of an ED25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }

    fn read(key: &Listed) -> Option<Self> {
        let bytes = EITHER.decode(key.x.as_deref()?).ok()?;
        let is_ours = |said: &Option<String>, wanted: &str| said.as_deref().is_none_or(|said| said == wanted);
        let fits = is_ours(&key.kty, "OKP") && is_ours(&key.crv, "Ed25519");
        bytes.try_into().ok().filter(|_| fits).map(Self)
    }
}

/// The keys of a sender, at least one and not more than [`KEYS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeys(Vec<PublicKey>);

/// The document is no list of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// It is not JSON, or has no list `keys`.
    #[error("the answer is no JWKS document")]
    Form,
    /// It has no ED25519 key.
    #[error("the JWKS document has no ED25519 key")]
    NoKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Listed>,
}

/// An entry as it may come: what is not text is not ours.
#[derive(Deserialize)]
struct Listed {
    #[serde(default, deserialize_with = "text")]
    kty: Option<String>,
    #[serde(default, deserialize_with = "text")]
    crv: Option<String>,
    #[serde(default, deserialize_with = "text")]
    x: Option<String>,
}

fn text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(value.as_str().map(str::to_owned))
}

#[derive(Serialize)]
struct Printed {
    keys: Vec<PrintedKey>,
}

#[derive(Serialize)]
struct PrintedKey {
    kty: &'static str,
    crv: &'static str,
    x: String,
    r#use: &'static str,
    alg: &'static str,
}

impl PublicKeys {
    /// These keys, the first of them; `None` when there is none.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Option<Self> {
        let keys: Vec<_> = keys.into_iter().take(KEYS_MAX).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Reads a JWKS document. Entries that are no ED25519 keys are passed over, as fal's own samples do.
    pub fn parse(document: &[u8]) -> Result<Self, BadKeys> {
        let document: Document = serde_json::from_slice(document).map_err(|_| BadKeys::Form)?;
        Self::new(document.keys.iter().filter_map(PublicKey::read)).ok_or(BadKeys::NoKey)
    }

    /// The document. `x` is padded: the Python receiver of fal's documentation reads it only so, and all others do too.
    pub fn print(&self) -> String {
        let print = |key: &PublicKey| PrintedKey {
            kty: "OKP",
            crv: "Ed25519",
            x: PADDED.encode(key.0),
            r#use: "sig",
            alg: "EdDSA",
        };
        let printed = Printed { keys: self.0.iter().map(print).collect() };
        serde_json::to_string(&printed).unwrap_or_default()
    }

    /// Whether any of them made the signature. None is skipped once one fits, so time tells nothing about which.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.iter().fold(false, |found, key| key.verifies(message, signature) | found)
    }
}
