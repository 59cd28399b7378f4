//! The bytes themselves: streamed to where the address leads that was sealed, within what the key may upload.

use http::{HeaderMap, HeaderValue, Method, Response, header};

use super::seal::{Kind, UploadId};
use crate::fal::{AcceptEncoding, Piece, for_client};
use crate::relay::caller::Caller;
use crate::relay::notes::Notes;
use crate::relay::refusal::Refusal;
use crate::relay::reply::{self, Reply};
use crate::relay::{Inbound, Relay, Target};
use crate::upstream::{BodyEnd, Host, ResponseBody, UpstreamError};

/// The longest list of parts: ten thousand of them with their marks.
const LIST_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// A piece of an upload, and where it goes.
pub(super) struct Shipment<'a> {
    pub(super) upload: UploadId,
    pub(super) piece: Piece,
    pub(super) host: Host,
    pub(super) path_and_query: String,
    pub(super) authorization: Option<&'a HeaderValue>,
}

impl Relay {
    /// Bytes to an address that was given out. Whatever credentials come with them stay here: Python's client shows its key.
    pub(super) async fn put_sealed(
        &self,
        caller: &Caller,
        piece: Piece,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        let (kind, pass) = self.sealed(inbound.query.as_deref()).ok_or(Refusal::UploadAddress)?;
        match (kind, piece) {
            (Kind::Whole, Piece::Whole) | (Kind::Parts, Piece::Part(_) | Piece::End) => {}
            _ => return Err(Refusal::UploadAddress),
        }
        let (host, below) = self.shared.hosts.find(&pass.address).map_err(|_| Refusal::UploadAddress)?;
        let path_and_query = with_suffix(below, &piece.as_suffix());
        let shipment = Shipment { upload: pass.upload, piece, host, path_and_query, authorization: None };
        self.ship(caller, shipment, inbound, notes).await.map(reply::pass)
    }

    /// Sends a piece, if there is room for it in its upload.
    pub(super) async fn ship(
        &self,
        caller: &Caller,
        shipment: Shipment<'_>,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Response<ResponseBody>, Refusal> {
        let Shipment { upload, piece, host, path_and_query, authorization } = shipment;
        let method = if piece == Piece::End { Method::POST } else { Method::PUT };
        let to = Target { host, method, path_and_query, accept_encoding: AcceptEncoding::Identity };
        if piece == Piece::End {
            return self.carry_bytes(to, authorization, LIST_MAX_BYTES, inbound, notes).await;
        }
        let max_bytes = self.max_upload(caller);
        let room = self.shared.uploads.reserve(upload, declared(&inbound.headers), max_bytes);
        let room = room.ok_or(Refusal::UploadTooLarge { max_bytes })?;
        let sent = self.carry_bytes(to, authorization, room.bytes(), inbound, notes).await;
        match sent {
            Ok(response) => {
                if response.status().is_success() {
                    room.fill(notes.body.as_ref().map_or(0, |body| body.bytes()));
                }
                Ok(response)
            }
            Err(Refusal::UploadTooLarge { .. }) => Err(Refusal::UploadTooLarge { max_bytes }),
            Err(refusal) => Err(refusal),
        }
    }

    /// Streams a body to one of the hosts that uploads go to, and returns its answer.
    pub(super) async fn carry_bytes(
        &self,
        to: Target,
        authorization: Option<&HeaderValue>,
        max_bytes: u64,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Response<ResponseBody>, Refusal> {
        if declared(&inbound.headers).is_some_and(|length| length > max_bytes) {
            return Err(Refusal::UploadTooLarge { max_bytes });
        }
        let mut outgoing = self.outgoing_within(to, inbound, max_bytes);
        outgoing.body = outgoing.body.unhashed();
        notes.body = Some(outgoing.body.progress());
        let start = self.shared.clock.elapsed();
        let sent = self.upstream.send_with(authorization, outgoing).await;
        let mut response = sent.map_err(|error| not_carried(error, max_bytes))?;
        notes.upstream = Some(self.shared.clock.elapsed().saturating_sub(start));
        for_client(response.headers_mut());
        Ok(response)
    }
}

fn not_carried(error: UpstreamError, max_bytes: u64) -> Refusal {
    match error {
        UpstreamError::ClientBody(BodyEnd::TooLarge) => Refusal::UploadTooLarge { max_bytes },
        error => Refusal::of_question(error, max_bytes),
    }
}

/// How long the client says that its body is.
fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The suffix behind the path, before the query.
fn with_suffix(path_and_query: &str, suffix: &str) -> String {
    match path_and_query.split_once('?') {
        Some((path, query)) => format!("{path}{suffix}?{query}"),
        None => format!("{path_and_query}{suffix}"),
    }
}
