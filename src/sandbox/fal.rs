//! fal as plain state on a clock: apps, requests and the queue, with the verbs of fal's API and no HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::{Clock, Timestamp};
use crate::ids::RequestId;
use crate::random::{NoRandomness, Random};

use super::answer::{self, Answer, Extras};
use super::billing::{Books, Event};
use super::catalogue::{BadCatalogue, Catalogue};
use super::endpoint::Endpoint;
use super::faults::Faults;
use super::job::{self, Account, Cancel, Job};
use super::output::Work;
use super::problem::Problem;
use super::run::Run;
use super::settings::Settings;
use super::tags::Tags;
use super::timeline::{Phase, QUEUE_STEPS, RUN_STEPS, Timeline};
use super::uploads::Uploads;
use super::webhooks::Webhooks;

/// The answers of all kept requests together; padding is made when it is read and does not count.
const MAX_KEPT_BYTES: usize = 256 << 20;

/// A simulated fal.
pub struct Fal {
    settings: Settings,
    public_url: String,
    clock: Arc<dyn Clock>,
    random: Random,
    /// What models draw when a call gives no seed: repeatable from the settings.
    seeds: Random,
    catalogue: Catalogue,
    requests: Mutex<Requests>,
    uploads: Mutex<Uploads>,
    books: Mutex<Books>,
    webhooks: Webhooks,
    counters: Counters,
    max_kept_bytes: usize,
}

#[derive(Default)]
struct Requests {
    by_id: HashMap<RequestId, Arc<Job>>,
    oldest_first: VecDeque<RequestId>,
    /// Bytes of all answers.
    bytes: usize,
}

#[derive(Default)]
struct Counters {
    submits: AtomicU64,
    runs: AtomicU64,
    cancels: AtomicU64,
    dropped_runs: AtomicU64,
}

/// What a simulated fal has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that entered the queue.
    pub submits: u64,
    /// Direct runs and streams that began.
    pub runs: u64,
    /// Queued requests that were cancelled in time.
    pub cancels: u64,
    /// Direct runs and streams whose caller left before the end; fal cancels those.
    pub dropped_runs: u64,
}

/// One call for a model.
pub(super) struct Call {
    /// Who calls.
    pub(super) account: Account,
    /// What is called.
    pub(super) endpoint: Endpoint,
    /// What was sent.
    pub(super) input: Result<Map<String, Value>, Box<Problem>>,
    /// What was asked to go wrong.
    pub(super) faults: Faults,
    /// How long it may wait for a start.
    pub(super) start_timeout: Option<Duration>,
    /// What is written on its bill.
    pub(super) tags: Tags,
    /// The headers that came with it, for calls that want to see them.
    pub(super) headers: Value,
}

/// Why a call for a model was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// All requests that may be kept are unfinished.
    Full,
    /// The generator gave no id.
    NoId,
}

impl From<NoRandomness> for NotTaken {
    fn from(_: NoRandomness) -> Self {
        Self::NoId
    }
}

