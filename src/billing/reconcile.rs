//! fal's bill beside the ledger.

use std::sync::Arc;
use std::time::Duration;

use super::lines::{Line, Lines, Owner};
use super::report::{AccountReport, Difference, Report, Stranger};
use super::{Account, Billing, BillingError};
use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::money::{Delta, MoneyError, Multiplier, UnitPrice, Units, Usd, cost};
use crate::platform::Bill;
use crate::pricing::Basis;
use crate::secret::Secret;
use crate::store::{
    Author, CallFilter, CallRecord, CallState, Cost, NewAdjustment, OpenCall, Release, Settlement, StoreError,
};

/// Three days: how far the bill is read back when nobody says. fal may be late, and a night may have been missed.
const LOOK_BACK: Duration = Duration::from_secs(259_200);
/// How far fal's clock and this one may be apart.
const CLOCKS_APART: Duration = Duration::from_secs(3600);
/// Rows that are read at once.
const PAGE: u32 = 1_000;
/// The status of a call that fal billed while the relay was not looking.
const BILLED_STATUS: u16 = 200;

const BILLED: &str = "billing event";
const NOT_BILLED: &str = "fal billed nothing";

/// A reconciliation that somebody wants.
#[derive(Clone, Debug)]
pub struct Reconcile {
    /// Who wants it.
    pub author: Arc<str>,
    /// From where the bill is read; `None` reaches back to the oldest call whose cost is not known, three days at least.
    pub since: Option<Timestamp>,
    /// Whether the ledger takes fal's word where the two differ.
    pub apply: bool,
}

/// A reconciliation of one account under way.
struct Work<'a> {
    billing: &'a Billing,
    wish: &'a Reconcile,
    instance: Arc<str>,
    from: Timestamp,
    until: Timestamp,
    report: AccountReport,
    /// Whether the bill shows a call of this relay and account, so that its silence about another one means something.
    is_shown: bool,
}

impl Billing {
    /// Whether the bill of any account may be read.
    pub fn may_reconcile(&self) -> bool {
        self.accounts.iter().any(|account| account.admin_key.is_some())
    }

    /// Lays fal's bill beside the ledger, account by account.
    pub async fn reconcile(&self, wish: &Reconcile) -> Result<Report, BillingError> {
        if !self.may_reconcile() {
            return Err(BillingError::NoAdminKey);
        }
        let until = self.clock.now();
        let from = self.beginning(wish.since, until).await?;
        let instance = self.store.instance().await?;
        let mut report = Report {
            from: from.to_string(),
            until: until.to_string(),
            apply: wish.apply,
            accounts: Vec::new(),
        };
        for account in &self.accounts {
            let Some(admin_key) = &account.admin_key else { continue };
            let work = Work {
                billing: self,
                wish,
                instance: instance.clone(),
                from,
                until,
                report: AccountReport::new(account.name.clone()),
                is_shown: false,
            };
            report.accounts.push(work.run(account, admin_key).await?);
        }
        Ok(report)
    }

