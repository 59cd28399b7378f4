//! The counts as text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;
use super::cell::{Counter, Distribution, Gauge, Times};
use super::labels::{Failure, Host, LedgerVerb, Memory, Route, SocketEnd, Unserved};
use super::process::Process;
use super::worker::{HostCounts, RouteCounts, VerbCounts, Worker};

/// What every name of the product begins with.
const PREFIX: &str = "fal_relay";

impl Metrics {
    /// All counts in OpenMetrics' text format. It reads `/proc`, so it is not for a worker's thread.
    pub fn exposition(self: &Arc<Self>) -> Result<String, fmt::Error> {
        let (mut own, mut common) = (Registry::with_prefix(PREFIX), Registry::default());
        own.register_collector(Box::new(Own(self.clone())));
        common.register_collector(Box::new(Common(self.clone())));
        let mut page = String::new();
        text::encode_registry(&mut page, &own)?;
        text::encode_registry(&mut page, &common)?;
        text::encode_eof(&mut page)?;
        Ok(page)
    }
}

/// The product's own counts.
#[derive(Debug)]
struct Own(Arc<Metrics>);

/// What every process has.
#[derive(Debug)]
struct Common(Arc<Metrics>);

impl Collector for Own {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let workers = Workers(self.0.workers());
        let mut page = Page(encoder);
        page.build()?;
        calls(&mut page, &workers)?;
        connections(&mut page, &workers)?;
        sockets(&mut page, &workers)?;
        upstream(&mut page, &workers)?;
        caches(&mut page, &workers)?;
        ledger(&mut page, &workers)?;
        store(&mut page, &self.0)?;
        webhooks(&mut page, &self.0)?;
        let unknown = workers.sum(|worker| worker.unknown.get()) + self.0.abandoned.get();
        page.counter(
            "outcomes_unknown",
            "Calls of which nobody knows whether fal has them",
            None,
            [([], unknown)],
        )
    }
}

fn calls(page: &mut Page<'_>, workers: &Workers) -> fmt::Result {
    let mut outcomes = BTreeMap::new();
    for ([account, route, status, fault], count) in workers.0.iter().flat_map(|worker| worker.outcomes()) {
        let labels = [("route", route), ("status", status), ("fault", fault), ("account", account)];
        *outcomes.entry(labels).or_default() += count;
    }
    page.counter(
        "calls",
        "Calls that have ended",
        None,
        outcomes.into_iter().filter(|(_, count)| *count > 0),
    )?;
    page.gauge(
        "calls_in_flight",
        "Calls that have not ended",
        None,
        [([], workers.level(|worker| &worker.in_flight))],
    )?;
    let by_route = |pick: fn(&RouteCounts) -> &Counter| workers.by_route(move |route| pick(route).get());
    let cut = by_route(|route| &route.incomplete);
    page.counter("calls_incomplete", "Calls whose answer did not go out whole", None, cut)?;
    let bytes = by_route(|route| &route.request_bytes);
    page.counter("request_body", "Bytes of request bodies", Some(&Unit::Bytes), bytes)?;
    let bytes = by_route(|route| &route.response_bytes);
    page.counter("response_body", "Bytes of answers' bodies", Some(&Unit::Bytes), bytes)?;
    let total = workers.times_by_route(|route| &route.total);
    page.histogram("call_duration", "From a call's head to its answer's end", Some(&Unit::Seconds), total)?;
    let head = workers.times_by_route(|route| &route.upstream);
    page.histogram(
        "upstream_head",
        "How long fal took to the head of its answer",
        Some(&Unit::Seconds),
        head,
    )?;
    let mut refusals = BTreeMap::new();
    for (error, count) in workers.0.iter().flat_map(|worker| worker.refusals()) {
        *refusals.entry([("error", error)]).or_default() += count;
    }
    page.counter("refusals", "Answers that are the relay's own errors", None, refusals)
}

fn connections(page: &mut Page<'_>, workers: &Workers) -> fmt::Result {
    let open = workers.level(|worker| &worker.connections);
    page.gauge("connections_open", "Clients' connections that are open", None, [([], open)])?;
    let parked = workers.level(|worker| &worker.parked);
    page.gauge("connections_parked", "Clients' connections that hold no buffers", None, [([], parked)])?;
    let accepted = workers.sum(|worker| worker.accepted.get());
    page.counter("connections_accepted", "Clients' connections that were served", None, [([], accepted)])?;
    let unserved = Unserved::ALL
        .iter()
        .map(|why| ([("reason", why.as_str())], workers.sum(|worker| worker.unserved[*why as usize].get())));
    page.counter("connections_refused", "Clients' connections that were not served", None, unserved)
}

fn sockets(page: &mut Page<'_>, workers: &Workers) -> fmt::Result {
    let open = workers.level(|worker| &worker.sockets.open);
    page.gauge("realtime_sockets_open", "Realtime sockets that are open", None, [([], open)])?;
    let messages = [
        ([("direction", "up")], workers.sum(|worker| worker.sockets.up.get())),
        ([("direction", "down")], workers.sum(|worker| worker.sockets.down.get())),
    ];
    page.counter("realtime_messages", "Messages of sockets that have closed", None, messages)?;
    let ends = SocketEnd::ALL
        .iter()
        .map(|end| ([("by", end.as_str())], workers.sum(|worker| worker.sockets.ends[*end as usize].get())));
    page.counter("realtime_sockets_closed", "Realtime sockets that have closed", None, ends)
}

