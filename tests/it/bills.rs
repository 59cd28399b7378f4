//! Prices and fal's bill, brought into a store.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fal_relay::billing::{self, Account, AccountReport, Billing, BillingError, Reconcile, Settings, Sync};
use fal_relay::clock::{Clock, Timestamp};
use fal_relay::ids::{AccountName, CallId, LeaseId, RequestId};
use fal_relay::key::{ApiKey, KeyKind};
use fal_relay::money::{Delta, Multiplier, UnitPrice, Usd};
use fal_relay::platform::{self, Platform};
use fal_relay::pricing::Basis;
use fal_relay::random::Random;
use fal_relay::rules::Rules;
use fal_relay::secret::Secret;
use fal_relay::store::{
    Author, CallFilter, CallKind, CallRecord, CallState, Cost, KeyRecord, NewCall, NewGroup, NewKey, Release,
    SentCall, Settlement, SqliteStore, Store, Terms,
};
use serde_json::{Value, json};

use crate::support::{Fal, LeapingClock, Seen, json as reply_json, until};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

/// A store, a fal that tells what a test puts there, and the service between them.
struct Bench {
    _folder: tempfile::TempDir,
    fal: Fal,
    /// The price list: endpoint and dollars for an image.
    prices: Arc<Mutex<Vec<(String, String)>>>,
    /// The bill, or what is wrong with it.
    bill: Arc<Mutex<Result<Vec<Value>, &'static str>>>,
    store: Arc<dyn Store>,
    clock: LeapingClock,
    billing: Arc<Billing>,
    key: KeyRecord,
}

impl Bench {
    async fn new() -> Self {
        Self::with(Settings::default(), Some("id-admin:secret")).await
    }

