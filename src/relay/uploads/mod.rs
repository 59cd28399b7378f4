//! Uploads (protocol 5). fal's presigned addresses pass as they are, or become the relay's own with fal's sealed in them;
//! fal's tokens for its media host never leave the relay, which gives out its own and carries the bytes.
//!
//! Nothing of an upload is written down: what must be known of it later is in what the client was given. An address is
//! believed only if it was sealed here, and its host is one of the configured ones, when it is sealed and when it is opened
//! (invariant 10).

mod book;
mod bytes;
mod hosts;
mod media;
mod seal;
mod token;

use http::{HeaderMap, Method, Response, header};
use serde_json::json;

use super::caller::Caller;
use super::notes::Notes;
use super::refusal::Refusal;
use super::reply::{self, Reply, ReplyBody};
use super::{Answer, Credentials, Inbound, Relay, Target, identity, with_query};
use crate::fal::{
    AcceptEncoding, BYTES_PATH, CDN_PATH, Storage, Upload, replace_top_level, top_level_strings,
};
use crate::upstream::Host;

pub(super) use book::Book;
pub(super) use hosts::Hosts;
pub(super) use seal::Seals;
use seal::{Kind, Pass};
pub(super) use token::Tokens;

/// The name of the secret that uploads are sealed with, in the store.
pub(super) const SECRET_NAME: &str = "uploads";
/// What a token for the media host begins with, so that people and scanners know it.
const TOKEN_PREFIX: &str = "fr_upload_";
/// The parameter that a sealed address is in.
const SEALED: &str = "sealed=";

impl Relay {
    /// Begins an upload, or ends one that fal's REST service ends. It costs nothing at fal.
    pub async fn storage(
        &self,
        caller: &Caller,
        step: Storage,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        self.check_length(&inbound.headers)?;
        let kind = match step {
            Storage::Token => return self.give_token(caller, &inbound.base),
            Storage::Initiate => Some(Kind::Whole),
            Storage::InitiateMultipart => Some(Kind::Parts),
            Storage::CompleteMultipart => None,
        };
        match kind {
            Some(kind) if self.carries_bytes(caller) => {
                self.initiate(caller, kind, step, inbound, notes).await
            }
            _ => match self.ask_storage(step, AcceptEncoding::AsSent, inbound, notes).await? {
                Answer::Tenant(response) => Ok(reply::pass(response)),
                Answer::TenantError(parts, body) => Ok(reply::unchanged(parts, body)),
                Answer::AccountRefused(_) => Err(Refusal::AccountUnavailable),
            },
        }
    }

    /// Who uploads, when the request says it by something that was sealed here; `None` when it says it by a key.
    pub async fn identify_upload(
        &self,
        upload: &Upload,
        query: Option<&str>,
        shown: Credentials<'_>,
        notes: &mut Notes,
    ) -> Result<Option<Caller>, Refusal> {
        let pass = match upload {
            Upload::Bytes(_) => self.sealed(query).map(|(_, pass)| pass).ok_or(Refusal::UploadAddress)?,
            Upload::Whole | Upload::Begin { .. } | Upload::Piece { .. } | Upload::File { .. } => {
                let Some(token) = shown_token(shown.headers) else { return Ok(None) };
                self.shared.seals.open(Kind::Token, token).ok_or(Refusal::Unauthorized)?
            }
        };
        let caller = self.shared.identities.again(pass.shown, shown, self.counts()).await?;
        notes.tenant = Some(caller.tenant().clone());
        notes.key_id = Some(caller.key_id());
        notes.token_id = caller.token_id();
        notes.page_is_listed = identity::origin(shown.headers).map(|page| caller.lists_origin(page));
        Ok(Some(caller))
    }

    /// The largest upload of this caller, where the relay carries its bytes.
    pub(super) fn max_upload(&self, caller: &Caller) -> u64 {
        let most = self.shared.settings.uploads.max_bytes;
        caller.rules().max_upload().map_or(most, |own| own.min(most))
    }