fn upstream(page: &mut Page<'_>, workers: &Workers) -> fmt::Result {
    let level = |pick: fn(&HostCounts) -> &Gauge| {
        Host::ALL.iter().map(move |host| {
            let level = workers.level(|worker| pick(&worker.hosts[*host as usize]));
            ([("host", host.as_str())], level)
        })
    };
    let open = level(|host| &host.open);
    page.gauge("upstream_connections_open", "Connections to fal that are open", None, open)?;
    let idle = level(|host| &host.idle);
    page.gauge("upstream_connections_idle", "Connections to fal that wait for a call", None, idle)?;
    let failing = level(|host| &host.failing);
    page.gauge("upstream_failfast", "Whether calls to the host fail at once", None, failing)?;
    let opened = Host::ALL.iter().map(|host| {
        ([("host", host.as_str())], workers.sum(|worker| worker.hosts[*host as usize].opened.get()))
    });
    page.counter("upstream_connections_opened", "Connections to fal that were made", None, opened)?;
    let failures = Host::ALL.iter().flat_map(|host| {
        Failure::ALL.iter().map(move |why| {
            let failures = workers.sum(|worker| worker.hosts[*host as usize].failures[*why as usize].get());
            ([("host", host.as_str()), ("reason", why.as_str())], failures)
        })
    });
    page.counter("upstream_failures", "Calls that fal did not answer, or not wholly", None, failures)
}

fn caches(page: &mut Page<'_>, workers: &Workers) -> fmt::Result {
    let lookups = Memory::ALL.iter().flat_map(|cache| {
        let sum =
            |pick: fn(&Worker, usize) -> &Counter| workers.sum(|worker| pick(worker, *cache as usize).get());
        let hits = sum(|worker, cache| &worker.caches[cache].hits);
        let misses = sum(|worker, cache| &worker.caches[cache].misses);
        let labels = |result| [("cache", cache.as_str()), ("result", result)];
        [(labels("hit"), hits), (labels("miss"), misses)]
    });
    page.counter("cache_lookups", "Questions that memory could or could not answer", None, lookups)
}

fn ledger(page: &mut Page<'_>, workers: &Workers) -> fmt::Result {
    let sum = |pick: fn(&VerbCounts) -> &Counter| {
        LedgerVerb::ALL.iter().map(move |verb| {
            let count = workers.sum(|worker| pick(&worker.verbs[*verb as usize]).get());
            ([("verb", verb.as_str())], count)
        })
    };
    let rows = sum(|verb| &verb.rows);
    page.counter("ledger_rows", "Changes that are in the ledger", None, rows)?;
    let failures = sum(|verb| &verb.failures);
    page.counter("ledger_failures", "Changes that the ledger refused", None, failures)?;
    let times = LedgerVerb::ALL
        .iter()
        .map(|verb| ([("verb", verb.as_str())], workers.times(|worker| &worker.verbs[*verb as usize].time)));
    page.histogram(
        "ledger_write",
        "From asking for a change to its being on the disk",
        Some(&Unit::Seconds),
        times,
    )
}

fn store(page: &mut Page<'_>, metrics: &Metrics) -> fmt::Result {
    let store = &metrics.store;
    let result = |word| [("result", word)];
    let batches =
        [(result("committed"), store.batches.get()), (result("failed"), store.failed_batches.get())];
    page.counter("ledger_batches", "Batches of writes, each with one disk flush", None, batches)?;
    let sizes = store.batch_sizes.distribution();
    page.histogram("ledger_batch_size", "Writes that shared a disk flush", None, [([], sizes)])?;
    let waiting = [([], store.waiting.get())];
    page.gauge("ledger_writes_waiting", "Writes that are not on the disk yet", None, waiting)?;
    let connection = |word| [("connection", word)];
    let statements = [(connection("read"), store.reads.get()), (connection("write"), store.writes.get())];
    page.counter("store_statements", "Statements that the store ran", None, statements)
}

fn webhooks(page: &mut Page<'_>, metrics: &Metrics) -> fmt::Result {
    let counts = &metrics.webhooks;
    let outcome = |word| [("outcome", word)];
    let tries = [(outcome("delivered"), counts.delivered.get()), (outcome("failed"), counts.failed.get())];
    page.counter("webhook_attempts", "Tries to deliver a webhook", None, tries)?;
    let given_up = [([], counts.given_up.get())];
    page.counter("webhooks_given_up", "Webhooks whose receiver took them at no try", None, given_up)?;
    let times = counts.tries.distribution();
    page.histogram("webhook_attempt", "How long tries took", Some(&Unit::Seconds), [([], times)])?;
    let state = |word| [("state", word)];
    let standing = [
        (state("following"), counts.followed.get()),
        (state("waiting"), counts.waiting.get()),
        (state("dead"), counts.dead.get()),
    ];
    page.gauge(
        "webhooks",
        "Webhooks that are followed, wait or are dead, counted now and then",
        None,
        standing,
    )
}

