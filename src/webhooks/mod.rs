//! The deliverer: sends what is in the outbox to the receivers that tenants named, at least once each. It keeps nothing in
//! memory that the store does not have, so a crash costs at most a second copy of what was on its way.
//!
//! Places are shared so that a receiver that hangs has few of them ([`places`]); what failed comes again on a ladder of
//! waits ([`ladder`]).

mod courier;
mod ladder;
mod places;
mod settings;
mod tempo;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use settings::Settings;

use courier::Courier;
use ladder::Ladder;
use places::{Places, Returned};
use tempo::Tempo;

use crate::clock::{Clock, Timestamp};
use crate::fal::webhook::SigningKey;
use crate::ids::DeliveryId;
use crate::metrics::WebhookCounts;
use crate::outside::Guard;
use crate::random::Random;
use crate::store::{DueQuery, Store, StoreError};

/// Deliveries that are read at once beside those that are in hand.
const READ_AT_ONCE: u32 = 256;
/// How often the outbox is looked at without a reason: another process may have said that a delivery begins anew.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between tries to read or write in a store that does not let us.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How often deliveries are counted where they stand.
const COUNT_EVERY: Duration = Duration::from_secs(15);
/// How often old deliveries are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// Deliveries that are forgotten in one transaction.
const FORGOTTEN_AT_ONCE: u32 = 500;

/// The key that signs at a moment; keys take turns.
pub type Signing = Arc<dyn Fn(Timestamp) -> Option<Arc<SigningKey>> + Send + Sync>;

/// What the deliverer is given and does not make itself.
pub struct Given {
    /// The outbox.
    pub store: Arc<dyn Store>,
    /// Where receivers may stand.
    pub guard: Guard,
    /// The key that signs.
    pub key: Signing,
    /// Told of each delivery that is put into the outbox.
    pub outbox: watch::Receiver<DeliveryId>,
    /// Where it counts.
    pub counts: Arc<WebhookCounts>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Random,
}

/// The deliverer.
pub struct Deliverer {
    courier: Arc<Courier>,
    places: Places,
    tempo: Tempo,
    /// When the outbox is looked at without a reason, on [`Clock::elapsed`]; `None` when that is to be found out.
    look_at: Option<Duration>,
    outbox: watch::Receiver<DeliveryId>,
    settings: Settings,
}

impl Deliverer {
    /// A deliverer that has not begun.
    pub fn new(settings: Settings, given: Given) -> Result<Self, reqwest::Error> {
        let Given { store, guard, key, outbox, counts, clock, random } = given;
        let ladder = Ladder::new(settings.retry_after.clone());
        let places = Places::new(settings.max_at_once, settings.max_at_once_per_target);
        let client = guard.client(courier::pace(&settings))?;
        let courier = Courier { store, guard, client, key, ladder, counts, clock, random };
        let (courier, tempo) = (Arc::new(courier), Tempo::default());
        Ok(Self { courier, places, tempo, look_at: None, outbox, settings })
    }

    /// Delivers for ever.
    pub async fn run(self) {
        let keeper = Keeper { courier: self.courier.clone(), keep: self.settings.keep };
        tokio::join!(self.deliver(), keeper.count(), keeper.forget());
    }

    async fn deliver(mut self) {
        let clock = self.courier.clock.clone();
        let mut under_way = JoinSet::new();
        loop {
            let look_at = match self.fill().await {
                Ok(look_at) => look_at,
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read");
                    clock.elapsed() + STORE_PAUSE
                }
            };
            let held_back = self.begin(&mut under_way);
            let now = clock.elapsed();
            tokio::select! {
                Some(done) = under_way.join_next() => self.take_back(done, &mut under_way),
                // An error: nobody puts anything into the outbox any more; what is in it is delivered all the same.
                Ok(()) = self.outbox.changed() => self.places.look_again(),
                () = clock.sleep(self.tempo.wait(now)), if held_back => {}
                () = clock.sleep(look_at.saturating_sub(now)) => self.places.look_again(),
            }
        }
    }

    /// Begins what has a place; says whether some of it has to wait for its turn.
    fn begin(&mut self, under_way: &mut JoinSet<Returned>) -> bool {
        loop {
            let now = self.courier.clock.elapsed();
            if !self.tempo.wait(now).is_zero() {
                return self.places.may_start();
            }
            let Some(due) = self.places.start() else { return false };
            self.tempo.begin(now);
            let courier = self.courier.clone();
            under_way.spawn(async move { courier.deliver(due).await });
        }
    }

    /// Takes back every place that is free.
    fn take_back(
        &mut self,
        first: Result<Returned, tokio::task::JoinError>,
        under_way: &mut JoinSet<Returned>,
    ) {
        let mut next = Some(first);
        while let Some(done) = next {
            match done {
                Ok(returned) => {
                    self.places.take_back(&returned);
                    if returned.arrived != Some(true) {
                        // It comes again, perhaps before anything else.
                        self.look_at = None;
                    }
                }
                // Its place stays taken, which is the lesser evil: a task that panics once may do so for ever.
                Err(error) => tracing::error!(%error, "a delivery's task failed"),
            }
            next = under_way.try_join_next();
        }
    }

    /// Reads what is due, when there is room for it; says when to look again, on [`Clock::elapsed`].
    async fn fill(&mut self) -> Result<Duration, StoreError> {
        if self.places.wants_more() {
            let limit = READ_AT_ONCE.saturating_add(self.places.in_hand());
            let now = self.courier.clock.now();
            let horizon = now.plus(self.courier.ladder.horizon());
            let without = self.places.full();
            let query = DueQuery { now, horizon, without, limit };
            let due = self.courier.store.due_deliveries(query).await?;
            let all = due.len() < limit as usize;
            self.places.offer(due, all);
            self.look_at = None;
        }
        match self.look_at {
            Some(look_at) if look_at > self.courier.clock.elapsed() => Ok(look_at),
            _ => self.next_look().await,
        }
    }

    async fn next_look(&mut self) -> Result<Duration, StoreError> {
        let Courier { store, clock, .. } = &*self.courier;
        let now = clock.now();
        let next = store.next_delivery(now).await?;
        let look_at = clock.elapsed() + next.map_or(LOOK_EVERY, |next| next.since(now).min(LOOK_EVERY));
        Ok(*self.look_at.insert(look_at))
    }
}

/// What is done beside delivering.
struct Keeper {
    courier: Arc<Courier>,
    keep: Duration,
}

impl Keeper {
    async fn count(&self) {
        let Courier { store, counts, clock, .. } = &*self.courier;
        loop {
            match store.outbox().await {
                Ok(outbox) => {
                    counts.followed.set(number(outbox.followed));
                    counts.waiting.set(number(outbox.waiting));
                    counts.dead.set(number(outbox.dead));
                }
                Err(error) => tracing::debug!(%error, "deliveries cannot be counted"),
            }
            clock.sleep(COUNT_EVERY).await;
        }
    }

    async fn forget(&self) {
        let Courier { store, clock, .. } = &*self.courier;
        loop {
            let before = Timestamp::from_micros(
                clock
                    .now()
                    .as_micros()
                    .saturating_sub(i64::try_from(self.keep.as_micros()).unwrap_or(i64::MAX)),
            );
            loop {
                match store.forget_deliveries(before, FORGOTTEN_AT_ONCE).await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "old deliveries cannot be forgotten");
                        break;
                    }
                }
            }
            clock.sleep(FORGET_EVERY).await;
        }
    }
}

fn number(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
