//! The only door to fal. A request leaves here for one of the configured hosts and for no other; the account's key is
//! put in here and nowhere else; no redirect is followed, no proxy is read from the environment, nothing is inflated.
//!
//! A request is sent once. It goes on a second connection only when hyper hands it back whole, which it does when not
//! one byte of it had left.

mod answer;
mod body;
mod connect;
mod error;
mod failfast;
mod origin;
mod pool;
mod reading;
mod settings;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;

pub use body::{Beginning, BodyEnd, BodyError, BodyLimits, BodyProgress, RequestBody, TenantBody};
use connect::Connector;
pub use error::UpstreamError;
pub use failfast::{ConnectionCounts, Shared};
use failfast::{PROBE_PAUSE, PROBE_TIMEOUT};
pub use origin::BadOrigin;
use origin::Origin;
use pool::{Attempt, Lease, Pool};
use reading::AnswerLimits;
pub use reading::ResponseBody;
pub use settings::{Settings, UploadHost};
pub use socket::{FalSocket, Handshake};

use crate::clock::Clock;
use crate::ids::AccountName;
use crate::metrics;
use crate::secret::Secret;

/// One of fal's hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The durable queue.
    Queue,
    /// Direct runs and streams.
    Run,
    /// Storage and tokens.
    Rest,
    /// Media.
    Cdn,
    /// One of the hosts that uploads go to, by its place in the settings.
    Upload(u8),
}

/// The most hosts that uploads may go to, beside the media host.
pub const UPLOAD_HOSTS_MAX: usize = 8;

impl Host {
    /// How many hosts there can be.
    const COUNT: usize = 4 + UPLOAD_HOSTS_MAX;

    /// Its place among all hosts.
    fn index(self) -> usize {
        match self {
            Self::Queue => 0,
            Self::Run => 1,
            Self::Rest => 2,
            Self::Cdn => 3,
            Self::Upload(nth) => 4 + usize::from(nth).min(UPLOAD_HOSTS_MAX - 1),
        }
    }
}

/// A fal account of the operator's.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name in the configuration.
    pub name: AccountName,
    /// `Key <fal key>`, marked as sensitive.
    authorization: HeaderValue,
}

impl Account {
    /// An account with its key; `None` when the key has characters that no header may have.
    pub fn new(name: AccountName, key: &Secret) -> Option<Self> {
        let mut authorization = HeaderValue::try_from(format!("Key {}", key.expose())).ok()?;
        authorization.set_sensitive(true);
        Some(Self { name, authorization })
    }
}

/// A request to fal: all of it but the key.
pub struct Outgoing {
    /// Which host serves it.
    pub host: Host,
    /// Its method.
    pub method: Method,
    /// Its path and query, made from a parsed call.
    pub path_and_query: String,
    /// Its headers, already sifted.
    pub headers: HeaderMap,
    /// Its body.
    pub body: RequestBody,
}

