//! What one worker counts. Each has numbers of its own, so that no two cores write to one place; they are added up when
//! somebody asks.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::cell::{Counter, Gauge, Times};
use super::labels::{Failure, Fault, Host, LedgerVerb, Memory, Route, SocketEnd, Status, Unserved};
use crate::ids::AccountName;

/// fal accounts that are counted by name; calls of further ones count together.
pub const ACCOUNTS_MAX: usize = 16;

/// Types of refusals that are counted by name; the product has fewer.
pub const REFUSALS_MAX: usize = 48;

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedCall<'a> {
    /// Its kind.
    pub route: Route,
    /// The status that its client was given.
    pub status: u16,
    /// Whose fault it is that it did not go well.
    pub fault: Fault,
    /// The type of the relay's own error.
    pub error: Option<&'static str>,
    /// The fal account that carried it.
    pub account: Option<&'a AccountName>,
    /// Bytes of its body.
    pub request_bytes: u64,
    /// Bytes of its answer's body.
    pub response_bytes: u64,
    /// How long fal took until the head of its answer.
    pub upstream: Option<Duration>,
    /// From its head to the end of its answer.
    pub total: Duration,
    /// Whether all of the answer went out.
    pub complete: bool,
}

/// The outcomes of one account's calls.
type Outcomes = [[[Counter; Fault::COUNT]; Status::COUNT]; Route::COUNT];

/// What is counted for each kind of call.
#[derive(Debug, Default)]
pub(super) struct RouteCounts {
    pub(super) incomplete: Counter,
    pub(super) request_bytes: Counter,
    pub(super) response_bytes: Counter,
    pub(super) total: Times,
    pub(super) upstream: Times,
}

/// What is counted for each change to the ledger.
#[derive(Debug, Default)]
pub(super) struct VerbCounts {
    pub(super) rows: Counter,
    pub(super) failures: Counter,
    pub(super) time: Times,
}

/// What is counted of a cache.
#[derive(Debug, Default)]
pub(super) struct CacheCounts {
    pub(super) hits: Counter,
    pub(super) misses: Counter,
}

/// One worker's counts.
#[derive(Debug)]
pub struct Worker {
    accounts: Arc<[AccountName]>,
    /// Calls that no account carried, then one for each account, then the further accounts.
    outcomes: Box<[Outcomes]>,
    refusals: Refusals,
    pub(super) in_flight: Gauge,
    pub(super) routes: [RouteCounts; Route::COUNT],
    pub(super) connections: Gauge,
    pub(super) parked: Gauge,
    pub(super) accepted: Counter,
    pub(super) unserved: [Counter; Unserved::COUNT],
    pub(super) hosts: [Arc<HostCounts>; Host::COUNT],
    pub(super) caches: [CacheCounts; Memory::COUNT],
    pub(super) verbs: [VerbCounts; LedgerVerb::COUNT],
    pub(super) unknown: Counter,
    pub(super) sockets: SocketCounts,
}

/// What is counted of realtime sockets.
#[derive(Debug, Default)]
pub(super) struct SocketCounts {
    pub(super) open: Gauge,
    pub(super) up: Counter,
    pub(super) down: Counter,
    pub(super) ends: [Counter; SocketEnd::COUNT],
}

impl Worker {
    pub(super) fn new(accounts: Arc<[AccountName]>) -> Self {
        let slots = accounts.len().min(ACCOUNTS_MAX) + 2;
        Self {
            outcomes: std::iter::repeat_with(Outcomes::default).take(slots).collect(),
            accounts,
            refusals: Refusals::default(),
            in_flight: Gauge::default(),
            routes: std::array::from_fn(|_| RouteCounts::default()),
            connections: Gauge::default(),
            parked: Gauge::default(),
            accepted: Counter::default(),
            unserved: Default::default(),
            hosts: Default::default(),
            caches: Default::default(),
            verbs: Default::default(),
            unknown: Counter::default(),
            sockets: SocketCounts::default(),
        }
    }

