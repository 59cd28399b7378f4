//! A tenant who has shown a key, and all that decides what he may do.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::ids::{KeyId, TenantId};
use crate::key::KeyDigest;
use crate::limits::{Bound, Owner, Owners, What};
use crate::period::Window;
use crate::rules::{Effective, Rules};
use crate::store::{BudgetRecord, KeyRecord, MeterWindow};

/// A tenant who has shown a key. Only `identity` can make one.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Card>);

/// What a key opens, worked out once.
#[derive(Debug)]
struct Card {
    record: KeyRecord,
    rules: Effective,
    /// On requests, and on calls that may be billed.
    request_bounds: Vec<Bound>,
    billable_bounds: Vec<Bound>,
    /// On uploads that begin.
    upload_bounds: Vec<Bound>,
    /// By what it is known again.
    digest: KeyDigest,
    /// The windows of now of the budgets, and until when they are those of now.
    windows: Mutex<Option<(Window, Vec<MeterWindow>)>>,
}

impl Caller {
    pub(super) fn new(record: KeyRecord, digest: KeyDigest) -> Self {
        let rules = Effective::new([&record.tenant.rules, &record.group.rules, &record.rules]);
        let card = Card {
            rules,
            request_bounds: bounds(&record, &[What::Requests]),
            billable_bounds: bounds(&record, &[What::Requests, What::Submits, What::Jobs]),
            upload_bounds: bounds(&record, &[What::Requests, What::Uploads]),
            digest,
            windows: Mutex::default(),
            record,
        };
        Self(Arc::new(card))
    }

    /// Who pays.
    pub fn tenant_id(&self) -> TenantId {
        self.0.record.tenant.id
    }

    /// The tenant's name.
    pub fn tenant(&self) -> &Arc<str> {
        &self.0.record.tenant.name
    }

    /// With which key.
    pub fn key_id(&self) -> KeyId {
        self.0.record.id
    }

    /// All that the store knows of the key.
    pub fn record(&self) -> &KeyRecord {
        &self.0.record
    }

    /// What the key may do, its tenant's and group's rules counted in.
    pub fn rules(&self) -> &Effective {
        &self.0.rules
    }

    /// Whether the key opens anything for a client at `address`.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        self.0.rules.admits(address)
    }

    /// On whom its calls count.
    pub(super) fn owners(&self) -> Owners {
        let record = &self.0.record;
        Owners { tenant: record.tenant.id, group: Some(record.group.id), key: record.id }
    }

    /// The limits of any request.
    pub(super) fn request_bounds(&self) -> &[Bound] {
        &self.0.request_bounds
    }

    /// The limits of a call that may be billed.
    pub(super) fn billable_bounds(&self) -> &[Bound] {
        &self.0.billable_bounds
    }

    /// The limits of an upload that begins.
    pub(super) fn upload_bounds(&self) -> &[Bound] {
        &self.0.upload_bounds
    }

    /// All its limits.
    pub(super) fn every_bound(&self) -> Vec<Bound> {
        bounds(&self.0.record, &[What::Requests, What::Submits, What::Jobs, What::Uploads])
    }

    /// By what it is known again without its key.
    pub(super) fn digest(&self) -> KeyDigest {
        self.0.digest
    }

    /// The windows of `now` of the key's budgets and its tenant's.
    pub(super) fn windows(&self, now: Timestamp) -> Vec<MeterWindow> {
        let budgets = &self.0.record.budgets;
        if budgets.is_empty() {
            return Vec::new();
        }
        let mut kept = self.0.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((valid, windows)) = &*kept
            && valid.contains(now)
        {
            return windows.clone();
        }
        let windows: Vec<_> = budgets.iter().map(|budget| window(budget, now)).collect();
        *kept = common(&windows).map(|valid| (valid, windows.clone()));
        windows
    }
}

fn window(record: &BudgetRecord, now: Timestamp) -> MeterWindow {
    let period = record.budget.period;
    MeterWindow { of_key: record.key_id.is_some(), period, window: period.window(&record.budget.zone, now) }
}

/// The stretch of time in which all of `windows` are those of now.
fn common(windows: &[MeterWindow]) -> Option<Window> {
    let starts_at = windows.iter().map(|meter| meter.window.starts_at).max()?;
    let ends_at = windows.iter().map(|meter| meter.window.ends_at).min()?;
    Some(Window { starts_at, ends_at })
}

/// Each level's limits count on its own owner.
fn bounds(record: &KeyRecord, whats: &[What]) -> Vec<Bound> {
    let levels: [(Owner, &Rules); 3] = [
        (Owner::Tenant(record.tenant.id), &record.tenant.rules),
        (Owner::Group(record.group.id), &record.group.rules),
        (Owner::Key(record.id), &record.rules),
    ];
    let of_level = |(owner, rules): (Owner, &Rules)| {
        let limit = |what| match what {
            What::Requests => rules.requests_per_minute,
            What::Submits => rules.submits_per_minute,
            What::Jobs => rules.jobs_in_flight,
            What::Uploads => rules.uploads_per_minute,
        };
        whats
            .iter()
            .filter_map(|what| Some(Bound { owner, what: *what, limit: limit(*what)? }))
            .collect::<Vec<_>>()
    };
    levels.into_iter().flat_map(of_level).collect()
}
