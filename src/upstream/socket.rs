//! A call that goes on as a WebSocket.

use std::sync::Arc;

use http::{Response, StatusCode, response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::error::UpstreamError;
use super::reading::ResponseBody;
use super::{Account, Outgoing, Upstream};

/// A connection to fal that has left HTTP.
pub type FalSocket = TokioIo<Upgraded>;

/// What fal made of a handshake.
pub enum Handshake {
    /// It goes on as a socket.
    Switched(response::Parts, FalSocket),
    /// It answered as to any other call.
    Answered(Response<ResponseBody>),
}

impl Upstream {
    /// Sends a handshake with the account's key. It is sent once, as any other call is.
    pub async fn open(&self, account: &Account, outgoing: Outgoing) -> Result<Handshake, UpstreamError> {
        let (mut response, lease) =
            self.exchange(&self.sockets, Some(&account.authorization), outgoing).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Handshake::Answered(response.map(|body| self.answer_body(body, lease))));
        }
        let switched = hyper::upgrade::on(&mut response).await;
        let origin = &self.sockets.connector.origin;
        let socket = switched.map_err(|error| origin.garbage(&error.to_string()))?;
        Ok(Handshake::Switched(response.into_parts().0, TokioIo::new(socket)))
    }
}

/// HTTP/2 has no upgrades, so it is not offered.
pub(super) fn http_1_only(tls: &Arc<rustls::ClientConfig>) -> Arc<rustls::ClientConfig> {
    let mut config = (**tls).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
