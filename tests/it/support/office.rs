//! The operator's side: tenants, keys and budgets, made in the store beside the running relay, and the books as they stand.

use fal_relay::clock::{Clock, SystemClock, Timestamp};
use fal_relay::ids::{CallId, KeyId, TenantId};
use fal_relay::key::{ApiKey, KeyKind};
use fal_relay::money::{Multiplier, Usd};
use fal_relay::period::{Period, Zone};
use fal_relay::random::Random;
use fal_relay::rules::Rules;
use fal_relay::store::{
    Author, Books, Budget, CallFilter, CallRecord, CallState, Directory, GroupRecord, KeyRecord, Meter,
    NewGroup, NewKey, NewTenant, Payer, Settings, SqliteStore, UsageFilter,
};
use serde_json::{Value, json};

use super::Relay;

/// The store of a running relay, opened by a second process.
pub(crate) struct Office {
    pub(crate) store: SqliteStore,
    kind: KeyKind,
}

/// A key that is wanted, its tenant and group with it.
pub(crate) struct Wish {
    pub(crate) tenant: String,
    pub(crate) tenant_rules: Value,
    pub(crate) tenant_budgets: Vec<Budget>,
    pub(crate) alert_url: Option<String>,
    /// A group of its own with this multiplier.
    pub(crate) multiplier: Option<&'static str>,
    pub(crate) group_rules: Value,
    pub(crate) rules: Value,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) starts_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A key that was made.
pub(crate) struct Made {
    pub(crate) key: String,
    pub(crate) record: KeyRecord,
}

impl Wish {
    /// A key of this tenant without limits.
    pub(crate) fn of(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            tenant_rules: json!({}),
            tenant_budgets: Vec::new(),
            alert_url: None,
            multiplier: None,
            group_rules: json!({}),
            rules: json!({}),
            budgets: Vec::new(),
            starts_at: None,
            expires_at: None,
        }
    }
}

impl Made {
    pub(crate) fn tenant_id(&self) -> TenantId {
        self.record.tenant.id
    }

    /// The tenant as a payer.
    pub(crate) fn payer(&self) -> Payer {
        Payer { tenant_id: self.tenant_id(), key_id: None }
    }
}

/// A cap in US dollars.
pub(crate) fn budget(period: Period, limit: &str) -> Budget {
    Budget { period, limit_usd: usd(limit), soft_percent: 80, zone: Zone::default() }
}

pub(crate) fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

pub(crate) fn now() -> Timestamp {
    SystemClock::new().now()
}

pub(crate) fn author() -> Author {
    Author { name: "test".into(), reason: None, at: now() }
}

fn rules(value: &Value) -> Rules {
    serde_json::from_value(value.clone()).unwrap()
}

impl Office {
    pub(crate) fn of(relay: &Relay) -> Self {
        let (folder, kind) = match relay.in_sandbox() {
            true => ("fal-relay-sandbox", KeyKind::Test),
            false => ("fal-relay-data", KeyKind::Live),
        };
        let sqlite_path = relay.folder.path().join(folder).join("relay.db");
        Self { store: SqliteStore::open(&Settings { sqlite_path, batch_max: 512 }).unwrap(), kind }
    }

    /// Makes what is wished. A tenant that is there already keeps its own rules.
    pub(crate) async fn make(&self, wish: Wish) -> Made {
        self.make_tenant(&wish).await;
        let group_id = self.make_group(&wish).await;
        let key = ApiKey::generate(self.kind, &Random::system()).unwrap();
        let new = NewKey {
            tenant: wish.tenant,
            group_id,
            name: "key".into(),
            kind: self.kind,
            digest: key.digest(),
            last_four: key.last_four(),
            rules: rules(&wish.rules),
            starts_at: wish.starts_at,
            expires_at: wish.expires_at,
            budgets: wish.budgets,
        };
        let record = self.store.create_key(new, author()).await.unwrap();
        Made { key: key.expose().to_owned(), record }
    }

    async fn make_tenant(&self, wish: &Wish) {
        if self.store.tenant_named(wish.tenant.clone()).await.unwrap().is_some() {
            return;
        }
        let tenant = NewTenant {
            name: wish.tenant.clone(),
            alert_url: wish.alert_url.clone(),
            tags: Vec::new(),
            rules: rules(&wish.tenant_rules),
            budgets: Vec::new(),
        };
        let tenant = self.store.create_tenant(tenant, author()).await.unwrap();
        let payer = Payer { tenant_id: tenant.id, key_id: None };
        for budget in &wish.tenant_budgets {
            self.store.set_budget(payer, budget.period, Some(budget.clone()), author()).await.unwrap();
        }
    }

    async fn make_group(&self, wish: &Wish) -> fal_relay::ids::GroupId {
        if wish.multiplier.is_none() && wish.group_rules == json!({}) {
            return GroupRecord::DEFAULT;
        }
        let group = NewGroup {
            name: format!("group of {}", wish.tenant),
            multiplier: wish.multiplier.map_or(Multiplier::ONE, |text| Multiplier::parse(text).unwrap()),
            rules: rules(&wish.group_rules),
        };
        self.store.create_group(group, author()).await.unwrap().id
    }