    async fn with(settings: Settings, admin_key: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.db");
        let place = fal_relay::store::Settings { sqlite_path: path, batch_max: 512 };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&place).unwrap());
        let clock = LeapingClock::at(Timestamp::from_micros(1_700_000_000_000_000));
        let prices: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let bill = Arc::new(Mutex::new(Ok(Vec::new())));
        let fal = scripted(prices.clone(), bill.clone()).await;
        let road = platform::Settings {
            url: fal.base(),
            connect_timeout: Duration::from_secs(5),
            requests_per_second: NonZeroU32::new(100).unwrap(),
            loopback_only: true,
        };
        let platform = Platform::new(&road, None, Arc::new(clock.clone())).unwrap();
        let account = |name: &str, admin_key: Option<&str>| Account {
            name: AccountName::new(name),
            key: Secret::new("id:secret"),
            admin_key: admin_key.map(Secret::new),
        };
        let accounts = vec![account("main", admin_key), account("other", None)];
        let billing = Billing::new(store.clone(), platform, accounts, settings, Arc::new(clock.clone()));
        let key = make_key(&*store, clock.now()).await;
        Self { _folder: folder, fal, prices, bill, store, clock, billing: Arc::new(billing), key }
    }

    /// Holds a call of an account.
    async fn hold(&self, account: &str) -> CallId {
        let call = NewCall {
            tenant_id: self.key.tenant.id,
            key_id: self.key.id,
            token_id: None,
            account: AccountName::new(account),
            endpoint: "acme/a".into(),
            kind: CallKind::Queue,
            lease: LeaseId(0),
            tags: None,
            terms: Terms {
                unit_price: Some(UnitPrice::parse("0.1").unwrap()),
                unit: Some("image".into()),
                multiplier: Multiplier::parse("1.5").unwrap(),
                price_version: None,
            },
            hold: usd("1"),
            hold_basis: "request",
            windows: Vec::new(),
            held_at: self.clock.now(),
        };
        self.store.hold(call).await.unwrap().id
    }

    async fn sent(&self, account: &str, request_id: &str) -> CallId {
        let id = self.hold(account).await;
        let sent = SentCall {
            request_id: RequestId::parse(request_id).unwrap(),
            app_base: "acme/a".into(),
            body_sha256: None,
            body_bytes: 2,
            sent_at: self.clock.now(),
        };
        self.store.sent(id, sent).await.unwrap();
        id
    }

    /// A call that ended; of unknown cost without one.
    async fn settled(&self, account: &str, request_id: &str, cost: Option<&str>) -> CallId {
        let id = self.sent(account, request_id).await;
        let cost = cost.map(|cost| Cost { cost: usd(cost), charge: usd(cost), basis: Basis::Billed });
        let settled_at = self.clock.now();
        self.store
            .settle(id, Settlement { status: 200, billable_units: None, cost, settled_at })
            .await
            .unwrap();
        id
    }

    async fn lost(&self, account: &str) -> CallId {
        let id = self.hold(account).await;
        self.store.lose(id, self.clock.now()).await.unwrap();
        id
    }

    async fn call(&self, id: CallId) -> CallRecord {
        self.store.call(id).await.unwrap().unwrap()
    }

    /// What a call came to: its state, fal's cost, the tenant's charge, and whether its hold still stands.
    async fn money(&self, id: CallId) -> (CallState, Option<String>, Option<String>, bool) {
        let call = self.call(id).await;
        let text = |amount: Option<Delta>| amount.map(|amount| amount.to_string());
        (call.state, text(call.cost_usd), text(call.charge_usd), call.hold_open)
    }

    async fn reasons(&self, id: CallId) -> Vec<(String, String)> {
        let adjustments = self.store.adjustments(id).await.unwrap();
        adjustments.into_iter().map(|made| (made.author, made.reason)).collect()
    }

    async fn tag(&self, id: CallId) -> String {
        format!("{}.{id}", self.store.instance().await.unwrap())
    }

    fn bill(&self, lines: Vec<Value>) {
        *self.bill.lock().unwrap() = Ok(lines);
    }

    async fn reconcile(&self, apply: bool) -> AccountReport {
        let wish = Reconcile { author: "cli".into(), since: None, apply };
        let mut report = self.billing.reconcile(&wish).await.unwrap();
        assert_eq!(report.accounts.len(), 1, "only where there is an admin key");
        report.accounts.remove(0)
    }

    fn list(&self, prices: &[(&str, &str)]) {
        let owned = |(id, price): &(&str, &str)| ((*id).to_owned(), (*price).to_owned());
        *self.prices.lock().unwrap() = prices.iter().map(owned).collect();
    }

    async fn sync(&self, force: bool) -> Result<billing::Synced, BillingError> {
        let author = Author { name: "cli".into(), reason: None, at: self.clock.now() };
        self.billing.sync_prices(Sync { author, force, progress: &|_| {} }).await
    }

    async fn known(&self) -> Vec<(String, String)> {
        let list = self.store.prices().await.unwrap();
        list.prices
            .into_iter()
            .map(|price| (price.endpoint.to_string(), price.unit_price.to_string()))
            .collect()
    }

    fn questions(&self, path: &str) -> usize {
        self.fal.seen().iter().filter(|seen| seen.target.split('?').next() == Some(path)).count()
    }
}

async fn make_key(store: &dyn Store, now: Timestamp) -> KeyRecord {
    let author = Author { name: "test".into(), reason: None, at: now };
    let multiplier = Multiplier::parse("1.5").unwrap();
    let group = NewGroup { name: "resold".into(), multiplier, rules: Rules::default() };
    let group = store.create_group(group, author.clone()).await.unwrap();
    let key = ApiKey::generate(KeyKind::Live, &Random::seeded(1)).unwrap();
    let new = NewKey {
        tenant: "alpha".into(),
        group_id: group.id,
        name: "web".into(),
        kind: KeyKind::Live,
        digest: key.digest(),
        last_four: key.last_four(),
        rules: Rules::default(),
        starts_at: None,
        expires_at: None,
        budgets: Vec::new(),
    };
    store.create_key(new, author).await.unwrap()
}