    /// A key's own limit can be held only where the bytes are seen.
    fn carries_bytes(&self, caller: &Caller) -> bool {
        self.shared.settings.uploads.through_relay || caller.rules().max_upload().is_some()
    }

    /// The pass of an address of the relay's, whichever of its two kinds it is.
    fn sealed(&self, query: Option<&str>) -> Option<(Kind, Pass)> {
        let text = query?.split('&').find_map(|pair| pair.strip_prefix(SEALED))?;
        let open = |kind| self.shared.seals.open(kind, text).map(|pass| (kind, pass));
        open(Kind::Whole).or_else(|| open(Kind::Parts))
    }

    async fn ask_storage(
        &self,
        step: Storage,
        accept_encoding: AcceptEncoding,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Answer, Refusal> {
        let account = self.shared.accounts.next()?;
        let to = Target {
            host: Host::Rest,
            method: Method::POST,
            path_and_query: with_query(step.as_path().to_owned(), inbound.query.as_deref()),
            accept_encoding,
        };
        let answer = self.forward(account, self.outgoing(to, inbound), notes).await;
        answer.map_err(|error| Refusal::of_question(error, self.shared.settings.max_body_bytes))
    }

    /// Begins an upload whose bytes will come here: fal's address is sealed in one of ours.
    async fn initiate(
        &self,
        caller: &Caller,
        kind: Kind,
        step: Storage,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        let base = inbound.base.clone();
        let response = match self.ask_storage(step, AcceptEncoding::Identity, inbound, notes).await? {
            Answer::Tenant(response) if response.status().is_success() => response,
            Answer::Tenant(response) => return Ok(reply::pass(response)),
            Answer::TenantError(parts, body) => return Ok(reply::unchanged(parts, body)),
            Answer::AccountRefused(_) => return Err(Refusal::AccountUnavailable),
        };
        let (mut parts, body) = reply::read_envelope(response).await?;
        let [upload_url] = top_level_strings(&body, ["upload_url"]);
        let address = upload_url.ok_or_else(|| bad("it names no upload_url"))?;
        self.shared.hosts.find(&address)?;
        let pass = self.shared.seals.pass(caller.shown(), "", address.into_owned());
        let sealed = pass.and_then(|pass| self.shared.seals.seal(kind, &pass));
        let ours = format!("{base}{BYTES_PATH}?{SEALED}{}", sealed.map_err(internal)?);
        let body =
            replace_top_level(&body, "upload_url", &ours).ok_or_else(|| bad("it is no whole object"))?;
        parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
        Ok(reply::unchanged(parts, body.into()))
    }

    /// The relay's own token for the media host, and where that host is for this client (protocol 5, C1).
    fn give_token(&self, caller: &Caller, base: &str) -> Result<Reply, Refusal> {
        let pass = self.shared.seals.pass(caller.shown(), "", String::new()).map_err(internal)?;
        let token = self.shared.seals.seal(Kind::Token, &pass).map_err(internal)?;
        let body = json!({
            "token": format!("{TOKEN_PREFIX}{token}"),
            "token_type": "Bearer",
            "base_url": media_base(base),
            // Python reads it only with an offset in figures.
            "expires_at": pass.ends_at.to_string().replace('Z', "+00:00"),
        });
        let mut reply = Response::new(ReplyBody::Whole(body.to_string().into()));
        let headers = reply.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        Ok(reply)
    }
}

/// A client that reached the relay under the name of fal's REST service reaches it under that of the media host as well,
/// and then keeps the addresses that models can read.
fn media_base(base: &str) -> String {
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    match host {
        "rest.fal.ai" | "rest.alpha.fal.ai" => hosts::FALS_MEDIA.to_owned(),
        _ => format!("{base}{CDN_PATH}"),
    }
}

/// The relay's token in `Authorization`, if that is what stands there.
fn shown_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("key");
    token.trim().strip_prefix(TOKEN_PREFIX).filter(|_| known)
}

fn bad(what: &str) -> Refusal {
    Refusal::BadAnswer(format!("fal's answer to an upload cannot be used: {what}"))
}

fn internal(error: crate::random::NoRandomness) -> Refusal {
    Refusal::Internal(error.to_string())
}