/// The road to fal for one worker: connections are not shared between threads.
pub struct Upstream {
    queue: Arc<Pool>,
    run: Arc<Pool>,
    rest: Arc<Pool>,
    /// To the host of direct runs: connections that may become sockets.
    sockets: Arc<Pool>,
    cdn: Arc<Pool>,
    uploads: Vec<Arc<Pool>>,
    queue_head_timeout: Duration,
    upload_head_timeout: Duration,
    run_head_timeout: Duration,
    body_idle: Duration,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl Upstream {
    /// The road that `settings` describe, with `tls` for https addresses. Nothing is connected yet.
    pub fn new(
        settings: &Settings,
        tls: Option<&Arc<rustls::ClientConfig>>,
        shared: &Arc<Shared>,
        clock: &Arc<dyn Clock>,
        counts: &metrics::Worker,
    ) -> Result<Self, BadOrigin> {
        let pool = |host, address: &str, upgrades: bool| {
            let connector = Connector {
                origin: Origin::parse(address)?,
                tls: if upgrades { tls.map(socket::http_1_only) } else { tls.cloned() },
                timeout: settings.connect_timeout,
                upgrades,
                loopback_only: settings.loopback_only,
                shared: shared.clone(),
                counts: counts.host(host),
            };
            Ok(Pool::new(connector, settings.pool_max_idle, settings.pool_idle, clock.clone()))
        };
        Ok(Self {
            queue: pool(metrics::Host::Queue, &settings.queue_url, false)?,
            run: pool(metrics::Host::Run, &settings.run_url, false)?,
            rest: pool(metrics::Host::Rest, &settings.rest_url, false)?,
            sockets: pool(metrics::Host::Run, &settings.run_url, true)?,
            cdn: pool(metrics::Host::Cdn, &settings.cdn_url, false)?,
            uploads: { settings.upload_hosts.iter() }
                .map(|host| pool(metrics::Host::Upload, &host.url, false))
                .collect::<Result<_, _>>()?,
            queue_head_timeout: settings.queue_head_timeout,
            upload_head_timeout: settings.upload_head_timeout,
            run_head_timeout: settings.run_head_timeout,
            body_idle: settings.body_idle,
            shared: shared.clone(),
            clock: clock.clone(),
        })
    }

    /// Fails while calls to this host fail at once.
    pub fn check(&self, host: Host) -> Result<(), UpstreamError> {
        if !self.shared.is_resting(host) {
            return Ok(());
        }
        let connector = &self.pool(host).connector;
        connector.counts.failed(metrics::Failure::Resting);
        Err(UpstreamError::Resting { host: connector.origin.name().to_owned() })
    }

    /// Sends a request with the account's key and returns fal's answer, whose body streams.
    pub async fn send(
        &self,
        account: &Account,
        outgoing: Outgoing,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        self.send_with(Some(&account.authorization), outgoing).await
    }

    /// The same with other credentials, or with none: an address that was given out to be uploaded to says all in itself.
    pub async fn send_with(
        &self,
        authorization: Option<&HeaderValue>,
        outgoing: Outgoing,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let (response, lease) = self.exchange(self.pool(outgoing.host), authorization, outgoing).await?;
        Ok(response.map(|body| self.answer_body(body, lease)))
    }

    /// One exchange, and what it tells of the host.
    async fn exchange(
        &self,
        pool: &Arc<Pool>,
        authorization: Option<&HeaderValue>,
        outgoing: Outgoing,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        self.check(outgoing.host)?;
        let host = outgoing.host;
        let health = self.shared.health(host);
        let progress = outgoing.body.progress();
        let request = compose(&pool.connector.origin, authorization, outgoing)?;
        let sent = self.send_in_time(pool, request, &progress, self.head_timeout(host)).await;
        match &sent {
            Ok(_) => health.answered(),
            Err(error) if error.is_of_host() && health.failed() => self.bring_back(host),
            Err(_) => {}
        }
        sent
    }

    fn answer_body(&self, body: Incoming, lease: Lease) -> ResponseBody {
        let limits = AnswerLimits { idle: self.body_idle, whole: self.queue_head_timeout };
        ResponseBody::new(body, lease, limits, self.clock.clone())
    }

    async fn send_in_time(
        &self,
        pool: &Arc<Pool>,
        request: Box<Request<RequestBody>>,
        progress: &BodyProgress,
        head_timeout: Duration,
    ) -> Result<(Response<Incoming>, Lease), UpstreamError> {
        let counts = &pool.connector.counts;
        tokio::select! {
            biased;
            answered = exchange(pool, request, progress) => {
                answered.inspect_err(|error| counts.failed(error.into()))
            }
            () = progress.flooded() => {
                counts.failed(metrics::Failure::Garbage);
                Err(pool.connector.origin.garbage("it never comes to its answer"))
            }
            () = self.silence(progress, head_timeout) => {
                // Whatever has gone silent, the calls to come shall not stand in the same line.
                pool.forget();
                counts.failed(metrics::Failure::Timeout);
                Err(UpstreamError::Timeout {
                    host: pool.connector.origin.name().to_owned(),
                    waited_ms: head_timeout.as_millis(),
                })
            }
        }
    }

    /// Asks a resting host, one probe at a time, until it answers.
    fn bring_back(&self, host: Host) {
        let (pool, shared, clock) = (self.pool(host).clone(), self.shared.clone(), self.clock.clone());
        let name = pool.connector.origin.name().to_owned();
        tracing::error!(host = name, "fal does not answer; calls to it fail at once until it does");
        pool.connector.counts.failing_fast(true);
        tokio::spawn(async move {
            while !pool.probe(PROBE_TIMEOUT).await {
                clock.sleep(PROBE_PAUSE).await;
            }
            shared.health(host).recovered();
            pool.connector.counts.failing_fast(false);
            tracing::info!(host = name, "fal answers again");
        });
    }

    fn pool(&self, host: Host) -> &Arc<Pool> {
        match host {
            Host::Queue => &self.queue,
            Host::Run => &self.run,
            Host::Rest => &self.rest,
            Host::Cdn => &self.cdn,
            Host::Upload(nth) => self.uploads.get(usize::from(nth)).unwrap_or(&self.cdn),
        }
    }

    fn head_timeout(&self, host: Host) -> Duration {
        match host {
            Host::Queue | Host::Rest => self.queue_head_timeout,
            Host::Run => self.run_head_timeout,
            Host::Cdn | Host::Upload(_) => self.upload_head_timeout,
        }
    }

    /// Resolves once neither the request's body nor an answer has moved for `limit`.
    async fn silence(&self, progress: &BodyProgress, limit: Duration) {
        let mut wait = limit;
        while !wait.is_zero() {
            self.clock.sleep(wait).await;
            let still = self.clock.elapsed().saturating_sub(progress.moved_at());
            wait = limit.saturating_sub(still);
        }
    }
}

/// The request as fal will see it, except for what depends on the connection's version. Boxed: it is handed on several
/// times until hyper has it, and is hundreds of bytes.
fn compose(
    origin: &Origin,
    authorization: Option<&HeaderValue>,
    outgoing: Outgoing,
) -> Result<Box<Request<RequestBody>>, UpstreamError> {
    use http_body::Body as _;
    let target = origin.target(outgoing.path_and_query).map_err(|error| UpstreamError::unsendable(&error))?;
    let progress = outgoing.body.progress();
    let bodiless = outgoing.body.is_end_stream() && !matches!(outgoing.method, Method::GET | Method::HEAD);
    let mut request = Box::new(Request::new(outgoing.body));
    *request.method_mut() = outgoing.method;
    *request.uri_mut() = target.into();
    *request.headers_mut() = outgoing.headers;
    if let Some(authorization) = authorization {
        request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
    }
    if bodiless {
        // hyper names no length for an empty body, and some servers answer 411 to that.
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    hyper::ext::on_informational(&mut *request, move |_| progress.informed());
    Ok(request)
}

/// Connections from the pool that may turn out dead before a new one is made.
const STALE_MAX: usize = 3;

async fn exchange(
    pool: &Arc<Pool>,
    mut request: Box<Request<RequestBody>>,
    progress: &BodyProgress,
) -> Result<(Response<Incoming>, Lease), UpstreamError> {
    for attempt in 0.. {
        let reused = if attempt < STALE_MAX { pool.reuse() } else { None };
        let fresh = reused.is_none();
        let mut lease = match reused {
            Some(lease) => lease,
            None => pool.open().await?,
        };
        let origin = &pool.connector.origin;
        origin.address(&mut request, lease.version()).map_err(|error| UpstreamError::unsendable(&error))?;
        request = match lease.send(request).await {
            Attempt::Answered(response) => {
                return match answer::fault(&response, pool.connector.upgrades) {
                    None => Ok((response, lease)),
                    // The lease is dropped with it: nothing more is read from this connection.
                    Some(fault) => Err(origin.garbage(fault)),
                };
            }
            Attempt::Failed(error) => return Err(explain(origin, &error, progress)),
            Attempt::Unsent(_) if fresh => break,
            Attempt::Unsent(request) => request,
        };
    }
    Err(UpstreamError::Connect {
        host: pool.connector.origin.name().to_owned(),
        reason: "the connection closed before the request left".into(),
    })
}

/// Says whose fault a broken exchange is: the tenant's body first, then fal's answer, then the connection.
fn explain(origin: &Origin, error: &hyper::Error, progress: &BodyProgress) -> UpstreamError {
    let (host, reason) = (origin.name().to_owned(), error.to_string());
    match progress.end() {
        Some(end) if !matches!(end, BodyEnd::Complete { .. }) => UpstreamError::ClientBody(end),
        _ if error.is_parse() => origin.garbage(&reason),
        _ => UpstreamError::Lost { host, reason },
    }
}
