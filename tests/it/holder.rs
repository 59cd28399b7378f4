//! What a key's holder asks about himself.

use fal_relay::clock::{Clock, SystemClock};
use fal_relay::ids::{KeyId, TenantId};
use fal_relay::money::{Multiplier, UnitPrice, Usd};
use fal_relay::period::{Period, Zone};
use fal_relay::rules::{Globs, Rules};
use fal_relay::store::{
    Author, Books, Budget, Directory, GroupRecord, KeyChange, NewGroup, NewPriceList, Payer, PriceOverride,
    PriceRecord, Settings, SqliteStore,
};
use serde_json::{Value, json as value};

use crate::metrics::fetch;
use crate::support::{Answer, Fal, Relay, Seen, Step, get, json, post, reply, request};

/// The key of the relay's first start, its tenant and its group.
const KEY: KeyId = KeyId(1);
const TENANT: TenantId = TenantId(1);

/// The relay's store, beside it.
fn store(relay: &Relay) -> SqliteStore {
    let folders = ["fal-relay-data", "fal-relay-sandbox"].map(|folder| relay.folder.path().join(folder));
    let folder = folders.into_iter().find(|folder| folder.exists()).unwrap();
    let sqlite_path = folder.join("relay.db");
    SqliteStore::open(&Settings { sqlite_path, batch_max: 512 }).unwrap()
}

fn author() -> Author {
    Author { name: "test".into(), reason: None, at: SystemClock::new().now() }
}

fn globs(texts: &[&str]) -> Globs {
    Globs::parse(texts).unwrap()
}

async fn group(store: &SqliteStore, multiplier: &str, rules: Rules) -> GroupRecord {
    let multiplier = Multiplier::parse(multiplier).unwrap();
    store.create_group(NewGroup { name: "resale".into(), multiplier, rules }, author()).await.unwrap()
}

async fn change(store: &SqliteStore, change: KeyChange) {
    store.change_key(KEY, change, author()).await.unwrap().unwrap();
}

async fn budget(store: &SqliteStore, key_id: Option<KeyId>, period: Period, usd: &str, zone: &str) {
    let (limit_usd, zone) = (Usd::parse(usd).unwrap(), Zone::parse(zone).unwrap());
    let budget = Budget { period, limit_usd, soft_percent: 80, zone };
    let payer = Payer { tenant_id: TENANT, key_id };
    store.set_budget(payer, period, Some(budget), author()).await.unwrap();
}

async fn price(store: &SqliteStore, pattern: &str, usd: &str, unit: &str) {
    let price = PriceOverride {
        pattern: pattern.into(),
        unit_price: UnitPrice::parse(usd).unwrap(),
        unit: unit.into(),
    };
    store.override_price(pattern.into(), Some(price), author()).await.unwrap();
}

