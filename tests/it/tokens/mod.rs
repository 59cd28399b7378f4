//! Client tokens by the front door: what a key makes for a browser, what that opens, and when it ends.

mod list;
mod spend;

use std::time::Duration;

use fal_relay::store::{Directory, KeyChange};
use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Fal, Made, Office, Relay, Seen, Step, Wish, author, get, json, now, pause, post, reply,
    request, submit_reply,
};

/// A dollar for each request.
const DOLLAR: (&str, &str) = ("FAL_RELAY_PRICING__OVERRIDES", "** = 1 requests");

/// A fal that takes every job and runs every model for one unit.
async fn fal() -> Fal {
    let jobs = std::sync::atomic::AtomicUsize::new(0);
    Fal::start(move |seen: &Seen| {
        let path = seen.target.split('?').next().unwrap();
        match (seen.method.as_str(), path.strip_prefix("/queue/")) {
            ("POST", Some(endpoint)) => {
                let number = jobs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                submit_reply(endpoint, &format!("job-{number}"))
            }
            ("GET", Some(path)) if path.ends_with("/status") => json("200 OK", r#"{"status":"COMPLETED"}"#),
            _ => Step::Reply(reply("200 OK", &[("x-fal-billable-units", "1")], b"{}")),
        }
    })
    .await
}

async fn mint(client: Client, key: &str, wish: &Value) -> Answer {
    client.send(post("/v1/tokens", key, &wish.to_string())).await
}

/// A client token of `key`.
async fn token(relay: &Relay, key: &str, wish: &Value) -> String {
    let answer = mint(relay.client(), key, wish).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// Status and type of an answer.
fn class(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.header("x-relay-error").unwrap_or(""))
}

async fn run(relay: &Relay, endpoint: &str, token: &str) -> Answer {
    relay.client().send(post(&format!("/run/{endpoint}"), token, "{}")).await
}

/// A relay, and a key of a tenant beside the first one's.
async fn house(fal: &Fal) -> (Relay, Office, Made) {
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let office = Office::of(&relay);
    let made = office.make(Wish::of("shop")).await;
    (relay, office, made)
}

#[tokio::test]
async fn a_token_is_its_key_with_less() {
    let fal = fal().await;
    let (relay, office, made) = house(&fal).await;
    let wish = json!({"allow": ["a/**"], "seconds": 600, "max_usd": "5", "origins": ["https://app.example"]});
    let answer = mint(relay.client(), &made.key, &wish).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let told = answer.json();
    assert!(told["token"].as_str().unwrap().starts_with("fr_client_"));
    assert_eq!((&told["allow"], &told["max_usd"]), (&json!(["a/**"]), &json!("5.00")));
    assert_eq!(told["origins"], json!(["https://app.example"]));
    assert!(told["expires_at"].as_str().unwrap() > now().to_string().as_str());

    let token = told["token"].as_str().unwrap();
    for scheme in ["Key", "bearer"] {
        let authorization = format!("{scheme} {token}");
        let headers = [("authorization", authorization.as_str())];
        let answer = relay.client().send(request("POST", "/a/b", &headers, b"{}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let path = "/a/b/requests/job-0/status";
    assert_eq!(relay.client().send(get(path, token)).await.status, 200);
    assert_eq!(class(&run(&relay, "x/y", token).await), (403, "endpoint_not_allowed"));
    let rows = office.rows().await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.key_id == made.record.id && row.token_id.is_some()), "{rows:?}");
    assert!(!relay.output().contains("fr_client_"), "a client token stands in the log");
    assert!(fal.seen().iter().all(|seen| !format!("{seen:?}").contains("fr_client_")));
}

#[tokio::test]
async fn the_keys_own_rules_hold_for_its_tokens() {
    let fal = fal().await;
    let (relay, office, _) = house(&fal).await;
    let narrow = Wish { rules: json!({"allow": ["a/b"]}), ..Wish::of("narrow") };
    let key = office.make(narrow).await.key;
    let token = token(&relay, &key, &json!({"allow": ["a/**", "x/y"]})).await;
    for (endpoint, wanted) in [("a/b", 200), ("a/c", 403), ("x/y", 403)] {
        assert_eq!(run(&relay, endpoint, &token).await.status, wanted, "{endpoint}");
    }
}

#[tokio::test]
async fn invariant_3_a_token_follows_only_what_it_might_have_made() {
    let fal = fal().await;
    let (relay, office, made) = house(&fal).await;
    let other = office.make(Wish::of("other")).await;
    let id = relay.client().submit("a/b", &made.key).await;
    let path = format!("/a/b/requests/{id}/status");
    let unknown = relay.client().send(get("/a/b/requests/nobody/status", &made.key)).await.comparable();
    let same = token(&relay, &made.key, &json!({"allow": ["a/**"]})).await;
    let elsewhere = token(&relay, &made.key, &json!({"allow": ["x/**"]})).await;
    let strangers = token(&relay, &other.key, &json!({})).await;
    assert_eq!(relay.client().send(get(&path, &same)).await.status, 200);
    for token in [elsewhere, strangers] {
        assert_eq!(relay.client().send(get(&path, &token)).await.comparable(), unknown);
    }
}

#[tokio::test]
async fn invariant_1_a_token_in_an_address_opens_streams_and_goes_nowhere() {
    let fal = fal().await;
    let (relay, _, made) = house(&fal).await;
    let token = token(&relay, &made.key, &json!({"allow": ["a/**"]})).await;
    let send = async |path: String| relay.client().send(request("POST", &path, &[], b"{}")).await;
    let answer = send(format!("/run/a/b/stream?x=1&fal_jwt_token={token}&y=2")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = fal.seen().pop().unwrap();
    assert_eq!(seen.target, "/run/a/b/stream?x=1&y=2");
    assert!(!seen.header("authorization").unwrap().contains("fr_"));
    // Only of streams, only a client token, and only one.
    for path in [
        format!("/run/a/b?fal_jwt_token={token}"),
        format!("/a/b?fal_jwt_token={token}"),
        format!("/run/a/b/stream?fal_jwt_token={}", made.key),
        format!("/run/a/b/stream?fal_jwt_token={token}&fal_jwt_token={token}"),
        "/run/a/b/stream?fal_jwt_token=".to_owned(),
        format!("/v1/account?fal_jwt_token={token}"),
    ] {
        assert_eq!(class(&send(path.clone()).await), (401, "unauthorized"), "{path}");
    }
    // A field of the relay's schemes goes first; one that is meant for somebody else does not count.
    let path = format!("/run/a/b/stream?fal_jwt_token={token}");
    for (field, wanted) in [("Key fr_live_wrong", 401), ("Basic dXNlcjpwYXNz", 200)] {
        let headers = [("authorization", field)];
        assert_eq!(relay.client().send(request("POST", &path, &headers, b"{}")).await.status, wanted);
    }
    assert_eq!(fal.seen().len(), 2, "a call that was refused reached fal");
    assert!(!relay.output().contains("fr_client_"), "a client token stands in the log");
}

#[tokio::test]
async fn a_token_makes_no_tokens_and_reads_no_account() {
    let fal = fal().await;
    let (relay, _, made) = house(&fal).await;
    let token = token(&relay, &made.key, &json!({})).await;
    assert_eq!(class(&mint(relay.client(), &token, &json!({})).await), (403, "key_needed"));
    for path in ["/v1/account", "/v1/usage", "/v1/models", "/v1/models/pricing"] {
        let answer = relay.client().send(get(path, &token)).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    for (method, path) in [("GET", "/v1/tokens"), ("DELETE", "/v1/tokens/1")] {
        let authorization = format!("Key {token}");
        let headers = [("authorization", authorization.as_str())];
        let answer = relay.client().send(request(method, path, &headers, b"")).await;
        assert_eq!(class(&answer), (403, "key_needed"), "{method}");
    }
    for (path, allow) in [("/v1/tokens", "GET, HEAD, POST"), ("/v1/tokens/1", "DELETE")] {
        let authorization = format!("Key {}", made.key);
        let headers = [("authorization", authorization.as_str())];
        let answer = relay.client().send(request("PUT", path, &headers, b"")).await;
        assert_eq!((class(&answer), answer.header("allow")), ((405, "method_not_allowed"), Some(allow)));
    }
    assert_eq!(class(&mint(relay.client(), "nobody", &json!({})).await), (401, "unauthorized"));
}

#[tokio::test]
async fn each_bad_field_is_refused_by_name() {
    let fal = fal().await;
    let (relay, _, made) = house(&fal).await;
    for (path, body, field) in [
        ("/v1/tokens", json!({"allow": ["fal-ai"]}), "allow"),
        ("/v1/tokens", json!({"seconds": 0}), "seconds"),
        ("/v1/tokens", json!({"max_usd": "much"}), "max_usd"),
        ("/v1/tokens", json!({"origins": ["app.example"]}), "origins"),
        ("/v1/tokens", json!({"budget": 1}), "budget"),
        ("/v1/tokens", json!([]), "body"),
        ("/tokens/", json!({"allowed_apps": []}), "allowed_apps"),
        ("/tokens/", json!({"allowed_apps": ["a"], "token_expiration": 1e9}), "token_expiration"),
        ("/tokens/realtime", json!({"allowed_apps": ["a/b"], "duration": "x"}), "duration"),
    ] {
        let answer = relay.client().send(post(path, &made.key, &body.to_string())).await;
        assert_eq!(class(&answer), (400, "bad_parameter"), "{path} {body}");
        assert_eq!(answer.json()["field"], field, "{path} {body}");
    }
}

#[tokio::test]
async fn invariant_7_a_request_for_a_token_is_small() {
    let fal = fal().await;
    let (relay, _, made) = house(&fal).await;
    let body = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2));
    let ask = async |bytes| relay.client().send(post("/v1/tokens", &made.key, &body(bytes))).await;
    assert_eq!(ask(64 * 1024).await.status, 200);
    assert_eq!(class(&ask(64 * 1024 + 1).await), (413, "body_too_large"));
}

/// Rows of tokens, written beside the relay: `count` that end at `expires_at`.
fn write_tokens(relay: &Relay, key: i64, count: u32, expires_at: i64) {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
               INSERT INTO client_tokens (key_id, digest, created_at, expires_at)
               SELECT ?1, randomblob(32), 0, ?3 FROM n";
    relay.store().execute(sql, (key, count, expires_at)).unwrap();
}

#[tokio::test]
async fn invariant_7_a_key_has_so_many_tokens_at_one_time() {
    let fal = fal().await;
    let (relay, _, made) = house(&fal).await;
    write_tokens(&relay, made.record.id.0, 9_999, i64::MAX);
    assert_eq!(mint(relay.client(), &made.key, &json!({})).await.status, 200);
    let answer = mint(relay.client(), &made.key, &json!({})).await;
    assert_eq!((class(&answer), answer.header("retry-after")), ((429, "too_many_tokens"), Some("60")));
}

#[tokio::test]
async fn invariant_7_tokens_whose_time_is_over_are_swept() {
    let fal = fal().await;
    let (relay, _, made) = house(&fal).await;
    write_tokens(&relay, made.record.id.0, 150, 1);
    let rows =
        || relay.store().query_one("SELECT count(*) FROM client_tokens", (), |row| row.get::<_, i64>(0));
    for left in [51, 2] {
        assert_eq!(mint(relay.client(), &made.key, &json!({})).await.status, 200);
        assert_eq!(rows().unwrap(), left);
    }
    // One that was revoked just now stays for whoever must still learn of it; so does one that holds money.
    let revoke = "UPDATE client_tokens SET expires_at = ?1, revoked_at = ?1 WHERE id = (SELECT max(id) FROM client_tokens)";
    relay.store().execute(revoke, [now().as_micros()]).unwrap();
    let hold = "UPDATE client_tokens SET expires_at = 1, held_nano = 1 WHERE id = (SELECT min(id) FROM client_tokens)";
    relay.store().execute(hold, ()).unwrap();
    for (later, left) in [(Duration::ZERO, 3), (Duration::from_secs(61), 3)] {
        let revoked_at = now().minus(later).as_micros();
        let age = "UPDATE client_tokens SET expires_at = ?1, revoked_at = ?1 WHERE revoked_at IS NOT NULL";
        relay.store().execute(age, [revoked_at]).unwrap();
        assert_eq!(mint(relay.client(), &made.key, &json!({})).await.status, 200);
        assert_eq!(rows().unwrap(), left);
    }
}

#[tokio::test]
async fn invariant_10_fals_clients_get_tokens_of_the_relays_own_in_both_forms() {
    let fal = fal().await;
    let (relay, _, made) = house(&fal).await;
    let forms = [
        ("/tokens/", json!({"allowed_apps": ["b"], "token_expiration": 120})),
        ("/tokens", json!({"allowed_apps": ["b"]})),
        ("/tokens/realtime", json!({"allowed_apps": ["a/b/realtime"], "duration": 120})),
        ("/tokens/realtime/", json!({"allowed_apps": ["a/b"]})),
    ];
    for host in ["relay.test", "rest.fal.ai", "rest.alpha.fal.ai"] {
        for (path, body) in &forms {
            let authorization = format!("Key {}", made.key);
            let headers = [("host", host), ("authorization", authorization.as_str())];
            let answer =
                relay.client().send(request("POST", path, &headers, body.to_string().as_bytes())).await;
            assert_eq!(answer.status, 200, "{host}{path}: {}", answer.text());
            let said = answer.json();
            let text = if path.contains("realtime") { &said["token"] } else { &said };
            let token = text.as_str().unwrap();
            assert!(token.starts_with("fr_client_"), "{said}");
            assert_eq!(run(&relay, "a/b", token).await.status, 200);
            assert_eq!(class(&run(&relay, "a/c", token).await), (403, "endpoint_not_allowed"));
            // A page that has a token asks with it before it opens a socket, and goes on with the same.
            let headers = [("host", host), ("authorization", &format!("Key {token}"))];
            let again = relay.client().send(request("POST", path, &headers, b"{}")).await;
            assert_eq!((again.status, again.json()), (200, said));
        }
    }
    assert!(fal.seen().iter().all(|seen| seen.target.starts_with("/run/")), "fal was asked for a token");
}

#[tokio::test]
async fn a_token_in_the_proxys_path_opens_all_that_a_page_needs() {
    let fal = fal().await;
    let (relay, office, made) = house(&fal).await;
    let token =
        token(&relay, &made.key, &json!({"allow": ["a/**"], "origins": ["https://app.example"]})).await;
    let path = format!("/api/fal/proxy/{token}");
    let send = async |method: &str, target: &str| {
        let headers = [("x-fal-target-url", target), ("origin", "https://app.example")];
        relay.client().send(request(method, &path, &headers, b"{}")).await
    };
    let asked = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-fal-target-url"),
    ];
    let preflight = relay.client().send(request("OPTIONS", &path, &asked, b"")).await;
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-origin")),
        (204, Some("https://app.example"))
    );
    for (method, target, wanted) in [
        ("POST", "https://queue.fal.run/a/b", 200),
        ("GET", "https://queue.fal.run/a/b/requests/job-0/status", 200),
        ("POST", "https://fal.run/a/b/stream", 200),
        ("POST", "https://fal.run/x/y", 403),
        ("POST", "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3", 200),
    ] {
        let answer = send(method, target).await;
        assert_eq!(answer.status, wanted, "{target}: {}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"), "{target}");
    }
    // What a page asks before it opens a socket: the same token, which the socket takes.
    let socket = send("POST", "https://rest.fal.ai/tokens/").await;
    assert_eq!((socket.status, socket.json()), (200, json!(token)));
    assert!(fal.seen().iter().all(|seen| !format!("{seen:?}").contains("fr_client_")));
    assert!(office.rows().await.iter().all(|row| row.token_id.is_some()));
}

