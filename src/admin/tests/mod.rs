//! The service on a real store and a hand-wound clock.

mod import;
mod limits;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::HandClock;
use crate::ids::{CallId, GroupId, KeyId, OperatorId, TenantId};
use crate::period::Period;
use crate::store::{Settings, SqliteStore, StoreError, TenantStatus};

const DAY: Duration = Duration::from_secs(86_400);

struct Office {
    _folder: tempfile::TempDir,
    clock: HandClock,
    admin: Admin,
    owner: Actor,
}

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { sqlite_path: folder.path().join("relay.db"), batch_max: 512 };
        let store = Arc::new(SqliteStore::open(&settings).unwrap());
        let clock = HandClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let admin = Admin::new(store, Arc::new(clock.clone()), Random::seeded(1)).with_kind(KeyKind::Test);
        let owner = admin.by("anna", Role::Owner);
        Self { _folder: folder, clock, admin, owner }
    }

    async fn state(&self, id: KeyId) -> KeyState {
        self.owner.key(id).await.unwrap().state
    }
}

/// Whose, of which period, what is left, when it resets.
type Left = (Option<i64>, Period, Option<String>, Option<String>);

fn create(tenant: &str) -> KeyCreate {
    KeyCreate { tenant: tenant.into(), name: Some("web".into()), ..KeyCreate::default() }
}

fn budget(period: Period, limit_usd: &str) -> BudgetInput {
    BudgetInput { period, limit_usd: limit_usd.into(), soft_percent: None, zone: None }
}

fn field<T>(result: Result<T, AdminError>) -> String {
    match result {
        Err(AdminError::Field { field, .. }) => field.into_owned(),
        Err(other) => format!("not a field: {other}"),
        Ok(_) => "taken".into(),
    }
}

#[tokio::test]
async fn a_key_is_made_expires_and_is_renewed() {
    let office = Office::new();
    let lives =
        |expires_in: &str| KeyCreate { expires_in: Some(expires_in.into()), ..create("Ämter & Söhne") };
    let made = office.owner.create_key(lives("30d")).await.unwrap();
    assert_eq!(ApiKey::parse(&made.key).unwrap().kind(), KeyKind::Test);
    let record = made.record;
    assert_eq!((record.tenant.as_str(), record.name.as_str()), ("Ämter & Söhne", "web"));
    assert_eq!(record.state, KeyState::Active);
    office.clock.advance(30 * DAY);
    assert_eq!(office.state(record.id).await, KeyState::Expired);
    let update =
        KeyUpdate { name: Some("door".into()), expires_in: Some("1d".into()), ..KeyUpdate::default() };
    let updated = office.owner.update_key(record.id, update).await.unwrap();
    assert_eq!(updated.name, "door");
    assert_eq!(updated.expires_at, Some(office.admin.now().plus(DAY).to_string()));
    let never = KeyUpdate { expires_at: Some(None), ..KeyUpdate::default() };
    assert_eq!(office.owner.update_key(record.id, never).await.unwrap().expires_at, None);
    let later = KeyUpdate { starts_at: Some(Some("2030-01-01".into())), ..KeyUpdate::default() };
    assert_eq!(office.owner.update_key(record.id, later).await.unwrap().state, KeyState::Pending);
    let at_once = KeyUpdate { starts_at: Some(None), ..KeyUpdate::default() };
    assert_eq!(office.owner.update_key(record.id, at_once).await.unwrap().state, KeyState::Active);
    let suspend = TenantUpdate { status: Some(TenantStatus::Suspended), ..TenantUpdate::default() };
    office.owner.update_tenant(record.tenant_id, suspend).await.unwrap();
    assert_eq!(office.state(record.id).await, KeyState::Suspended);
}