    /// A call has come.
    pub fn call_began(&self) {
        self.in_flight.add(1);
    }

    /// A call that had come has ended.
    pub fn call_ended(&self, call: &EndedCall<'_>) {
        self.in_flight.add(-1);
        let outcomes = &self.outcomes[self.slot(call.account)];
        outcomes[call.route as usize][Status::of(call.status) as usize][call.fault as usize].add(1);
        let route = &self.routes[call.route as usize];
        route.total.observe(call.total);
        if let Some(upstream) = call.upstream {
            route.upstream.observe(upstream);
        }
        route.request_bytes.add(call.request_bytes);
        route.response_bytes.add(call.response_bytes);
        if !call.complete {
            route.incomplete.add(1);
        }
        if let Some(error) = call.error {
            self.refusals.count(error);
        }
    }

    /// A connection has come; it is counted as open until what this returns is dropped.
    pub fn connection(self: &Arc<Self>) -> OpenConnection {
        self.accepted.add(1);
        self.connections.add(1);
        OpenConnection(self.clone())
    }

    /// An open connection has given its buffers back; it is counted as parked until what this returns is dropped.
    pub fn parked(self: &Arc<Self>) -> ParkedConnection {
        self.parked.add(1);
        ParkedConnection(self.clone())
    }

    /// A realtime socket has opened; it is counted as open until what this returns is dropped.
    pub fn socket(self: &Arc<Self>) -> OpenSocket {
        self.sockets.open.add(1);
        OpenSocket(self.clone())
    }

    /// A connection is not served.
    pub fn unserved(&self, why: Unserved) {
        self.unserved[why as usize].add(1);
    }

    /// What is counted of one of fal's hosts.
    pub fn host(&self, host: Host) -> Arc<HostCounts> {
        self.hosts[host as usize].clone()
    }

    /// Something was looked for in a cache.
    pub fn looked_up(&self, cache: Memory, hit: bool) {
        let counts = &self.caches[cache as usize];
        if hit { &counts.hits } else { &counts.misses }.add(1);
    }

    /// The ledger was asked for a change, and has answered.
    pub fn written(&self, verb: LedgerVerb, took: Duration, done: bool) {
        let counts = &self.verbs[verb as usize];
        if done { &counts.rows } else { &counts.failures }.add(1);
        counts.time.observe(took);
    }

    /// A call was lost: nobody knows whether fal has it.
    pub fn outcome_unknown(&self) {
        self.unknown.add(1);
    }

    /// Where an account's calls are counted.
    fn slot(&self, account: Option<&AccountName>) -> usize {
        let Some(account) = account else { return 0 };
        let named = self.accounts.iter().take(ACCOUNTS_MAX).position(|name| name == account);
        named.map_or(self.outcomes.len() - 1, |nth| nth + 1)
    }

    /// The outcomes that were seen: account, route, status, fault, how many.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = ([&str; 4], u64)> {
        let names =
            ["none"].into_iter().chain(self.accounts.iter().take(ACCOUNTS_MAX).map(AccountName::as_str));
        let names = names.chain(["other"]);
        names.zip(&self.outcomes).flat_map(|(account, outcomes)| {
            places().map(move |(route, status, fault)| {
                let count = outcomes[route as usize][status as usize][fault as usize].get();
                ([account, route.as_str(), status.as_str(), fault.as_str()], count)
            })
        })
    }

    /// The refusals that were seen, and how many.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.refusals.seen()
    }
}

fn places() -> impl Iterator<Item = (Route, Status, Fault)> {
    let statuses = |route| Status::ALL.iter().map(move |status| (route, *status));
    let faults = |(route, status)| Fault::ALL.iter().map(move |fault| (route, status, *fault));
    Route::ALL.iter().copied().flat_map(statuses).flat_map(faults)
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<Worker>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.add(-1);
    }
}

