//! A tenant's webhook, from its submit to the outbox. It is taken out of the call and written down with it; the job is
//! followed quickly; and the bytes of its result go into the outbox in the transaction that closes its row, so that no
//! crash loses a webhook and none is sent for a job that did not end.

mod ending;
mod follower;
mod following;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::form_urlencoded;

pub(super) use following::Following;

use super::Relay;
use super::refusal::Refusal;
use crate::fal::webhook::FAL_WEBHOOK;
use crate::fal::webhooks_of;
use crate::random::NoRandomness;
use crate::store::{NewWebhook, StoreError, TokenDigest};

/// The path under the public address at which fal calls back.
const CALL_BACK_PATH: &str = "/webhooks/fal/";

/// Random bytes in the word by which fal calls back: nobody guesses it.
const TOKEN_BYTES: usize = 24;

/// What a submit asks for.
pub(super) struct Asked {
    /// To be written down with the call.
    pub(super) webhook: NewWebhook,
    /// The address that fal is given in the tenant's stead, when fal can reach the relay.
    pub(super) call_back: Option<String>,
}

impl Relay {
    /// The webhook that a submit's query asks for. Refused before anything is written down.
    pub(super) fn asked_webhook(&self, query: Option<&str>) -> Result<Option<Asked>, Refusal> {
        let mut named = webhooks_of(query.unwrap_or_default());
        let Some(text) = named.next() else { return Ok(None) };
        if named.next().is_some() {
            return Err(Refusal::WebhookTarget("must be there once".into()));
        }
        if text.is_empty() {
            return Ok(None);
        }
        let target =
            self.shared.guard.judge(&text).map_err(|refused| Refusal::WebhookTarget(refused.to_string()))?;
        let (token, word) = self.draw_token().map_err(|error| Refusal::Internal(error.to_string()))?;
        let name = self.shared.random.uuid().map_err(|error| Refusal::Internal(error.to_string()))?;
        let name = format!("whd_{}", name.simple()).into();
        let base = self.shared.settings.public_url.as_deref();
        let call_back = base.map(|base| [base, CALL_BACK_PATH, &word].concat());
        let (target, host) = (target.as_str().into(), target.authority().into());
        Ok(Some(Asked { webhook: NewWebhook { target, host, name, token }, call_back }))
    }

    fn draw_token(&self) -> Result<(TokenDigest, String), NoRandomness> {
        let mut bytes = [0; TOKEN_BYTES];
        self.shared.random.fill(&mut bytes)?;
        let word = URL_SAFE_NO_PAD.encode(bytes);
        Ok((token_digest(&word), word))
    }

    /// The word in an address at which fal calls is one of a webhook that is still open: the job is looked at now. What the
    /// caller said of it is not believed, so a forged call costs a question and changes nothing.
    pub async fn called_back(&self, word: &str) -> Result<bool, StoreError> {
        let call = self.shared.store.call_by_token(token_digest(word)).await?;
        if let Some(id) = call {
            self.shared.following.hurry(id, self.shared.clock.elapsed());
        }
        Ok(call.is_some())
    }
}

/// The path to fal, with the address at which fal shall call back.
pub(super) fn with_call_back(mut path: String, call_back: Option<String>) -> String {
    if let Some(address) = call_back {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(
            &form_urlencoded::Serializer::new(String::new()).append_pair(FAL_WEBHOOK, &address).finish(),
        );
    }
    path
}

fn token_digest(word: &str) -> TokenDigest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, word.as_bytes()).as_ref());
    TokenDigest(bytes)
}