async fn scripted(
    prices: Arc<Mutex<Vec<(String, String)>>>,
    bill: Arc<Mutex<Result<Vec<Value>, &'static str>>>,
) -> Fal {
    Fal::start(move |seen: &Seen| {
        let ok = |body: Value| reply_json("200 OK", &body.to_string());
        let prices = prices.lock().unwrap();
        match seen.target.split('?').next().unwrap() {
            "/v1/models/pricing" if seen.target.contains("broken") => reply_json("503 Service Unavailable", "{}"),
            "/v1/models" if prices.is_empty() => reply_json("404 Not Found", "{}"),
            "/v1/models" => {
                let model = |(id, _): &(String, String)| json!({ "endpoint_id": id });
                ok(json!({ "models": prices.iter().map(model).collect::<Vec<_>>() }))
            }
            "/v1/models/pricing" => {
                let price = |(id, price): &(String, String)| {
                    json!({ "endpoint_id": id, "unit_price": price, "unit": "image", "currency": "USD" })
                };
                ok(json!({ "prices": prices.iter().map(price).collect::<Vec<_>>() }))
            }
            "/v1/models/billing-events" => {
                assert_eq!(seen.header("authorization"), Some("Key id-admin:secret"));
                match &*bill.lock().unwrap() {
                    Ok(lines) => ok(json!({ "billing_events": lines })),
                    Err(status) => reply_json(status, "{}"),
                }
            }
            other => panic!("asked for {other}"),
        }
    })
    .await
}

/// A line of the bill.
fn line(request_id: &str, nanos: i64, tag: Option<&str>) -> Value {
    json!({
        "request_id": request_id, "endpoint_id": "acme/a", "output_units": 1,
        "cost_estimate_nano_usd": nanos, "tags": tag.map(|tag| json!({ "fal-relay": tag })),
    })
}

#[tokio::test]
async fn a_whole_list_is_saved_and_its_changes_are_told() {
    let bench = Bench::new().await;
    bench.list(&[("acme/a", "0.1"), ("acme/b", "0.2"), ("acme/c", "eleven")]);
    let synced = bench.sync(false).await.unwrap();
    assert_eq!((synced.version.version, synced.version.endpoints, synced.models), (1, 2, 3));
    assert_eq!((synced.diff.added.len(), synced.problems.len()), (2, 1));

    bench.list(&[("acme/a", "0.15"), ("acme/b", "0.2")]);
    let fetched = bench.billing.fetch_prices(&|_| {}).await.unwrap();
    assert_eq!(fetched.diff.to_string(), "~ acme/a: 0.1 per image -> 0.15 per image\n");
    assert_eq!(bench.known().await[0].1, "0.1", "to look is not to take");
    let synced = bench.sync(false).await.unwrap();
    assert_eq!((synced.version.version, synced.version.changes), (2, 1));
    assert_eq!(synced.version.source, bench.fal.base());
    assert_eq!(bench.known().await[0].1, "0.15");
}

#[tokio::test]
async fn a_list_that_lacks_most_of_what_is_known_is_refused_unless_forced() {
    let bench = Bench::new().await;
    bench.list(&[("acme/a", "1"), ("acme/b", "1"), ("acme/c", "1"), ("acme/d", "1")]);
    bench.sync(false).await.unwrap();
    bench.list(&[("acme/a", "1"), ("acme/b", "1")]);
    assert_eq!(bench.sync(false).await.unwrap().version.endpoints, 2, "half may go");
    bench.list(&[("acme/x", "1"), ("acme/y", "1"), ("acme/z", "1")]);
    let error = bench.sync(false).await.unwrap_err();
    assert!(matches!(error, BillingError::TooManyGone { gone: 2, of: 2 }), "{error}");
    assert_eq!(bench.known().await[0].0, "acme/a");
    bench.sync(true).await.unwrap();
    assert_eq!(bench.known().await.len(), 3);
    bench.list(&[("acme/x", "one")]);
    assert!(matches!(bench.sync(true).await, Err(BillingError::NoPrices)), "not even when forced");
    assert_eq!(bench.known().await.len(), 3);
}

#[tokio::test]
async fn invariant_7_an_interrupted_list_is_gone_on_with_for_an_hour() {
    let bench = Bench::new().await;
    bench.list(&[("acme/broken", "1")]);
    for (gap, listed) in [(Duration::ZERO, 1), (HOUR / 2, 1), (HOUR / 2, 2)] {
        bench.clock.advance(gap);
        let error = bench.sync(false).await.unwrap_err();
        assert!(matches!(error, BillingError::Platform(_)), "{error}");
        assert_eq!(bench.questions("/v1/models"), listed);
    }
    assert!(bench.known().await.is_empty(), "a part of a list is no list");
}

