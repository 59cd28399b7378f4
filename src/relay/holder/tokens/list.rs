//! The client tokens of a key, as its holder sees them: by their numbers, never by what they are.

use serde::Serialize;
use serde_json::json;

use super::listed;
use crate::ids::TokenId;
use crate::money::Usd;
use crate::relay::Relay;
use crate::relay::caller::Caller;
use crate::relay::holder::json;
use crate::relay::holder::query::{Query, wrong};
use crate::relay::refusal::Refusal;
use crate::relay::reply::Reply;
use crate::store::TokenUse;

/// Tokens on a page.
const TOKENS_MAX: u32 = 100;

/// The client tokens that work now.
#[derive(Serialize)]
struct Listed {
    tokens: Vec<Shown>,
    next_cursor: Option<String>,
    has_more: bool,
}

#[derive(Serialize)]
struct Shown {
    id: TokenId,
    created_at: String,
    expires_at: String,
    allow: Vec<String>,
    max_usd: Option<Usd>,
    spent_usd: Usd,
    held_usd: Usd,
    origins: Vec<String>,
}

impl Relay {
    /// `GET /v1/tokens`: the client tokens of this key that work now, the oldest first.
    pub async fn tokens(&self, caller: &Caller, query: &str) -> Result<Reply, Refusal> {
        caller.require_key()?;
        let query = Query::read(query);
        query.only(&["cursor"])?;
        let after = query.one("cursor")?.map_or(Ok(TokenId(0)), cursor)?;
        let now = self.shared.clock.now();
        // One more than is shown tells whether there are more.
        let mut found = self.shared.store.tokens(caller.key_id(), now, after, TOKENS_MAX + 1).await?;
        let has_more = found.len() > TOKENS_MAX as usize;
        found.truncate(TOKENS_MAX as usize);
        let next_cursor = found.last().filter(|_| has_more).map(|last| last.id.to_string());
        json(&Listed { tokens: found.into_iter().map(Shown::from).collect(), next_cursor, has_more })
    }

    /// `DELETE /v1/tokens/{id}`: ends one client token of this key for good, and what it has opened.
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Reply, Refusal> {
        caller.require_key()?;
        match self.shared.store.revoke_token(caller.key_id(), id, self.shared.clock.now()).await? {
            true => json(&json!({"id": id, "revoked": true})),
            false => Err(Refusal::UnknownToken),
        }
    }
}

impl From<TokenUse> for Shown {
    fn from(token: TokenUse) -> Self {
        Self {
            id: token.id,
            created_at: token.created_at.to_string(),
            expires_at: token.expires_at.to_string(),
            allow: token.rules.allow.iter().map(ToString::to_string).collect(),
            max_usd: token.limit,
            spent_usd: token.spent,
            held_usd: token.held,
            origins: listed(&token.rules.origins),
        }
    }
}

fn cursor(text: &str) -> Result<TokenId, Refusal> {
    let after = text.parse().ok().filter(|after| *after >= 0);
    after.map(TokenId).ok_or_else(|| wrong("cursor", "must be the next_cursor of the page before"))
}
