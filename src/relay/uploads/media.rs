//! fal's media host as its Python client uses it (protocol 5, C and D), with the relay's token in place of fal's.
//!
//! A client asks for parts of a file under the address that it will later read the file from, so that address must lead here
//! while it uploads and to fal afterwards. Under fal's own name both are so. Under the relay's, the address is the relay's,
//! and whoever reads it is sent to fal.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::bytes::Shipment;
use super::hosts::FALS_MEDIA;
use super::seal::Kind;
use super::{bad, internal};
use crate::fal::{AcceptEncoding, CDN_PATH, Door, Piece, Upload, replace_top_level, top_level_strings};
use crate::relay::caller::Caller;
use crate::relay::notes::Notes;
use crate::relay::refusal::Refusal;
use crate::relay::reply::{self, Reply, ReplyBody};
use crate::relay::{Inbound, Relay, Target, with_query};
use crate::upstream::{Account, Host, ResponseBody};

/// Where fal's media host takes a whole file.
const WHOLE_PATH: &str = "/files/upload";
/// Where it begins one in parts.
const BEGIN_PATH: &str = "/files/upload/multipart";

impl Relay {
    /// Carries the bytes of an upload.
    pub async fn upload(
        &self,
        caller: &Caller,
        upload: Upload,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        match upload {
            Upload::Bytes(piece) => self.put_sealed(caller, piece, inbound, notes).await,
            Upload::Whole => self.put_whole(caller, inbound, notes).await,
            Upload::Begin { door } => self.begin(caller, door, inbound, notes).await,
            Upload::Piece { file, id, piece } => {
                self.put_piece(caller, (&file, &id), piece, inbound, notes).await
            }
            Upload::File { path, door } => self.file(&path, door, inbound, notes).await,
        }
    }

    /// A file of the media host. It is anybody's who has its address, so no key is asked for, and none is sent.
    pub async fn file(
        &self,
        path: &str,
        door: Door,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        match door {
            Door::Path => redirect(&format!("{}{path}", self.shared.hosts.media())),
            Door::Host if !self.shared.settings.uploads.pass_downloads => Err(Refusal::UnknownRoute),
            Door::Host => {
                let path_and_query = with_query(path.to_owned(), inbound.query.as_deref());
                let to = Target {
                    host: Host::Cdn,
                    method: Method::GET,
                    path_and_query,
                    accept_encoding: AcceptEncoding::AsSent,
                };
                self.carry_bytes(to, None, 0, inbound, notes).await.map(reply::pass)
            }
        }
    }

    async fn put_whole(
        &self,
        caller: &Caller,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        let max_bytes = self.max_upload(caller);
        let account = self.shared.accounts.next()?;
        let to = post(with_query(WHOLE_PATH.to_owned(), inbound.query.as_deref()));
        let token = self.media_token(account, notes).await?;
        let sent = self.carry_bytes(to, Some(&token), max_bytes, inbound, notes).await?;
        self.taken(account, sent).await.map(reply::pass)
    }

    async fn begin(
        &self,
        caller: &Caller,
        door: Door,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        let account = self.shared.accounts.next()?;
        let base = inbound.base.clone();
        let to = post(with_query(BEGIN_PATH.to_owned(), inbound.query.as_deref()));
        let token = self.media_token(account, notes).await?;
        let sent = self.carry_bytes(to, Some(&token), 0, inbound, notes).await?;
        let response = self.taken(account, sent).await?;
        if !response.status().is_success() {
            return Ok(reply::pass(response));
        }
        let (mut parts, body) = reply::read_envelope(response).await?;
        let body = self.begun(caller, account, (door, &base), &body)?;
        parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
        Ok(reply::unchanged(parts, body))
    }

    /// fal's answer with a pass for this upload in place of fal's id, and with an address that leads here.
    fn begun(
        &self,
        caller: &Caller,
        account: &Account,
        (door, base): (Door, &str),
        body: &Bytes,
    ) -> Result<Bytes, Refusal> {
        let [access_url, id] = top_level_strings(body, ["access_url", "uploadId"]);
        let (Some(access_url), Some(id)) = (access_url, id) else {
            return Err(bad("it names no access_url or no uploadId"));
        };
        let address = format!("{access_url}/multipart/{id}");
        self.shared.hosts.find(&address)?;
        let seals = &self.shared.seals;
        let pass = seals.pass(caller.shown(), account.name.as_str(), address).map_err(internal)?;
        let sealed = seals.seal(Kind::Begun, &pass).map_err(internal)?;
        let whole = || bad("it is no whole object");
        let body = replace_top_level(body, "uploadId", &sealed).ok_or_else(whole)?;
        let path = self.shared.hosts.on_media(&access_url);
        let ours = match (door, path) {
            (Door::Host, Some(path)) => format!("{FALS_MEDIA}{path}"),
            (Door::Path, Some(path)) => format!("{base}{CDN_PATH}{path}"),
            (_, None) => return Err(bad("its access_url is not at upstream.cdn_url")),
        };
        replace_top_level(&body, "access_url", &ours).map(Bytes::from).ok_or_else(whole)
    }

    async fn put_piece(
        &self,
        caller: &Caller,
        (file, id): (&str, &str),
        piece: Piece,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        let pass = self.shared.seals.open(Kind::Begun, id).ok_or(Refusal::UploadAddress)?;
        let (host, below) = self.shared.hosts.find(&pass.address).map_err(|_| Refusal::UploadAddress)?;
        let same_file = below.strip_prefix(file).is_some_and(|rest| rest.starts_with("/multipart/"));
        if !same_file || pass.shown != caller.shown() {
            return Err(Refusal::UploadAddress);
        }
        let account = self.shared.accounts.by_name(&pass.account)?;
        let token = self.media_token(account, notes).await?;
        let shipment = Shipment {
            upload: pass.upload,
            piece,
            host,
            path_and_query: format!("{below}{}", piece.as_suffix()),
            authorization: Some(&token),
        };
        let sent = self.ship(caller, shipment, inbound, notes).await?;
        self.taken(account, sent).await.map(reply::pass)
    }

    /// What the media host says of the relay's own token is for the operator.
    async fn taken(
        &self,
        account: &Account,
        response: Response<ResponseBody>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        self.forget_media_token(account).await;
        Err(Refusal::AccountUnavailable)
    }
}

fn post(path_and_query: String) -> Target {
    Target {
        host: Host::Cdn,
        method: Method::POST,
        path_and_query,
        accept_encoding: AcceptEncoding::Identity,
    }
}

fn redirect(address: &str) -> Result<Reply, Refusal> {
    let location =
        HeaderValue::try_from(address).map_err(|_| Refusal::MalformedPath("it cannot be sent on"))?;
    let mut reply = Response::new(ReplyBody::Whole(Bytes::new()));
    *reply.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    reply.headers_mut().insert(header::LOCATION, location);
    Ok(reply)
}
