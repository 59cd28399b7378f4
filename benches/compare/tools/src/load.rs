//! Load: one thread and one connection each, either as fast as answers come (closed loop) or at a rate (open loop).
//!
//! In the open loop the clock of a request starts when it was due, not when a connection was free for it, so a proxy that
//! stalls is charged for all whom it kept waiting (no coordinated omission).

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::flags::{Failure, Flags};
use crate::work::Work;

/// However wrong a call of this program is, it ends.
const LONGEST: Duration = Duration::from_secs(120);
const CONNECTIONS_MAX: usize = 1024;

struct Plan {
    to: SocketAddr,
    work: Work,
    requests: u64,
    lasts: Duration,
    /// Time from one request to the next, over all connections; none in the closed loop.
    pace: Option<Duration>,
    next: AtomicU64,
    gate: Barrier,
}

#[derive(Default)]
struct Outcome {
    latencies: Vec<Duration>,
    errors: u64,
    last_error: Option<String>,
}

pub fn run(flags: &Flags) -> Result<(), Failure> {
    let connections: usize = flags.required("connections")?;
    if !(1..=CONNECTIONS_MAX).contains(&connections) {
        return Err(format!("--connections is between 1 and {CONNECTIONS_MAX}").into());
    }
    let lasts = flags.optional("seconds")?.map_or(LONGEST, Duration::from_secs_f64).min(LONGEST);
    let plan = Arc::new(Plan {
        to: flags.loopback("to")?,
        work: Work::read(flags)?,
        requests: flags.optional("requests")?.unwrap_or(u64::MAX),
        lasts,
        pace: flags.optional("rate")?.map(|rate: f64| Duration::from_secs_f64(1.0 / rate)),
        next: AtomicU64::new(0),
        gate: Barrier::new(connections),
    });
    let start = Instant::now();
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let plan = plan.clone();
            std::thread::spawn(move || plan.drive())
        })
        .collect();
    let mut all = Outcome::default();
    for thread in threads {
        all.add(thread.join().map_err(|_| "a load thread broke")?);
    }
    all.print(start.elapsed());
    Ok(())
}

impl Plan {
    fn drive(&self) -> Outcome {
        let mut outcome = Outcome::default();
        let client = self.connect();
        self.gate.wait();
        let start = Instant::now();
        match client {
            Ok(mut client) => self.requests(&mut client, start, &mut outcome),
            Err(error) => outcome.fail(error.to_string()),
        }
        outcome
    }

    fn connect(&self) -> io::Result<Client> {
        let mut client = Client::connect(self.to, None)?;
        self.work.begin(&mut client)?;
        Ok(client)
    }

    fn requests(&self, client: &mut Client, start: Instant, outcome: &mut Outcome) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let due = self.due(start, number);
            if number >= self.requests || due.duration_since(start) >= self.lasts {
                return;
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            match self.work.once(client) {
                Ok(200..300) => outcome.latencies.push(due.elapsed()),
                Ok(status) => outcome.fail(format!("status {status}")),
                Err(error) => return outcome.fail(error.to_string()),
            }
        }
    }

    fn due(&self, start: Instant, number: u64) -> Instant {
        match self.pace {
            Some(pace) => start + pace.mul_f64(number as f64),
            None => Instant::now(),
        }
    }
}

impl Outcome {
    fn fail(&mut self, error: String) {
        self.errors += 1;
        self.last_error = Some(error);
    }

    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.last_error = other.last_error.or(self.last_error.take());
    }

    fn print(&mut self, took: Duration) {
        self.latencies.sort_unstable();
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| self.quantile(share));
        let error = self.last_error.take().map_or("null".into(), |error| format!("{error:?}"));
        println!(
            "{{\"requests\":{},\"errors\":{},\"last_error\":{error},\"seconds\":{:.6},\"p50_us\":{p50:.1},\"p99_us\":{p99:.1},\"max_us\":{max:.1}}}",
            self.latencies.len(),
            self.errors,
            took.as_secs_f64(),
        );
    }

    /// The latency in microseconds that `share` of the requests did not exceed.
    fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.latencies.len() as f64).ceil() as usize;
        let latency = self.latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default();
        latency.as_secs_f64() * 1e6
    }
}