#[tokio::test]
async fn a_bill_that_says_what_the_ledger_says_changes_nothing() {
    let bench = Bench::new().await;
    let by_id = bench.settled("main", "r-1", Some("0.25")).await;
    let by_tag = bench.settled("main", "r-2", Some("0.5")).await;
    let tag = bench.tag(by_tag).await;
    bench.bill(vec![line("r-1", 250_000_000, None), line("other-name", 500_000_000, Some(&tag))]);
    let report = bench.reconcile(true).await;
    assert_eq!((report.billed, report.equal, report.differing, report.strange), (2, 2, 0, 0));
    for id in [by_id, by_tag] {
        assert_eq!(bench.reasons(id).await, []);
    }
    let question = bench.fal.seen().pop().unwrap().target;
    assert!(question.contains("start=2023-11-14T21%3A13%3A20"), "an hour before the first call: {question}");
}

#[tokio::test]
async fn what_was_not_known_becomes_known() {
    let bench = Bench::new().await;
    let unpriced = bench.settled("main", "r-1", None).await;
    let lost = bench.lost("main").await;
    let in_parts = bench.settled("main", "r-3", None).await;
    let tag = bench.tag(lost).await;
    bench.bill(vec![
        line("r-1", 20_000_001, None),
        line("r-2", 30_000_000, Some(&tag)),
        line("r-3", 1_000_000, None),
        line("r-3", 2_000_000, None),
    ]);
    let report = bench.reconcile(false).await;
    assert_eq!((report.priced, report.settled, report.differing, report.free), (2, 1, 0, 0));
    let known = |cost: &str, charge: &str| {
        (CallState::Settled, Some(cost.to_owned()), Some(charge.to_owned()), false)
    };
    // The tenant pays half as much again; half a nano-dollar goes to the even neighbour.
    assert_eq!(bench.money(unpriced).await, known("0.020000001", "0.030000002"));
    assert_eq!(bench.money(lost).await, known("0.03", "0.045"));
    assert_eq!(bench.money(in_parts).await, known("0.003", "0.0045"));
    assert_eq!(bench.reasons(unpriced).await, [("cli".to_owned(), "billing event".to_owned())]);
    let settled = bench.call(lost).await;
    assert_eq!((settled.cost_basis, settled.billable_units.as_deref()), (Some(Basis::Billed), Some("1")));

    let again = bench.reconcile(true).await;
    assert_eq!((again.equal, again.priced, again.settled, again.differing), (3, 0, 0, 0));
}

#[tokio::test]
async fn what_differs_is_named_and_changed_only_when_asked() {
    let bench = Bench::new().await;
    let dearer = bench.settled("main", "r-1", Some("0.1")).await;
    let released = bench.hold("main").await;
    let release = Release { status: None, reason: "not_sent", released_at: bench.clock.now() };
    bench.store.release(released, release).await.unwrap();
    let tag = bench.tag(released).await;
    bench.bill(vec![line("r-1", 200_000_000, None), line("r-2", 40_000_000, Some(&tag))]);

    let report = bench.reconcile(false).await;
    let named: Vec<_> = report.differences.iter().map(|found| (found.call_id, found.applied)).collect();
    assert_eq!((report.differing, named), (2, vec![(dearer, false), (released, false)]));
    assert_eq!(bench.money(dearer).await.1.as_deref(), Some("0.10"));
    assert_eq!(bench.reasons(dearer).await, []);

    let report = bench.reconcile(true).await;
    assert!(report.differences.iter().all(|found| found.applied));
    assert_eq!(bench.money(dearer).await.1.as_deref(), Some("0.20"));
    assert_eq!(bench.money(dearer).await.2.as_deref(), Some("0.30"));
    assert_eq!(bench.money(released).await.2.as_deref(), Some("0.06"));
    assert_eq!(bench.reconcile(false).await.equal, 2);
}

#[tokio::test]
async fn what_is_not_this_ledgers_is_named() {
    let bench = Bench::new().await;
    let mine = bench.settled("other", "r-1", Some("0.1")).await;
    let open = bench.sent("main", "r-2").await;
    bench.bill(vec![
        line("r-1", 100_000_000, None),
        line("r-2", 100_000_000, None),
        line("r-3", 7, Some("another.5")),
        line("r-4", 8, None),
        json!({ "request_id": "r-5" }),
    ]);
    let report = bench.reconcile(true).await;
    assert_eq!((report.billed, report.equal, report.under_way, report.of_other_relays), (4, 1, 1, 1));
    assert_eq!((report.strange, report.unusable), (1, 1));
    assert_eq!(report.strangers[0].request_id, "r-4");
    assert_eq!(
        (bench.call(mine).await.state, bench.call(open).await.state),
        (CallState::Settled, CallState::Sent)
    );
    let told = report.to_string();
    assert!(told.contains("r-4 (acme/a): fal 0.000000008; not in the ledger"), "{told}");
}

