//! What the holder of a key asks about himself: what he may do and has left, what he spent, what he may call and what
//! that costs him. Answered from memory and the store; fal is never asked, since its answers are about the operator's
//! account.

mod account;
mod csv;
mod days;
mod models;
pub(super) mod query;
mod tokens;
mod usage;

pub use tokens::Wish as TokenWish;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde::Serialize;

use super::Relay;
use super::caller::Caller;
use super::refusal::Refusal;
use super::reply::{Reply, ReplyBody};

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderPage {
    /// What the key may do, and what it has left.
    Account,
    /// What it spent.
    Usage,
    /// What it may call.
    Models,
    /// What that costs it.
    ModelPrices,
}

/// How the holder asks.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The query, as written.
    pub query: &'a str,
    /// The address under which he reaches the relay, without a trailing slash.
    pub base: &'a str,
}

impl Relay {
    /// Answers the holder of a key.
    pub async fn holder(
        &self,
        caller: &Caller,
        page: HolderPage,
        question: Question<'_>,
    ) -> Result<Reply, Refusal> {
        match page {
            HolderPage::Account => self.account(caller).await,
            HolderPage::Usage => self.usage(caller, question.query).await,
            HolderPage::Models => self.models(caller, question),
            HolderPage::ModelPrices => self.model_prices(caller, question.query),
        }
    }
}

fn json(body: &impl Serialize) -> Result<Reply, Refusal> {
    let body = serde_json::to_vec(body).map_err(|error| Refusal::Internal(error.to_string()))?;
    Ok(answer("application/json", body))
}

/// What is told about one key is for nobody else, and different in a moment.
fn answer(content_type: &'static str, body: Vec<u8>) -> Reply {
    let mut response = Response::new(ReplyBody::Whole(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
