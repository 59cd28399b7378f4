//! What a key may do, and what it and its tenant have left.

use std::time::Duration;

use serde::Serialize;

use super::json;
use crate::clock::Timestamp;
use crate::ids::{GroupId, KeyId, TenantId};
use crate::key::KeyKind;
use crate::limits::{Standing, What};
use crate::money::{Delta, Usd};
use crate::period::{Period, Zone};
use crate::relay::Relay;
use crate::relay::caller::Caller;
use crate::relay::refusal::Refusal;
use crate::relay::reply::Reply;
use crate::rules::{Effective, Globs, Level};
use crate::store::{BudgetRecord, Meter, Payer, TenantStatus};

#[derive(Serialize)]
struct Account<'a> {
    tenant: Tenant<'a>,
    key: Key<'a>,
    group: Group<'a>,
    budgets: Vec<Budget<'a>>,
    limits: Vec<Limit>,
    endpoints: Vec<Endpoints<'a>>,
    max_request_usd: Option<Usd>,
    max_upload_bytes: u64,
}

#[derive(Serialize)]
struct Tenant<'a> {
    id: TenantId,
    name: &'a str,
    status: TenantStatus,
    spent_usd: Delta,
    held_usd: Usd,
}

#[derive(Serialize)]
struct Key<'a> {
    id: KeyId,
    name: &'a str,
    kind: KeyKind,
    last_four: &'a str,
    /// Whoever reads this holds a key that works.
    status: &'static str,
    created_at: String,
    expires_at: Option<String>,
}

#[derive(Serialize)]
struct Group<'a> {
    id: GroupId,
    name: &'a str,
}

#[derive(Serialize)]
struct Budget<'a> {
    scope: &'static str,
    period: Period,
    zone: &'a Zone,
    limit_usd: Usd,
    spent_usd: Delta,
    held_usd: Usd,
    left_usd: Usd,
    resets_at: Option<String>,
}

#[derive(Serialize)]
struct Limit {
    scope: &'static str,
    name: &'static str,
    limit: u32,
    left: u32,
    /// When there will be one more.
    next_in_seconds: Option<u64>,
}

/// An endpoint may be called when each `allow` that is not empty matches it, and no `deny` does.
#[derive(Serialize)]
struct Endpoints<'a> {
    scope: &'static str,
    allow: &'a Globs,
    deny: &'a Globs,
}

impl Relay {
    /// The caller's account.
    pub(super) async fn account(&self, caller: &Caller) -> Result<Reply, Refusal> {
        let now = self.shared.clock.now();
        let payer = Payer { tenant_id: caller.tenant_id(), key_id: Some(caller.key_id()) };
        let meters = self.shared.store.meters(payer, now).await?;
        let standings = self.shared.limits.peek(&caller.every_bound(), caller.owners()).await?;
        let record = caller.record();
        let budgets = record.budgets.iter();
        json(&Account {
            tenant: tenant(caller, &meters),
            key: key(caller),
            group: Group { id: record.group.id, name: &record.group.name },
            budgets: budgets.map(|budget| self::budget(budget, &meters, now)).collect(),
            limits: standings.into_iter().map(limit).collect(),
            endpoints: endpoints(caller.rules()),
            max_request_usd: caller.rules().max_request(),
            max_upload_bytes: self.max_upload(caller),
        })
    }
}

fn tenant<'a>(caller: &'a Caller, meters: &[Meter]) -> Tenant<'a> {
    let tenant = &caller.record().tenant;
    let total = meters.iter().find(|meter| meter.payer.key_id.is_none() && meter.period == Period::Total);
    Tenant {
        id: tenant.id,
        name: &tenant.name,
        status: tenant.status,
        spent_usd: Delta::from_nanos(total.map_or(0, |meter| meter.spent_nano)),
        held_usd: total.map_or(Usd::ZERO, |meter| meter.held),
    }
}

fn key(caller: &Caller) -> Key<'_> {
    let key = caller.record();
    Key {
        id: key.id,
        name: &key.name,
        kind: key.kind,
        last_four: &key.last_four,
        status: "active",
        created_at: key.created_at.to_string(),
        expires_at: key.expires_at.map(|end| end.to_string()),
    }
}

/// A window without a meter is one in which nothing was called yet.
fn budget<'a>(record: &'a BudgetRecord, meters: &[Meter], now: Timestamp) -> Budget<'a> {
    let cap = &record.budget;
    let window = cap.period.window(&cap.zone, now);
    let meter = meters.iter().find(|meter| {
        (meter.payer.key_id, meter.period, meter.window) == (record.key_id, cap.period, window)
    });
    let (spent_nano, held) = meter.map_or((0, Usd::ZERO), |meter| (meter.spent_nano, meter.held));
    Budget {
        scope: if record.key_id.is_some() { "key" } else { "tenant" },
        period: cap.period,
        zone: &cap.zone,
        limit_usd: cap.limit_usd,
        spent_usd: Delta::from_nanos(spent_nano),
        held_usd: held,
        left_usd: left(cap.limit_usd, spent_nano, held),
        resets_at: window.resets_at().map(|at| at.to_string()),
    }
}

/// What a call may still hold. A cap that was lowered below what is spent leaves nothing, and a correction gives back no
/// more than there was.
fn left(limit: Usd, spent_nano: i64, held: Usd) -> Usd {
    let used = i128::from(spent_nano) + i128::from(held.nanos());
    let left = (i128::from(limit.nanos()) - used).max(0);
    i64::try_from(left).ok().and_then(Usd::from_nanos).unwrap_or(limit)
}

fn limit(standing: Standing) -> Limit {
    let bound = standing.bound;
    Limit {
        scope: bound.owner.kind(),
        name: match bound.what {
            What::Requests => "requests_per_minute",
            What::Submits => "submits_per_minute",
            What::Jobs => "jobs_in_flight",
            What::Uploads => "uploads_per_minute",
        },
        limit: bound.limit.get(),
        left: standing.remaining,
        next_in_seconds: standing.reset.map(whole_seconds),
    }
}

/// Rounded up: an earlier ask would be refused.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// The lists of the levels that have any.
fn endpoints(rules: &Effective) -> Vec<Endpoints<'_>> {
    let levels = rules.levels().into_iter();
    let said = levels.filter(|(_, rules)| !rules.allow.is_empty() || !rules.deny.is_empty());
    let scope = |level| match level {
        Level::Tenant => "tenant",
        Level::Group => "group",
        Level::Key => "key",
    };
    said.map(|(level, rules)| Endpoints { scope: scope(level), allow: &rules.allow, deny: &rules.deny })
        .collect()
}