    /// From where the bill is read: nothing before the first call can be on it.
    async fn beginning(&self, since: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, BillingError> {
        if since.is_some_and(|since| since > now) {
            return Err(BillingError::Future);
        }
        let first = self.store.calls(CallFilter::default(), CallId(0), 1).await?;
        let first = first.first().map_or(now, |call| before(call.held_at, CLOCKS_APART));
        let wanted = match since {
            Some(since) => since,
            None => {
                let open = self.store.open_calls(CallId(0), PAGE).await?;
                let unpriced = self.store.unpriced_calls(CallId(0), PAGE).await?;
                let lost = open.iter().filter(|call| call.state == CallState::Unknown);
                let oldest = lost.chain(&unpriced).map(|call| before(call.held_at, CLOCKS_APART)).min();
                before(now, LOOK_BACK).min(oldest.unwrap_or(now)).max(before(now, Bill::LONGEST))
            }
        };
        Ok(wanted.max(first))
    }
}

impl Work<'_> {
    async fn run(mut self, account: &Account, admin_key: &Secret) -> Result<AccountReport, BillingError> {
        match self.read(account, admin_key).await {
            Ok(()) => {}
            // What a bill does not tell concerns its own account only.
            Err(BillingError::Platform(error)) => self.report.error = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        self.look_for_unbilled(account).await?;
        Ok(self.report)
    }

    /// Reads the bill to its end.
    async fn read(&mut self, account: &Account, admin_key: &Secret) -> Result<(), BillingError> {
        let mut lines = Lines::default();
        let mut from = self.from;
        while from < self.until {
            let until = from.plus(Bill::LONGEST).min(self.until);
            let mut bill = self.billing.platform.bill(admin_key, from, until);
            while let Some(page) = bill.next().await? {
                self.report.unusable += page.faults.len() as u64;
                for event in page.events {
                    self.report.unusable += u64::from(!lines.add(event, &self.instance));
                }
                self.report.tagged &= bill.is_tagged();
                if lines.is_full() {
                    self.compare(account, std::mem::take(&mut lines)).await?;
                }
            }
            from = until;
        }
        self.compare(account, lines).await
    }

    async fn compare(&mut self, account: &Account, lines: Lines) -> Result<(), BillingError> {
        for line in lines.into_lines() {
            self.report.billed += 1;
            match self.find(account, &line).await? {
                Some(call) => {
                    self.is_shown |= call.account == account.name;
                    self.take(&call, line).await?;
                }
                None if line.owner == Owner::AnotherRelay => self.report.of_other_relays += 1,
                None => self.report.is_strange(Stranger {
                    request_id: line.request_id.as_str().to_owned(),
                    endpoint: line.endpoint,
                    billed_usd: line.cost,
                }),
            }
        }
        Ok(())
    }

    /// The call that a line is about: by the relay's own tag, else by the request's id. One key of fal's may be two accounts
    /// here, so a row of another account is taken when there is none of this one.
    async fn find(&self, account: &Account, line: &Line) -> Result<Option<CallRecord>, StoreError> {
        let store = &self.billing.store;
        if let Owner::Ours(id) = line.owner {
            return store.call(id).await;
        }
        let filter = CallFilter { request_id: Some(line.request_id.clone()), ..CallFilter::default() };
        let mut found = store.search(filter, None, PAGE).await?;
        let ours = found.iter().position(|call| call.account == account.name).unwrap_or(0);
        Ok((ours < found.len()).then(|| found.swap_remove(ours)))
    }

    /// Brings a line into the ledger, as far as that may be done unasked.
    async fn take(&mut self, call: &CallRecord, line: Line) -> Result<(), BillingError> {
        let Ok(charge) = charge(line.cost, call.terms.multiplier) else {
            self.report.unusable += 1;
            return Ok(());
        };
        match (call.state, known(call)) {
            (CallState::Held | CallState::Sent, _) => self.report.under_way += 1,
            (CallState::Unknown, _) => self.settle(call.id, &line, charge).await?,
            (_, None) => {
                let adjusted = self.adjust(call.id, line.cost, charge, BILLED).await?;
                self.report.priced += u64::from(adjusted);
            }
            (_, Some(known)) if known == Delta::from(line.cost) => self.report.equal += 1,
            (_, Some(known)) => {
                let applied = self.wish.apply && self.adjust(call.id, line.cost, charge, BILLED).await?;
                self.report.differs(Difference {
                    call_id: call.id,
                    request_id: line.request_id.as_str().to_owned(),
                    known_usd: known,
                    billed_usd: line.cost,
                    applied,
                });
            }
        }
        Ok(())
    }

    async fn settle(&mut self, call: CallId, line: &Line, charge: Usd) -> Result<(), StoreError> {
        let settlement = Settlement {
            status: BILLED_STATUS,
            billable_units: line.units.clone(),
            cost: Some(Cost { cost: line.cost, charge, basis: Basis::Billed }),
            settled_at: self.billing.clock.now(),
        };
        let settled = self.billing.store.settle(call, settlement).await?;
        self.report.settled += u64::from(settled);
        Ok(())
    }

    async fn adjust(
        &self,
        call_id: CallId,
        cost: Usd,
        charge: Usd,
        reason: &'static str,
    ) -> Result<bool, StoreError> {
        let author = Author {
            name: self.wish.author.clone(),
            reason: Some(reason.to_owned()),
            at: self.billing.clock.now(),
        };
        let adjustment = NewAdjustment { call_id, cost, charge };
        Ok(self.billing.store.adjust(adjustment, author).await?.is_some())
    }

    /// Old calls of unknown cost of which the bill says nothing.
    async fn look_for_unbilled(&mut self, account: &Account) -> Result<(), StoreError> {
        let mut after = CallId(0);
        loop {
            let page = self.billing.store.open_calls(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for call in page.iter().filter(|call| call.state == CallState::Unknown) {
                self.free(account, call).await?;
            }
        }
        after = CallId(0);
        loop {
            let page = self.billing.store.unpriced_calls(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for call in &page {
                self.free(account, call).await?;
            }
        }
        Ok(())
    }

    /// Frees a call that fal has had the time to bill and did not.
    async fn free(&mut self, account: &Account, call: &OpenCall) -> Result<(), StoreError> {
        if call.account != account.name || !self.is_due(call).await? {
            return Ok(());
        }
        let is_findable = self.report.tagged || call.request_id.is_some();
        let is_whole = self.report.error.is_none() && self.report.unusable == 0;
        if !(is_findable && is_whole && self.is_shown) {
            self.report.left += 1;
            return Ok(());
        }
        let freed = match call.state {
            CallState::Unknown => {
                let released_at = self.billing.clock.now();
                let release = Release { status: None, reason: NOT_BILLED, released_at };
                self.billing.store.release(call.id, release).await?
            }
            _ => self.adjust(call.id, Usd::ZERO, Usd::ZERO, NOT_BILLED).await?,
        };
        self.report.free += u64::from(freed);
        Ok(())
    }

    /// Whether everything that the call can have come to lies within the bill that was read, long enough ago.
    async fn is_due(&self, call: &OpenCall) -> Result<bool, StoreError> {
        let due = before(self.until, self.billing.settings.unknown_after);
        if before(call.held_at, CLOCKS_APART) < self.from || call.held_at > due {
            return Ok(false);
        }
        let row = self.billing.store.call(call.id).await?;
        Ok(row.is_some_and(|row| row.settled_at.max(row.lost_at).is_none_or(|last| last <= due)))
    }
}

/// What the ledger says that fal bills; a call that was released costs nothing, which nobody had to write down.
fn known(call: &CallRecord) -> Option<Delta> {
    let free = (call.state == CallState::Released).then_some(Delta::ZERO);
    call.cost_usd.or(free)
}

/// What the tenant pays for what fal bills.
fn charge(billed: Usd, multiplier: Multiplier) -> Result<Usd, MoneyError> {
    cost(Units::parse(&billed.to_string())?, UnitPrice::parse("1")?, multiplier)
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(at.as_micros().saturating_sub(micros))
}