impl Collector for Common {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let (mut page, process) = (Page(encoder), Process::read());
        let started_at = seconds(self.0.started_at);
        page.amount(
            "process_start_time",
            "When the process started",
            Some(&Unit::Seconds),
            Some(started_at),
        )?;
        page.total("process_cpu", "Processor time that was used", Some(&Unit::Seconds), process.cpu_seconds)?;
        let resident = process.resident_bytes;
        page.amount("process_resident_memory", "Memory in use", Some(&Unit::Bytes), resident)?;
        let virtual_bytes = process.virtual_bytes;
        page.amount("process_virtual_memory", "Memory that was mapped", Some(&Unit::Bytes), virtual_bytes)?;
        page.amount("process_threads", "Threads", None, process.threads)?;
        page.amount("process_open_fds", "Files and sockets that are open", None, process.open_fds)?;
        page.amount("process_max_fds", "Files and sockets that may be open", None, process.max_fds)
    }
}

/// All workers' counts.
struct Workers(Vec<Arc<Worker>>);

impl Workers {
    fn sum(&self, read: impl Fn(&Worker) -> u64) -> u64 {
        self.0.iter().map(|worker| read(worker)).sum()
    }

    fn level(&self, pick: impl Fn(&Worker) -> &Gauge) -> i64 {
        self.0.iter().map(|worker| pick(worker).get()).sum()
    }

    fn times(&self, pick: impl Fn(&Worker) -> &Times) -> Distribution {
        let each = self.0.iter().map(|worker| pick(worker).distribution());
        each.fold(Distribution::default(), Distribution::plus)
    }

    fn by_route(&self, read: impl Fn(&RouteCounts) -> u64) -> impl Iterator<Item = ([(&str, &str); 1], u64)> {
        Route::ALL.iter().map(move |route| {
            ([("route", route.as_str())], self.sum(|worker| read(&worker.routes[*route as usize])))
        })
    }

    /// Of the routes that were taken.
    fn times_by_route(
        &self,
        pick: impl Fn(&RouteCounts) -> &Times,
    ) -> impl Iterator<Item = ([(&str, &str); 1], Distribution)> {
        let all = Route::ALL.iter().map(move |route| {
            ([("route", route.as_str())], self.times(|worker| pick(&worker.routes[*route as usize])))
        });
        all.filter(|(_, times)| times.count() > 0)
    }
}

/// Seconds since the Unix epoch.
#[expect(clippy::cast_precision_loss, reason = "exact to the microsecond until the year 2255")]
fn seconds(moment: crate::clock::Timestamp) -> f64 {
    moment.as_micros() as f64 / 1e6
}

/// A page that is being written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn build(&mut self) -> fmt::Result {
        let mut metric = self.0.encode_descriptor("build", "What is running", None, MetricType::Info)?;
        metric.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }

    /// Writes a family, each of its series with `write`.
    fn family<'s, T, const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        unit: Option<&Unit>,
        kind: MetricType,
        series: impl IntoIterator<Item = ([(&'s str, &'s str); N], T)>,
        write: impl Fn(&mut MetricEncoder<'_>, T) -> fmt::Result,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, &format!("{help}."), unit, kind)?;
        for (labels, value) in series {
            match N {
                0 => write(&mut metric, value)?,
                _ => write(&mut metric.encode_family(&labels)?, value)?,
            }
        }
        Ok(())
    }

    fn counter<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: impl IntoIterator<Item = ([(&'s str, &'s str); N], u64)>,
    ) -> fmt::Result {
        self.family((name, help), unit, MetricType::Counter, series, |metric, value| {
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn gauge<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: impl IntoIterator<Item = ([(&'s str, &'s str); N], i64)>,
    ) -> fmt::Result {
        self.family((name, help), unit, MetricType::Gauge, series, |metric, value| {
            metric.encode_gauge(&value)
        })
    }

    fn histogram<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: impl IntoIterator<Item = ([(&'s str, &'s str); N], Distribution)>,
    ) -> fmt::Result {
        self.family((name, help), unit, MetricType::Histogram, series, |metric, times| {
            metric.encode_histogram::<NoLabelSet>(times.sum, times.count(), &times.buckets, None)
        })
    }

    /// One number that rises and falls, when the system tells it.
    fn amount(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: Option<impl EncodeGaugeValue>,
    ) -> fmt::Result {
        let series = value.map(|value| ([], value));
        self.family::<_, 0>((name, help), unit, MetricType::Gauge, series, |metric, value| {
            metric.encode_gauge(&value)
        })
    }

    /// One number that only grows, when the system tells it.
    fn total(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: Option<f64>) -> fmt::Result {
        let series = value.map(|value| ([], value));
        self.family::<_, 0>((name, help), unit, MetricType::Counter, series, |metric, value| {
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }
}