/// Asks until the answer is as wished: what is changed beside the relay is known a moment later.
async fn ask_until(relay: &Relay, path: &str, key: &str, wished: impl Fn(&Value) -> bool) -> Value {
    loop {
        let answer = relay.client().send(get(path, key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        if wished(&body) {
            return body;
        }
    }
}

async fn ask(relay: &Relay, path: &str) -> Answer {
    relay.client().send(get(path, &relay.key)).await
}

/// Two units for every run.
fn bills_two(_: &Seen) -> Step {
    Step::Reply(reply("200 OK", &[("x-fal-billable-units", "2")], b"{}"))
}

async fn run(relay: &Relay, endpoint: &str, key: &str, tags: &str) -> Answer {
    let authorization = format!("Key {key}");
    let headers = [("authorization", authorization.as_str()), ("x-fal-tags", tags)];
    let answer = relay.client().send(request("POST", &format!("/run/{endpoint}"), &headers, b"{}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

#[tokio::test]
async fn an_account_tells_what_is_left() {
    let relay = Relay::sandbox(&[]);
    let store = store(&relay);
    let rules = Rules { deny: globs(&["fal-ai/secret/**"]), ..Rules::default() };
    let group = group(&store, "2", rules).await;
    let rules = Rules {
        allow: globs(&["fal-ai/**", "acme/one"]),
        requests_per_minute: std::num::NonZeroU32::new(60_000),
        jobs_in_flight: std::num::NonZeroU32::new(3),
        max_request_usd: Some(Usd::parse("5").unwrap()),
        ..Rules::default()
    };
    price(&store, "fal-ai/flux-1/schnell", "0.01", "images").await;
    budget(&store, None, Period::Month, "10", "Europe/Berlin").await;
    budget(&store, Some(KEY), Period::Total, "0.5", "UTC").await;
    change(&store, KeyChange { rules: Some(rules), group_id: Some(group.id), ..KeyChange::default() }).await;
    ask_until(&relay, "/v1/account", &relay.key, |body| body["group"]["name"] == "resale").await;
    let priced = |body: &Value| body["prices"][0]["unit_price"] == 0.02;
    ask_until(&relay, "/v1/models/pricing?endpoint_id=fal-ai/flux-1/schnell", &relay.key, priced).await;

    let body = r#"{"prompt":"a cat","num_images":3}"#;
    let run = relay.client().send(post("/run/fal-ai/flux-1/schnell", &relay.key, body)).await;
    let cost = run.header("x-relay-cost-usd").unwrap_or_else(|| panic!("{run:?}")).to_owned();
    let cost_nanos = Usd::parse(&cost).unwrap().nanos();
    assert!(cost_nanos > 0);
    let settled = |body: &Value| {
        let (limits, tenant) = (body["limits"].as_array().unwrap(), &body["tenant"]);
        let jobs = limits.iter().find(|limit| limit["name"] == "jobs_in_flight").unwrap();
        tenant["spent_usd"] == cost.as_str() && tenant["held_usd"] == "0.00" && jobs["left"] == 3
    };
    let account = ask_until(&relay, "/v1/account", &relay.key, settled).await;

    assert_eq!((&account["tenant"]["id"], &account["tenant"]["status"]), (&value!(1), &value!("active")));
    assert_eq!((&account["key"]["id"], &account["key"]["kind"]), (&value!(1), &value!("test")));
    assert!(relay.key.ends_with(account["key"]["last_four"].as_str().unwrap()));
    assert_eq!((&account["key"]["status"], &account["key"]["expires_at"]), (&value!("active"), &Value::Null));
    assert_eq!(
        account["group"],
        value!({"id": group.id, "name": "resale"}),
        "what the group adds is not told"
    );
    assert_eq!(account["max_request_usd"], "5.00");
    assert_eq!(
        account["endpoints"],
        value!([
            {"scope": "group", "allow": [], "deny": ["fal-ai/secret/**"]},
            {"scope": "key", "allow": ["fal-ai/**", "acme/one"], "deny": []},
        ])
    );
    let budgets = account["budgets"].as_array().unwrap();
    let of = |scope: &str| budgets.iter().find(|budget| budget["scope"] == scope).unwrap();
    let left = |limit: i64| Usd::from_nanos(limit - cost_nanos).unwrap().to_string();
    let (key, tenant) = (of("key"), of("tenant"));
    assert_eq!((budgets.len(), &key["period"], &tenant["period"]), (2, &value!("total"), &value!("month")));
    assert_eq!((&key["spent_usd"], &tenant["spent_usd"]), (&value!(cost), &value!(cost)));
    assert_eq!(
        (&key["left_usd"], &tenant["left_usd"]),
        (&value!(left(500_000_000)), &value!(left(10_000_000_000)))
    );
    assert_eq!(
        (&key["limit_usd"], &key["held_usd"], &key["resets_at"]),
        (&value!("0.50"), &value!("0.00"), &Value::Null)
    );
    // In Berlin a month begins at ten or eleven in the evening of UTC.
    let resets_at = tenant["resets_at"].as_str().unwrap();
    assert!(resets_at.contains("T22:00:00") || resets_at.contains("T23:00:00"), "{resets_at}");
    assert_eq!(tenant["zone"], "Europe/Berlin");

    let limits = account["limits"].as_array().unwrap();
    let named = |name: &str| limits.iter().find(|limit| limit["name"] == name).unwrap();
    let (rate, jobs) = (named("requests_per_minute"), named("jobs_in_flight"));
    assert_eq!((&rate["scope"], &rate["limit"], limits.len()), (&value!("key"), &value!(60_000), 2));
    assert!((1..=60_000).contains(&rate["left"].as_u64().unwrap()));
    assert_eq!((&jobs["limit"], &jobs["next_in_seconds"]), (&value!(3), &Value::Null));

    // A neighbour sees nothing of it.
    let neighbour = relay.key_of("neighbour");
    let other = relay.client().send(get("/v1/account", &neighbour)).await.json();
    assert_eq!((&other["tenant"]["spent_usd"], &other["budgets"]), (&value!("0.00"), &value!([])));
    assert_eq!((&other["limits"], &other["endpoints"]), (&value!([]), &value!([])));
}

#[tokio::test]
async fn a_budget_that_was_lowered_below_what_is_spent_leaves_nothing() {
    let fal = Fal::start(bills_two).await;
    let relay = Relay::before(&fal.base());
    let store = store(&relay);
    price(&store, "a/b", "0.25", "image").await;
    budget(&store, Some(KEY), Period::Day, "3", "UTC").await;
    let priced = |body: &Value| body["prices"].as_array().is_some_and(|all| all.len() == 1);
    ask_until(&relay, "/v1/models/pricing?endpoint_id=a/b", &relay.key, priced).await;
    run(&relay, "a/b", &relay.key, "").await;
    ask_until(&relay, "/v1/account", &relay.key, |body| body["budgets"][0]["left_usd"] == "2.50").await;
    budget(&store, Some(KEY), Period::Day, "0.1", "UTC").await;
    let lowered = |body: &Value| body["budgets"][0]["limit_usd"] == "0.10";
    let account = ask_until(&relay, "/v1/account", &relay.key, lowered).await;
    let budget = &account["budgets"][0];
    assert_eq!((&budget["spent_usd"], &budget["left_usd"]), (&value!("0.50"), &value!("0.00")));
}

#[tokio::test]
async fn usage_is_the_keys_own_in_json_and_csv() {
    let fal = Fal::start(bills_two).await;
    let relay = Relay::before(&fal.base());
    let store = store(&relay);
    let tenant = store.key(KEY).await.unwrap().unwrap().tenant.name.to_string();
    let colleague = relay.key_of(&tenant);
    price(&store, "**", "0.25", "image").await;
    let priced = |body: &Value| body["prices"].as_array().is_some_and(|all| all.len() == 1);
    ask_until(&relay, "/v1/models/pricing?endpoint_id=a/b", &relay.key, priced).await;
    run(&relay, "a/b", &relay.key, "team=web,app=\"x\"").await;
    run(&relay, "a/b", &relay.key, "team=web").await;
    run(&relay, "-1/c", &relay.key, "").await;
    run(&relay, "a/b", &colleague, "team=web").await;
    ask_until(&relay, "/v1/usage", &colleague, |body| body["total"]["calls"] == 1).await;
    let usage = ask_until(&relay, "/v1/usage", &relay.key, |body| body["total"]["calls"] == 3).await;

    let today = usage["usage"][0]["day"].as_str().unwrap().to_owned();
    let sums = value!({"calls": 3, "failed": 0, "unpriced": 0, "cost_usd": "1.50"});
    assert_eq!((&usage["by"], &usage["total"]), (&value!(["day"]), &sums));
    assert_eq!(usage["usage"].as_array().unwrap().len(), 1);
    assert!(
        usage["start"].as_str().unwrap() < today.as_str() && usage["end"].as_str().unwrap() > today.as_str()
    );

    let csv = ask(&relay, "/v1/usage?by=endpoint&format=csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(csv.header("cache-control"), Some("no-store"));
    let head = "calls,failed,unpriced,cost_usd\r\n";
    assert_eq!(csv.text(), format!("endpoint,{head}'-1/c,1,0,0,0.50\r\na/b,2,0,0,1.00\r\n"));
    let csv = ask(&relay, "/v1/usage?by=tag,day&format=csv").await.text();
    assert_eq!(
        csv,
        format!("day,tag,{head}{today},\"app=\"\"x\"\"\",1,0,0,0.50\r\n{today},team=web,2,0,0,1.00\r\n")
    );
    let by_tag = ask(&relay, "/v1/usage?by=tag").await.json();
    assert_eq!(
        (by_tag["usage"].as_array().unwrap().len(), &by_tag["total"]),
        (2, &sums),
        "no call counts twice"
    );

    // The end is not in the stretch, and a moment has its whole day.
    let (start, end) = (usage["start"].as_str().unwrap(), usage["end"].as_str().unwrap());
    let until = ask(&relay, &format!("/v1/usage?start={start}&end={today}")).await.json();
    assert_eq!((&until["total"]["calls"], &until["usage"]), (&value!(0), &value!([])));
    let within = format!("/v1/usage/?start={today}T09:30:00Z&end={today}T09:31:00Z&by=day&by=endpoint");
    let within = ask(&relay, &within).await.json();
    assert_eq!((within["start"].as_str(), within["end"].as_str()), (Some(today.as_str()), Some(end)));
    assert_eq!((&within["total"], within["usage"].as_array().unwrap().len()), (&sums, 2));
    assert_eq!(fal.seen().len(), 4, "usage is the relay's own");
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::before(&fal.base());
    for (query, field) in [
        ("start=yesterday", "start"),
        ("start=20260131", "start"),
        ("start=2026-02-30", "start"),
        ("end=", "end"),
        ("end=2026-01-31T00:00:00", "end"),
        ("start=2026-02-01&end=2026-02-01", "start"),
        ("start=9999-01-01", "start"),
        ("start=2026-01-01&start=2026-01-02&end=2026-02-01", "start"),
        ("by=hour", "by"),
        ("by=", "by"),
        ("by=tag,endpoint", "by"),
        ("by=key", "by"),
        ("format=xml", "format"),
        ("scope=tenant", "scope"),
        ("%00", "\0"),
    ] {
        let answer = ask(&relay, &format!("/v1/usage?{query}")).await;
        assert_eq!((answer.status, answer.header("x-relay-error")), (400, Some("bad_parameter")), "{query}");
        assert_eq!(
            (&answer.json()["field"], &answer.json()["error_type"]),
            (&value!(field), &value!("bad_parameter"))
        );
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(&format!("`{field}` ")), "{query}");
        assert_eq!(answer.header("connection"), None, "a wrong value is no malformed request");
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("cursor=", "cursor"),
        ("cursor=!!!", "cursor"),
        ("cursor=_w", "cursor"),
        ("endpoint_id=", "endpoint_id"),
        ("endpoint_id=a/b,,c/d", "endpoint_id"),
        ("limit=1&limit=2", "limit"),
    ] {
        for page in ["models", "models/pricing"] {
            let answer = ask(&relay, &format!("/v1/{page}?{query}")).await;
            let error = answer.json()["error"].clone();
            assert_eq!((answer.status, &error["type"]), (400, &value!("validation_error")), "{query}");
            assert!(error["message"].as_str().unwrap().starts_with(&format!("`{field}` ")), "{query}");
        }
    }
    for (query, field) in [("category=text-to-image", "category"), ("status=new", "status")] {
        let answer = ask(&relay, &format!("/v1/models?{query}")).await;
        assert!(answer.status == 400 && answer.text().contains(field), "{query}");
    }
}

#[tokio::test]
async fn models_are_those_that_the_key_may_call_at_its_own_price() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::before(&fal.base());
    let store = store(&relay);
    let group = group(&store, "1.000000000000001", Rules::default()).await;
    let rules = Rules {
        allow: globs(&["own/**", "own/unpriced", "other/new"]),
        deny: globs(&["own/no/**"]),
        ..Rules::default()
    };
    change(&store, KeyChange { rules: Some(rules), group_id: Some(group.id), ..KeyChange::default() }).await;
    price(&store, "own/wild/**", "7", "seconds").await;
    price(&store, "own/no/never", "1", "images").await;
    price(&store, "foreign/x", "1", "images").await;
    price(&store, "own/b", "0.000000000000003", "megapixels").await;
    price(&store, "own/a", "1.5", "images").await;

    // `own/unpriced` and `other/new` are allowed by name: they can be called though nobody knows their price.
    let expected = ["other/new", "own/a", "own/b", "own/unpriced"];
    let ids = |body: &Value, list: &str| -> Vec<String> {
        let all = body[list].as_array().unwrap().iter();
        all.map(|entry| entry["endpoint_id"].as_str().unwrap().to_owned()).collect()
    };
    let listed = |body: &Value| ids(body, "models") == expected;
    let models = ask_until(&relay, "/v1/models", &relay.key, listed).await;
    assert_eq!((&models["has_more"], &models["next_cursor"]), (&value!(false), &Value::Null));
    let metadata = &models["models"][1]["metadata"];
    assert_eq!((&metadata["display_name"], &metadata["status"]), (&value!("own/a"), &value!("active")));
    assert_eq!(metadata["model_url"], "http://relay.test/run/own/a");

    let prices = ask(&relay, "/v1/models/pricing").await;
    assert_eq!(
        prices.text(),
        concat!(
            r#"{"prices":[{"endpoint_id":"own/a","unit_price":1.5000000000000015,"unit":"images","currency":"USD"},"#,
            r#"{"endpoint_id":"own/b","unit_price":0.000000000000003000000000000003,"unit":"megapixels","currency":"USD"}],"#,
            r#""next_cursor":null,"has_more":false}"#
        ),
        "every digit"
    );

    for (query, expected) in [
        ("endpoint_id=own/b,foreign/x,own/no/never,no/such", vec!["own/b"]),
        ("endpoint_id=own/b&endpoint_id=own/a", vec!["own/a", "own/b"]),
        ("endpoint_id=own/wild/deep", vec!["own/wild/deep"]),
        ("endpoint_id=own/b,own/a,own/b&limit=1", vec!["own/a"]),
    ] {
        for (page, list) in [("models", "models"), ("models/pricing", "prices")] {
            let answer = ask(&relay, &format!("/v1/{page}?{query}")).await;
            assert_eq!(ids(&answer.json(), list), expected, "{page}?{query}");
        }
    }
    for (query, expected) in [
        ("q=UNPR", vec!["own/unpriced"]),
        ("status=active&q=own/a", vec!["own/a"]),
        ("status=deprecated", vec![]),
    ] {
        assert_eq!(
            ids(&ask(&relay, &format!("/v1/models?{query}")).await.json(), "models"),
            expected,
            "{query}"
        );
    }

    // Page by page, nothing twice and nothing left out, also when the list changes in between.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ask(&relay, &format!("/v1/models?limit=2{cursor}")).await.json();
        seen.extend(ids(&page, "models"));
        if page["has_more"] == false {
            break;
        }
        cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap());
        price(&store, "own/a/first", "1", "images").await;
    }
    seen.retain(|id| id != "own/a/first");
    assert_eq!(seen, expected);
    assert_eq!(fal.seen().len(), 0, "fal's answer would be about the operator's account");
}

#[tokio::test]
async fn these_routes_take_a_key_and_get_or_head() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::before(&fal.base());
    let authorization = format!("Key {}", relay.key);
    let fields = [("authorization", authorization.as_str())];
    for (path, route) in [
        ("/v1/account", "account"),
        ("/v1/usage", "usage"),
        ("/v1/models", "models"),
        ("/v1/models/pricing", "model_prices"),
    ] {
        let platform = path.starts_with("/v1/models");
        let stranger = relay.client().send(request("GET", path, &[], b"")).await;
        assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, Some("Bearer")));
        let wrong = relay.client().send(request("DELETE", path, &fields, b"")).await;
        assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD")));
        assert_eq!(wrong.header("x-relay-error"), Some("method_not_allowed"));
        match platform {
            true => {
                assert_eq!(stranger.json()["error"]["type"], "authorization_error");
                assert_eq!(wrong.json()["error"]["type"], "validation_error");
            }
            false => {
                assert_eq!(stranger.json()["error_type"], "unauthorized");
                assert_eq!(wrong.json()["error_type"], "method_not_allowed");
            }
        }
        let whole = relay.client().send(request("GET", path, &fields, b"")).await;
        assert_eq!((whole.status, whole.header("cache-control")), (200, Some("no-store")));
        let mut socket = relay.client().connect().await;
        let mut head = request("HEAD", path, &[fields[0], ("connection", "close")], b"");
        tokio::io::AsyncWriteExt::write_all(&mut socket, &head).await.unwrap();
        head.clear();
        tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut head).await.unwrap();
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(head.contains("content-length: "), "{head}");
        let counted = |fault: &str, status: &str| {
            format!(
                "fal_relay_calls_total{{route=\"{route}\",status=\"{status}\",fault=\"{fault}\",account=\"none\"}}"
            )
        };
        assert_eq!(fetch(&relay, &counted("none", "2xx")).await, 2.0);
        assert_eq!(fetch(&relay, &counted("client", "4xx")).await, 2.0);
        crate::support::until(|| {
            let of_route = |line: &&Value| line["route"] == route && line["status"] == 200;
            let told = relay.calls();
            let told: Vec<_> = told.iter().filter(of_route).collect();
            told.len() == 2 && told.iter().all(|line| line["key_id"] == 1 && line["tenant"].is_string())
        })
        .await;
    }
    let unknown = ask(&relay, "/v1/models/none").await;
    assert_eq!((unknown.status, &unknown.json()["error_type"]), (404, &value!("route_not_found")));
    assert_eq!((fal.seen().len(), relay.ledger().len()), (0, 0));
}