#[tokio::test]
async fn a_rotated_key_works_on_for_its_grace_and_its_successor_lives_as_long() {
    let office = Office::new();
    let given = KeyCreate {
        expires_in: Some("10d".into()),
        budgets: vec![budget(Period::Day, "5")],
        ..create("alpha")
    };
    let old = office.owner.create_key(given).await.unwrap();
    office.clock.advance(DAY);
    let rotate = async |id, grace: &str| {
        office.owner.rotate_key(id, KeyRotate { grace: Some(grace.into()) }).await.unwrap()
    };
    let new = rotate(old.record.id, "1d").await;
    assert_ne!(new.key, old.key);
    assert_eq!((new.record.tenant_id, &new.record.name), (old.record.tenant_id, &old.record.name));
    assert_eq!((&new.record.kind, &new.record.budgets), (&old.record.kind, &old.record.budgets));
    assert_eq!(new.record.expires_at, Some(office.admin.now().plus(10 * DAY).to_string()));
    assert_eq!(office.state(old.record.id).await, KeyState::Active);
    office.clock.advance(DAY);
    assert_eq!(office.state(old.record.id).await, KeyState::Expired);
    assert_eq!(office.state(new.record.id).await, KeyState::Active);

    let newest = rotate(new.record.id, "0s").await;
    assert_eq!(office.state(new.record.id).await, KeyState::Expired, "without grace it ends at once");
    assert_eq!(office.state(newest.record.id).await, KeyState::Active);
}

