//! Client tokens: what a key makes for a browser or a phone, so that it need not be there itself. They are the relay's
//! own; a token of fal's, which would open fal without the relay, is never asked for.

mod list;
#[cfg(test)]
mod tests;
mod wish;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::clock::Timestamp;
use crate::fal::TokenForm;
use crate::ids::TokenId;
use crate::key::{ApiKey, KeyKind};
use crate::money::Usd;
use crate::relay::caller::Caller;
use crate::relay::identity::shown_token;
use crate::relay::refusal::Refusal;
use crate::relay::reply::Reply;
use crate::relay::{Inbound, Relay};
use crate::secret::Secret;
use crate::store::NewToken;
use crate::upstream::{BodyLimits, RequestBody};

pub use wish::Wish;
use wish::listed;

/// The largest request for a token: lists at their limits stay below it.
const BODY_MAX_BYTES: u64 = 64 * 1024;
/// The most tokens of one key that work at one time.
const LIVE_MAX: u32 = 10_000;

/// A token as `POST /v1/tokens` tells it, once.
#[derive(Serialize)]
struct Made<'a> {
    id: TokenId,
    token: &'a str,
    expires_at: String,
    allow: Vec<String>,
    max_usd: Option<Usd>,
    origins: Vec<String>,
}

impl Relay {
    /// `POST /v1/tokens`: a key makes a client token.
    pub async fn make_token(&self, caller: &Caller, inbound: Inbound) -> Result<Reply, Refusal> {
        caller.require_key()?;
        let wish = Wish::own(&self.small_body(inbound).await?)?;
        let (id, token, expires_at) = self.draw_token(caller, &wish).await?;
        let ends = caller.ends_at().map_or(expires_at, |sooner| sooner.min(expires_at));
        super::json(&Made {
            id,
            token: token.expose(),
            expires_at: ends.to_string(),
            allow: wish.rules.allow.iter().map(ToString::to_string).collect(),
            max_usd: wish.limit,
            origins: listed(&wish.rules.origins),
        })
    }

    /// `POST /tokens/` and `POST /tokens/realtime`, as fal's clients ask before they open a socket. Whoever has a client
    /// token gets the same one back: it opens sockets as it is, and makes no others.
    pub async fn make_fal_token(
        &self,
        caller: &Caller,
        form: TokenForm,
        inbound: Inbound,
    ) -> Result<Reply, Refusal> {
        let text = match caller.token_id() {
            Some(_) => shown_token(&inbound.headers, inbound.token.as_ref())?.ok_or(Refusal::Unauthorized)?,
            None => {
                let wish = Wish::of_fal(form, &self.small_body(inbound).await?)?;
                Secret::new(self.draw_token(caller, &wish).await?.1.expose())
            }
        };
        match form {
            TokenForm::Bare => super::json(&text.expose()),
            TokenForm::Realtime => super::json(&json!({"token": text.expose()})),
        }
    }

    /// Draws a token and writes it down.
    async fn draw_token(
        &self,
        caller: &Caller,
        wish: &Wish,
    ) -> Result<(TokenId, ApiKey, Timestamp), Refusal> {
        let token = ApiKey::generate(KeyKind::Client, &self.shared.random)
            .map_err(|error| Refusal::Internal(error.to_string()))?;
        let created_at = self.shared.clock.now();
        let expires_at = created_at.plus(wish.life);
        let new = NewToken {
            key_id: caller.key_id(),
            digest: token.digest(),
            rules: wish.rules.clone(),
            limit: wish.limit,
            created_at,
            expires_at,
            live_max: LIVE_MAX,
        };
        let id = self.shared.store.create_token(new).await?;
        let id = id.ok_or(Refusal::TooManyTokens { max: LIVE_MAX })?;
        if !wish.rules.origins.is_empty() {
            self.shared.origins_are_listed();
        }
        Ok((id, token, expires_at))
    }

    /// The whole of a body that must be small.
    async fn small_body(&self, inbound: Inbound) -> Result<Bytes, Refusal> {
        let limits = BodyLimits {
            max_bytes: BODY_MAX_BYTES,
            idle: inbound.body_idle,
            min_bytes_per_second: inbound.body_min_bytes_per_second,
        };
        let mut body = RequestBody::new(inbound.body, limits, self.shared.clock.clone());
        // One byte more than may come, so that it is read to its end or refused.
        let beginning = body.peek(BODY_MAX_BYTES as usize + 1).await;
        beginning.map(|beginning| beginning.bytes).map_err(|end| Refusal::of_body(end, BODY_MAX_BYTES))
    }
}