#[tokio::test]
async fn these_routes_count_as_requests() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::before(&fal.base());
    let rules = Rules { requests_per_minute: std::num::NonZeroU32::new(1), ..Rules::default() };
    change(&store(&relay), KeyChange { rules: Some(rules), ..KeyChange::default() }).await;
    let refused = loop {
        let answer = ask(&relay, "/v1/models").await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (429, &value!("rate_limited")));
    assert!(refused.header("retry-after").is_some());
    let refused = ask(&relay, "/v1/account").await;
    assert_eq!((refused.status, &refused.json()["error_type"]), (429, &value!("rate_limited")));
}

#[tokio::test]
async fn invariant_7_usage_has_an_end() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::before(&fal.base());
    let year = ask(&relay, "/v1/usage?start=2024-01-01&end=2025-01-01").await;
    assert_eq!(year.status, 200, "366 days");
    let longer = ask(&relay, "/v1/usage?start=2024-01-01&end=2025-01-02").await;
    assert_eq!((longer.status, &longer.json()["field"]), (400, &value!("start")));

    // The day of 2026-01-31 has as many endpoints as an answer has lines, and then one more.
    let add = |first: i64, count: i64| {
        let connection = relay.store();
        connection
            .execute(
                "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
                 INSERT INTO usage_days SELECT 1, 20484, 1, 'e/' || i, 1, 0, 0, 1, 1 FROM n",
                (first, first + count),
            )
            .unwrap();
    };
    let path = "/v1/usage?start=2026-01-31&end=2026-02-01&by=endpoint";
    add(0, 10_000);
    let full = ask(&relay, path).await;
    assert_eq!((full.status, full.json()["usage"].as_array().unwrap().len()), (200, 10_000));
    add(10_000, 1);
    let over = ask(&relay, path).await;
    assert_eq!((over.status, &over.json()["field"]), (400, &value!("start")));
    assert_eq!(
        ask(&relay, "/v1/usage?start=2026-01-31&end=2026-02-01").await.json()["total"]["calls"],
        10_001
    );

    let name = "x".repeat(1000);
    let long = ask(&relay, &format!("/v1/usage?{name}=1")).await.json();
    assert_eq!(long["field"], "x".repeat(64));
    let long = ask(&relay, &format!("/v1/usage?by={name}")).await.text();
    assert!(long.len() < 500, "{long}");
}

