//! The relay's own keys: `fr_live_…`, `fr_test_…`, `fr_admin_…`, and their short-lived children, `fr_client_…`.
//!
//! A key is its kind's prefix, 43 random characters (256 bits) and six characters of checksum, all of them letters
//! and digits, so that a double click selects it, secret scanners know it, and a mistyped one is refused before
//! anything is looked up. It is shown once; from then on only its SHA-256 is known.

use aws_lc_rs::digest::{Context, SHA256, digest};
use serde::Serialize;

use crate::random::{NoRandomness, Random};
use crate::secret::Secret;

/// What all of the relay's own keys begin with.
const OWN_PREFIX: &str = "fr_";

/// What other gateways write in front of their keys.
const FOREIGN_PREFIX: &str = "sk-";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 62^43 is just above 2^256.
const RANDOM_LEN: usize = 43;

/// 62^6 is above 2^32: room for a whole CRC-32.
const CHECKSUM_LEN: usize = 6;

/// The greatest multiple of 62 in a byte: bytes from here on are drawn again, or some characters would be likelier.
const FAIR_BYTES: u8 = 248;

/// Draws of 64 bytes before the generator counts as broken; a sound one needs a second draw less than once in a
/// thousand times.
const MAX_DRAWS: usize = 16;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// A tenant's key for calls that fal bills.
    Live,
    /// A tenant's key for the sandbox only.
    Test,
    /// An operator's key for the admin listener only.
    Admin,
    /// A client token: a tenant's key has made it for a browser or a phone, for minutes.
    Client,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Live, Self::Test, Self::Admin, Self::Client];

    /// The kind's name, as people and the store write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
            Self::Admin => "admin",
            Self::Client => "client",
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Live => "fr_live_",
            Self::Test => "fr_test_",
            Self::Admin => "fr_admin_",
            Self::Client => "fr_client_",
        }
    }
}

/// The SHA-256 of a key. Keys have 256 random bits, so a plain hash is enough at rest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyDigest(pub [u8; 32]);

impl KeyDigest {
    /// The digest by which the store knows the key that a caller presents: one of the relay's own, or any text that could
    /// have been imported. `None` for what can be neither, which need not be looked up.
    pub fn of_presented(text: &str) -> Option<Self> {
        Presented::parse(text).map(|(Presented::Key(digest) | Presented::ClientToken(digest))| digest)
    }
}

/// What a caller presents, by its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// A key: one of the relay's own, or one that another gateway has drawn.
    Key(KeyDigest),
    /// A client token.
    ClientToken(KeyDigest),
}

impl Presented {
    /// Tells what `text` can be; `None` for what need not be looked up.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.starts_with(OWN_PREFIX) {
            return ForeignKey::parse(text).map(|key| Self::Key(key.digest()));
        }
        let own = ApiKey::parse(text)?;
        Some(match own.kind() {
            KeyKind::Client => Self::ClientToken(own.digest()),
            KeyKind::Live | KeyKind::Test | KeyKind::Admin => Self::Key(own.digest()),
        })
    }
}

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// One of the relay's own keys, in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    kind: KeyKind,
    text: Secret,
}

impl ApiKey {
    /// Draws a new key.
    pub fn generate(kind: KeyKind, random: &Random) -> Result<Self, NoRandomness> {
        let prefix = kind.prefix();
        let mut text = String::with_capacity(prefix.len() + RANDOM_LEN + CHECKSUM_LEN);
        text.push_str(prefix);
        draw(random, &mut text)?;
        for byte in checksum(text.as_bytes()) {
            text.push(char::from(byte));
        }
        Ok(Self { kind, text: Secret::new(text) })
    }

