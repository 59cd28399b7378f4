//! The journey of a call: who calls, may they, which fal account carries it, forward, make fal's addresses ours, write
//! down what became of it. Each verb of [`Relay`] is that story for one kind of call.
//!
//! The listeners bring an [`Inbound`] and a parsed call; what they get back is a [`Reply`] or a [`Refusal`].

mod accounts;
mod addresses;
mod admission;
mod callback;
mod caller;
mod follow;
mod holder;
mod identity;
mod ledger;
mod notes;
mod owners;
mod prices;
mod realtime;
mod refusal;
mod reply;
mod run;
mod runs;
mod secrets;
mod settings;
mod shared;
mod sockets;
mod submit;
mod uploads;
mod watch;
mod webhook;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use tokio_util::task::TaskTracker;

pub use callback::callback_token;
pub use caller::Caller;
pub use holder::{HolderPage, Question, TokenWish};
pub use identity::{Credentials, LastKey};
pub use notes::Notes;
pub use prices::Pricing;
pub use realtime::{Carried, Closed, REVOKED, Socket, check_handshake, open_to_stranger};
pub use refusal::{Fault, Refusal};
pub use reply::{Reply, ReplyBody, Switch};
pub use runs::Runs;
pub use secrets::{CALLBACK_PATH, Callbacks, Secrets, SecretsError};
pub use settings::{RealtimeSettings, Settings, Uploads};
pub use shared::{Given, Shared};
pub use sockets::Leave;
pub use webhook::Listen;

use ledger::{Admitted, Ledger};

use crate::fal::{AcceptEncoding, Addresses, X_FAL_TAGS, for_client, for_fal, relay_tag};
use crate::limits::{RATELIMIT, RATELIMIT_POLICY, Standing, ratelimit, ratelimit_policy};
use crate::metrics::Worker;
use crate::money::Usd;
use crate::pricing::Basis;
use crate::secret::Secret;
use crate::upstream::{
    Account, BodyLimits, Host, Outgoing, RequestBody, ResponseBody, TenantBody, Upstream, UpstreamError,
};

/// What a call cost the tenant.
const X_RELAY_COST_USD: HeaderName = HeaderName::from_static("x-relay-cost-usd");
/// How that is known.
const X_RELAY_COST_BASIS: HeaderName = HeaderName::from_static("x-relay-cost-basis");

/// A call as a listener brings it.
pub struct Inbound {
    /// Its headers, all of them.
    pub headers: HeaderMap,
    /// Its query, without a token.
    pub query: Option<String>,
    /// The token that was taken out of its address, if there was one.
    pub token: Option<Secret>,
    /// Its body, not yet read.
    pub body: TenantBody,
    /// The address under which this client reaches the relay, without a trailing slash.
    pub base: String,
    /// How long its body may pause.
    pub body_idle: std::time::Duration,
    /// The pace that it must keep between its pauses.
    pub body_min_bytes_per_second: std::num::NonZeroU32,
}

/// The journey, for one worker.
#[derive(Clone)]
pub struct Relay {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    ledger: Ledger,
    tasks: TaskTracker,
}

impl Relay {
    /// A worker's relay. What it must still write down when a call has ended goes on in `tasks`.
    pub fn new(shared: Arc<Shared>, upstream: Upstream, tasks: TaskTracker, counts: Arc<Worker>) -> Self {
        let (store, limits, prices) = (shared.store.clone(), shared.limits.clone(), shared.prices.clone());
        let ledger = Ledger::new(store, limits, prices, shared.clock.clone(), tasks.clone(), counts);
        Self { shared, upstream: Arc::new(upstream), ledger, tasks }
    }

    /// Where this worker counts.
    pub fn counts(&self) -> &Arc<Worker> {
        self.ledger.counts()
    }

    /// Who calls. `last` belongs to the connection that the call came over.
    pub async fn identify(
        &self,
        credentials: Credentials<'_>,
        last: &LastKey,
        notes: &mut Notes,
    ) -> Result<Caller, Refusal> {
        let caller = self.shared.identities.identify(credentials, last, self.counts()).await?;
        notes.tenant = Some(caller.tenant().clone());
        notes.key_id = Some(caller.key_id());
        notes.token_id = caller.token_id();
        notes.page_is_listed = identity::origin(credentials.headers).map(|page| caller.lists_origin(page));
        Ok(caller)
    }

    /// Whether any key or client token lists origins of pages.
    pub fn lists_origins(&self) -> bool {
        self.shared.lists_origins()
    }

    /// fal's queue addresses and ours, for this client.
    fn addresses(&self, base: &str) -> Arc<Addresses> {
        self.shared.addresses.under(base)
    }

