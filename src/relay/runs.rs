//! HTTP over WebSocket (protocol 4.3): the relay itself is the socket's end, and each message becomes a direct run by the
//! very code that carries any other.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::realtime::accepted;
use super::{Caller, Credentials, Inbound, LastKey, Leave, Notes, Refusal, Relay, Reply, Switch};
use crate::fal::Endpoint;
use crate::metrics::Route;
use crate::secret::Secret;
use crate::store::CallKind;
use crate::upstream::TenantBody;

/// A socket whose messages are direct runs: what all of them have in common.
pub struct Runs {
    relay: Relay,
    endpoint: Endpoint,
    address: IpAddr,
    leave: Leave,
    last_key: LastKey,
    headers: HeaderMap,
    token: Option<Secret>,
    query: Option<String>,
    base: String,
    body_idle: Duration,
    body_min_bytes_per_second: NonZeroU32,
}

impl Relay {
    /// Opens a socket of runs for a client at `address`. The handshake was checked.
    pub fn runs(
        &self,
        caller: &Caller,
        endpoint: Endpoint,
        address: IpAddr,
        inbound: Inbound,
    ) -> Result<Reply, Refusal> {
        let Inbound { mut headers, token, query, base, body_idle, body_min_bytes_per_second, .. } = inbound;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let handshake = headers.clone();
        let runs = Runs {
            relay: self.clone(),
            endpoint,
            address,
            leave: self.shared.sockets.open(caller),
            last_key: LastKey::default(),
            headers,
            token,
            query,
            base,
            body_idle,
            body_min_bytes_per_second,
        };
        accepted(&handshake, Switch::Runs(Box::new(runs)))
    }
}

impl Runs {
    /// The largest message. It is in memory until its run has ended.
    pub fn max_message_bytes(&self) -> u64 {
        self.relay.shared.settings.realtime.max_message_bytes
    }

    /// How long the socket may stand open without a message.
    pub fn idle(&self) -> Duration {
        self.relay.shared.settings.realtime.idle
    }

    /// Its leave to be open.
    pub fn leave(&self) -> &Leave {
        &self.leave
    }

    /// Runs the model with one message. Its key is looked at anew, as a request's on a kept connection is.
    pub async fn run(&self, message: Bytes, notes: &mut Notes) -> Result<Reply, Refusal> {
        notes.route = Route::Run;
        let shown = Credentials { headers: &self.headers, token: self.token.as_ref(), address: self.address };
        let caller = self.relay.identify(shown, &self.last_key, notes).await?;
        notes.endpoint = Some(self.endpoint.clone().into());
        let inbound = Inbound {
            headers: self.headers.clone(),
            query: self.query.clone(),
            token: None,
            body: TenantBody::Whole(message),
            base: self.base.clone(),
            body_idle: self.body_idle,
            body_min_bytes_per_second: self.body_min_bytes_per_second,
        };
        self.relay.run(&caller, &self.endpoint, CallKind::Run, inbound, notes).await
    }
}
