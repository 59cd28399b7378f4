//! Rates and jobs in flight. They may forget in a crash; money may not (invariant 9).
//!
//! A call names its [`Bound`]s and asks once: all of them let it in, or none has counted it. A rate is a GCRA: a bucket
//! that drains at the limit and holds one burst. Jobs in flight are leases, which end with the call or, should that be
//! lost, by themselves.
//!
//! What belongs to a tenant or a group is shared by its keys, and no key can use it up alone:
//! each active key has an equal share, which is kept for it, and takes beyond it only what the shares of the others
//! leave free (`fair` for rates, `jobs` for jobs).
//!
//! The trait is defined by its story, `tests/it/limits_story.rs`, which runs on every backend.

mod fair;
mod fields;
mod gcra;
mod jobs;
mod leases;
mod memory;
mod records;
mod slot;
mod state;
#[cfg(test)]
mod tests;

use futures_util::future::{BoxFuture, Either, Ready};

use crate::ids::LeaseId;

pub use fields::{RATELIMIT, RATELIMIT_POLICY, ratelimit, ratelimit_policy, retry_after_seconds};
pub use gcra::BURST_MAX;
pub use jobs::JOBS_RETRY_AFTER;
pub use memory::{MemoryLimits, Settings, Size};
pub use records::{Admission, Ask, Bound, Lease, Limited, Owner, Owners, Standing, What};

/// How long a key counts as active after it last asked. Never shorter than a rate needs to come to rest.
pub const ACTIVE_WINDOW: std::time::Duration = std::time::Duration::from_secs(60);

/// A key that stopped asking counts as active for up to this much longer: so often is looked for such keys.
const SWEEP_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

/// The answer of a verb: at hand for what is counted in memory, under way for what is counted elsewhere.
pub type Verb<'a, T> = Either<Ready<Result<T, LimitsError>>, BoxFuture<'a, Result<T, LimitsError>>>;

/// Where rates and jobs in flight are counted.
pub trait Limits: Send + Sync + 'static {
    /// Lets a call in under all `bounds`, or under none of them. A granted job counts on all its owners, whether or not
    /// they have a bound today, until it is released; a lease that is held already is not counted again.
    fn admit<'a>(&'a self, bounds: &'a [Bound], ask: Ask) -> Verb<'a, Admission>;
    /// Ends a job in flight; `false` when no such lease is held, which changes nothing.
    fn release(&self, lease: LeaseId) -> Verb<'_, bool>;
    /// Counts jobs that are known from elsewhere to be in flight, whatever the limits, for a full term from now. Saying
    /// it again of a lease that is held renews its term.
    fn restore<'a>(&'a self, leases: &'a [Lease]) -> Verb<'a, ()>;
    /// What these owners have left under each of `bounds`; counts nothing.
    fn peek<'a>(&'a self, bounds: &'a [Bound], owners: Owners) -> Verb<'a, Vec<Standing>>;
}

/// Why nothing could be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// The server that counts does not answer.
    #[error("the limits cannot be counted: {0}")]
    Unavailable(String),
}