    /// The request to fal that carries this call.
    fn outgoing(&self, to: Target, inbound: Inbound) -> Outgoing {
        self.outgoing_within(to, inbound, self.shared.settings.max_body_bytes)
    }

    /// The same with a body of at most `max_bytes`.
    fn outgoing_within(&self, to: Target, inbound: Inbound, max_bytes: u64) -> Outgoing {
        let limits = BodyLimits {
            max_bytes,
            idle: inbound.body_idle,
            min_bytes_per_second: inbound.body_min_bytes_per_second,
        };
        let body = match to.method {
            Method::GET => RequestBody::empty(&*self.shared.clock),
            _ => RequestBody::new(inbound.body, limits, self.shared.clock.clone()),
        };
        let headers = for_fal(&inbound.headers, to.accept_encoding);
        Outgoing { host: to.host, method: to.method, path_and_query: to.path_and_query, headers, body }
    }

    /// Marks a call on fal's bill as this relay's: by the tag, a call is found there of which nothing else is known.
    /// From here on it may arrive there.
    fn mark(&self, outgoing: &mut Outgoing, admitted: &mut Admitted) {
        admitted.begins();
        if let Some(tag) = relay_tag(&self.shared.instance, admitted.row().id) {
            outgoing.headers.insert(X_FAL_TAGS, tag);
        }
    }

    /// Sends, measures, sifts the answer's headers, and keeps the relay's own troubles with fal from the tenant.
    async fn forward(
        &self,
        account: &Account,
        outgoing: Outgoing,
        notes: &mut Notes,
    ) -> Result<Answer, UpstreamError> {
        notes.account = Some(account.name.clone());
        notes.body = Some(outgoing.body.progress());
        let start = self.shared.clock.elapsed();
        let mut response = self.upstream.send(account, outgoing).await?;
        notes.upstream = Some(self.shared.clock.elapsed().saturating_sub(start));
        for_client(response.headers_mut());
        accounts::sort(response, account).await
    }

    /// Refuses a call to a host that rests before anything is written down: an outage costs the ledger nothing.
    fn check_host(&self, host: Host) -> Result<(), Refusal> {
        self.upstream.check(host).map_err(Refusal::Resting)
    }

    /// What becomes of a billable call that fal did not answer. Only one that cannot have arrived is released; any
    /// other ends as unknown when its admission is dropped.
    fn not_answered(&self, admitted: Admitted, error: UpstreamError) -> Refusal {
        if !error.may_have_arrived() {
            admitted.release(None, "not_sent");
        }
        Refusal::of_billable(error, self.shared.settings.max_body_bytes)
    }

    /// Refuses a body that says itself that it is too large, before anything is written down.
    fn check_length(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let max_bytes = self.shared.settings.max_body_bytes;
        let declared = headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        match declared.and_then(|length| length.parse::<u64>().ok()) {
            Some(length) if length > max_bytes => Err(Refusal::BodyTooLarge { max_bytes }),
            _ => Ok(()),
        }
    }
}

/// Where a call goes.
struct Target {
    host: Host,
    method: Method,
    path_and_query: String,
    accept_encoding: AcceptEncoding,
}

/// What fal said: to the tenant, or to the operator about the account.
enum Answer {
    Tenant(Response<ResponseBody>),
    /// An error whose body has been read and is the tenant's after all.
    TenantError(http::response::Parts, bytes::Bytes),
    /// fal refuses the account's key or has locked it.
    AccountRefused(http::StatusCode),
}

/// `path`, and the query when there is one to pass on.
fn with_query(mut path: String, query: Option<&str>) -> String {
    let query = query.map(crate::fal::query_for_fal).unwrap_or_default();
    if !query.is_empty() {
        path.push('?');
        path.push_str(&query);
    }
    path
}

/// `x-fal-billable-units` as fal wrote it.
fn billable_units(headers: &HeaderMap) -> Option<String> {
    headers.get("x-fal-billable-units")?.to_str().ok().map(str::to_owned)
}

/// Tells the tenant what a call cost, where that is known (design 3.4).
fn tell_cost(reply: &mut Reply, cost: Option<(Usd, Basis)>) {
    let Some((charge, basis)) = cost else { return };
    let headers = reply.headers_mut();
    if let Ok(charge) = HeaderValue::try_from(charge.to_string()) {
        headers.insert(X_RELAY_COST_USD, charge);
        headers.insert(X_RELAY_COST_BASIS, HeaderValue::from_static(basis.as_str()));
    }
}

/// Tells the tenant how it stands under its limits (draft-ietf-httpapi-ratelimit-headers).
pub fn tell_standing(headers: &mut HeaderMap, standing: Standing) {
    let fields = [(RATELIMIT_POLICY, ratelimit_policy([standing.bound])), (RATELIMIT, ratelimit([standing]))];
    for (name, value) in fields {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
}
