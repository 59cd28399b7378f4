//! fal's tokens for its media host: one for each account, asked for when it is needed and kept while it lasts. None of them
//! leaves the relay but to that host.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::ids::AccountName;
use crate::relay::notes::Notes;
use crate::relay::refusal::Refusal;
use crate::relay::reply::read_envelope;
use crate::relay::{Answer, Relay};
use crate::upstream::{Account, Host, Outgoing, RequestBody};

/// Where fal gives its tokens.
const TOKEN_PATH: &str = "/storage/auth/token?storage_type=fal-cdn-v3";
/// A token that ends sooner is no longer used: a large file is long on its way.
const TOKEN_MARGIN: Duration = Duration::from_secs(600);

/// Each account's token.
pub(in crate::relay) struct Tokens(HashMap<AccountName, Mutex<Option<Token>>>);

struct Token {
    authorization: HeaderValue,
    ends_at: Timestamp,
}

/// fal's answer (protocol 5, C1).
#[derive(Deserialize)]
struct Given {
    token: String,
    token_type: String,
    expires_at: Option<String>,
}

impl Tokens {
    /// No tokens yet, for these accounts.
    pub(in crate::relay) fn of<'a>(accounts: impl Iterator<Item = &'a Account>) -> Self {
        Self(accounts.map(|account| (account.name.clone(), Mutex::default())).collect())
    }
}

impl Relay {
    /// The account's credentials for the media host. Those who want them at the same time ask fal once.
    pub(super) async fn media_token(
        &self,
        account: &Account,
        notes: &mut Notes,
    ) -> Result<HeaderValue, Refusal> {
        let slot = self.shared.media_tokens.0.get(&account.name).ok_or(Refusal::AccountUnavailable)?;
        let mut kept = slot.lock().await;
        let until = self.shared.clock.now().plus(TOKEN_MARGIN);
        if let Some(token) = kept.as_ref().filter(|token| until < token.ends_at) {
            return Ok(token.authorization.clone());
        }
        let token = self.ask_for_token(account, notes).await?;
        let authorization = token.authorization.clone();
        *kept = Some(token);
        Ok(authorization)
    }

    /// fal does not take the account's token any more.
    pub(super) async fn forget_media_token(&self, account: &Account) {
        tracing::warn!(account = %account.name, "fal's media host refuses the token that fal gave; another is asked for next time");
        if let Some(slot) = self.shared.media_tokens.0.get(&account.name) {
            *slot.lock().await = None;
        }
    }

    async fn ask_for_token(&self, account: &Account, notes: &mut Notes) -> Result<Token, Refusal> {
        let json = HeaderValue::from_static("application/json");
        let outgoing = Outgoing {
            host: Host::Rest,
            method: Method::POST,
            path_and_query: TOKEN_PATH.to_owned(),
            headers: HeaderMap::from_iter([(header::ACCEPT, json.clone()), (header::CONTENT_TYPE, json)]),
            body: RequestBody::own(Bytes::from_static(b"{}"), &*self.shared.clock),
        };
        let answer = self.forward(account, outgoing, notes).await;
        match answer.map_err(|error| Refusal::of_question(error, 0))? {
            Answer::Tenant(response) if response.status().is_success() => {
                read(&read_envelope(response).await?.1)
            }
            Answer::Tenant(response) => Err(no_token(response.status().as_str())),
            Answer::TenantError(parts, _) => Err(no_token(parts.status.as_str())),
            Answer::AccountRefused(_) => Err(Refusal::AccountUnavailable),
        }
    }
}

fn no_token(what: &str) -> Refusal {
    Refusal::BadAnswer(format!("fal gave no token for its media host: {what}"))
}

/// A token whose end cannot be read is used once.
fn read(body: &[u8]) -> Result<Token, Refusal> {
    let given: Given = serde_json::from_slice(body).map_err(|_| no_token("its answer is another"))?;
    let mut authorization = HeaderValue::try_from(format!("{} {}", given.token_type, given.token))
        .map_err(|_| no_token("it cannot be sent in a header"))?;
    authorization.set_sensitive(true);
    let ends_at = given.expires_at.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let ends_at = ends_at.map(|end| Timestamp::from_micros(end.as_microsecond())).unwrap_or_default();
    Ok(Token { authorization, ends_at })
}
