//! The admin API by its front door.

use serde_json::{Value, json};

use crate::support::{Answer, Client, Relay, get, request};

mod export;
mod limits;
mod roles;

/// An operator at the front door.
pub(super) struct Operator {
    client: Client,
    token: String,
}

impl Operator {
    /// The one that a first start makes.
    pub(super) fn first(relay: &Relay) -> Self {
        Self { client: Client::new(relay.admin), token: relay.token.clone() }
    }

    /// Another one, with a role of his own.
    pub(super) async fn another(&self, role: &str) -> Self {
        let made = self.make("/operators", json!({"name": format!("a {role}"), "role": role})).await;
        Self { client: self.client, token: made["token"].as_str().unwrap().to_owned() }
    }

    pub(super) async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        self.client.send(request(method, &format!("/api/v1{path}"), &headers, body)).await
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, b"").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub(super) async fn make(&self, path: &str, body: Value) -> Value {
        let answer = self.ask("POST", path, body.to_string().as_bytes()).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        answer.json()
    }
}

pub(super) async fn document(relay: &Relay) -> Value {
    let answer = Client::new(relay.admin).send(get("/api/v1/openapi.json", "")).await;
    assert_eq!(answer.status, 200);
    answer.json()
}

/// Scripts rely on the document: what changes in it is seen here first.
#[tokio::test]
async fn the_document_is_as_it_was() {
    let relay = Relay::sandbox(&[]);
    let mut document = document(&relay).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    document["info"]["version"] = "[version]".into();
    insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&document).unwrap());
}

#[tokio::test]
async fn each_schema_is_there_and_used() {
    let relay = Relay::sandbox(&[]);
    let document = document(&relay).await;
    let text = document.to_string();
    for (name, _) in document["components"]["schemas"].as_object().unwrap() {
        assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "nothing refers to {name}");
    }
    let links = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    for link in links {
        assert!(document.pointer(link).is_some(), "{link} leads nowhere");
    }
}

/// The page and all that it loads come from here, so it works where there is no internet.
#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let relay = Relay::sandbox(&[]);
    let client = Client::new(relay.admin);
    let moved = client.send(get("/docs", "")).await;
    assert_eq!((moved.status, moved.header("location")), (303, Some("/docs/")));
    let page = client.send(get("/docs/", "")).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self'") && !policy.contains("http"), "{policy}");
    for file in ["swagger-ui.css", "index.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"] {
        let answer = client.send(get(&format!("/docs/{file}"), "")).await;
        assert_eq!(answer.status, 200, "{file}");
        assert!(answer.body.len() > 100, "{file}");
    }
    let start = client.send(get("/docs/swagger-initializer.js", "")).await.text();
    assert!(start.contains("\"/api/v1/openapi.json\"") && start.contains("\"none\""), "{start}");
    let nothing = client.send(get("/docs/nothing", "")).await;
    assert_eq!((nothing.status, &nothing.json()["error_type"]), (404, &json!("route_not_found")));
}