    /// Takes `text` for a key when prefix, length, alphabet and checksum are right; allocates only then.
    pub fn parse(text: &str) -> Option<Self> {
        let kind = KeyKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))?;
        let (head, tail) = text.as_bytes().split_last_chunk::<CHECKSUM_LEN>()?;
        let random = head.get(kind.prefix().len()..)?;
        let sound = random.len() == RANDOM_LEN
            && random.iter().all(u8::is_ascii_alphanumeric)
            && checksum(head) == *tail;
        sound.then(|| Self { kind, text: Secret::new(text) })
    }

    /// What it may be used for.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Its digest, by which the store knows it: the SHA-256 of what follows `fr_`. Without those three letters, which
    /// all keys share, it is one block to hash and not two, at each call.
    pub fn digest(&self) -> KeyDigest {
        let told_apart = self.expose().strip_prefix(OWN_PREFIX).unwrap_or(self.expose());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, told_apart.as_bytes()).as_ref());
        KeyDigest(bytes)
    }

    /// The key itself. Each call of this is a place to review.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The last four characters, for lists. They belong to the checksum and tell nothing that helps to guess.
    pub fn last_four(&self) -> String {
        self.text.last_four()
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

/// A key that another gateway has drawn and that goes on working here. Only its digest is kept.
///
/// Those gateways hand their keys out with `sk-` in front and keep them without, so both forms are the same key.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignKey(Secret);

impl ForeignKey {
    /// The shortest key, without `sk-`: whatever is shorter could be guessed.
    pub const MIN_LEN: usize = 16;
    /// The longest key, without `sk-`.
    pub const MAX_LEN: usize = 256;

    /// Takes any text of visible ASCII characters that is long enough, and none that could be one of the relay's own keys.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = text.strip_prefix(FOREIGN_PREFIX).unwrap_or(text);
        let sound = (Self::MIN_LEN..=Self::MAX_LEN).contains(&bare.len())
            && bare.bytes().all(|b| b.is_ascii_graphic())
            && !text.starts_with(OWN_PREFIX)
            && !bare.starts_with(OWN_PREFIX);
        sound.then(|| Self(Secret::new(bare)))
    }

    /// Its digest, by which the store knows it. With `sk-` in front, whether it was written or not, it is never that of one
    /// of the relay's own keys.
    pub fn digest(&self) -> KeyDigest {
        let mut hash = Context::new(&SHA256);
        hash.update(FOREIGN_PREFIX.as_bytes());
        hash.update(self.0.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.finish().as_ref());
        KeyDigest(bytes)
    }

    /// The last four characters, for lists.
    pub fn last_four(&self) -> String {
        self.0.last_four()
    }
}

impl std::fmt::Debug for ForeignKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

/// Appends the random characters.
fn draw(random: &Random, text: &mut String) -> Result<(), NoRandomness> {
    let full = text.len() + RANDOM_LEN;
    let mut bytes = zeroize::Zeroizing::new([0_u8; 64]);
    for _ in 0..MAX_DRAWS {
        random.fill(bytes.as_mut())?;
        let fair = bytes.iter().filter(|byte| **byte < FAIR_BYTES);
        for byte in fair.take(full - text.len()) {
            text.push(char::from(ALPHABET[usize::from(byte % 62)]));
        }
        if text.len() == full {
            return Ok(());
        }
    }
    Err(NoRandomness)
}

