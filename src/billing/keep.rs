//! Prices and bill in the background.

use std::time::Duration;

use super::{Billing, BillingError, Reconcile, Report, Sync, Synced};
use crate::store::Author;

/// Between looks whether anything is due, and so between attempts that fail.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// The same while no price is known at all: calls may be refused for that.
const LOOK_FOR_FIRST: Duration = Duration::from_secs(120);
/// Between bills.
const RECONCILE_EVERY: Duration = Duration::from_secs(86_400);
/// The name under which the audit log and adjustments show it.
const AUTHOR: &str = "fal-relay";

impl Billing {
    /// Syncs prices when they are missing or old, and reads the bill once a day; never returns. When fal does not tell,
    /// what was known stays, and it is asked again in an hour; within minutes when nothing is known.
    pub async fn keep(&self) {
        let mut reconciled_at: Option<Duration> = None;
        loop {
            if self.settings.sync {
                tell_sync(self.sync_when_due().await);
            }
            let since = reconciled_at.map(|at| self.clock.elapsed().saturating_sub(at));
            let is_due = since.is_none_or(|since| since >= RECONCILE_EVERY);
            if self.settings.reconcile && self.may_reconcile() && is_due {
                let wish = Reconcile { author: AUTHOR.into(), since: None, apply: false };
                let report = self.reconcile(&wish).await;
                if report.as_ref().is_ok_and(Report::is_whole) {
                    reconciled_at = Some(self.clock.elapsed());
                }
                tell_bill(report);
            }
            let knows_prices = self.store.price_versions(1).await.is_ok_and(|found| !found.is_empty());
            let waits_for_first = self.settings.sync && !knows_prices;
            self.clock.sleep(if waits_for_first { LOOK_FOR_FIRST } else { LOOK_EVERY }).await;
        }
    }

    async fn sync_when_due(&self) -> Result<Option<Synced>, BillingError> {
        let last = self.store.price_versions(1).await?.pop();
        let now = self.clock.now();
        if last.is_some_and(|last| now.since(last.synced_at) < self.settings.sync_after) {
            return Ok(None);
        }
        let author = Author { name: AUTHOR.into(), reason: None, at: now };
        self.sync_prices(Sync { author, force: false, progress: &|_| {} }).await.map(Some)
    }
}

fn tell_sync(synced: Result<Option<Synced>, BillingError>) {
    match synced {
        Ok(None) => {}
        Ok(Some(Synced { version, models, problems, more_problems, .. })) => {
            tracing::info!(
                version = version.version,
                prices = version.endpoints,
                changes = version.changes,
                models,
                "fal's prices were synced"
            );
            for problem in &problems {
                tracing::debug!("fal's price list: {problem}");
            }
            let unusable = problems.len() + more_problems;
            if unusable > 0 {
                tracing::warn!(
                    unusable,
                    "entries of fal's price list cannot be used; `fal-relay prices diff` names them"
                );
            }
        }
        Err(error) => tracing::error!(%error, "fal's prices were not synced; the old ones stay"),
    }
}

fn tell_bill(report: Result<Report, BillingError>) {
    let report = match report {
        Ok(report) => report,
        Err(error) => return tracing::error!(%error, "fal's bill was not read"),
    };
    for account in &report.accounts {
        tracing::info!(
            account = account.account.as_str(),
            billed = account.billed,
            equal = account.equal,
            priced = account.priced,
            settled = account.settled,
            free = account.free,
            left = account.left,
            "fal's bill was laid beside the ledger"
        );
        if let Some(error) = &account.error {
            tracing::error!(account = account.account.as_str(), error, "fal's bill was not read to its end");
        }
        if account.differing + account.strange + account.unusable > 0 {
            tracing::warn!(
                account = account.account.as_str(),
                differing = account.differing,
                strange = account.strange,
                unusable = account.unusable,
                "fal's bill is not what the ledger says; `fal-relay reconcile` names the calls"
            );
        }
    }
}