/// A call that fal billed, and two old ones of unknown cost that it did not.
async fn unbilled(bench: &Bench) -> [CallId; 2] {
    let old = [bench.lost("main").await, bench.settled("main", "r-old", None).await];
    bench.clock.advance(DAY);
    bench.settled("main", "r-1", Some("0.1")).await;
    bench.bill(vec![line("r-1", 100_000_000, None)]);
    old
}

#[tokio::test]
async fn invariant_7_a_call_that_was_not_billed_is_free_in_the_end() {
    let bench = Bench::new().await;
    let [lost, unpriced] = unbilled(&bench).await;
    let (young, elsewhere) = (bench.lost("main").await, bench.lost("other").await);
    let report = bench.reconcile(false).await;
    assert_eq!((report.free, report.left), (2, 0));
    let (state, .., hold) = bench.money(lost).await;
    assert_eq!((state, hold), (CallState::Released, false));
    assert_eq!(bench.call(lost).await.reason.as_deref(), Some("fal billed nothing"));
    let zero = Some("0.00".to_owned());
    assert_eq!(bench.money(unpriced).await, (CallState::Settled, zero.clone(), zero, false));
    assert_eq!(bench.reasons(unpriced).await, [("cli".to_owned(), "fal billed nothing".to_owned())]);
    for kept in [young, elsewhere] {
        assert_eq!(bench.call(kept).await.state, CallState::Unknown);
    }
}

#[tokio::test]
async fn a_bill_that_proves_nothing_frees_nothing() {
    for spoil in [
        (|bench: &Bench| bench.bill(vec![])) as fn(&Bench),
        |bench| bench.bill(vec![line("stranger", 1, None)]),
        |bench| bench.bill(vec![line("r-1", 100_000_000, None), json!({ "request_id": "r-2" })]),
        |bench| *bench.bill.lock().unwrap() = Err("403 Forbidden"),
        |bench| *bench.bill.lock().unwrap() = Err("500 Internal Server Error"),
    ] {
        let bench = Bench::new().await;
        let old = unbilled(&bench).await;
        spoil(&bench);
        let report = bench.reconcile(true).await;
        assert_eq!((report.free, report.left), (0, 2), "{report:?}");
        for id in old {
            assert!(bench.money(id).await.3, "its hold stays");
        }
    }
}

#[tokio::test]
async fn calls_before_the_bill_are_left_alone() {
    let bench = Bench::new().await;
    let old = unbilled(&bench).await;
    let since = Some(bench.clock.now());
    let wish = Reconcile { author: "cli".into(), since, apply: false };
    let report = bench.billing.reconcile(&wish).await.unwrap().accounts.remove(0);
    assert_eq!((report.free, report.left), (0, 0));
    assert_eq!(bench.call(old[0]).await.state, CallState::Unknown);
    let since = Some(bench.clock.now().plus(HOUR));
    let wish = Reconcile { author: "cli".into(), since, apply: false };
    assert!(matches!(bench.billing.reconcile(&wish).await, Err(BillingError::Future)));
}

#[tokio::test]
async fn without_an_admin_key_nothing_is_asked_and_nothing_freed() {
    let bench = Bench::with(Settings::default(), None).await;
    let lost = bench.lost("main").await;
    bench.clock.advance(DAY * 30);
    let wish = Reconcile { author: "cli".into(), since: None, apply: true };
    assert!(matches!(bench.billing.reconcile(&wish).await, Err(BillingError::NoAdminKey)));
    assert_eq!(bench.call(lost).await.state, CallState::Unknown);
    assert!(bench.fal.seen().is_empty());
}

