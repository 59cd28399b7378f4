//! A tenant's webhook, from its submit to the outbox. It is taken out of the call and written down with it; the job is
//! followed quickly; and the bytes of its result go into the outbox in the transaction that closes its row, so that no
//! crash loses a webhook and none is sent for a job that did not end.

mod ending;
mod follower;
mod following;
mod listening;

use url::form_urlencoded;

pub(super) use following::Following;
pub use listening::Listen;
pub(super) use listening::Listeners;

use super::Relay;
use super::refusal::Refusal;
use crate::fal::webhook::FAL_WEBHOOK;
use crate::fal::webhooks_of;
use crate::ids::CallId;
use crate::outside::Refused;
use crate::store::NewWebhook;

impl Relay {
    /// The webhook that a submit's query asks for. Refused before anything is written down.
    pub(super) fn asked_webhook(&self, query: Option<&str>) -> Result<Option<NewWebhook>, Refusal> {
        let mut named = webhooks_of(query.unwrap_or_default());
        let Some(text) = named.next() else { return Ok(None) };
        if named.next().is_some() {
            return Err(Refusal::WebhookTarget("must be there once".into()));
        }
        if text.is_empty() {
            return Ok(None);
        }
        let target = self.shared.guard.judge(&text).map_err(|refused| refuse(&refused))?;
        let name = self.shared.random.uuid().map_err(|error| Refusal::Internal(error.to_string()))?;
        let name = format!("whd_{}", name.simple()).into();
        let (target, host) = (target.as_str().into(), target.authority().into());
        Ok(Some(NewWebhook { target, host, name }))
    }

    /// The path to fal, with the address at which fal shall call back when it can reach the relay.
    pub(super) fn with_call_back(&self, mut path: String, call: CallId) -> String {
        if let Some(base) = &self.shared.settings.public_url {
            let address = self.shared.secrets.callbacks().address(base, call);
            let pair =
                form_urlencoded::Serializer::new(String::new()).append_pair(FAL_WEBHOOK, &address).finish();
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&pair);
        }
        path
    }
}

/// A developer who names the machine in front of him is told how to hear of his jobs all the same.
fn refuse(refused: &Refused) -> Refusal {
    Refusal::WebhookTarget(match refused {
        Refused::Network(_) => format!(
            "{refused}. For a receiver on your own machine name `https://listen.invalid/` and run `fal-relay webhook listen \
             --forward <its address>`"
        ),
        _ => refused.to_string(),
    })
}
