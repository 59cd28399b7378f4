//! A realtime socket: admitted when it opens, as a call that may be billed; carried as bytes, without a look at what they
//! say; settled when it closes, however it closes.

mod hold;
mod lane;
mod meter;
mod socket;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, response};

pub use socket::{Carried, Closed, REVOKED, Socket};

use hold::{Hold, Purse};
use meter::Meter;

use super::admission::{Admittance, Wanted};
use super::ledger::Admitted;
use super::{
    Answer, Caller, Inbound, Notes, Refusal, Relay, Reply, ReplyBody, Switch, Target, accounts, reply, run,
    tell_standing, with_query,
};
use crate::fal::{AcceptEncoding, Endpoint, for_client, tags};
use crate::store::CallKind;
use crate::upstream::{Account, FalSocket, Handshake, Host, Outgoing, UpstreamError};
use crate::websocket::{BadHandshake, HANDSHAKE_FIELDS, Side, accept_key, check, close_frame, text_frame};

/// The close code of a client that may not (RFC 6455, 7.4.1).
const POLICY_VIOLATION: u16 = 1008;

/// Refuses what cannot go on as a WebSocket, before anything is asked or written down.
pub fn check_handshake(parts: &Parts) -> Result<(), Refusal> {
    check(parts.version, &parts.headers).map(|_| ()).map_err(|bad| match bad {
        BadHandshake::Malformed(reason) => Refusal::Malformed(reason),
        BadHandshake::Version(reason) => Refusal::UpgradeRequired(reason),
    })
}