/// CRC-32 in base 62, highest place first.
fn checksum(head: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(head);
    let mut places = [0; CHECKSUM_LEN];
    for place in places.iter_mut().rev() {
        *place = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_key() -> impl Strategy<Value = ApiKey> {
        (0..KeyKind::ALL.len(), any::<u64>())
            .prop_map(|(kind, seed)| ApiKey::generate(KeyKind::ALL[kind], &Random::seeded(seed)).unwrap())
    }

    proptest! {
        #[test]
        fn a_key_reads_back_as_itself(key in any_key()) {
            let again = ApiKey::parse(key.expose()).unwrap();
            prop_assert_eq!(again.kind(), key.kind());
            prop_assert_eq!(again.digest(), key.digest());
            prop_assert_eq!(key.expose().len(), key.kind().prefix().len() + 49);
            prop_assert!(key.expose().ends_with(&key.last_four()));
        }

        #[test]
        fn any_one_character_changed_is_refused(key in any_key(), at in 0_usize..57, to in any::<char>()) {
            let mut changed: Vec<char> = key.expose().chars().collect();
            prop_assume!(changed[at] != to);
            changed[at] = to;
            prop_assert_eq!(ApiKey::parse(&changed.into_iter().collect::<String>()), None);
        }

        #[test]
        fn any_text_is_read_without_harm(text in "\\PC{0,80}", cut in 0_usize..58, key in any_key()) {
            prop_assert_eq!(ApiKey::parse(&text), None);
            prop_assert_eq!(ApiKey::parse(&key.expose()[..cut.min(56)]), None);
            let longer = format!("{}0", key.expose());
            prop_assert_eq!(ApiKey::parse(&longer), None);
        }
    }

    #[test]
    fn the_form_is_fixed_because_keys_live_for_years() {
        let text = format!("fr_live_{}1En1qj", "0".repeat(43));
        let key = ApiKey::parse(&text).unwrap();
        assert_eq!(key.kind(), KeyKind::Live);
        assert_eq!(
            hex::encode(key.digest().0),
            "03dbbd68c9ffececaa77f72b096ccd184f1227ad7a120b47195e4365c28cd8f2"
        );
    }

    proptest! {
        #[test]
        fn a_foreign_key_is_one_with_and_without_its_prefix(bare in "[!-~]{16,256}") {
            prop_assume!(!bare.starts_with("sk-") && !bare.starts_with("fr_"));
            let key = ForeignKey::parse(&bare).unwrap();
            let written = format!("sk-{bare}");
            prop_assert_eq!(KeyDigest::of_presented(&written), Some(key.digest()));
            prop_assert_eq!(KeyDigest::of_presented(&bare), Some(key.digest()));
        }

        #[test]
        fn no_foreign_key_passes_for_one_of_our_own(key in any_key()) {
            let ours = key.expose();
            prop_assert_eq!(KeyDigest::of_presented(ours), Some(key.digest()));
            prop_assert_eq!(ForeignKey::parse(ours), None);
            prop_assert_eq!(ForeignKey::parse(&format!("sk-{ours}")), None);
            let bare = ours.strip_prefix("fr_").unwrap();
            prop_assert_ne!(KeyDigest::of_presented(bare), Some(key.digest()));
            let mistyped = format!("{ours}0");
            prop_assert_eq!(KeyDigest::of_presented(&mistyped), None);
        }
    }

    #[test]
    fn invariant_7_a_foreign_key_has_a_shortest_and_a_longest_form() {
        let short = "x".repeat(ForeignKey::MIN_LEN - 1);
        let long = "x".repeat(ForeignKey::MAX_LEN + 1);
        for bad in ["", "sk-", &short, &format!("sk-{short}"), &long, "0123456789 abcdef", "0123456789abcdé"]
        {
            assert_eq!(ForeignKey::parse(bad), None, "{bad}");
            assert_eq!(KeyDigest::of_presented(bad), None, "{bad}");
        }
        let key = ForeignKey::parse("sk-0123456789abcdef").unwrap();
        assert_eq!((format!("{key:?}"), key.last_four()), ("****".into(), "cdef".into()));
        assert_eq!(
            hex::encode(key.digest().0),
            hex::encode(digest(&SHA256, b"sk-0123456789abcdef").as_ref()),
            "the form is fixed, because keys live for years"
        );
    }

    #[test]
    fn a_client_token_is_told_from_a_key() {
        let draw = |kind| ApiKey::generate(kind, &Random::seeded(5)).unwrap();
        for kind in KeyKind::ALL {
            let own = draw(kind);
            let wanted = match kind {
                KeyKind::Client => Presented::ClientToken(own.digest()),
                _ => Presented::Key(own.digest()),
            };
            assert_eq!(Presented::parse(own.expose()), Some(wanted));
        }
        // The same letters under another kind's name are another key.
        let (live, client) = (draw(KeyKind::Live), draw(KeyKind::Client));
        let renamed = live.expose().replace("fr_live_", "fr_client_");
        assert_eq!(Presented::parse(&renamed), None);
        assert_ne!(live.digest(), client.digest());
        assert!(matches!(Presented::parse("sk-0123456789abcdef"), Some(Presented::Key(_))));
    }

    #[test]
    fn a_key_prints_as_stars() {
        let key = ApiKey::generate(KeyKind::Admin, &Random::seeded(1)).unwrap();
        assert_eq!(format!("{key:?} {:?}", key.digest()), "**** KeyDigest(..)");
        assert!(key.expose().starts_with("fr_admin_"));
    }
}
