//! A tenant who has shown a key, and all that decides what he may do.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::refusal::Refusal;
use crate::clock::Timestamp;
use crate::ids::{KeyId, TenantId, TokenId};
use crate::key::Presented;
use crate::limits::{Bound, Owner, Owners, What};
use crate::period::Window;
use crate::rules::{Effective, Rules};
use crate::store::{BudgetRecord, KeyRecord, MeterWindow, TokenRecord};

/// A tenant who has shown a key, or a client token of one. Only `identity` can make one.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Card>);

/// What a client token says beside its key.
#[derive(Debug)]
struct Token {
    id: TokenId,
    rules: Rules,
    created_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
}

/// What a key opens, worked out once.
#[derive(Debug)]
struct Card {
    record: KeyRecord,
    token: Option<Token>,
    rules: Effective,
    /// On requests, and on calls that may be billed.
    request_bounds: Vec<Bound>,
    billable_bounds: Vec<Bound>,
    /// On uploads that begin.
    upload_bounds: Vec<Bound>,
    /// By what it is known again.
    shown: Presented,
    /// The windows of now of the budgets, and until when they are those of now.
    windows: Mutex<Option<(Window, Vec<MeterWindow>)>>,
}

impl Caller {
    pub(super) fn new(record: KeyRecord, shown: Presented) -> Self {
        Self::of(record, None, shown)
    }

    /// Whoever shows a client token is its key's holder, with less.
    pub(super) fn with_token(record: TokenRecord, shown: Presented) -> Self {
        let TokenRecord { id, key, rules, created_at, expires_at, revoked_at } = record;
        Self::of(key, Some(Token { id, rules, created_at, expires_at, revoked_at }), shown)
    }

    fn of(record: KeyRecord, token: Option<Token>, shown: Presented) -> Self {
        let rules = Effective::new([&record.tenant.rules, &record.group.rules, &record.rules]);
        let card = Card {
            rules: match &token {
                Some(token) => rules.narrowed(&token.rules),
                None => rules,
            },
            token,
            request_bounds: bounds(&record, &[What::Requests]),
            billable_bounds: bounds(&record, &[What::Requests, What::Submits, What::Jobs]),
            upload_bounds: bounds(&record, &[What::Requests, What::Uploads]),
            shown,
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

    /// With which of the key's client tokens, if with one.
    pub fn token_id(&self) -> Option<TokenId> {
        self.0.token.as_ref().map(|token| token.id)
    }

    /// That token, and when it was made.
    pub(super) fn token_made(&self) -> Option<(TokenId, Timestamp)> {
        self.0.token.as_ref().map(|token| (token.id, token.created_at))
    }

    /// Whether the key, and the client token if there is one, opens anything at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        let lives = |token: &Token| token.revoked_at.is_none() && now < token.expires_at;
        self.0.record.is_active(now) && self.0.token.as_ref().is_none_or(lives)
    }

    /// When the key or the client token ends by itself, whichever is first.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let token = self.0.token.as_ref().map(|token| token.expires_at);
        self.0.record.expires_at.into_iter().chain(token).min()
    }

    /// Refuses a client token what only the holder of a key may do.
    pub fn require_key(&self) -> Result<(), Refusal> {
        match self.0.token {
            Some(_) => Err(Refusal::KeyNeeded),
            None => Ok(()),
        }
    }

    /// Whether it may ask after a call to this endpoint: a client token only where it might have made the call.
    pub(super) fn may_follow(&self, endpoint: &str) -> bool {
        let allow = self.0.token.as_ref().map(|token| &token.rules.allow);
        allow.is_none_or(|allow| allow.is_empty() || allow.matches(endpoint))
    }

    /// All that the store knows of the key.
    pub fn record(&self) -> &KeyRecord {
        &self.0.record
    }

    /// What the key may do, its tenant's and group's rules counted in.
    pub fn rules(&self) -> &Effective {
        &self.0.rules
    }

    /// Whether it opens anything for a page of this origin; what is no page has none.
    pub(super) fn admits_origin(&self, origin: Option<&str>) -> bool {
        origin.is_none_or(|origin| self.0.rules.admits_origin(origin))
    }

    /// Whether a page of this origin may read its answers because it is listed.
    pub fn lists_origin(&self, origin: &str) -> bool {
        self.0.rules.lists_origins() && self.0.rules.admits_origin(origin)
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
    pub(super) fn shown(&self) -> Presented {
        self.0.shown
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
