//! What the relay hands out so that it need not remember: sealed with a secret of its own, so that nobody can read, change
//! or make one, and good for a while only.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::clock::{Clock, Timestamp};
use crate::key::{KeyDigest, Presented};
use crate::random::{NoRandomness, Random};

/// The longest address that is sealed. fal's presigned ones have about a thousand characters.
pub(super) const ADDRESS_MAX_BYTES: usize = 4096;
/// The longest text that is looked at as a sealed one: the longest address with all that goes with it, as base64.
const SEALED_MAX_BYTES: usize = 6144;
/// Tells an upload from all others.
const UPLOAD_ID_BYTES: usize = 16;
/// Before an account's name and an address: kind, end, what was shown and its digest, upload, length of the name.
const FIXED_BYTES: usize = 1 + 8 + 1 + 32 + UPLOAD_ID_BYTES + 1;

/// What a pass opens. One for each use, so that none can be shown in place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Write a whole file to an address.
    Whole = 1,
    /// Write the parts of a file to an address, and end it.
    Parts = 2,
    /// Write files to the media host.
    Token = 3,
    /// Write the parts of a file that was begun at the media host.
    Begun = 4,
}

/// An upload, told from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UploadId(pub(super) [u8; UPLOAD_ID_BYTES]);

/// What is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// Whose it is.
    pub(super) shown: Presented,
    /// Which upload it is for.
    pub(super) upload: UploadId,
    /// The fal account that began the upload; empty where none is needed.
    pub(super) account: Arc<str>,
    /// The address at fal that it stands for; empty where it stands for none.
    pub(super) address: String,
    /// From then on it opens nothing.
    pub(super) ends_at: Timestamp,
}

/// Seals and opens.
pub(in crate::relay) struct Seals {
    key: LessSafeKey,
    random: Random,
    clock: Arc<dyn Clock>,
    life: Duration,
}

impl Seals {
    /// Seals with `secret`, for `life`.
    pub(in crate::relay) fn new(
        secret: &[u8; 32],
        random: Random,
        clock: Arc<dyn Clock>,
        life: Duration,
    ) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).ok()?);
        Some(Self { key, random, clock, life })
    }

    /// A pass for an upload that begins now.
    pub(super) fn pass(
        &self,
        shown: Presented,
        account: &str,
        address: String,
    ) -> Result<Pass, NoRandomness> {
        let mut upload = [0; UPLOAD_ID_BYTES];
        self.random.fill(&mut upload)?;
        let ends_at = self.clock.now().plus(self.life);
        Ok(Pass { shown, upload: UploadId(upload), account: account.into(), address, ends_at })
    }

    /// The pass as a text that fits into an address or a header.
    pub(super) fn seal(&self, kind: Kind, pass: &Pass) -> Result<String, NoRandomness> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce)?;
        let mut bytes = pass.to_bytes(kind);
        let sealing = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(sealing, Aad::empty(), &mut bytes).map_err(|_| NoRandomness)?;
        Ok(BASE64.encode([nonce.as_slice(), &bytes].concat()))
    }

    /// The pass, if it was sealed here for this use and has not ended. Nobody is told which of them failed.
    pub(super) fn open(&self, kind: Kind, text: &str) -> Option<Pass> {
        let mut bytes = BASE64.decode(Some(text).filter(|text| text.len() <= SEALED_MAX_BYTES)?).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.key.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        Pass::read(kind, plain).filter(|pass| self.clock.now() < pass.ends_at)
    }
}

impl Pass {
    fn to_bytes(&self, kind: Kind) -> Vec<u8> {
        let account = self.account.as_bytes();
        let mut bytes = Vec::with_capacity(FIXED_BYTES + account.len() + self.address.len() + 32);
        bytes.push(kind as u8);
        bytes.extend(self.ends_at.as_micros().to_be_bytes());
        let (is_token, digest) = match self.shown {
            Presented::Key(digest) => (false, digest),
            Presented::ClientToken(digest) => (true, digest),
        };
        bytes.push(u8::from(is_token));
        bytes.extend(digest.0);
        bytes.extend(self.upload.0);
        // An account's name has 64 characters at most.
        bytes.push(u8::try_from(account.len()).unwrap_or(u8::MAX));
        bytes.extend(account);
        bytes.extend(self.address.as_bytes());
        bytes
    }