#[tokio::test]
async fn a_token_ends_by_itself_and_with_its_key() {
    let fal = fal().await;
    let (relay, office, made) = house(&fal).await;
    let short = token(&relay, &made.key, &json!({"seconds": 1})).await;
    let long = token(&relay, &made.key, &json!({})).await;
    let unknown = run(&relay, "a/b", "fr_client_nobody").await.comparable();
    let mut socket = relay.client().connect().await;
    let mut ask = async |token: &str| {
        let bytes = post("/run/a/b", token, "{}");
        tokio::io::AsyncWriteExt::write_all(&mut socket, &bytes).await.unwrap();
        crate::support::read_answer(&mut socket).await
    };
    assert_eq!(ask(&long).await.status, 200);
    while ask(&short).await.status == 200 {
        pause().await;
    }
    assert_eq!(ask(&short).await.comparable(), unknown, "one answer for all causes");
    assert_eq!(ask(&long).await.status, 200);
    let change = KeyChange { revoked_at: Some(now()), ..KeyChange::default() };
    office.store.change_key(made.record.id, change, author()).await.unwrap();
    while ask(&long).await.status == 200 {
        pause().await;
    }
    assert_eq!(ask(&long).await.comparable(), unknown, "one answer for all causes");
}

#[tokio::test]
async fn all_tokens_of_a_key_can_be_ended_at_once() {
    let fal = fal().await;
    let (relay, office, made) = house(&fal).await;
    let ended = token(&relay, &made.key, &json!({})).await;
    assert_eq!(run(&relay, "a/b", &ended).await.status, 200);
    let id = made.record.id.to_string();
    assert!(relay.cli(&["key", "show", &id]).contains("client tokens        1\n"));
    let told = relay.cli(&["key", "revoke-tokens", &id, "--reason", "the app leaked them"]);
    assert_eq!(told, format!("ended client tokens of key {id}: 1\n"));
    let admin = Client::new(relay.admin);
    let authorization = format!("Bearer {}", relay.token);
    let headers = [("authorization", authorization.as_str())];
    let live = admin.send(request("GET", &format!("/api/v1/keys/{id}/tokens"), &headers, b"")).await;
    assert_eq!(live.json(), json!({"live": 0}), "{}", live.text());
    while run(&relay, "a/b", &ended).await.status == 200 {
        pause().await;
    }
    assert_eq!(run(&relay, "a/b", &made.key).await.status, 200);
    let fresh = token(&relay, &made.key, &json!({})).await;
    assert_eq!(run(&relay, "a/b", &fresh).await.status, 200);
    let path = format!("/api/v1/keys/{id}/tokens/revoke");
    let ended = admin.send(post(&path, &relay.token, "{}")).await;
    assert_eq!(ended.json(), json!({"revoked": 1}), "{}", ended.text());
    let audit = office.store.audit(Some(format!("key:{id}")), None, 10).await.unwrap();
    let reasons: Vec<_> = audit.iter().filter(|line| line.action == "key.revoke_tokens").collect();
    assert_eq!(reasons.len(), 2);
    assert_eq!(reasons[1].reason.as_deref(), Some("the app leaked them"));
}

