//! What is counted in: numbers that grow, numbers that rise and fall, and times sorted by length. To count is one or two
//! relaxed additions; nothing is allocated, locked or written as text until somebody asks.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `many` more.
    pub fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Raises it, or lowers it when `by` is negative.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// Says what it is now.
    pub fn set(&self, to: usize) {
        self.0.store(i64::try_from(to).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// What it is.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bounds of times, in microseconds: from a poll that is answered from memory to the longest runs.
const TIMES: [u64; 18] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    1_800_000_000,
];

/// Bounds of batches: writes that shared one disk flush.
const SIZES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// Microseconds in a second.
const MICROS: f64 = 1e6;

/// How many values fell between each two bounds, and their sum.
#[derive(Debug)]
struct Buckets<const N: usize> {
    counts: [Counter; N],
    above: Counter,
    sum: Counter,
}

impl<const N: usize> Buckets<N> {
    fn new() -> Self {
        Self {
            counts: std::array::from_fn(|_| Counter::default()),
            above: Counter::default(),
            sum: Counter::default(),
        }
    }

    fn observe(&self, bounds: &[u64; N], value: u64) {
        let nth = bounds.iter().position(|bound| value <= *bound);
        nth.and_then(|nth| self.counts.get(nth)).unwrap_or(&self.above).add(1);
        self.sum.add(value);
    }

    fn distribution(&self, bounds: &[u64; N], unit: f64) -> Distribution {
        let bounds = bounds.iter().map(|bound| float(*bound) / unit).chain([f64::INFINITY]);
        let counts = self.counts.iter().chain([&self.above]).map(Counter::get);
        Distribution { buckets: bounds.zip(counts).collect(), sum: float(self.sum.get()) / unit }
    }
}

/// Times, sorted by length.
#[derive(Debug)]
pub struct Times(Buckets<{ TIMES.len() }>);

impl Times {
    /// Counts one that took so long.
    pub fn observe(&self, time: Duration) {
        self.0.observe(&TIMES, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn distribution(&self) -> Distribution {
        self.0.distribution(&TIMES, MICROS)
    }
}

impl Default for Times {
    fn default() -> Self {
        Self(Buckets::new())
    }
}

/// Batches, sorted by size.
#[derive(Debug)]
pub struct Sizes(Buckets<{ SIZES.len() }>);

impl Sizes {
    /// Counts one of this size.
    pub fn observe(&self, size: usize) {
        self.0.observe(&SIZES, size as u64);
    }

    /// All sizes together.
    pub fn sum(&self) -> u64 {
        self.0.sum.get()
    }

    pub(super) fn distribution(&self) -> Distribution {
        self.0.distribution(&SIZES, 1.0)
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self(Buckets::new())
    }
}

/// What was observed, added up over workers.
#[derive(Debug, Default)]
pub(super) struct Distribution {
    /// The upper bound of each bucket and how many values are in that one alone.
    pub(super) buckets: Vec<(f64, u64)>,
    pub(super) sum: f64,
}

impl Distribution {
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    pub(super) fn plus(mut self, other: Self) -> Self {
        if self.buckets.is_empty() {
            return other;
        }
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(other.buckets) {
            *count += more;
        }
        self.sum += other.sum;
        self
    }
}

/// Exact up to 2^53, which in microseconds is 285 years.
#[expect(clippy::cast_precision_loss, reason = "metrics are told in floating point; see above")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_time_is_in_the_first_bucket_that_holds_it(micros in 0..4_000_000_000u64) {
            let times = Times::default();
            times.observe(Duration::from_micros(micros));
            let distribution = times.distribution();
            let nth = distribution.buckets.iter().position(|(_, count)| *count == 1).unwrap();
            let seconds = float(micros) / MICROS;
            prop_assert!(seconds <= distribution.buckets[nth].0);
            prop_assert!(nth == 0 || seconds > distribution.buckets[nth - 1].0);
            prop_assert_eq!((distribution.count(), distribution.sum), (1, seconds));
        }
    }

    #[test]
    fn workers_add_up() {
        let (one, other) = (Sizes::default(), Sizes::default());
        one.observe(3);
        other.observe(3);
        other.observe(1_000);
        let both = Distribution::default().plus(one.distribution()).plus(other.distribution());
        assert_eq!((both.count(), both.sum), (3, 1_006.0));
        assert_eq!(both.buckets[2], (4.0, 2));
        assert_eq!(both.buckets.last(), Some(&(f64::INFINITY, 1)));
    }

    #[test]
    fn bounds_rise() {
        assert!(TIMES.is_sorted_by(|a, b| a < b) && SIZES.is_sorted_by(|a, b| a < b));
    }
}