    fn read(kind: Kind, bytes: &[u8]) -> Option<Self> {
        let (_, rest) = bytes.split_first().filter(|(read, _)| **read == kind as u8)?;
        let (ends_at, rest) = rest.split_first_chunk::<8>()?;
        let (is_token, rest) = rest.split_first()?;
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let digest = KeyDigest(*digest);
        let (upload, rest) = rest.split_first_chunk::<UPLOAD_ID_BYTES>()?;
        let (length, rest) = rest.split_first()?;
        let (account, address) = rest.split_at_checked(usize::from(*length))?;
        Some(Self {
            shown: if *is_token == 0 { Presented::Key(digest) } else { Presented::ClientToken(digest) },
            upload: UploadId(*upload),
            account: std::str::from_utf8(account).ok()?.into(),
            address: std::str::from_utf8(address).ok()?.to_owned(),
            ends_at: Timestamp::from_micros(i64::from_be_bytes(*ends_at)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::HandClock;

    const LIFE: Duration = Duration::from_secs(60);

    fn seals(secret: u8) -> (Seals, HandClock) {
        let clock = HandClock::new(Timestamp::from_micros(1));
        let seals = Seals::new(&[secret; 32], Random::seeded(3), Arc::new(clock.clone()), LIFE);
        (seals.unwrap(), clock)
    }

    fn pass(seals: &Seals, address: &str) -> Pass {
        seals.pass(Presented::ClientToken(KeyDigest([7; 32])), "team", address.to_owned()).unwrap()
    }

    #[test]
    fn invariant_7_a_pass_ends() {
        let (seals, clock) = seals(1);
        let pass = pass(&seals, "https://v3.fal.media/a?b=c");
        let text = seals.seal(Kind::Whole, &pass).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert!(!text.contains("fal"), "{text}");
        assert_eq!(seals.open(Kind::Whole, &text), Some(pass));
        for other in [Kind::Parts, Kind::Token, Kind::Begun] {
            assert_eq!(seals.open(other, &text), None);
        }
        clock.advance(LIFE);
        assert_eq!(seals.open(Kind::Whole, &text), None);
    }

    #[test]
    fn another_relays_pass_opens_nothing() {
        let (ours, theirs) = (seals(1).0, seals(2).0);
        let text = theirs.seal(Kind::Token, &pass(&theirs, "")).unwrap();
        assert_eq!(ours.open(Kind::Token, &text), None);
    }

    #[test]
    fn invariant_7_no_longer_text_is_looked_at_than_the_longest_address_needs() {
        let (seals, _) = seals(1);
        let longest = pass(&seals, &"a".repeat(ADDRESS_MAX_BYTES));
        let text = seals.seal(Kind::Whole, &Pass { account: "a".repeat(64).into(), ..longest }).unwrap();
        assert!(text.len() <= SEALED_MAX_BYTES && seals.open(Kind::Whole, &text).is_some());
        assert_eq!(seals.open(Kind::Whole, &"A".repeat(SEALED_MAX_BYTES + 1)), None);
        assert_eq!(seals.open(Kind::Whole, &"A".repeat(SEALED_MAX_BYTES)), None);
    }

    proptest! {
        #[test]
        fn a_changed_pass_opens_nothing(at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
            let (seals, _) = seals(1);
            let text = seals.seal(Kind::Parts, &pass(&seals, "https://v3.fal.media/a")).unwrap();
            let mut bytes = BASE64.decode(&text).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(seals.open(Kind::Parts, &BASE64.encode(bytes)), None);
        }

        #[test]
        fn any_text_is_judged(text in "\\PC{0,40}|[A-Za-z0-9_-]{0,200}") {
            prop_assert_eq!(seals(1).0.open(Kind::Token, &text), None);
        }
    }
}
