//! Failing fast: a host of fal's that does not answer rests, and calls to it end at once instead of waiting in line for
//! the same silence. Whether it is well again is asked by a probe of the relay's own, never by a tenant's call: a probe
//! asks for nothing, shows no key, and may be given up after a second, which a call that may be billed must not be.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::Host;

/// Failures in a row, with no answer between, after which a host rests. Any answer counts, a 500 too: a host that
/// answers is not made better by being left alone.
const FAILURES_MAX: u32 = 5;
/// How long a resting host is left alone between two probes.
pub(super) const PROBE_PAUSE: Duration = Duration::from_millis(500);
/// How long the answer to a probe may take, with its connection. Together with the pause it is how late a recovery can
/// be noticed.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// What the roads of all workers share: which of fal's hosts rest, and where connections went.
#[derive(Debug, Default)]
pub struct Shared {
    hosts: [Health; Host::COUNT],
    pub(super) connections: Connections,
}

/// Connections made to fal's hosts since the start.
#[derive(Debug, Default)]
pub(super) struct Connections {
    pub(super) here: AtomicU64,
    pub(super) beyond: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// Where connections to fal's hosts went since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// To this machine.
    pub here: u64,
    /// To other machines.
    pub beyond: u64,
    /// To other machines, and refused because of `loopback_only`.
    pub refused: u64,
}

/// How a host has been doing.
#[derive(Debug, Default)]
pub(super) struct Health {
    failures: AtomicU32,
    resting: AtomicBool,
}

impl Shared {
    /// Where connections went.
    pub fn connections(&self) -> ConnectionCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Connections { here, beyond, refused } = &self.connections;
        ConnectionCounts { here: read(here), beyond: read(beyond), refused: read(refused) }
    }

    /// Whether calls to this host fail at once.
    pub fn is_resting(&self, host: Host) -> bool {
        self.health(host).is_resting()
    }

    pub(super) fn health(&self, host: Host) -> &Health {
        &self.hosts[host.index()]
    }
}

impl Health {
    pub(super) fn is_resting(&self) -> bool {
        self.resting.load(Ordering::Relaxed)
    }

    /// The host answered.
    pub(super) fn answered(&self) {
        // Most answers follow an answer: a read costs other workers nothing, a write would.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// The host did not. True for the one failure that sends it to rest: whoever is told so must bring it back.
    pub(super) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX
            && !self.resting.swap(true, Ordering::Relaxed)
    }

    /// The host is well again.
    pub(super) fn recovered(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.resting.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::UPLOAD_HOSTS_MAX;
    use super::*;

    #[test]
    fn invariant_7_failures_in_a_row_send_a_host_to_rest_once() {
        let health = Health::default();
        for _ in 0..FAILURES_MAX - 1 {
            assert!(!health.failed());
        }
        assert!(!health.is_resting());
        assert!(health.failed());
        assert!(health.is_resting());
        assert!(!health.failed(), "a second probe would be begun");
        health.recovered();
        assert!(!health.is_resting() && !health.failed());
    }

    #[test]
    fn invariant_7_each_of_the_hosts_that_uploads_go_to_rests_alone() {
        let shared = Shared::default();
        let last = Host::Upload(u8::try_from(UPLOAD_HOSTS_MAX).unwrap() - 1);
        for _ in 0..FAILURES_MAX {
            shared.health(last).failed();
        }
        assert!(shared.is_resting(last));
        for host in [Host::Queue, Host::Run, Host::Rest, Host::Cdn, Host::Upload(0)] {
            assert!(!shared.is_resting(host), "{host:?}");
        }
    }

    #[test]
    fn an_answer_between_failures_begins_the_count_anew() {
        let health = Health::default();
        for _ in 0..10 * FAILURES_MAX {
            assert!(!health.failed() && !health.failed());
            health.answered();
        }
    }
}