#[tokio::test]
async fn a_revoked_key_is_over() {
    let office = Office::new();
    let id = office.owner.create_key(create("alpha")).await.unwrap().record.id;
    let first = office.owner.revoke_key(id).await.unwrap();
    office.clock.advance(DAY);
    assert_eq!(office.owner.revoke_key(id).await.unwrap(), first);
    assert_eq!(first.state, KeyState::Revoked);
    let rotated = office.owner.rotate_key(id, KeyRotate::default()).await;
    assert!(matches!(rotated, Err(AdminError::Ended(ended)) if ended == id));
    assert_eq!(office.owner.keys(KeyQuery::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_taken_is_named() {
    let office = Office::new();
    let owner = &office.owner;
    for bad in ["", " a", "a ", "a\nb", "a\u{0}", "a\u{202e}b", "a\u{200b}b", "a\u{feff}", &"é".repeat(65)] {
        assert_eq!(field(owner.create_key(create(bad)).await), "tenant", "{bad:?}");
        let named = KeyCreate { name: Some(bad.into()), ..create("alpha") };
        assert_eq!(field(owner.create_key(named).await), "name", "{bad:?}");
        let tenant = TenantCreate { name: bad.into(), ..TenantCreate::default() };
        assert_eq!(field(owner.create_tenant(tenant).await), "name", "{bad:?}");
        let group = GroupCreate { name: bad.into(), ..GroupCreate::default() };
        assert_eq!(field(owner.create_group(group).await), "name", "{bad:?}");
    }
    let rules = |rules| KeyCreate { rules, ..create("alpha") };
    let none = RulesSpec::default;
    let words = |word: &str| vec![word.to_owned()];
    let cases = [
        (KeyCreate { expires_in: Some("0s".into()), ..create("a") }, "expires_in"),
        (KeyCreate { expires_in: Some("101y".into()), ..create("a") }, "expires_in"),
        (KeyCreate { expires_at: Some("2020-01-01".into()), ..create("a") }, "expires_at"),
        (
            KeyCreate { expires_at: Some("2025-01-01".into()), expires_in: Some("1d".into()), ..create("a") },
            "expires_in",
        ),
        (
            KeyCreate {
                starts_at: Some("2026-01-01".into()),
                expires_at: Some("2025-01-01".into()),
                ..create("a")
            },
            "starts_at",
        ),
        (KeyCreate { group: Some("nobody".into()), ..create("a") }, "group"),
        (rules(RulesSpec { allow: words("a//b"), ..none() }), "rules.allow"),
        (rules(RulesSpec { deny: words("a/***"), ..none() }), "rules.deny"),
        (rules(RulesSpec { allow: words("a/b"), deny: words("a/**"), ..none() }), "rules.allow"),
        (rules(RulesSpec { requests_per_minute: Some(0), ..none() }), "rules.requests_per_minute"),
        (rules(RulesSpec { submits_per_minute: Some(-1), ..none() }), "rules.submits_per_minute"),
        (rules(RulesSpec { jobs_in_flight: Some(1 << 40), ..none() }), "rules.jobs_in_flight"),
        (rules(RulesSpec { max_request_usd: Some("NaN".into()), ..none() }), "rules.max_request_usd"),
        (rules(RulesSpec { networks: words("10.0.0.0/33"), ..none() }), "rules.networks"),
        (rules(RulesSpec { origins: words("example.com"), ..none() }), "rules.origins"),
        (KeyCreate { budgets: vec![budget(Period::Day, "-5")], ..create("a") }, "budgets[0].limit_usd"),
        (KeyCreate { budgets: vec![budget(Period::Day, "1e99")], ..create("a") }, "budgets[0].limit_usd"),
        (
            KeyCreate {
                budgets: vec![BudgetInput { soft_percent: Some(0), ..budget(Period::Day, "5") }],
                ..create("a")
            },
            "budgets[0].soft_percent",
        ),
        (
            KeyCreate {
                budgets: vec![BudgetInput { zone: Some("Mars".into()), ..budget(Period::Day, "5") }],
                ..create("a")
            },
            "budgets[0].zone",
        ),
        (
            KeyCreate { budgets: vec![budget(Period::Day, "5"), budget(Period::Day, "6")], ..create("a") },
            "budgets[1].period",
        ),
    ];
    for (given, named) in cases {
        let told = format!("{given:?}");
        assert_eq!(field(owner.create_key(given).await), named, "{told}");
    }
    let tenant = |alert_url: &str, tags: Vec<String>| TenantCreate {
        name: "a".into(),
        alert_url: Some(alert_url.into()),
        tags,
        ..TenantCreate::default()
    };
    assert_eq!(field(owner.create_tenant(tenant("ftp://example.com", Vec::new())).await), "alert_url");
    assert_eq!(field(owner.create_tenant(tenant("https://example.com", words("a\tb"))).await), "tags[0]");
    let many = TenantCreate { name: "a".into(), tags: vec!["x".into(); 33], ..TenantCreate::default() };
    assert_eq!(field(owner.create_tenant(many).await), "tags");
    let long = owner.clone().because(Some("x".repeat(501)));
    assert_eq!(field(long.create_key(create("alpha")).await), "reason");
    assert_eq!(owner.tenants(ListQuery::default()).await.unwrap(), Page::empty(), "nothing was made");
    assert_eq!(owner.audit(AuditQuery::default()).await.unwrap(), Page::empty());

    let of = |limit, cursor: Option<&str>| ListQuery { search: None, limit, cursor: cursor.map(Into::into) };
    assert_eq!(field(owner.tenants(of(Some(0), None)).await), "limit");
    assert_eq!(field(owner.groups(of(Some(1001), None)).await), "limit");
    assert_eq!(field(owner.tenants(of(None, Some("-1"))).await), "cursor");
    assert_eq!(field(owner.tenants(of(None, Some("x"))).await), "cursor");
    let call = |status, min_cost: &str| CallQuery {
        status,
        min_cost_usd: Some(min_cost.into()),
        ..CallQuery::default()
    };
    assert_eq!(field(owner.calls(call(Some(7), "1")).await), "status");
    assert_eq!(field(owner.calls(call(None, "one")).await), "min_cost_usd");
}

#[tokio::test]
async fn who_is_not_there_is_named() {
    let office = Office::new();
    let owner = &office.owner;
    let said = |error: AdminError| error.to_string();
    let key = KeyId(99);
    assert_eq!(said(owner.key(key).await.unwrap_err()), "there is no key 99");
    assert_eq!(said(owner.revoke_key(key).await.unwrap_err()), "there is no key 99");
    assert_eq!(said(owner.update_key(key, KeyUpdate::default()).await.unwrap_err()), "there is no key 99");
    assert_eq!(said(owner.delete_key(key).await.unwrap_err()), "there is no key 99");
    let day = budget(Period::Day, "5");
    assert_eq!(said(owner.set_key_budget(key, day.clone()).await.unwrap_err()), "there is no key 99");
    assert_eq!(said(owner.set_tenant_budget(TenantId(9), day).await.unwrap_err()), "there is no tenant 9");
    assert_eq!(said(owner.account(TenantId(9)).await.unwrap_err()), "there is no tenant 9");
    assert_eq!(said(owner.find_tenant("9").await.unwrap_err()), "there is no tenant `9`");
    assert_eq!(said(owner.group(GroupId(9)).await.unwrap_err()), "there is no group 9");
    assert_eq!(said(owner.revoke_operator(OperatorId(9)).await.unwrap_err()), "there is no operator 9");
    assert_eq!(said(owner.adjustments(CallId(9)).await.unwrap_err()), "there is no call 9");
    let error = AdminError::from(StoreError::Unwritable("disk full".into()));
    assert_eq!(error.to_string(), "the store cannot write: disk full");
}

#[tokio::test]
async fn a_role_does_its_own_and_no_more() {
    let office = Office::new();
    let made = office.owner.create_key(create("alpha")).await.unwrap().record;
    let (reader, manager) = (office.admin.by("ben", Role::Read), office.admin.by("mia", Role::Manage));
    reader.keys(KeyQuery::default()).await.unwrap();
    reader.account(made.tenant_id).await.unwrap();
    reader.usage(UsageQuery::default()).await.unwrap();
    let refused =
        |error: AdminError| matches!(error, AdminError::Forbidden { needed: Role::Manage, has: Role::Read });
    assert!(refused(reader.create_key(create("alpha")).await.err().unwrap()));
    assert!(refused(reader.update_key(made.id, KeyUpdate::default()).await.unwrap_err()));
    assert!(refused(reader.rotate_key(made.id, KeyRotate::default()).await.err().unwrap()));
    assert!(refused(reader.revoke_key(made.id).await.unwrap_err()));
    assert!(refused(reader.delete_key(made.id).await.unwrap_err()));
    assert!(refused(reader.create_tenant(TenantCreate::default()).await.unwrap_err()));
    assert!(refused(reader.update_tenant(made.tenant_id, TenantUpdate::default()).await.unwrap_err()));
    assert!(refused(reader.delete_tenant(made.tenant_id).await.unwrap_err()));
    assert!(refused(reader.create_group(GroupCreate::default()).await.unwrap_err()));
    assert!(refused(reader.update_group(GroupId(1), GroupUpdate::default()).await.unwrap_err()));
    assert!(refused(reader.delete_group(GroupId(1)).await.unwrap_err()));
    let day = || budget(Period::Day, "5");
    assert!(refused(reader.set_key_budget(made.id, day()).await.unwrap_err()));
    assert!(refused(reader.set_tenant_budget(made.tenant_id, day()).await.unwrap_err()));
    assert!(refused(reader.lift_key_budget(made.id, Period::Day).await.unwrap_err()));
    assert!(refused(reader.lift_tenant_budget(made.tenant_id, Period::Day).await.unwrap_err()));
    assert!(refused(reader.adjust(CallId(1), AdjustmentInput::default()).await.unwrap_err()));
    assert!(refused(reader.lift_price_override("a/b").await.unwrap_err()));
    assert!(refused(reader.import(ImportInput::default()).await.unwrap_err()));

    manager.rotate_key(made.id, KeyRotate::default()).await.unwrap();
    let operator = OperatorCreate {
        name: "eve".into(),
        role: Role::Owner,
        expires_at: None,
        expires_in: Some("1d".into()),
    };
    let error = manager.create_operator(operator.clone()).await.err().unwrap();
    assert_eq!(error.to_string(), "this takes the role `owner`, and yours is `manage`");
    assert!(manager.revoke_operator(OperatorId(1)).await.is_err());

    let eve = office.owner.create_operator(operator).await.unwrap();
    let acting = office.admin.authenticate(&eve.token).await.unwrap().unwrap();
    assert_eq!((acting.name(), acting.role()), ("eve", Role::Owner));
    for stranger in ["", "fr_admin_", "sk-0123456789abcdef", &eve.token.replace("fr_admin_", "fr_live_")] {
        assert!(office.admin.authenticate(stranger).await.unwrap().is_none(), "{stranger}");
    }
    office.clock.advance(DAY);
    assert!(office.admin.authenticate(&eve.token).await.unwrap().is_none(), "it has expired");
}

#[tokio::test]
async fn the_audit_log_names_who_and_why() {
    let office = Office::new();
    let mia = office.admin.by("mia", Role::Manage).because(Some("a new client".into()));
    let made = mia.create_key(create("alpha")).await.unwrap().record;
    let query = AuditQuery { object: Some(format!("key:{}", made.id)), ..AuditQuery::default() };
    let lines = office.owner.audit(query).await.unwrap().items;
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((line.author.as_str(), line.action.as_str()), ("mia", "key.create"));
    assert_eq!(line.reason.as_deref(), Some("a new client"));
    assert_eq!(line.at, office.admin.now().to_string());
}

#[tokio::test]
async fn lists_are_read_in_pages() {
    let office = Office::new();
    for nth in 0..5 {
        office.owner.create_key(create(&format!("tenant {nth}"))).await.unwrap();
    }
    let page = async |cursor| {
        let query = ListQuery { search: Some("TENANT".into()), limit: Some(2), cursor };
        office.owner.tenants(query).await.unwrap()
    };
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let Page { items, next_cursor, has_more } = page(cursor).await;
        assert_eq!(has_more, next_cursor.is_some());
        names.extend(items.into_iter().map(|tenant| tenant.name));
        cursor = next_cursor;
        if !has_more {
            break;
        }
    }
    assert_eq!(names, ["tenant 0", "tenant 1", "tenant 2", "tenant 3", "tenant 4"]);
}

#[tokio::test]
async fn an_account_tells_each_budget_also_before_its_first_call() {
    let office = Office::new();
    let create_tenant = TenantCreate {
        name: "alpha".into(),
        budgets: vec![budget(Period::Month, "100")],
        ..TenantCreate::default()
    };
    let tenant = office.owner.create_tenant(create_tenant).await.unwrap();
    assert_eq!(tenant.budgets.len(), 1, "made with its budgets, in one go");
    let key = KeyCreate { budgets: vec![budget(Period::Day, "5")], ..create("alpha") };
    let key = office.owner.create_key(key).await.unwrap().record;
    office.clock.advance(40 * DAY);
    let told = |meters: &[MeterView]| -> Vec<Left> {
        let one = |m: &MeterView| (m.key_id, m.period, m.left_usd.clone(), m.resets_at.clone());
        meters.iter().map(one).collect()
    };
    let expected = [
        (None, Period::Total, None, None),
        (None, Period::Month, Some("100.00".into()), Some("2024-01-01T00:00:00.000000Z".into())),
        (Some(key.id.0), Period::Day, Some("5.00".into()), Some("2023-12-25T00:00:00.000000Z".into())),
    ];
    let account = office.owner.account(tenant.id).await.unwrap();
    assert_eq!(told(&account.meters), expected);
    assert_eq!(told(&office.owner.key_account(key.id).await.unwrap()), expected);
    office.owner.lift_key_budget(key.id, Period::Day).await.unwrap();
    assert_eq!(told(&office.owner.key_account(key.id).await.unwrap()), expected[..2]);
}