#[tokio::test]
async fn invariant_7_a_bill_is_read_in_stretches_and_named_up_to_a_point() {
    let bench = Bench::new().await;
    bench.settled("main", "r-1", Some("0.1")).await;
    bench.clock.advance(DAY * 200);
    let since = Some(Timestamp::from_micros(0));
    bench.bill((0..1_100).map(|n| line(&format!("s-{n}"), 1, None)).collect());
    let wish = Reconcile { author: "cli".into(), since, apply: false };
    let report = bench.billing.reconcile(&wish).await.unwrap().accounts.remove(0);
    // 200 days and an hour: nothing before the first call is asked for.
    assert_eq!(bench.questions("/v1/models/billing-events"), 3);
    assert_eq!((report.strange, report.strangers.len()), (1_100, 1_000));
    bench.clock.advance(DAY * 100);
    bench.reconcile(false).await;
    assert_eq!(bench.questions("/v1/models/billing-events"), 4, "unasked, it goes back three days");
}

#[tokio::test]
async fn invariant_7_long_bills_and_ledgers_are_read_in_parts() {
    let bench = Bench::new().await;
    let lost = (0..1_050).map(|_| bench.lost("main"));
    futures_util::future::join_all(lost).await;
    bench.clock.advance(DAY);
    bench.settled("main", "r-1", Some("0.1")).await;
    let strangers = (0..10_050).map(|n| line(&format!("s-{n}"), 1, None));
    bench.bill(strangers.chain([line("r-1", 100_000_000, None)]).collect());
    let report = bench.reconcile(false).await;
    assert_eq!((report.strange, report.equal, report.free, report.left), (10_050, 1, 1_050, 0));
}

/// The service in the background. Its clock leaps, so it is ended by whoever has seen enough.
async fn kept(bench: &Bench, enough: impl FnMut() -> bool) {
    let billing = bench.billing.clone();
    let keeping = tokio::spawn(async move { billing.keep().await });
    until(enough).await;
    keeping.abort();
}

#[tokio::test]
async fn invariant_7_prices_and_bill_are_looked_after_once_a_day() {
    let bench = Bench::new().await;
    bench.list(&[("acme/a", "0.1")]);
    bench.settled("main", "r-1", Some("0.1")).await;
    kept(&bench, || bench.questions("/v1/models/billing-events") >= 4).await;
    let versions = bench.store.price_versions(100).await.unwrap();
    let gaps: Vec<_> = versions
        .windows(2)
        .map(|pair| pair[0].synced_at.since(pair[1].synced_at).as_secs() / 3_600)
        .collect();
    assert!(gaps.len() >= 2 && gaps.iter().all(|hours| *hours == 24 || *hours == 25), "{gaps:?}");
}

#[tokio::test]
async fn a_fal_that_fails_is_asked_again_in_an_hour_and_prices_stay() {
    let bench = Bench::new().await;
    bench.list(&[("acme/a", "0.1")]);
    bench.sync(false).await.unwrap();
    bench.list(&[]);
    bench.clock.advance(DAY);
    let (before, asked) = (bench.clock.elapsed(), bench.questions("/v1/models"));
    kept(&bench, || bench.questions("/v1/models") >= asked + 3).await;
    assert!(bench.clock.elapsed() - before >= HOUR * 2);
    assert_eq!(bench.known().await.len(), 1);
}

#[tokio::test]
async fn invariant_7_first_prices_are_asked_for_until_they_come() {
    let bench = Bench::with(Settings::default(), None).await;
    let start = bench.clock.elapsed();
    let mut asked = Vec::new();
    kept(&bench, || {
        asked.push(bench.clock.elapsed() - start);
        bench.questions("/v1/models") >= 3
    })
    .await;
    assert!(asked.last().is_some_and(|last| (240..HOUR.as_secs()).contains(&last.as_secs())), "{asked:?}");
}

#[tokio::test]
async fn what_is_off_is_off() {
    let settings = Settings { sync: false, reconcile: false, ..Settings::default() };
    let bench = Bench::with(settings, Some("id-admin:secret")).await;
    bench.lost("main").await;
    let start = bench.clock.elapsed();
    kept(&bench, || bench.clock.elapsed() - start > DAY * 3).await;
    assert!(bench.fal.seen().is_empty());
    assert_eq!(
        bench.store.calls(CallFilter::default(), CallId(0), 9).await.unwrap()[0].state,
        CallState::Unknown
    );
}
