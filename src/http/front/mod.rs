//! The relay listener: who calls, what do they want, and the relay's verb for it.

mod own;

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, request};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use crate::fal::{self, Call, Piece, Role, RouteError, Upload};
use crate::http::asked::{is_realtime, parse, refuse, route};
use crate::http::cors::{self, Page};
use crate::http::door;
use crate::http::errand::Errand;
use crate::http::gate::Violation;
use crate::http::holder;
use crate::http::origin::client_address;
use crate::http::proxy::{Named, Proxy};
use crate::http::readiness::Readiness;
use crate::http::record::{Desk, Record, Recorded};
use crate::http::refusal;
use crate::http::settings::Settings;
use crate::http::site::Site;
use crate::http::traffic::Traffic;
use crate::metrics::{Route, Unserved, Worker};
use crate::relay::{
    Caller, Credentials, Inbound, LastKey, Notes, Refusal, Relay, Reply, ReplyBody, callback_token,
    open_to_stranger,
};
use crate::secret::Secret;
use crate::store::CallKind;
use crate::upstream;

/// Keeps a browser from taking an answer for a page of the relay's own.
const X_CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");
/// Keeps HTML of a model's making from acting in the relay's name: no scripts, no forms, an origin of its own.
const CONTENT_SECURITY_POLICY: HeaderName = HeaderName::from_static("content-security-policy");
/// Joins an answer with its log line, also where fal gave no id.
const X_RELAY_REQUEST_ID: HeaderName = HeaderName::from_static("x-relay-request-id");

/// The other end of a connection.
pub(in crate::http) struct Peer {
    pub(in crate::http) address: IpAddr,
    /// Whether it came over TLS.
    pub(in crate::http) secure: bool,
    pub(in crate::http) last_key: LastKey,
    pub(in crate::http) traffic: Arc<Traffic>,
    /// The drain, at which what has no end of its own ends.
    pub(in crate::http) stop: CancellationToken,
}

/// The relay listener's service, one for each worker.
pub struct Front {
    relay: Relay,
    readiness: Arc<Readiness>,
    settings: Arc<Settings>,
    proxy: Proxy,
    desk: Arc<Desk>,
}

impl Front {
    /// The service over a worker's relay.
    pub fn new(
        relay: Relay,
        readiness: Arc<Readiness>,
        settings: Arc<Settings>,
        upstream: &upstream::Settings,
        desk: Arc<Desk>,
    ) -> Self {
        let proxy = Proxy::new(&settings, upstream);
        Self { relay, readiness, settings, proxy, desk }
    }

    /// Where this worker counts.
    pub(in crate::http) fn counts(&self) -> &Arc<Worker> {
        self.relay.counts()
    }

    /// Counts a request that the gate refused, and writes its line: no call was made of it.
    pub(in crate::http) fn refused_at_gate(&self, violation: Violation) {
        self.counts().unserved(Unserved::Refused);
        let (status, kind) = violation.class();
        self.desk.refused(status, kind);
    }

