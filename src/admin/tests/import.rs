//! Exports of other gateways, in each of their forms and with their faults.

use super::*;
use crate::key::{ForeignKey, KeyDigest};

const WEB: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const DOOR: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn token(members: &str) -> String {
    format!(r#"{{"key": "{WEB}", "user_id": 7, {members}}}"#)
}

fn tokens(tokens: &str) -> ImportInput {
    ImportInput { tokens: tokens.into(), ..ImportInput::default() }
}

impl Office {
    async fn imported(&self, input: ImportInput) -> ImportReport {
        match self.owner.import(input).await {
            Ok(report) => report,
            Err(AdminError::Import(report)) => panic!("{:?}", report.problems),
            Err(error) => panic!("{error}"),
        }
    }

    /// The faults of what is not imported: line, field, reason.
    async fn faults(&self, input: ImportInput) -> Vec<(u64, String, String)> {
        let Err(AdminError::Import(report)) = self.owner.import(input).await else {
            panic!("it was imported")
        };
        assert_eq!(report.keys, []);
        let keys = self.owner.keys(KeyQuery::default()).await.unwrap();
        assert_eq!(keys.items, [], "nothing was made");
        report.problems.into_iter().map(|problem| (problem.line, problem.field, problem.reason)).collect()
    }

    async fn known(&self, key: &str) -> Option<KeyId> {
        let digest = KeyDigest::of_presented(key)?;
        self.admin.store.key_by_digest(digest).await.unwrap().map(|key| key.id)
    }
}

#[tokio::test]
async fn a_token_becomes_a_key_with_all_that_it_may_do() {
    let office = Office::new();
    let members = r#""id": 3, "status": 1, "name": "web", "created_time": 1, "accessed_time": 2, "used_quota": 9,
        "expired_time": 1800000000, "remain_quota": 2500001, "unlimited_quota": false, "group": "vip",
        "model_limits_enabled": true, "model_limits": "fal-ai/flux/dev, fal-ai/veo3",
        "allow_ips": "10.0.0.0/8\n192.0.2.1", "DeletedAt": null, "cross_group_retry": false"#;
    let input = ImportInput {
        groups: Some(r#"{"default": 1, "vip": 0.8, "svip": "0.5"}"#.into()),
        ..tokens(&format!("[{}]", token(members)))
    };
    let tried = office.imported(ImportInput { dry_run: true, ..input.clone() }).await;
    assert_eq!((tried.imported, tried.groups, tried.keys), (1, vec!["svip".into(), "vip".into()], vec![]));
    let report = office.imported(input).await;
    let [key] = &report.keys[..] else { panic!("{report:?}") };
    assert_eq!((key.tenant.as_str(), key.name.as_str(), key.group.as_str()), ("user-7", "web", "vip"));
    assert_eq!((key.last_four.as_str(), key.kind), ("aaaa", KeyKind::Test));
    assert_eq!(key.rules.allow, ["fal-ai/flux/dev", "fal-ai/veo3"]);
    assert_eq!(key.rules.networks, ["10.0.0.0/8", "192.0.2.1/32"]);
    assert_eq!(key.expires_at.as_deref(), Some("2027-01-15T08:00:00.000000Z"));
    assert_eq!(key.budgets[0].limit_usd, "5.000002", "500000 points are a dollar");
    assert_eq!(office.owner.find_group("vip").await.unwrap().multiplier, "0.8");
    for presented in [WEB.to_owned(), format!("sk-{WEB}")] {
        assert_eq!(office.known(&presented).await, Some(key.id));
    }
    assert_eq!(office.known(&format!("sk-sk-{WEB}")).await, None);
    let successor = office.owner.rotate_key(key.id, KeyRotate::default()).await.unwrap();
    assert!(ApiKey::parse(&successor.key).is_some(), "a successor is a key of our own");
    let log = office.owner.audit(AuditQuery::default()).await.unwrap();
    assert!(!format!("{log:?}").contains("aaaaa"), "no key is in the log");
}

#[tokio::test]
async fn every_form_of_an_export_is_read() {
    let one = token(r#""name": "one""#);
    let two = one.replace(WEB, DOOR);
    let forms = [
        format!("[{one},\n{two}]"),
        format!("\u{feff}{one}\n\n{two}\n"),
        format!(r#"{{"success": true, "message": "", "data": [{one}, {two}]}}"#),
        format!(r#"{{"data": {{"page": 1, "total": 2, "items": [{one}, {two}]}}}}"#),
        format!(
            "user_id,key,name,unlimited_quota,group\r\n7,{WEB},one,1,\r\n7,sk-{DOOR},\"tw\no\",0,default\r\n"
        )
        .replace("tw\no", "two"),
    ];
    for form in forms {
        let office = Office::new();
        assert_eq!(office.imported(tokens(&form)).await.imported, 2, "{form}");
        assert!(office.known(WEB).await.is_some() && office.known(&format!("sk-{DOOR}")).await.is_some());
    }
}

#[tokio::test]
async fn what_a_status_says_is_kept() {
    let office = Office::new();
    let states = [
        (
            r#""status": 1, "expired_time": -1, "unlimited_quota": true, "remain_quota": 5"#,
            KeyState::Active,
            0,
        ),
        (r#""status": 2"#, KeyState::Revoked, 0),
        (r#""status": 3, "expired_time": 1600000000"#, KeyState::Expired, 0),
        (r#""status": 3, "expired_time": -1"#, KeyState::Revoked, 0),
        (r#""status": 4, "remain_quota": -30"#, KeyState::Active, 1),
    ];
    for (nth, (members, state, budgets)) in states.into_iter().enumerate() {
        let key = format!("{nth}{}", &WEB[1..]);
        let report = office.imported(tokens(&token(members).replace(WEB, &key))).await;
        assert_eq!((report.keys[0].state, report.keys[0].budgets.len()), (state, budgets), "{members}");
    }
    let deleted = token(r#""deleted_at": "2025-01-01 00:00:00""#);
    let report = office.imported(tokens(&deleted)).await;
    assert_eq!((report.imported, report.deleted), (0, 1));
}

#[tokio::test]
async fn faults_are_told_by_line_and_field_and_nothing_is_half_done() {
    let office = Office::new();
    let good = token(r#""name": "good""#);
    let cases = [
        (token(r#""name": "a\u0007""#), "name"),
        (token(r#""colour": "red""#), "colour"),
        (token(r#""status": 9"#), "status"),
        (token(r#""expired_time": "soon""#), "expired_time"),
        (token(r#""expired_time": -7"#), "expired_time"),
        (token(r#""remain_quota": 1.5"#), "remain_quota"),
        (token(r#""remain_quota": 9000000000000000000"#), "remain_quota"),
        (token(r#""unlimited_quota": "maybe""#), "unlimited_quota"),
        (token(r#""models": "fal-ai/***""#), "models"),
        (token(r#""allow_ips": "10.0.0.0/99""#), "allow_ips"),
        (token(r#""subnet": "somewhere""#), "subnet"),
        (token(r#""group": " vip""#), "group"),
        (token(r#""name": []"#), "name"),
        (good.replace(WEB, "short"), "key"),
        (good.replace(WEB, "abcd**********wxyz"), "key"),
        (good.replace(r#""user_id": 7, "#, ""), "user_id"),
        (good.replace("key", "kee"), "kee"),
        (good[..good.len() - 3].to_owned(), "-"),
        ("[1]".to_owned(), "-"),
    ];
    for (bad, field) in cases {
        let other = good.replace(WEB, DOOR);
        let file = if bad.starts_with('[') { format!("\n{bad}") } else { format!("{other}\n{bad}\n") };
        let faults = office.faults(tokens(&file)).await;
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!((faults[0].0, faults[0].1.as_str()), (2, field), "{bad}");
        assert!(!faults[0].2.contains("aaaa"), "no key is told: {faults:?}");
    }
    let twice = format!("{good}\n{}\n", good.replace(WEB, &format!("sk-{WEB}")));
    let faults = office.faults(tokens(&twice)).await;
    assert_eq!(faults, [(2, "key".into(), "is the same as that of line 1".into())]);
    for (file, line, said) in [
        ("", 1, "the file holds no tokens"),
        ("[]", 1, "the file holds no tokens"),
        ("[\n{\"key\": \"aaa", 2, "cannot be read: the text ends in the middle"),
        ("id,name\n1,2\n", 1, "is no head line of tokens in CSV, and no JSON: a column `key` is missing"),
        ("key,name\nabc\n", 2, "has not as many cells as the head line"),
    ] {
        assert_eq!(office.faults(tokens(file)).await, [(line, "-".to_owned(), said.to_owned())], "{file}");
    }
    for (groups, field) in
        [("{", "groups"), (r#"{"vip": -1}"#, "groups.vip"), (r#"{"default": 2}"#, "groups.default")]
    {
        let input = ImportInput { groups: Some(groups.into()), ..tokens(&good) };
        assert_eq!(office.faults(input).await[0].1, field, "{groups}");
    }
    let zero = ImportInput { quota_per_usd: Some(0), ..tokens(&good) };
    assert_eq!(field(office.owner.import(zero).await), "quota_per_usd");
}

#[tokio::test]
async fn the_sound_rest_is_imported_when_that_is_said() {
    let office = Office::new();
    let file = format!("{}\n{}\n", token(r#""colour": "red""#), token(r#""name": "x""#).replace(WEB, DOOR));
    let input = ImportInput { skip_bad: true, tenant: Some("all".into()), ..tokens(&file) };
    let report = office.imported(input).await;
    assert_eq!((report.imported, report.problems.len()), (1, 1));
    assert_eq!(report.keys[0].tenant, "all");
    let ignoring = ImportInput { ignore: vec!["colour".into()], ..tokens(file.lines().next().unwrap()) };
    assert_eq!(office.imported(ignoring).await.imported, 1);
    let again = office.owner.import(tokens(&token(r#""name": "x""#))).await;
    let Err(AdminError::Import(report)) = again else { panic!("it was imported twice") };
    assert_eq!(report.problems[0].reason, "is known here already, as key 2");
}

#[test]
fn a_foreign_key_is_never_one_of_our_own() {
    let ours = ApiKey::generate(KeyKind::Live, &Random::seeded(9)).unwrap();
    assert!(ForeignKey::parse(ours.expose()).is_none());
}