#[tokio::test]
async fn a_key_with_origins_is_refused_for_pages_of_others() {
    let fal = fal().await;
    let (relay, office, made) = house(&fal).await;
    let wish = Wish { rules: json!({"origins": ["https://app.example"]}), ..Wish::of("web") };
    let bound = office.make(wish).await.key;
    let of_token = token(&relay, &made.key, &json!({"origins": ["https://app.example"]})).await;
    for key in [bound, of_token] {
        for (origin, wanted) in [
            (Some("https://app.example"), (200, "")),
            (Some("https://evil.example"), (403, "origin_not_allowed")),
            (Some("https://app.example.evil.example"), (403, "origin_not_allowed")),
            (Some("null"), (403, "origin_not_allowed")),
            // What is no page sends none.
            (None, (200, "")),
        ] {
            let authorization = format!("Key {key}");
            let mut headers = vec![("authorization", authorization.as_str())];
            headers.extend(origin.map(|origin| ("origin", origin)));
            let answer = relay.client().send(request("POST", "/run/a/b", &headers, b"{}")).await;
            assert_eq!(class(&answer), wanted, "{origin:?}");
        }
        let authorization = format!("Key {key}");
        let twice = [
            ("authorization", authorization.as_str()),
            ("origin", "https://app.example"),
            ("origin", "https://evil.example"),
        ];
        let answer = relay.client().send(request("POST", "/run/a/b", &twice, b"{}")).await;
        assert_eq!(answer.status, 403, "two origins are nobody's");
    }
}