/// A connection that is counted as parked.
#[derive(Debug)]
pub struct ParkedConnection(Arc<Worker>);

impl Drop for ParkedConnection {
    fn drop(&mut self) {
        self.0.parked.add(-1);
    }
}

/// Counts a realtime socket as open until it is dropped.
#[derive(Debug)]
pub struct OpenSocket(Arc<Worker>);

impl OpenSocket {
    /// It has carried so many messages up and down, and ended so.
    pub fn carried(self, up: u64, down: u64, end: SocketEnd) {
        let counts = &self.0.sockets;
        counts.up.add(up);
        counts.down.add(down);
        counts.ends[end as usize].add(1);
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.sockets.open.add(-1);
    }
}

/// What a worker counts of one of fal's hosts.
#[derive(Debug, Default)]
pub struct HostCounts {
    pub(super) open: Gauge,
    pub(super) opened: Counter,
    pub(super) idle: Gauge,
    pub(super) failing: Gauge,
    pub(super) failures: [Counter; Failure::COUNT],
}

impl HostCounts {
    /// A connection was made; it is counted as open until what this returns is dropped.
    pub fn opened(self: &Arc<Self>) -> OpenUpstream {
        self.opened.add(1);
        self.open.add(1);
        OpenUpstream(self.clone())
    }

    /// So many connections wait for a call.
    pub fn idle(&self, connections: usize) {
        self.idle.set(connections);
    }

    /// A call failed.
    pub fn failed(&self, why: Failure) {
        self.failures[why as usize].add(1);
    }

    /// Whether calls fail at once, because many before them did. All workers share that state; the one that counts its
    /// beginning also counts its end.
    pub fn failing_fast(&self, failing: bool) {
        self.failing.set(usize::from(failing));
    }
}

/// Counts a connection to fal as open until it is dropped.
#[derive(Debug)]
pub struct OpenUpstream(Arc<HostCounts>);

impl Drop for OpenUpstream {
    fn drop(&mut self) {
        self.0.open.add(-1);
    }
}

/// Refusals by type. The types are words of the program, so the first so many that are seen are all of them.
#[derive(Debug)]
struct Refusals {
    named: [(OnceLock<&'static str>, Counter); REFUSALS_MAX],
    other: Counter,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { named: std::array::from_fn(|_| Default::default()), other: Counter::default() }
    }
}

impl Refusals {
    fn count(&self, error: &'static str) {
        let mut named = self.named.iter();
        let known = named.find(|(name, _)| *name.get_or_init(|| error) == error);
        known.map_or(&self.other, |(_, counter)| counter).add(1);
    }

    fn seen(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let named = self.named.iter().filter_map(|(name, counter)| Some((*name.get()?, counter.get())));
        named.chain([("other", self.other.get())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_7_accounts_beyond_the_last_name_count_together() {
        let names: Vec<_> =
            (0..ACCOUNTS_MAX + 50).map(|nth| AccountName::new(&format!("account-{nth}"))).collect();
        let worker = Worker::new(names.clone().into());
        let slots: std::collections::BTreeSet<_> = names.iter().map(|name| worker.slot(Some(name))).collect();
        assert_eq!((slots.len(), worker.outcomes.len()), (ACCOUNTS_MAX + 1, ACCOUNTS_MAX + 2));
    }

    #[test]
    fn invariant_7_refusals_beyond_the_last_name_count_together() {
        let refusals = Refusals::default();
        for nth in 0..REFUSALS_MAX + 5 {
            refusals.count(Box::leak(format!("error_{nth}").into_boxed_str()));
            refusals.count("error_0");
        }
        let seen: Vec<_> = refusals.seen().collect();
        assert_eq!(seen.len(), REFUSALS_MAX + 1);
        assert_eq!(seen[0], ("error_0", REFUSALS_MAX as u64 + 6));
        assert_eq!(seen.last(), Some(&("other", 5)));
    }
}
