//! What came of laying the bill beside the ledger.

use std::fmt;

use serde::Serialize;

use crate::ids::{AccountName, CallId};
use crate::money::{Delta, Usd};

/// The most calls of a kind that are named for one account; more are counted.
pub(super) const NAMED_MAX: usize = 1_000;

/// What came of it, account by account.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The bill was read from here, RFC 3339.
    pub from: String,
    /// To before here.
    pub until: String,
    /// Whether differences were to be settled in fal's favour.
    pub apply: bool,
    /// Every account with an admin key.
    pub accounts: Vec<AccountReport>,
}

/// What came of it for one account.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "counts, each told by the line that people read")]
pub struct AccountReport {
    pub account: AccountName,
    /// Why the bill was not read to its end; what had been read by then counts.
    pub error: Option<String>,
    /// Requests on the bill.
    pub billed: u64,
    /// Calls that cost what the ledger says.
    pub equal: u64,
    /// Calls whose cost was not known and is now.
    pub priced: u64,
    /// Calls whose outcome was not known: they were billed.
    pub settled: u64,
    /// Old calls that never appeared on the bill: they are free.
    pub free: u64,
    /// The same, left alone, because the bill shows no call of this relay or could not be read whole.
    pub left: u64,
    /// Calls that are on the bill and still under way here.
    pub under_way: u64,
    /// Requests of another relay.
    pub of_other_relays: u64,
    /// Lines that cannot be used.
    pub unusable: u64,
    /// Calls that cost something else than the ledger says.
    pub differing: u64,
    /// The first of these.
    pub differences: Vec<Difference>,
    /// Requests without a call in the ledger.
    pub strange: u64,
    /// The first of these.
    pub strangers: Vec<Stranger>,
    /// Whether the lines told their tags, without which direct runs are not found.
    pub tagged: bool,
}

/// A call that costs something else than the ledger says.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The call.
    pub call_id: CallId,
    /// fal's name for it.
    pub request_id: String,
    /// What the ledger says that fal bills.
    pub known_usd: Delta,
    /// What fal bills.
    pub billed_usd: Usd,
    /// Whether the ledger says so now.
    pub applied: bool,
}

/// A request that fal billed and the ledger does not know.
#[derive(Debug, Serialize)]
pub struct Stranger {
    /// fal's name for it.
    pub request_id: String,
    /// What was called.
    pub endpoint: String,
    /// What fal bills.
    pub billed_usd: Usd,
}

impl AccountReport {
    pub(super) fn new(account: AccountName) -> Self {
        Self {
            account,
            error: None,
            billed: 0,
            equal: 0,
            priced: 0,
            settled: 0,
            free: 0,
            left: 0,
            under_way: 0,
            of_other_relays: 0,
            unusable: 0,
            differing: 0,
            differences: Vec::new(),
            strange: 0,
            strangers: Vec::new(),
            tagged: true,
        }
    }

    pub(super) fn differs(&mut self, difference: Difference) {
        self.differing += 1;
        if self.differences.len() < NAMED_MAX {
            self.differences.push(difference);
        }
    }

    pub(super) fn is_strange(&mut self, stranger: Stranger) {
        self.strange += 1;
        if self.strangers.len() < NAMED_MAX {
            self.strangers.push(stranger);
        }
    }

    fn counts(&self) -> [(u64, &'static str); 11] {
        [
            (self.billed, "requests on fal's bill"),
            (self.equal, "as the ledger says"),
            (self.priced, "whose cost was not known, and is now"),
            (self.settled, "of unknown outcome, which fal billed: settled"),
            (self.free, "of unknown cost, which fal did not bill: free"),
            (self.left, "of unknown cost, left alone: the bill does not show enough to call them free"),
            (self.under_way, "still under way here"),
            (self.of_other_relays, "of other relays on this fal account"),
            (self.unusable, "lines of the bill that cannot be used"),
            (self.differing, "that cost something else than the ledger says"),
            (self.strange, "that the ledger does not know"),
        ]
    }
}

impl Report {
    /// Whether every bill was read to its end.
    pub fn is_whole(&self) -> bool {
        self.accounts.iter().all(|account| account.error.is_none())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "fal's bill from {} to {}", self.from, self.until)?;
        self.accounts.iter().try_for_each(|account| account.fmt(f))
    }
}

impl fmt::Display for AccountReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\naccount {}", self.account)?;
        if let Some(error) = &self.error {
            writeln!(f, "  not read to its end: {error}")?;
        }
        if !self.tagged {
            writeln!(f, "  fal tells no tags for this account, so direct runs are not found on its bill")?;
        }
        for (count, what) in self.counts() {
            if count > 0 || what == "requests on fal's bill" {
                writeln!(f, "  {count:>8}  {what}")?;
            }
        }
        for Difference { call_id, request_id, known_usd, billed_usd, applied } in &self.differences {
            let done = if *applied { "now the ledger says so" } else { "--apply takes fal's word" };
            writeln!(f, "  call {call_id} ({request_id}): ledger {known_usd}, fal {billed_usd}; {done}")?;
        }
        for Stranger { request_id, endpoint, billed_usd } in &self.strangers {
            writeln!(f, "  {request_id} ({endpoint}): fal {billed_usd}; not in the ledger")?;
        }
        Ok(())
    }
}