#[tokio::test]
async fn invariant_7_a_page_of_models_has_an_end() {
    let fal = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let relay = Relay::before(&fal.base());
    let prices = (0..101).map(|nth| PriceRecord {
        endpoint: format!("many/m{nth:03}").into(),
        unit_price: UnitPrice::parse("1").unwrap(),
        unit: "images".into(),
    });
    let list = NewPriceList { source: "test".into(), prices: prices.collect() };
    store(&relay).save_prices(list, author()).await.unwrap();
    let some = |body: &Value| body["has_more"] == true;
    for path in ["/v1/models/pricing?limit=1000", "/v1/models/pricing"] {
        let page = ask_until(&relay, path, &relay.key, some).await;
        assert_eq!(page["prices"].as_array().unwrap().len(), 100);
    }
    let named = |count: usize| (0..count).map(|nth| format!("many/m{nth:03}")).collect::<Vec<_>>().join(",");
    let all = ask(&relay, &format!("/v1/models/pricing?endpoint_id={}", named(50))).await;
    assert_eq!(all.json()["prices"].as_array().unwrap().len(), 50);
    let too_many = ask(&relay, &format!("/v1/models?endpoint_id={}", named(51))).await;
    assert_eq!((too_many.status, &too_many.json()["error"]["type"]), (400, &value!("validation_error")));
}
