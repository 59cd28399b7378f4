//! What the relay signs with: the key of its webhooks, which receivers verify by its JWKS, and the secret behind the addresses
//! that fal calls back. Both are made at the first start and kept in the store, so that replicas share them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::{Clock, Timestamp};
use crate::fal::webhook::{PublicKeys, SigningKey};
use crate::ids::CallId;
use crate::random::{NoRandomness, Random};
use crate::secret::Seed;
use crate::store::{Store, StoreError, StoredSecret, WEBHOOK_KEY};

/// The name in the store of the secret behind fal's call-backs.
const CALLBACK_SECRET: &str = "callback_secret";

/// The secrets, as this process knows them.
pub struct Secrets {
    signing: ArcSwap<Signing>,
    callbacks: Callbacks,
}

/// The keys that sign webhooks, the newest first.
struct Signing(Vec<Dated>);

struct Dated {
    key: Arc<SigningKey>,
    begins_at: Timestamp,
    ends_at: Option<Timestamp>,
}

impl Secrets {
    /// Reads them from the store, and makes those that are not there.
    pub async fn open(store: &dyn Store, clock: &dyn Clock, random: &Random) -> Result<Self, SecretsError> {
        let signing = Signing::read(store, clock, Some(seed(random)?)).await?;
        let callbacks = store.secrets(CALLBACK_SECRET, Some(seed(random)?), clock.now()).await?;
        let oldest = callbacks.last().ok_or(SecretsError::Unusable)?;
        Ok(Self { signing: ArcSwap::from_pointee(signing), callbacks: Callbacks::new(&oldest.value) })
    }

    /// Reads the signing keys again: another process may have made a new one.
    pub(super) async fn reload(&self, store: &dyn Store, clock: &dyn Clock) -> Result<(), SecretsError> {
        let signing = Signing::read(store, clock, None).await?;
        self.signing.store(Arc::new(signing));
        Ok(())
    }

    /// The key that signs at this moment.
    pub fn signing_key(&self, now: Timestamp) -> Option<Arc<SigningKey>> {
        let signing = self.signing.load();
        signing.listed(now).find(|dated| dated.begins_at <= now).map(|dated| dated.key.clone())
    }

    /// The keys by which receivers verify webhooks at this moment.
    pub fn public_keys(&self, now: Timestamp) -> Option<PublicKeys> {
        PublicKeys::new(self.signing.load().listed(now).map(|dated| dated.key.public()))
    }

    /// The addresses under which fal calls back.
    pub fn callbacks(&self) -> &Callbacks {
        &self.callbacks
    }
}

impl Signing {
    async fn read(store: &dyn Store, clock: &dyn Clock, fresh: Option<Seed>) -> Result<Self, SecretsError> {
        let found = store.secrets(WEBHOOK_KEY, fresh, clock.now()).await?;
        found.iter().map(Dated::read).collect::<Option<_>>().map(Self).ok_or(SecretsError::Unusable)
    }

    fn listed(&self, now: Timestamp) -> impl Iterator<Item = &Dated> {
        self.0.iter().filter(move |dated| dated.ends_at.is_none_or(|end| now < end))
    }
}

impl Dated {
    fn read(secret: &StoredSecret) -> Option<Self> {
        let key = Arc::new(SigningKey::from_seed(&secret.value)?);
        Some(Self { key, begins_at: secret.begins_at, ends_at: secret.ends_at })
    }
}

/// Addresses that fal calls back: each names a call, and nobody else can make one.
pub struct Callbacks(hmac::Key);

impl Callbacks {
    fn new(secret: &Seed) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose()))
    }

    /// The last segment of a call's address: its number, and what proves it.
    pub fn token(&self, call: CallId) -> String {
        format!("{call}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &message(call))))
    }

    /// The whole address, which fal is given as its `fal_webhook`.
    pub fn address(&self, public_url: &str, call: CallId) -> String {
        format!("{public_url}{CALLBACK_PATH}{}", self.token(call))
    }

    /// The call that a token names. A wrong one costs as much as a right one and tells nothing about which calls there are.
    pub fn read(&self, token: &str) -> Option<CallId> {
        let (number, proof) = token.split_once('.').unwrap_or_default();
        let call = CallId(number.parse().unwrap_or(0));
        let proof = URL_SAFE_NO_PAD.decode(proof).unwrap_or_default();
        let proven = hmac::verify(&self.0, &message(call), &proof).is_ok();
        // One spelling for each call.
        (proven && call.to_string() == number).then_some(call)
    }
}

/// Where fal calls back.
pub const CALLBACK_PATH: &str = "/webhooks/fal/";

/// The text is nothing else that this secret might ever prove.
fn message(call: CallId) -> Vec<u8> {
    format!("fal calls back about {call}").into_bytes()
}

/// 32 bytes by chance.
pub(super) fn seed(random: &Random) -> Result<Seed, NoRandomness> {
    let mut bytes = [0; 32];
    random.fill(&mut bytes)?;
    Ok(Seed::new(bytes))
}

/// Secrets that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The store does not give them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no randomness to make them from.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// They are not what was written.
    #[error("the secrets in the store cannot be used; restore a backup")]
    Unusable,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn callbacks(secret: u8) -> Callbacks {
        Callbacks::new(&Seed::new([secret; 32]))
    }

    #[test]
    fn an_address_names_its_call() {
        let address = callbacks(1).address("https://relay.example/fal", CallId(42));
        let token = address.strip_prefix("https://relay.example/fal/webhooks/fal/").unwrap();
        assert_eq!(callbacks(1).read(token), Some(CallId(42)));
        assert_eq!(callbacks(2).read(token), None, "another installation");
        let proof = token.strip_prefix("42.").unwrap();
        for wrong in [
            format!("43.{proof}"),
            format!("042.{proof}"),
            format!("+42.{proof}"),
            format!("42.{proof}="),
            format!("42.{}", &proof[1..]),
            "42.".into(),
            "42".into(),
            ".".into(),
            String::new(),
        ] {
            assert_eq!(callbacks(1).read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_new_key_is_listed_before_it_signs_and_an_old_one_after() {
        let at = Timestamp::from_micros;
        let dated = |seed: u8, begins_at, ends_at: Option<i64>| Dated {
            key: Arc::new(SigningKey::from_seed(&Seed::new([seed; 32])).unwrap()),
            begins_at: at(begins_at),
            ends_at: ends_at.map(at),
        };
        let signing = Signing(vec![dated(2, 20, None), dated(1, 0, Some(30))]);
        let secrets = Secrets { signing: ArcSwap::from_pointee(signing), callbacks: callbacks(1) };
        let public = |seed: u8| SigningKey::from_seed(&Seed::new([seed; 32])).unwrap().public();
        for (now, signs, listed) in
            [(10, 1, &[2, 1][..]), (19, 1, &[2, 1]), (20, 2, &[2, 1]), (29, 2, &[2, 1]), (30, 2, &[2])]
        {
            assert_eq!(secrets.signing_key(at(now)).unwrap().public(), public(signs), "{now}");
            let listed = PublicKeys::new(listed.iter().map(|seed| public(*seed)));
            assert_eq!(secrets.public_keys(at(now)), listed, "{now}");
        }
    }

    proptest! {
        #[test]
        fn a_token_is_read_as_it_was_made_and_nothing_else_is_one(call in any::<i64>(), other in "\\PC{0,60}") {
            let token = callbacks(1).token(CallId(call));
            prop_assert_eq!(callbacks(1).read(&token), Some(CallId(call)));
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)));
            prop_assert_eq!(callbacks(1).read(&other), None);
        }
    }
}
