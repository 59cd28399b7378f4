//! The routes that are the relay's own, and no call to fal.

use http::{Method, StatusCode, request};
use hyper::body::Incoming;
use serde_json::json;

use super::{Front, Peer};
use crate::http::holder::{self, Tokens};
use crate::http::origin::client_address;
use crate::http::refusal;
use crate::http::site::Site;
use crate::metrics::Route;
use crate::relay::{HolderPage, Listen, Notes, Question, Refusal, Reply};

impl Front {
    /// fal says that a job has ended.
    pub(super) async fn called_back(
        &self,
        token: &str,
        parts: request::Parts,
        body: Incoming,
    ) -> Result<Reply, Refusal> {
        match parts.method {
            Method::POST => {
                let inbound = self.inbound(parts, body, String::new(), None, None);
                self.relay.called_back(token, inbound).await
            }
            _ => Err(Refusal::Method { allow: "POST" }),
        }
    }

    /// What the holder of a key asks about himself.
    pub(super) async fn holder(
        &self,
        page: HolderPage,
        parts: &request::Parts,
        site: &Site,
        peer: &Peer,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        notes.route = holder::route(page);
        let caller = self.caller(&parts.headers, None, peer, notes).await?;
        holder::check_method(&parts.method)?;
        caller.require_key()?;
        self.relay.pace(&caller).await?;
        let question = Question { query: parts.uri.query().unwrap_or_default(), base: &site.base };
        self.relay.holder(&caller, page, question).await
    }

    /// The holder of a key hears of his webhooks.
    pub(super) async fn webhook_events(
        &self,
        parts: request::Parts,
        peer: &Peer,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        notes.route = Route::WebhookEvents;
        let caller = self.caller(&parts.headers, None, peer, notes).await?;
        holder::check_method(&parts.method)?;
        caller.require_key()?;
        self.relay.pace(&caller).await?;
        let address = client_address(&self.settings.trusted_proxies, &parts.headers, peer.address);
        let query = parts.uri.query().map(str::to_owned);
        let wish = Listen { headers: parts.headers, query, address, stop: peer.stop.clone() };
        self.relay.listen(&caller, wish).await
    }

    /// What a key does with its client tokens.
    pub(super) async fn tokens(
        &self,
        tokens: Tokens,
        parts: request::Parts,
        body: Incoming,
        base: String,
        peer: &Peer,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        notes.route = Route::Token;
        let (method, query) = (parts.method.clone(), parts.uri.query().map(str::to_owned));
        let inbound = self.inbound(parts, body, base, None, None);
        let caller = self.caller(&inbound.headers, None, peer, notes).await?;
        match (tokens, method) {
            (Tokens::All, Method::POST) => {
                self.relay.pace(&caller).await?;
                self.relay.make_token(&caller, inbound).await
            }
            (Tokens::All, Method::GET | Method::HEAD) => {
                self.relay.pace(&caller).await?;
                self.relay.tokens(&caller, query.as_deref().unwrap_or_default()).await
            }
            (Tokens::One(id), Method::DELETE) => {
                self.relay.pace(&caller).await?;
                self.relay.revoke_token(&caller, id).await
            }
            _ => Err(Refusal::Method { allow: tokens.allow() }),
        }
    }

    /// The routes that need no key.
    pub(super) async fn open_route(
        &self,
        parts: &request::Parts,
        notes: &mut Notes,
    ) -> Option<Result<Reply, Refusal>> {
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        notes.route = match parts.uri.path() {
            "/health" => Route::Health,
            "/ready" => Route::Ready,
            "/.well-known/jwks.json" => Route::Keys,
            _ => return None,
        };
        if !is_read {
            return Some(Err(Refusal::Method { allow: "GET, HEAD" }));
        }
        let (status, body) = match notes.route {
            Route::Keys => return Some(self.relay.public_keys()),
            Route::Ready => self.readiness.check().await,
            _ => (StatusCode::OK, json!({"status": "ok"})),
        };
        Some(Ok(refusal::json_answer(status, &body)))
    }
}