/// Answers the handshake of a client whose token opens nothing as fal does (protocol 4.1): by a message, after which its
/// client asks for another token. No status of a handshake would tell it.
pub fn open_to_stranger(headers: &HeaderMap) -> Result<Reply, Refusal> {
    let said = text_frame(Side::Server, r#"{"status":"error","error":"Unauthorized"}"#).unwrap_or_default();
    let farewell = [said, close_frame(Side::Server, POLICY_VIOLATION, "unauthorized")].concat();
    accepted(headers, Switch::Farewell(farewell))
}

/// The relay's own answer to a handshake.
pub(super) fn accepted(headers: &HeaderMap, switch: Switch) -> Result<Reply, Refusal> {
    let accept = HeaderValue::try_from(accept_key(key_of(headers)))
        .map_err(|error| Refusal::Internal(error.to_string()))?;
    let mut reply = Reply::new(ReplyBody::Switch(switch));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    switch_fields(reply.headers_mut());
    reply.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(reply)
}

impl Relay {
    /// Opens a socket to a model. The handshake was checked.
    pub async fn realtime(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
        path: &Endpoint,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        self.check_host(Host::Run)?;
        let account = self.shared.accounts.next()?;
        let allowed_as = allowed_name(caller, endpoint, path).clone();
        let endpoint = self.priced_name(endpoint, path).clone();
        notes.endpoint = Some(endpoint.clone().into());
        let accept = accept_key(key_of(&inbound.headers));
        let (relay, whose, path, name) = (self.clone(), caller.clone(), path.clone(), account.name.clone());
        // Apart from its client, whose leaving in between must not lose the row and the place.
        let begun = self.tasks.spawn(async move {
            let tags = tags(&inbound.headers);
            let mut outgoing = relay.handshake(&path, inbound);
            let wanted = Wanted {
                caller: &whose,
                account: &name,
                endpoint: &endpoint,
                allowed_as: &allowed_as,
                kind: CallKind::Realtime,
                tags,
                webhook: None,
            };
            relay.admit(wanted, &mut outgoing.body).await.map(|admittance| (outgoing, admittance))
        });
        let begun = begun.await.map_err(|error| Refusal::Internal(error.to_string()))?;
        let (mut outgoing, Admittance { mut admitted, standing }) = begun?;
        self.mark(&mut outgoing, &mut admitted);
        let mut reply = self.open(account, caller, admitted, outgoing, &accept, notes).await?;
        if let Some(standing) = standing {
            tell_standing(reply.headers_mut(), standing);
        }
        Ok(reply)
    }

    /// The name under which a socket is priced and written down: without `/realtime`, which clients append to what they
    /// mean, unless the whole path has a price of its own.
    fn priced_name<'a>(&self, endpoint: &'a Endpoint, path: &'a Endpoint) -> &'a Endpoint {
        let known = self.shared.prices.endpoints();
        match known.binary_search_by(|known| (**known).cmp(path.as_str())) {
            Ok(_) => path,
            Err(_) => endpoint,
        }
    }

    fn handshake(&self, path: &Endpoint, inbound: Inbound) -> Outgoing {
        let to = Target {
            host: Host::Run,
            method: Method::GET,
            path_and_query: with_query(format!("/{path}"), inbound.query.as_deref()),
            accept_encoding: AcceptEncoding::AsSent,
        };
        let fields: Vec<_> = HANDSHAKE_FIELDS
            .iter()
            .flat_map(|name| inbound.headers.get_all(name).iter().map(move |value| (name, value.clone())))
            .collect();
        let mut outgoing = self.outgoing(to, inbound);
        for (name, value) in fields {
            outgoing.headers.append(name, value);
        }
        switch_fields(&mut outgoing.headers);
        outgoing
    }

    async fn open(
        &self,
        account: &Account,
        caller: &Caller,
        admitted: Admitted,
        outgoing: Outgoing,
        accept: &str,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        notes.account = Some(account.name.clone());
        let start = self.shared.clock.elapsed();
        let opened = self.upstream.open(account, outgoing).await;
        notes.upstream = Some(self.shared.clock.elapsed().saturating_sub(start));
        match opened {
            Ok(Handshake::Switched(head, socket)) if is_right(&head, accept) => {
                Ok(self.switched(caller, admitted, head, socket))
            }
            Ok(Handshake::Switched(..)) => {
                // fal may have begun to work: what it costs is not known.
                drop(admitted);
                Err(Refusal::OutcomeUnknown(
                    "fal's answer to the handshake is not that of a WebSocket".into(),
                ))
            }
            Ok(Handshake::Answered(mut response)) => {
                for_client(response.headers_mut());
                self.refused(admitted, accounts::sort(response, account).await)
            }
            Err(error) => Err(self.not_answered(admitted, error)),
        }
    }

    fn switched(
        &self,
        caller: &Caller,
        admitted: Admitted,
        mut head: response::Parts,
        socket: FalSocket,
    ) -> Reply {
        let purse = Purse {
            relay: self.clone(),
            caller: caller.clone(),
            call: admitted.row().id,
            amount: admitted.hold(),
            total: admitted.hold(),
        };
        let meter = Meter::new(admitted, &head, &self.shared.clock);
        let hold = Hold::new(meter.reach(&self.shared.settings.realtime), purse);
        let socket = Socket::new(
            socket,
            &head,
            (meter, hold),
            self.shared.sockets.open(caller),
            self.shared.settings.realtime.clone(),
            self.shared.clock.clone(),
            self.counts().clone(),
        );
        for_client(&mut head.headers);
        switch_fields(&mut head.headers);
        Reply::from_parts(head, ReplyBody::Switch(Switch::Realtime(Box::new(socket))))
    }

    /// fal opened no socket and said why, as it answers a direct run.
    fn refused(&self, admitted: Admitted, sorted: Result<Answer, UpstreamError>) -> Result<Reply, Refusal> {
        match sorted {
            Ok(Answer::Tenant(response)) => {
                run::close(admitted, &response);
                Ok(reply::pass(response))
            }
            Ok(Answer::TenantError(parts, body)) => {
                admitted.release(Some(parts.status.as_u16()), "refused");
                Ok(reply::unchanged(parts, body))
            }
            Ok(Answer::AccountRefused(status)) => {
                admitted.release(Some(status.as_u16()), "account_refused");
                Err(Refusal::AccountUnavailable)
            }
            Err(error) => Err(self.not_answered(admitted, error)),
        }
    }
}

/// The name by which the rules know a socket: what is allowed by either name is allowed, and what is denied by either is
/// denied.
fn allowed_name<'a>(caller: &Caller, endpoint: &'a Endpoint, path: &'a Endpoint) -> &'a Endpoint {
    let rules = caller.rules();
    let denied = [endpoint, path].into_iter().find(|name| rules.denies(name.as_str()));
    denied.unwrap_or(if rules.permits(endpoint.as_str()) { endpoint } else { path })
}

fn key_of(headers: &HeaderMap) -> &[u8] {
    headers.get(header::SEC_WEBSOCKET_KEY).map_or(&[], HeaderValue::as_bytes)
}

/// Whether fal's answer is the one to this handshake.
fn is_right(head: &response::Parts, accept: &str) -> bool {
    let said = |name| head.headers.get(name).map(HeaderValue::as_bytes);
    head.status == StatusCode::SWITCHING_PROTOCOLS
        && said(header::UPGRADE).is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"))
        && said(header::SEC_WEBSOCKET_ACCEPT) == Some(accept.as_bytes())
}

/// What a handshake and its answer say of their connection; it does not travel by itself.
fn switch_fields(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}
