//! fal calls back: it says that a job has ended. That is a signal and nothing more. Whoever can forge or replay it makes the relay
//! look at a job of its own, as the watch would have; what became of the job is asked of fal.

use std::pin::Pin;

use http::{HeaderValue, Response, header};
use http_body::Body;

use super::{Inbound, Refusal, Relay, Reply, ReplyBody};
use crate::clock::Timestamp;
use crate::fal::webhook::{BodyDigest, Claim, PublicKeys, Unverified};
use crate::ids::{CallId, RequestId};
use crate::store::OpenCall;
use crate::upstream::{BodyEnd, BodyLimits, RequestBody};

/// What receivers are told of how long they may keep the keys, in seconds: much shorter than a key's turn takes.
const KEYS_MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=3600");

impl Relay {
    /// The keys by which receivers verify the relay's webhooks, in the document that fal has for its own (protocol 6.3).
    pub fn public_keys(&self) -> Result<Reply, Refusal> {
        let keys = self.shared.secrets.public_keys(self.shared.clock.now());
        let keys = keys.ok_or_else(|| Refusal::Internal("there is no key for webhooks".into()))?;
        let mut response = Response::new(ReplyBody::Whole(keys.print().into()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, KEYS_MAX_AGE);
        Ok(response)
    }

    /// fal calls back under the address that `token` is the end of.
    pub async fn called_back(&self, token: &str, inbound: Inbound) -> Result<Reply, Refusal> {
        // Whether there is such a call is asked last: until then a guess costs what the truth costs.
        let call = self.shared.secrets.callbacks().read(token).ok_or(Refusal::UnknownRoute)?;
        let headers = inbound.headers.clone();
        let claim = Claim::read(&headers, self.now()).map_err(|why| unverified(&why))?;
        let body = self.digest(inbound).await?;
        self.verify(&claim, &body).await?;
        if !self.is_of(call, claim.request_id()).await? {
            return Err(unverified(&Unverified::Signature));
        }
        self.job_may_have_ended(call).await;
        Ok(Response::new(ReplyBody::Whole("{}".into())))
    }

    /// Looks at a job at once, and closes its row when it has ended; changes nothing for one that is closed already, or that fal has
    /// not finished.
    pub async fn job_may_have_ended(&self, call: CallId) {
        self.shared.following.hurry(call, self.shared.clock.elapsed());
        match self.open_call(call).await {
            // It is followed for its webhook, which wants the result's bytes too.
            Ok(Some(open)) if open.webhook => {}
            Ok(Some(open)) if open.request_id.is_some() => self.follow_up(open).await,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the ledger did not tell of a job that fal says has ended"),
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Reads the body to its end and keeps nothing of it: a long result comes whole.
    async fn digest(&self, inbound: Inbound) -> Result<BodyDigest, Refusal> {
        let limits = BodyLimits {
            max_bytes: self.shared.settings.max_body_bytes,
            idle: inbound.body_idle,
            min_bytes_per_second: inbound.body_min_bytes_per_second,
        };
        let mut body = RequestBody::new(inbound.body, limits, self.shared.clock.clone());
        let progress = body.progress();
        while let Some(Ok(_)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {}
        match progress.end() {
            Some(BodyEnd::Complete { sha256: Some(sha256) }) => Ok(BodyDigest(sha256)),
            Some(end) => Err(Refusal::of_body(end, limits.max_bytes)),
            None => Err(Refusal::BodyBroken),
        }
    }

    async fn verify(&self, claim: &Claim<'_>, body: &BodyDigest) -> Result<(), Refusal> {
        let fits = |keys: Option<std::sync::Arc<PublicKeys>>| {
            let keys = keys.ok_or(Refusal::NoKeys)?;
            claim.check(&keys, body).map_err(|why| unverified(&why))
        };
        let keys = &self.shared.fal_keys;
        match fits(keys.current().await) {
            Err(Refusal::Unverified) => fits(keys.after_misfit().await),
            judged => judged,
        }
    }

    /// Whether the call is the one that fal speaks of. fal may be faster than the disk: then the call has no id yet.
    async fn is_of(&self, call: CallId, request_id: &RequestId) -> Result<bool, Refusal> {
        let found = self.shared.store.call(call).await.map_err(Refusal::Store)?;
        Ok(found.is_some_and(|row| row.request_id.is_none_or(|id| id == *request_id)))
    }

    async fn open_call(&self, call: CallId) -> Result<Option<OpenCall>, crate::store::StoreError> {
        let mut next = self.shared.store.open_calls(CallId(call.0.saturating_sub(1)), 1).await?;
        Ok(next.pop().filter(|open| open.id == call))
    }
}

/// The sender learns nothing of why.
fn unverified(why: &Unverified) -> Refusal {
    tracing::debug!(%why, "a call-back was not believed");
    Refusal::Unverified
}

/// The token in a path under which fal calls back.
pub fn callback_token(path: &str) -> Option<&str> {
    path.strip_prefix(super::CALLBACK_PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_all_behind_the_path() {
        assert_eq!(callback_token("/webhooks/fal/1.x"), Some("1.x"));
        assert_eq!(callback_token("/webhooks/fal/"), Some(""));
        assert_eq!(callback_token("/webhooks/other"), None);
    }
}