/// The reason is said in the body or in a header, and the audit log keeps it; the body wins.
#[tokio::test]
async fn each_change_can_say_why() {
    let relay = Relay::sandbox(&[]);
    let operator = Operator::first(&relay);
    let authorization = format!("Bearer {}", operator.token);
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-relay-reason", "by header"),
        ("content-type", "application/json"),
    ];
    let change = |method: &str, path: &str, body: &[u8]| {
        operator.client.send(request(method, &format!("/api/v1{path}"), &headers, body))
    };
    let made = change("POST", "/tenants", br#"{"name":"acme","reason":"by body"}"#).await;
    let id = made.json()["id"].clone();
    let path = format!("/tenants/{id}");
    assert_eq!(change("PATCH", &path, br#"{"name":"b"}"#).await.status, 200);
    assert_eq!(change("DELETE", &path, b"").await.status, 204);
    let log = operator.get(&format!("/audit?object=tenant:{id}")).await;
    let lines = log["items"].as_array().unwrap().iter();
    let told: Vec<_> =
        lines.map(|line| (line["action"].clone(), line["reason"].clone(), line["author"].clone())).collect();
    let line = |action: &str, reason: &str| (json!(action), json!(reason), json!("owner"));
    let wanted = [
        line("tenant.delete", "by header"),
        line("tenant.update", "by header"),
        line("tenant.create", "by body"),
    ];
    assert_eq!(told, wanted);

    let wrong = operator.ask("POST", "/groups", br#"{"name":"g","reason":"\u0007"}"#).await;
    assert_eq!((wrong.status, &wrong.json()["field"]), (422, &json!("reason")));
    assert_eq!(operator.get("/groups?search=g&limit=5").await["items"], json!([]), "nothing was made");
}

/// What is wrong is named by its field, whichever part of the request it stands in.
#[tokio::test]
async fn what_cannot_be_taken_is_named() {
    let relay = Relay::sandbox(&[]);
    let operator = Operator::first(&relay);
    for (method, path, body, field) in [
        ("POST", "/tenants", r#"{"name":""}"#, "name"),
        ("POST", "/tenants", "{}", "name"),
        ("POST", "/tenants", "", "name"),
        ("POST", "/tenants", "[]", "body"),
        ("POST", "/tenants", r#"{"name":"a","nick":"b"}"#, "nick"),
        ("POST", "/tenants", r#"{"name":"a","rules":{"allow":["fal-ai/**",7]}}"#, "rules.allow[1]"),
        ("POST", "/tenants", r#"{"name":"a","rules":{"alow":[]}}"#, "rules.alow"),
        (
            "POST",
            "/tenants",
            r#"{"name":"a","rules":{"requests_per_minute":0}}"#,
            "rules.requests_per_minute",
        ),
        (
            "POST",
            "/tenants",
            r#"{"name":"a","budgets":[{"period":"day","limit_usd":"-1"}]}"#,
            "budgets[0].limit_usd",
        ),
        (
            "POST",
            "/tenants",
            r#"{"name":"a","budgets":[{"period":"day","limit_usd":5}]}"#,
            "budgets[0].limit_usd",
        ),
        (
            "POST",
            "/tenants",
            r#"{"name":"a","budgets":[{"period":"year","limit_usd":"5"}]}"#,
            "budgets[0].period",
        ),
        ("POST", "/groups", r#"{"name":"a","multiplier":"NaN"}"#, "multiplier"),
        ("POST", "/keys", r#"{"tenant":"a","group":"nobody's"}"#, "group"),
        ("POST", "/keys", r#"{"tenant":"a","expires_at":"2001-01-01"}"#, "expires_at"),
        ("PUT", "/tenants/1/budgets", r#"{"period":"day","limit_usd":"1e9999"}"#, "limit_usd"),
        ("PUT", "/tenants/1/budgets", r#"{"period":"day","limit_usd":"1","zone":"Mars/Base"}"#, "zone"),
        ("PUT", "/prices/overrides", r#"{"pattern":"***","unit_price":"1","unit":"image"}"#, "pattern"),
        ("PUT", "/prices/overrides", r#"{"pattern":"a/b","unit_price":"-1","unit":"image"}"#, "unit_price"),
        ("POST", "/keys/1/rotate", r#"{"grace":"soon"}"#, "grace"),
        ("POST", "/keys/1/revoke", r#"{"reason":7}"#, "reason"),
        ("GET", "/keys?limit=0", "", "limit"),
        ("GET", "/keys?limit=ten", "", "limit"),
        ("GET", "/keys?cursor=x", "", "cursor"),
        ("GET", "/keys?page=2", "", "page"),
        ("GET", "/calls?state=lost", "", "state"),
        ("GET", "/calls?min_cost_usd=%00", "", "min_cost_usd"),
        ("GET", "/usage?by=colour", "", "by"),
        ("GET", "/usage.csv?start=2026-02-02&end=2026-01-01", "", "start"),
        ("GET", "/export.csv?after=-1", "", "after"),
        ("GET", "/keys/seven", "", "id"),
        ("GET", "/keys/99999999999999999999", "", "id"),
        ("DELETE", "/keys/seven/budgets/day", "", "id"),
        ("DELETE", "/keys/1/budgets/year", "", "path"),
        ("DELETE", "/prices/overrides", "", "pattern"),
    ] {
        let answer = operator.ask(method, path, body.as_bytes()).await;
        let told = answer.json();
        let kind = json!("invalid_field");
        assert_eq!((answer.status, &told["error_type"]), (422, &kind), "{method} {path} {body}: {told}");
        assert_eq!(told["field"], field, "{method} {path} {body}: {told}");
        assert_eq!(answer.header("x-relay-error"), Some("invalid_field"));
    }
    assert_eq!(
        operator.get("/tenants?search=a&limit=9").await["items"].as_array().unwrap().len(),
        1,
        "only `default`"
    );
}

/// Every path speaks JSON, whatever is asked.
#[tokio::test]
async fn each_refusal_is_json() {
    let relay = Relay::sandbox(&[]);
    let operator = Operator::first(&relay);
    let broken = operator.ask("POST", "/tenants", b"{\"name\":").await;
    assert_eq!((broken.status, &broken.json()["error_type"]), (400, &json!("bad_json")));
    for path in
        ["/", "/api", "/api/v1", "/api/v1/", "/api/v1/keys/", "/api/v2/keys", "/docs/../health", "/%00"]
    {
        let answer = operator.client.send(get(path, "")).await;
        assert_eq!((answer.status, &answer.json()["error_type"]), (404, &json!("route_not_found")), "{path}");
    }
    for (method, path, allow) in [
        ("PUT", "/api/v1/tenants", "GET,HEAD,POST"),
        ("POST", "/api/v1/keys/1", "GET,HEAD,PATCH,DELETE"),
        ("DELETE", "/health", "GET,HEAD"),
        ("POST", "/api/v1/openapi.json", "GET,HEAD"),
    ] {
        let answer = operator.client.send(request(method, path, &[], b"")).await;
        assert_eq!(
            (answer.status, &answer.json()["error_type"]),
            (405, &json!("method_not_allowed")),
            "{path}"
        );
        let mut allowed: Vec<_> = answer.header("allow").unwrap().split(',').collect();
        let mut wanted: Vec<_> = allow.split(',').collect();
        allowed.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(allowed, wanted, "{method} {path}");
    }
    let authorization = format!("Bearer {}", operator.token);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonl", ""] {
        let headers = [("authorization", authorization.as_str()), ("content-type", kind)];
        let answer =
            operator.client.send(request("POST", "/api/v1/tenants", &headers, b"{\"name\":\"a\"}")).await;
        assert_eq!(
            (answer.status, &answer.json()["error_type"]),
            (415, &json!("unsupported_media_type")),
            "{kind}"
        );
    }
}

/// A key's text is in the answers that make one, and nowhere else.
#[tokio::test]
async fn a_key_is_seen_once() {
    let relay = Relay::sandbox(&[]);
    let operator = Operator::first(&relay);
    let made = operator
        .make("/keys", json!({"tenant": "acme", "budgets": [{"period": "day", "limit_usd": "5"}]}))
        .await;
    let id = made["id"].clone();
    let rotated = operator.make(&format!("/keys/{id}/rotate"), json!({})).await;
    let reader = operator.make("/operators", json!({"name": "r", "role": "read"})).await;
    let texts =
        [&made["key"], &rotated["key"], &reader["token"]].map(|text| text.as_str().unwrap().to_owned());
    for path in ["/keys", &format!("/keys/{id}"), "/operators", "/audit", "/tenants", "/calls"] {
        let answer = operator.ask("GET", path, b"").await;
        assert!(texts.iter().all(|text| !answer.text().contains(text)), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    assert!(texts.iter().all(|text| !relay.output().contains(text)));
}

/// Pages follow one another without a gap, and the last one says so.
#[tokio::test]
async fn lists_come_in_pages() {
    let relay = Relay::sandbox(&[]);
    let operator = Operator::first(&relay);
    for name in ["a1", "a2", "a3", "a4", "a5"] {
        operator.make("/tenants", json!({"name": name})).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/tenants?search=A&limit=2".to_owned());
    loop {
        let page = operator.get(&path).await;
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|tenant| tenant["name"].as_str().unwrap().to_owned()));
        assert_eq!(page["has_more"], page["next_cursor"].is_string());
        let Some(next) = page["next_cursor"].as_str() else { break };
        assert_eq!(items.len(), 2);
        path = format!("/tenants?search=A&limit=2&cursor={next}");
    }
    assert_eq!(seen, ["default", "a1", "a2", "a3", "a4", "a5"]);
}
