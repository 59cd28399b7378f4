//! fal's price list, whole or not at all.

use std::time::Duration;

use super::{Billing, BillingError};
use crate::platform::{Gathered, Progress};
use crate::pricing::{Diff, Price, PriceList};
use crate::store::{self, Author, NewPriceList, PriceRecord, PriceVersion};

/// How long an interrupted list may wait to be gone on with; older ones are begun anew, since prices may have changed.
const RESUME_WITHIN: Duration = Duration::from_secs(3600);

/// A sync that somebody wants.
pub struct Sync<'a> {
    /// Who wants it, and why.
    pub author: Author,
    /// Whether a list that lacks most of the known prices is taken too.
    pub force: bool,
    /// Is told how far it has come.
    pub progress: &'a (dyn Fn(Progress) + Send + std::marker::Sync),
}

/// A list from fal beside the one that is in force. Nothing was saved.
#[derive(Debug)]
pub struct Fetched {
    /// What would change.
    pub diff: Diff,
    /// fal's list.
    pub gathered: Gathered,
    /// How many prices are known.
    known: usize,
}

/// A list that was saved.
#[derive(Debug)]
pub struct Synced {
    /// Its version.
    pub version: PriceVersion,
    /// What changed.
    pub diff: Diff,
    /// How many models fal lists, with a price or without.
    pub models: usize,
    /// Entries that cannot be used, each in a sentence.
    pub problems: Vec<String>,
    /// Further ones.
    pub more_problems: usize,
}

impl Billing {
    /// Takes fal's whole price list. A sync that was interrupted goes on where it was, within this process and an hour.
    pub async fn sync_prices(&self, sync: Sync<'_>) -> Result<Synced, BillingError> {
        let Fetched { diff, gathered, known } = self.fetch_prices(sync.progress).await?;
        if gathered.prices.is_empty() {
            return Err(BillingError::NoPrices);
        }
        if diff.removed.len() > known / 2 && !sync.force {
            return Err(BillingError::TooManyGone { gone: diff.removed.len(), of: known });
        }
        let list =
            NewPriceList { source: self.platform.address().to_owned(), prices: records(gathered.prices) };
        let author = Author { at: self.clock.now(), ..sync.author };
        let version = self.store.save_prices(list, author).await?;
        Ok(Synced {
            version,
            diff,
            models: gathered.models,
            problems: gathered.problems,
            more_problems: gathered.more_problems,
        })
    }

    /// Asks fal for its whole list and compares it, without saving anything.
    pub async fn fetch_prices(
        &self,
        progress: &(dyn Fn(Progress) + Send + std::marker::Sync),
    ) -> Result<Fetched, BillingError> {
        let account = self.accounts.first().ok_or(BillingError::NoAccount)?;
        let gathered = {
            let mut gathering = self.gathering.lock().await;
            let now = self.clock.elapsed();
            if now.saturating_sub(gathering.0) > RESUME_WITHIN {
                *gathering = Default::default();
            }
            if gathering.1.is_empty() {
                gathering.0 = now;
            }
            self.platform.gather_prices(&account.key, &mut gathering.1, progress).await?
        };
        let known = list_of(self.store.prices().await?);
        Ok(Fetched { diff: Diff::between(&known, &gathered.prices), gathered, known: known.len() })
    }
}

fn list_of(stored: store::PriceList) -> PriceList {
    let price =
        |record: PriceRecord| (record.endpoint, Price { unit_price: record.unit_price, unit: record.unit });
    stored.prices.into_iter().map(price).collect()
}

fn records(list: PriceList) -> Vec<PriceRecord> {
    let record = |(endpoint, Price { unit_price, unit })| PriceRecord { endpoint, unit_price, unit };
    list.into_iter().map(record).collect()
}
