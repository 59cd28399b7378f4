//! The relay listener: who calls, what do they want, and the relay's verb for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request};
use hyper::body::Incoming;
use serde_json::json;

use super::cors::{self, Page};
use super::door;
use super::errand::Errand;
use super::gate::Violation;
use super::holder::{self, Tokens};
use super::origin::client_address;
use super::proxy::{Named, Proxy};
use super::record::{Desk, Record, Recorded};
use super::refusal;
use super::settings::Settings;
use super::site::Site;
use super::traffic::Traffic;
use crate::clock::Clock;
use crate::fal::{self, Call, FollowUp, Piece, Role, RouteError, Upload};
use crate::metrics::{Route, Unserved, Worker};
use crate::relay::{
    Caller, Credentials, HolderPage, Inbound, LastKey, Notes, Question, Refusal, Relay, Reply, ReplyBody,
    Shared, callback_token, check_handshake, open_to_stranger,
};
use crate::secret::Secret;
use crate::store::CallKind;
use crate::upstream;
use crate::websocket;

/// Keeps a browser from taking an answer for a page of the relay's own.
const X_CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");
/// Keeps HTML of a model's making from acting in the relay's name: no scripts, no forms, an origin of its own.
const CONTENT_SECURITY_POLICY: HeaderName = HeaderName::from_static("content-security-policy");
/// Joins an answer with its log line, also where fal gave no id.
const X_RELAY_REQUEST_ID: HeaderName = HeaderName::from_static("x-relay-request-id");

/// Whether the process should be given traffic.
pub struct Readiness {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    draining: AtomicBool,
    last: tokio::sync::Mutex<Option<(std::time::Duration, bool)>>,
}

/// How long an answer about the ledger is believed: asking writes, and anybody may ask.
const READY_FOR: std::time::Duration = std::time::Duration::from_secs(1);

impl Readiness {
    /// Ready when the ledger is.
    pub fn new(shared: Arc<Shared>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            clock,
            draining: AtomicBool::new(false),
            last: tokio::sync::Mutex::new(None),
        })
    }

    /// From now on not ready: the process is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The answer to `GET /ready`.
    pub async fn check(&self) -> (StatusCode, serde_json::Value) {
        if self.draining.load(Ordering::Relaxed) {
            return (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "draining"}));
        }
        match self.ledger_answers().await {
            true => (StatusCode::OK, json!({"status": "ready"})),
            false => (StatusCode::SERVICE_UNAVAILABLE, json!({"status": "ledger unavailable"})),
        }
    }

    async fn ledger_answers(&self) -> bool {
        let mut last = self.last.lock().await;
        let now = self.clock.elapsed();
        if let Some((at, answer)) = *last
            && now.saturating_sub(at) < READY_FOR
        {
            return answer;
        }
        let answer = match self.shared.ready().await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the ledger is not available");
                false
            }
        };
        *last = Some((now, answer));
        answer
    }
}

/// The other end of a connection.
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// Whether it came over TLS.
    pub(super) secure: bool,
    pub(super) last_key: LastKey,
    pub(super) traffic: Arc<Traffic>,
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
    pub(super) fn counts(&self) -> &Arc<Worker> {
        self.relay.counts()
    }

    /// Counts a request that the gate refused, and writes its line: no call was made of it.
    pub(super) fn refused_at_gate(&self, violation: Violation) {
        self.counts().unserved(Unserved::Refused);
        let (status, kind) = violation.class();
        self.desk.refused(status, kind);
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: &Peer) -> Response<Recorded> {
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
    pub(super) fn pages_may_call(&self) -> bool {
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
            return self.called_back(&token, parts, body).await;
        }
        let site = Site::of(&self.settings, &parts.uri, &parts.headers, peer.address, peer.secure)?;
        if let Some(page) = holder::page(site.role, parts.uri.path()) {
            return self.holder(page, &parts, &site, peer, notes).await;
        }
        if let Some(tokens) = holder::Tokens::at(site.role, parts.uri.path()) {
            return self.tokens(tokens, parts, body, site.base, peer, notes).await;
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
                self.relay.file(&path, door, inbound, notes).await
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
            let known = self.relay.identify_upload(upload, named.query.as_deref(), shown, notes).await?;
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

    /// fal says that a job has ended.
    async fn called_back(
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

    /// What the holder of a key asks about himself.
    async fn holder(
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

    /// What a key does with its client tokens.
    async fn tokens(
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
    async fn open_route(&self, parts: &request::Parts, notes: &mut Notes) -> Option<Result<Reply, Refusal>> {
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
                self.relay.run(&caller, &endpoint, CallKind::Run, inbound, notes).await
            }
            Call::Stream { endpoint } => {
                notes.endpoint = Some(endpoint.clone().into());
                self.relay.run(&caller, &endpoint, CallKind::Stream, inbound, notes).await
            }
            Call::Storage(step) => self.relay.storage(&caller, step, inbound, notes).await,
            Call::Realtime { endpoint, path } => {
                self.relay.realtime(&caller, &endpoint, &path, inbound, notes).await
            }
            Call::Runs { endpoint } => {
                notes.endpoint = Some(endpoint.clone().into());
                self.relay.runs(&caller, endpoint, address, inbound)
            }
            Call::Token(form) => self.relay.make_fal_token(&caller, form, inbound).await,
            Call::Upload(upload) => self.relay.upload(&caller, upload, inbound, notes).await,
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
    pub(super) fn record(&self) -> Box<Record> {
        Record::new(Method::POST, self.desk.clone(), self.counts().clone())
    }
}

fn is_realtime(call: &Result<Call, RouteError>) -> bool {
    matches!(call, Ok(Call::Realtime { .. }))
}

/// What a request asks for. A handshake for a place that is a socket must be a sound one; at any other place it is passed
/// over.
fn parse(role: Role, path: &str, parts: &request::Parts) -> Result<Result<Call, RouteError>, Refusal> {
    match websocket::asks(&parts.method, &parts.headers).then(|| fal::parse_socket(role, path)).flatten() {
        Some(call) => check_handshake(parts).map(|()| call),
        None => Ok(fal::parse(role, &parts.method, path)),
    }
}

fn refuse(error: RouteError) -> Refusal {
    match error {
        RouteError::Malformed(reason) => Refusal::MalformedPath(reason),
        RouteError::Part => Refusal::Parameter {
            name: "part".to_owned(),
            reason: "is a whole number from 1 to 10000".to_owned(),
        },
        RouteError::Method { allow } => Refusal::Method { allow },
        RouteError::NotASocket => {
            Refusal::UpgradeRequired("This path is a WebSocket; send its handshake over HTTP/1.1.")
        }
        RouteError::Unknown => Refusal::UnknownRoute,
    }
}

/// What the log line and the counts call a call.
fn route(call: &Call) -> Route {
    match call {
        Call::Submit { .. } => Route::Submit,
        Call::Follow { what: FollowUp::Status, .. } => Route::Status,
        Call::Follow { what: FollowUp::StatusStream, .. } => Route::StatusStream,
        Call::Follow { what: FollowUp::Result { .. }, .. } => Route::Result,
        Call::Follow { what: FollowUp::Cancel, .. } => Route::Cancel,
        Call::Run { .. } => Route::Run,
        Call::Stream { .. } => Route::Stream,
        Call::Storage(_) => Route::Storage,
        Call::Realtime { .. } => Route::Realtime,
        Call::Runs { .. } => Route::Runs,
        Call::Upload(Upload::File { .. }) => Route::File,
        Call::Upload(_) => Route::Upload,
        Call::Token(_) => Route::Token,
    }
}
