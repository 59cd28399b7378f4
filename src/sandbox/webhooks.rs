//! What fal sends when a request has ended and its caller named a receiver: signed, tried again for two hours, and sent to
//! receivers on this machine alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use crate::fal::webhook::{PublicKeys, SigningKey, envelope};
use crate::ids::RequestId;
use crate::outside::{self, Client, Guard, Pace, Target};
use crate::random::Random;
use crate::secret::Seed;

use super::job::{self, Job};

/// How often a delivery is tried again, and the first pause between tries; doubled each time, two hours in all.
const RETRIES: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_secs(7);
/// How long a receiver may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Deliveries that are under way or wait to be tried again; a request beyond them has none.
const PENDING_MAX: usize = 10_000;
/// The largest payload that is sent.
const PAYLOAD_MAX_BYTES: u64 = 16 << 20;
/// How far from now a stale delivery is signed, just beyond what receivers bear.
const STALE: Duration = Duration::from_secs(600);

/// What is wrong with a delivery on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// It comes twice.
    Twice,
    /// It is signed with a key that is not fal's.
    Forged,
    /// It was signed ten minutes ago.
    Stale,
    /// Its body is not the one that was signed.
    Body,
    /// It is about another request.
    Id,
    /// It never comes.
    Lost,
}

/// The sender of webhooks.
pub(super) struct Webhooks {
    sender: Option<Arc<Sender>>,
    keys: Option<PublicKeys>,
    guard: Guard,
    pending: Arc<Semaphore>,
    stop: CancellationToken,
    _ends_with_fal: DropGuard,
}

struct Sender {
    key: SigningKey,
    forger: SigningKey,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl Webhooks {
    /// The sender with the key that belongs to `seed`, the same at each start.
    pub(super) fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        let settings =
            outside::Settings { allow_http: true, loopback_only: true, ..outside::Settings::default() };
        let guard = Guard::new(settings);
        let sender = Sender::new(&Random::seeded(seed), &guard, clock).map(Arc::new);
        if sender.is_none() {
            tracing::warn!("the sandbox cannot send webhooks from here");
        }
        let stop = CancellationToken::new();
        Self {
            keys: sender.as_ref().and_then(|sender| PublicKeys::new([sender.key.public()])),
            sender,
            guard,
            pending: Arc::new(Semaphore::new(PENDING_MAX)),
            _ends_with_fal: stop.clone().drop_guard(),
            stop,
        }
    }

    /// The document with its public key.
    pub(super) fn keys(&self) -> String {
        self.keys.as_ref().map(PublicKeys::print).unwrap_or_default()
    }

    /// Tells the receiver when `job` has ended, in a task of its own. fal too gives up at once on a receiver that it may not
    /// call, and takes the request all the same.
    pub(super) fn follow(&self, job: Arc<Job>, receiver: &str) {
        let target = match self.guard.judge(receiver) {
            Ok(target) => target,
            Err(why) => return tracing::warn!(%why, "the receiver of a webhook is not called"),
        };
        let (Some(sender), Ok(place)) = (self.sender.clone(), self.pending.clone().try_acquire_owned())
        else {
            return tracing::warn!("too many webhooks wait already; one is left out");
        };
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sender.follow(&job, &target) => {}
            }
            drop(place);
        });
    }
}

impl Sender {
    fn new(random: &Random, guard: &Guard, clock: Arc<dyn Clock>) -> Option<Self> {
        let pace = Pace {
            connect_timeout: ANSWER_TIMEOUT,
            answer_timeout: ANSWER_TIMEOUT,
            idle_max: 8,
            idle_timeout: ANSWER_TIMEOUT,
        };
        let client = guard.client(pace).ok()?;
        Some(Self { key: key(random)?, forger: key(random)?, client, clock })
    }

    async fn follow(&self, job: &Job, target: &Target) {
        tokio::select! {
            () = self.reach(job.timeline.ends()) => {}
            () = job.cancelled() => {}
        }
        self.reach(self.clock.elapsed() + job.faults.webhook_late).await;
        let copies = match job.faults.webhook {
            Some(Odd::Lost) => 0,
            Some(Odd::Twice) => 2,
            _ => 1,
        };
        for _ in 0..copies {
            self.deliver(job, target).await;
        }
    }

    /// Waits for a moment of the clock; a sleeper may wake a little early.
    async fn reach(&self, at: Duration) {
        while let left = at.saturating_sub(self.clock.elapsed())
            && !left.is_zero()
        {
            self.clock.sleep(left).await;
        }
    }

    async fn deliver(&self, job: &Job, target: &Target) {
        let mut pause = FIRST_PAUSE;
        for _ in 0..RETRIES {
            if self.attempt(job, target).await {
                return;
            }
            self.clock.sleep(pause).await;
            pause *= 2;
        }
        self.attempt(job, target).await;
    }

    /// Signs anew for each try, since receivers take only what is fresh. Whether any 2xx came back.
    async fn attempt(&self, job: &Job, target: &Target) -> bool {
        let Some(id) = about(job) else { return false };
        let body = body(job, &id);
        let Some(headers) = self.sign(job, &id, &body) else { return false };
        let sent = if job.faults.webhook == Some(Odd::Body) { spoiled(&body) } else { body };
        let request = self.client.post(target).headers(headers).header(CONTENT_TYPE, "application/json");
        request.body(sent).send().await.is_ok_and(|answer| answer.status().is_success())
    }

    fn sign(&self, job: &Job, id: &RequestId, body: &[u8]) -> Option<http::HeaderMap> {
        let forged = job.faults.webhook == Some(Odd::Forged);
        let stale = if job.faults.webhook == Some(Odd::Stale) { STALE } else { Duration::ZERO };
        let now = self.clock.now();
        let at = crate::clock::Timestamp::from_micros(now.as_micros() - stale.as_micros() as i64);
        let key = if forged { &self.forger } else { &self.key };
        key.headers(id.as_str(), job::key_id(&job.account), at, body)
    }
}

fn key(random: &Random) -> Option<SigningKey> {
    let mut seed = [0; 32];
    random.fill(&mut seed).ok()?;
    SigningKey::from_seed(&Seed::new(seed))
}

fn about(job: &Job) -> Option<RequestId> {
    match job.faults.webhook {
        Some(Odd::Id) => RequestId::parse("00000000-0000-4000-8000-000000000000").ok(),
        _ => Some(job.id.clone()),
    }
}

fn body(job: &Job, id: &RequestId) -> Bytes {
    let answer = job.answer();
    // One that is too large is told like one that is not JSON.
    let result = if answer.body.len() > PAYLOAD_MAX_BYTES {
        Vec::new()
    } else {
        answer.body.pieces().collect::<Vec<_>>().concat()
    };
    envelope(id, answer.status.as_u16(), &result)
}

/// The same with a space behind it: the same JSON, and other bytes.
fn spoiled(body: &[u8]) -> Bytes {
    [body, b" "].concat().into()
}