impl Fal {
    /// A fal without requests. Its addresses begin with `settings.public_url`, else with `http://{settings.listen}`.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, random: Random) -> Result<Self, BadCatalogue> {
        let public_url = match &settings.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", settings.listen),
        };
        Ok(Self {
            seeds: Random::seeded(settings.seed),
            webhooks: Webhooks::new(settings.seed, Arc::clone(&clock)),
            settings,
            public_url,
            clock,
            random,
            catalogue: Catalogue::load()?,
            requests: Mutex::default(),
            uploads: Mutex::default(),
            books: Mutex::default(),
            counters: Counters::default(),
            max_kept_bytes: MAX_KEPT_BYTES,
        })
    }

    /// What it has seen so far.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            submits: read(&self.counters.submits),
            runs: read(&self.counters.runs),
            cancels: read(&self.counters.cancels),
            dropped_runs: read(&self.counters.dropped_runs),
        }
    }

    pub(super) fn public_url(&self) -> &str {
        &self.public_url
    }

    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn random(&self) -> &Random {
        &self.random
    }

    pub(super) fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }

    /// Runs `change` on the uploaded files.
    pub(super) fn uploads<T>(&self, change: impl FnOnce(&mut Uploads) -> T) -> T {
        change(&mut self.uploads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `look` on prices and bills, at the moment that it is handed.
    pub(super) fn books<T>(&self, look: impl FnOnce(&mut Books, Duration) -> T) -> T {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked under the lock: a bill that someone has seen was not struck out by a cancel before.
        let now = self.clock.elapsed();
        look(&mut books, now)
    }

    /// Where the answer of a request is read.
    pub(super) fn response_url(&self, endpoint: &Endpoint, id: &RequestId) -> String {
        format!("{}/queue/{}/requests/{id}", self.public_url, endpoint.app())
    }

    /// Puts a call into the queue.
    pub(super) fn submit(&self, call: Call) -> Result<Arc<Job>, NotTaken> {
        let wait = self.step() * QUEUE_STEPS;
        let (job, bill) = self.job(call, wait)?;
        let job = Arc::new(job);
        self.keep(Arc::clone(&job))?;
        self.write(&job, bill);
        self.counters.submits.fetch_add(1, Ordering::Relaxed);
        Ok(job)
    }

    /// Begins a direct run. Whoever drops the run before its end has cancelled it.
    pub(super) fn run(self: &Arc<Self>, call: Call) -> Result<Run, NotTaken> {
        let (job, bill) = self.job(call, Duration::ZERO)?;
        self.write(&job, bill);
        self.counters.runs.fetch_add(1, Ordering::Relaxed);
        Ok(Run::new(Arc::clone(self), job))
    }

    /// The request `id` of `account`, when it belongs to the app of `endpoint`.
    pub(super) fn find(&self, account: &Account, endpoint: &Endpoint, id: &RequestId) -> Option<Arc<Job>> {
        let job = self.requests().by_id.get(id).cloned()?;
        (job.account == *account && job.endpoint.app() == endpoint.app()).then_some(job)
    }

    /// Where `job` stands now.
    pub(super) fn phase(&self, job: &Job) -> Phase {
        job.phase(self.clock.elapsed())
    }

    /// What `job` answered, once it has ended.
    pub(super) fn result(&self, job: &Job) -> Option<Answer> {
        (self.phase(job) == Phase::Ended).then(|| job.answer())
    }

    /// Cancels `job` if there is still time.
    pub(super) fn cancel(&self, job: &Job) -> Cancel {
        let outcome = self.stop(job);
        if outcome != Cancel::TooLate {
            self.counters.cancels.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// The caller of a direct run has left before its answer was on the way.
    pub(super) fn left(&self, job: &Job) {
        self.stop(job);
        self.counters.dropped_runs.fetch_add(1, Ordering::Relaxed);
    }

    /// Stops `job` if there is still time; then it is not billed.
    fn stop(&self, job: &Job) -> Cancel {
        self.books(|books, now| {
            let outcome = job.cancel(now);
            if job.is_cancelled() {
                books.events.strike(job);
            }
            outcome
        })
    }

    fn write(&self, job: &Job, bill: Option<Event>) {
        if let Some(event) = bill {
            self.books(|books, _| books.events.write(job.timeline.ends(), event));
        }
    }

    fn step(&self) -> Duration {
        Duration::from_millis(self.settings.step_ms)
    }

    fn requests(&self) -> std::sync::MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides everything about a call: when it waits and runs, what it will answer, and what that costs.
    fn job(&self, call: Call, usual_wait: Duration) -> Result<(Job, Option<Event>), NotTaken> {
        let id = RequestId::parse(&self.random.uuid()?.to_string()).map_err(|_| NotTaken::NoId)?;
        let queue = call.faults.queue.unwrap_or(usual_wait);
        let run = call.faults.slow.unwrap_or(self.step() * RUN_STEPS);
        let late = call.start_timeout.filter(|limit| *limit < queue);
        let (queue, run) = late.map_or((queue, run), |limit| (limit, Duration::ZERO));
        let timeline = Timeline { submitted: self.clock.elapsed(), queue, run };
        let answer = match late {
            Some(_) => answer::not_started(),
            None => self.answer(&call, &id, run)?,
        };
        let now = self.clock.now();
        let bill = self.bill(&call, &id, &answer, now.plus(queue + run));
        let Call { account, endpoint, faults, .. } = call;
        Ok((Job::new(id, account, endpoint, faults, (now, timeline), answer), bill))
    }

    fn bill(&self, call: &Call, id: &RequestId, answer: &Answer, at: Timestamp) -> Option<Event> {
        let endpoint = call.endpoint.id();
        let model = self.catalogue.find(&call.endpoint)?;
        let tariff = self.books(|books, _| books.prices.billed(endpoint, model));
        let (units, cost) = answer.bill(tariff.unit_price)?;
        Some(Event {
            request_id: id.clone(),
            endpoint: endpoint.into(),
            key_id: job::key_id(&call.account).into(),
            at,
            tariff,
            units,
            cost,
            tags: call.tags.clone(),
        })
    }

    fn answer(&self, call: &Call, id: &RequestId, run: Duration) -> Result<Answer, NotTaken> {
        let work = Work {
            endpoint: call.endpoint.id(),
            public_url: &self.public_url,
            // Real seeds go beyond what a double holds; so do these.
            drawn_seed: self.seeds.below(1 << 63)?,
            seconds: run.as_secs_f64(),
        };
        let response_url = self.response_url(&call.endpoint, id);
        let extras = Extras { response_url: &response_url, headers: call.headers.clone() };
        Ok(answer::of(&self.catalogue, &call.endpoint, &call.input, &call.faults, &work, &extras))
    }

    /// Keeps `job`, and forgets the oldest finished one when there are too many.
    fn keep(&self, job: Arc<Job>) -> Result<(), NotTaken> {
        let now = self.clock.elapsed();
        let mut requests = self.requests();
        let bytes = job.kept_bytes();
        while requests.by_id.len() >= self.settings.max_requests
            || requests.bytes + bytes > self.max_kept_bytes
        {
            requests.forget_oldest_finished(now)?;
        }
        requests.bytes += bytes;
        requests.oldest_first.push_back(job.id.clone());
        requests.by_id.insert(job.id.clone(), job);
        Ok(())
    }
}

impl Requests {
    fn forget_oldest_finished(&mut self, now: Duration) -> Result<(), NotTaken> {
        let finished = |id: &RequestId| self.by_id.get(id).is_none_or(|job| job.phase(now) == Phase::Ended);
        let at = self.oldest_first.iter().position(finished).ok_or(NotTaken::Full)?;
        let forgotten = self.oldest_first.remove(at).and_then(|id| self.by_id.remove(&id));
        self.bytes -= forgotten.map_or(0, |job| job.kept_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::HandClock;

    fn call(prompt: &str) -> Call {
        Call {
            account: Account::new("a:b"),
            endpoint: Endpoint::parse("acme/app").unwrap(),
            input: Ok(json!({ "prompt": prompt }).as_object().unwrap().clone()),
            faults: Faults::read("acme/app", prompt),
            start_timeout: None,
            tags: Tags::default(),
            headers: Value::Null,
        }
    }

    #[test]
    fn large_answers_make_room_for_each_other() {
        let clock = Arc::new(HandClock::new(Timestamp::from_micros(0)));
        let settings = Settings { step_ms: 0, ..Settings::default() };
        let mut fal = Fal::new(settings, clock, Random::seeded(1)).unwrap();
        fal.max_kept_bytes = 25_000;
        let large = "x".repeat(10_000);
        let jobs: Vec<_> = (0..3).map(|_| fal.submit(call(&large)).unwrap()).collect();
        let kept = jobs.iter().map(|job| fal.find(&job.account, &job.endpoint, &job.id).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), [false, true, true]);
        assert!(matches!(fal.submit(call(&"x".repeat(30_000))), Err(NotTaken::Full)));
        assert_eq!(fal.requests().bytes, 0);
    }
}