    /// Answers one request.
    pub(in crate::http) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> Response<Recorded> {
        let mut record = Record::new(request.method().clone(), self.desk.clone(), self.counts().clone());
        let page = Page::of(request.headers());
        let reply = match door::check(&request, &self.settings) {
            Ok(()) => match self.route(request, peer, &mut record.notes).await {
                Ok(reply) => reply,
                Err(refusal) => {
                    record.refused(&refusal);
                    refusal::answer(&refusal, holder::shape(record.notes.route))
                }
            },
            Err(violation) => {
                record.turned_away(violation.class().1);
                door::answer(violation)
            }
        };
        let (mut parts, body) = reply.into_parts();
        parts.headers.insert(X_RELAY_REQUEST_ID, record.id());
        self.tell_page(&mut parts.headers, page, record.notes.page_is_listed);
        parts.headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Beside fal's own, if it has one: a browser obeys all of them.
        parts.headers.append(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        let recorded = match body {
            ReplyBody::Switch(switch) => {
                peer.traffic.switch_to(Errand::new(switch, record));
                Recorded::none()
            }
            body => Recorded::new(body, parts.status, record),
        };
        Response::from_parts(parts, recorded)
    }

    /// Whether pages may call at all, of whatever origin.
    pub(in crate::http) fn pages_may_call(&self) -> bool {
        !self.settings.allow_origins.is_empty() || self.relay.lists_origins()
    }

    /// Lets the page that asks read the answer, if it may. While the caller is not known, it is an error of the relay's
    /// own, which is no secret: a page may read why it got nowhere.
    fn tell_page(&self, headers: &mut HeaderMap, page: Option<Page>, is_listed: Option<bool>) {
        if !self.pages_may_call() {
            return;
        }
        let allowed = &self.settings.allow_origins;
        let listed_anywhere = self.relay.lists_origins();
        cors::vary(headers);
        if let Some(page) = page
            && (page.is_allowed(allowed) || is_listed.unwrap_or(listed_anywhere))
        {
            cors::allow(headers, page);
        }
    }

    /// Answers a browser that asks whether a page may send a request. No key is needed, and nothing is done.
    fn preflight(&self, headers: &HeaderMap) -> Result<Reply, Refusal> {
        let allowed = |page: Page| page.is_allowed(&self.settings.allow_origins);
        match self.relay.lists_origins() || Page::of(headers).is_some_and(allowed) {
            true => Ok(cors::preflight(headers)),
            false => Err(Refusal::OriginNotAllowed),
        }
    }

    /// Open routes first, then who, then what: a stranger learns nothing but that a key is needed.
    ///
    /// Here and in [`Front::carry`] what is not asked all the time is boxed: else each poll carries the room for the
    /// longest of them.
    async fn route(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        if cors::is_preflight(&request) {
            notes.route = Route::Preflight;
            return self.preflight(request.headers());
        }
        let (mut parts, body) = request.into_parts();
        if let Some(reply) = self.open_route(&parts, notes).await {
            return reply;
        }
        if let Some(token) = callback_token(parts.uri.path()).map(str::to_owned) {
            notes.route = Route::Callback;
            return Box::pin(self.called_back(&token, parts, body)).await;
        }
        let site = Site::of(&self.settings, &parts.uri, &parts.headers, peer.address, peer.secure)?;
        if let Some(page) = holder::page(site.role, parts.uri.path()) {
            return Box::pin(self.holder(page, &parts, &site, peer, notes)).await;
        }
        if holder::is_events(site.role, parts.uri.path()) {
            return Box::pin(self.webhook_events(parts, peer, notes)).await;
        }
        if let Some(tokens) = holder::Tokens::at(site.role, parts.uri.path()) {
            return Box::pin(self.tokens(tokens, parts, body, site.base, peer, notes)).await;
        }
        let named = match self.proxy.named(&mut parts, &site) {
            Some(named) => {
                notes.route = Route::Proxy;
                named?
            }
            None => self.named(&parts, &site)?,
        };
        let address = client_address(&self.settings.trusted_proxies, &parts.headers, peer.address);
        let caller = match self.uploader(&named, &parts.headers, peer, notes).await {
            // A socket's client learns only from a message that its token is spent, and then gets another.
            Err(Refusal::Unauthorized) if named.token.is_some() && is_realtime(&named.call) => {
                notes.route = Route::Realtime;
                return open_to_stranger(&parts.headers);
            }
            caller => caller?,
        };
        let inbound = self.inbound(parts, body, site.base, named.query, named.token);
        match (caller, named.call.map_err(refuse)?) {
            (None, Call::Upload(Upload::File { path, door })) => {
                notes.route = Route::File;
                Box::pin(self.relay.file(&path, door, inbound, notes)).await
            }
            (None, _) => Err(Refusal::Unauthorized),
            (Some(caller), call) => self.carry(caller, address, call, inbound, notes).await,
        }
    }

    /// Who calls; `None` for what needs nobody. Bytes of an upload may come with nothing but what was sealed for them.
    async fn uploader(
        &self,
        named: &Named,
        headers: &HeaderMap,
        peer: &Peer,
        notes: &mut Notes,
    ) -> Result<Option<Caller>, Refusal> {
        if let Ok(Call::Upload(upload)) = &named.call {
            notes.route = Route::Upload;
            if matches!(upload, Upload::File { .. }) {
                return Ok(None);
            }
            let address = client_address(&self.settings.trusted_proxies, headers, peer.address);
            let shown = Credentials { headers, token: None, address };
            let known = self.relay.identify_upload(upload, named.query.as_deref(), shown, notes);
            let known = Box::pin(known).await?;
            if known.is_some() {
                return Ok(known);
            }
        }
        self.caller(headers, named.token.as_ref(), peer, notes).await.map(Some)
    }

    /// The request as the relay takes it.
    fn inbound(
        &self,
        parts: request::Parts,
        body: Incoming,
        base: String,
        query: Option<String>,
        token: Option<Secret>,
    ) -> Inbound {
        Inbound {
            query,
            token,
            headers: parts.headers,
            body: body.into(),
            base,
            body_idle: self.settings.body_idle,
            body_min_bytes_per_second: self.settings.body_min_bytes_per_second,
        }
    }

    /// The call that a request's own address names.
    fn named(&self, parts: &request::Parts, site: &Site) -> Result<Named, Refusal> {
        let (path, query) = (parts.uri.path(), parts.uri.query());
        let (role, path) = match site.role {
            Role::Relay => fal::through_a_router(path, query).unwrap_or((Role::Relay, path)),
            role => (role, path),
        };
        match parse(role, path, parts)? {
            Err(error @ (RouteError::Malformed(_) | RouteError::Part)) => Err(refuse(error)),
            call => Ok(Named::new(call, query)),
        }
    }

    /// Who calls, by whatever he shows.
    async fn caller(
        &self,
        headers: &HeaderMap,
        token: Option<&Secret>,
        peer: &Peer,
        notes: &mut Notes,
    ) -> Result<Caller, Refusal> {
        let address = client_address(&self.settings.trusted_proxies, headers, peer.address);
        self.relay.identify(Credentials { headers, token, address }, &peer.last_key, notes).await
    }

    async fn carry(
        &self,
        caller: Caller,
        address: IpAddr,
        call: Call,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        notes.route = route(&call);
        self.pace(&caller, &call).await?;
        match call {
            Call::Submit { endpoint } => {
                notes.endpoint = Some(endpoint.clone().into());
                self.relay.submit(caller, endpoint, inbound, notes).await
            }
            Call::Follow { endpoint, request_id, what } => {
                self.relay.follow(&caller, &endpoint, request_id, what, inbound, notes).await
            }
            Call::Run { endpoint } => {
                notes.endpoint = Some(endpoint.clone().into());
                Box::pin(self.relay.run(&caller, &endpoint, CallKind::Run, inbound, notes)).await
            }
            Call::Stream { endpoint } => {
                notes.endpoint = Some(endpoint.clone().into());
                Box::pin(self.relay.run(&caller, &endpoint, CallKind::Stream, inbound, notes)).await
            }
            Call::Storage(step) => Box::pin(self.relay.storage(&caller, step, inbound, notes)).await,
            Call::Realtime { endpoint, path } => {
                Box::pin(self.relay.realtime(&caller, &endpoint, &path, inbound, notes)).await
            }
            Call::Runs { endpoint } => {
                notes.endpoint = Some(endpoint.clone().into());
                self.relay.runs(&caller, endpoint, address, inbound)
            }
            Call::Token(form) => Box::pin(self.relay.make_fal_token(&caller, form, inbound)).await,
            Call::Upload(upload) => Box::pin(self.relay.upload(&caller, upload, inbound, notes)).await,
        }
    }

    /// Lets a call in under the limits that count for its kind. What may be billed has a door of its own; the parts of an
    /// upload belong to one that was let in.
    async fn pace(&self, caller: &Caller, call: &Call) -> Result<(), Refusal> {
        match call {
            Call::Upload(Upload::Bytes(Piece::Part(_) | Piece::End) | Upload::Piece { .. }) => Ok(()),
            _ if call.may_be_billed() => Ok(()),
            _ if call.begins_upload() => self.relay.begin_upload(caller).await,
            _ => self.relay.pace(caller).await,
        }
    }

    /// A record for a call that is no request of its own.
    pub(in crate::http) fn record(&self) -> Box<Record> {
        Record::new(Method::POST, self.desk.clone(), self.counts().clone())
    }
}