    /// All rows of the ledger, oldest first.
    pub(crate) async fn rows(&self) -> Vec<CallRecord> {
        let (mut rows, mut after) = (Vec::new(), CallId(0));
        loop {
            let page = self.store.calls(CallFilter::default(), after, 1000).await.unwrap();
            let Some(last) = page.last() else { return rows };
            after = last.id;
            rows.extend(page);
        }
    }

    /// The rows of one key.
    pub(crate) async fn rows_of(&self, made: &Made) -> Vec<CallRecord> {
        let mut rows = self.rows().await;
        rows.retain(|row| row.key_id == made.record.id);
        rows
    }

    /// The rows, once they are as wanted.
    pub(crate) async fn rows_when(&self, wanted: impl Fn(&[CallRecord]) -> bool) -> Vec<CallRecord> {
        loop {
            let rows = self.rows().await;
            if wanted(&rows) {
                return rows;
            }
            super::pause().await;
        }
    }

    /// The rows, once each of `count` is closed.
    pub(crate) async fn closed(&self, count: usize) -> Vec<CallRecord> {
        self.rows_when(|rows| rows.len() == count && rows.iter().all(|row| row.state.is_closed())).await
    }

    /// What a payer has spent and what is held for it, in nano-dollars, in its meter of all time.
    pub(crate) async fn total(&self, payer: Payer) -> (i64, i64) {
        let meters = self.store.meters(payer, now()).await.unwrap();
        let total = meters.iter().find(|meter| meter.payer == payer && meter.period == Period::Total);
        total.map(|meter| (meter.spent_nano, meter.held.nanos())).unwrap()
    }

    /// Invariant 5: what the meters say is what the rows say, to the nano-dollar. Returns the rows.
    pub(crate) async fn balance(&self) -> Vec<CallRecord> {
        let (rows, meters, usage) = self.still().await;
        rows.iter().for_each(check_row);
        for meter in &meters {
            let said = (meter.spent_nano, meter.held.nanos());
            assert_eq!(said, sums(&rows, meter), "a meter is not the sum of its rows: {meter:?}");
        }
        assert_eq!(usage, settled(&rows), "the roll-up is not the sum of its rows");
        rows
    }

    /// Rows, meters and roll-up of one moment: the relay may be writing meanwhile.
    async fn still(&self) -> (Vec<CallRecord>, Vec<Meter>, (u64, i64)) {
        loop {
            let before = self.rows().await;
            let (meters, usage) = (self.meters().await, self.usage().await);
            if self.rows().await == before {
                return (before, meters, usage);
            }
        }
    }

    async fn meters(&self) -> Vec<Meter> {
        let mut meters = Vec::new();
        for tenant in self.store.tenants(None, TenantId(0), 1000).await.unwrap() {
            let payer = Payer { tenant_id: tenant.id, key_id: None };
            let of_tenant = self.store.meters(payer, now()).await.unwrap();
            assert!(of_tenant.iter().any(|meter| meter.period == Period::Total), "no total of {tenant:?}");
            meters.extend(of_tenant);
        }
        for key in self.store.keys(None, None, KeyId(0), 1000).await.unwrap() {
            let payer = Payer { tenant_id: key.tenant.id, key_id: Some(key.id) };
            meters.extend(self.store.meters(payer, now()).await.unwrap());
        }
        meters
    }

    /// Calls and charges by the roll-up, which counts each settled row once: one that was closed twice would be in it twice.
    async fn usage(&self) -> (u64, i64) {
        let filter = UsageFilter {
            from_day: 0,
            until_day: 1 << 20,
            tenant_id: None,
            key_id: None,
            endpoint: None,
            by: Vec::new(),
            limit: 10,
        };
        let usage = self.store.usage(filter).await.unwrap();
        usage.first().map_or((0, 0), |sum| (sum.calls, sum.charge.nanos()))
    }
}

/// The same by the rows.
fn settled(rows: &[CallRecord]) -> (u64, i64) {
    let settled = rows.iter().filter(|row| row.state == CallState::Settled);
    settled.fold((0, 0), |(calls, charged), row| {
        (calls + 1, charged + row.charge_usd.map_or(0, fal_relay::money::Delta::nanos))
    })
}

/// A hold belongs to an open row, or to a settled one whose cost is not known; no other has one.
fn check_row(row: &CallRecord) {
    let holds = match row.state {
        CallState::Held | CallState::Sent | CallState::Unknown => true,
        CallState::Settled => row.charge_usd.is_none(),
        CallState::Released => false,
    };
    assert_eq!(row.hold_open, holds, "{row:?}");
    assert_eq!(row.cost_usd.is_some(), row.cost_basis.is_some(), "{row:?}");
    assert!(row.settled_at.is_none() || row.released_at.is_none(), "closed twice: {row:?}");
}

fn sums(rows: &[CallRecord], meter: &Meter) -> (i64, i64) {
    let Payer { tenant_id, key_id } = meter.payer;
    let counts = |row: &&CallRecord| {
        row.tenant_id == tenant_id
            && key_id.is_none_or(|key_id| row.key_id == key_id)
            && meter.window.contains(row.held_at)
    };
    let rows = rows.iter().filter(counts);
    rows.fold((0, 0), |(spent, held), row| {
        let charge = row.charge_usd.map_or(0, fal_relay::money::Delta::nanos);
        (spent + charge, held + if row.hold_open { row.hold_usd.nanos() } else { 0 })
    })
}
