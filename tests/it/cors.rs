//! Pages by the front door: which may call, which may read what they get, and what a browser asks before.

use serde_json::json;

use crate::support::{Answer, Fal, Office, Relay, Seen, Step, Wish, budget, get, pause, reply, request};

const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

/// A fal that has CORS headers of its own, as the real one.
async fn fal() -> Fal {
    Fal::start(|_: &Seen| {
        let headers = [
            ("content-type", "application/json"),
            ("x-fal-request-id", "one"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "x-fal-secret"),
            ("access-control-allow-credentials", "true"),
            ("vary", "accept"),
        ];
        Step::Reply(reply("200 OK", &headers, b"{}"))
    })
    .await
}

async fn ask(relay: &Relay, key: &str, origin: Option<&str>) -> Answer {
    let authorization = format!("Key {key}");
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(origin.map(|origin| ("origin", origin)));
    relay.client().send(request("POST", "/run/a/b", &headers, b"{}")).await
}

async fn preflight(relay: &Relay, path: &str, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-fal-target-url,x-forwarded-for"),
    ];
    relay.client().send(request("OPTIONS", path, &headers, b"")).await
}

/// Whether pages of this origin may read the answer; there is one such header or none.
fn read_by<'a>(answer: &'a Answer) -> Option<&'a str> {
    let said: Vec<&'a str> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "access-control-allow-origin")
        .map(|(_, value)| value.as_str())
        .collect();
    assert!(said.len() < 2, "{answer:?}");
    assert!(answer.header("access-control-allow-credentials").is_none(), "{answer:?}");
    said.first().copied()
}

fn varies(answer: &Answer) -> bool {
    answer.headers.iter().any(|(name, value)| name == "vary" && value == "Origin")
}

const PATHS: [&str; 6] = [
    "/a/b",
    "/run/a/b/stream",
    "/a/b/requests/1/status",
    "/storage/upload/initiate",
    "/tokens/",
    "/v1/account",
];

#[tokio::test]
async fn where_nobody_lists_anything_no_page_gets_anywhere() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let answer = ask(&relay, &relay.key, Some(APP)).await;
    // What sends an `Origin` need not be a browser: the call is made, but no page can read it.
    assert_eq!((answer.status, read_by(&answer), varies(&answer)), (200, None, false));
    for path in PATHS {
        let answer = preflight(&relay, path, APP).await;
        assert_eq!((answer.status, read_by(&answer)), (403, None), "{path}");
        assert_eq!(answer.header("x-relay-error"), Some("origin_not_allowed"));
    }
    // An OPTIONS that is no preflight is a request like any other.
    let options = relay.client().send(request("OPTIONS", "/a/b", &[("origin", APP)], b"")).await;
    assert_eq!(options.status, 401);
}

#[tokio::test]
async fn pages_that_the_operator_lists_may_call_with_any_key() {
    let fal = fal().await;
    for (setting, others) in [("https://app.example", None), ("*", Some(EVIL))] {
        let relay = Relay::with(&fal.base(), &[("FAL_RELAY_CORS__ALLOW_ORIGINS", setting)]);
        let answer = ask(&relay, &relay.key, Some(APP)).await;
        assert_eq!((answer.status, read_by(&answer), varies(&answer)), (200, Some(APP), true));
        let exposed: Vec<_> = answer.header("access-control-expose-headers").unwrap().split(", ").collect();
        for name in ["x-fal-request-id", "x-relay-request-id"] {
            assert!(exposed.contains(&name), "{name}: {exposed:?}");
        }
        assert!(!exposed.contains(&"x-fal-secret") && !exposed.contains(&"content-type"), "{exposed:?}");
        for (origin, wanted) in [(Some(EVIL), others), (Some("null"), others.and(Some("null"))), (None, None)]
        {
            let answer = ask(&relay, &relay.key, origin).await;
            assert_eq!((answer.status, read_by(&answer), varies(&answer)), (200, wanted, true), "{origin:?}");
        }
        // The relay's own errors, too.
        let unknown = ask(&relay, "nobody", Some(APP)).await;
        assert_eq!((unknown.status, read_by(&unknown)), (401, Some(APP)));
        let exposed = unknown.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("x-relay-error"), "{exposed}");
    }
}

/// What is refused before any route is looked at says nothing of any key, so a page may read why it got nowhere.
#[tokio::test]
async fn refusals_of_the_door_can_be_read_where_pages_may_call() {
    let fal = fal().await;
    for (setting, of_gate, of_door) in [("", None, None), (APP, Some("*"), Some(APP))] {
        let relay = Relay::with(&fal.base(), &[("FAL_RELAY_CORS__ALLOW_ORIGINS", setting)]);
        let authorization = format!("Key {}", relay.key);
        let long = "x".repeat(40_000);
        let at_gate = [("origin", APP), ("authorization", &authorization), ("x-long", &long)];
        let answer = relay.client().send(request("POST", "/run/a/b", &at_gate, b"{}")).await;
        assert_eq!((answer.status, read_by(&answer)), (431, of_gate), "{setting}");
        let two = [("origin", APP), ("authorization", authorization.as_str()), ("host", "a"), ("host", "b")];
        let answer = relay.client().send(request("POST", "/run/a/b", &two, b"{}")).await;
        assert_eq!((answer.status, read_by(&answer)), (400, of_gate), "{setting}");
        let tokens = "x".repeat(70_000);
        let answer =
            relay.client().send(request("POST", "/v1/tokens", &at_gate[..2], tokens.as_bytes())).await;
        assert_eq!((answer.status, read_by(&answer)), (413, of_door), "{setting}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_at_the_door() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_CORS__ALLOW_ORIGINS", APP)]);
    for path in PATHS {
        let answer = preflight(&relay, path, APP).await;
        assert_eq!((answer.status, read_by(&answer), varies(&answer)), (204, Some(APP), true), "{path}");
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        assert_eq!(
            answer.header("access-control-allow-methods"),
            Some("GET, HEAD, POST, PUT, PATCH, DELETE")
        );
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("authorization, content-type, x-fal-target-url"),
            "a page must not speak for a proxy"
        );
        assert_eq!(preflight(&relay, path, EVIL).await.status, 403);
    }
    assert_eq!(fal.seen().len(), 0, "a preflight reached fal");
    assert_eq!(Office::of(&relay).rows().await, []);
}

#[tokio::test]
async fn pages_that_a_key_lists_may_read_its_answers_and_its_errors() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_PRICING__OVERRIDES", "a/** = 1 requests")]);
    let office = Office::of(&relay);
    let wish = Wish {
        rules: json!({"origins": [APP]}),
        budgets: vec![budget(fal_relay::period::Period::Total, "0")],
        ..Wish::of("web")
    };
    let key = office.make(wish).await.key;
    // The running relay looks every `relay.key_check_ms`.
    while preflight(&relay, "/a/b", APP).await.status != 204 {
        pause().await;
    }
    // A preflight has no key: any page gets an answer, and its own request is then refused.
    assert_eq!(preflight(&relay, "/a/b", EVIL).await.status, 204);
    let refused = ask(&relay, &key, Some(EVIL)).await;
    assert_eq!((refused.status, read_by(&refused)), (403, Some(EVIL)), "it may read why");
    let poor = ask(&relay, &key, Some(APP)).await;
    assert_eq!((poor.status, read_by(&poor), varies(&poor)), (402, Some(APP), true));
    let unknown = ask(&relay, "nobody", Some(APP)).await;
    assert_eq!((unknown.status, read_by(&unknown)), (401, Some(APP)));
    // A key that lists none is not for pages, until the operator says so.
    let other = ask(&relay, &relay.key, Some(APP)).await;
    assert_eq!((other.status, read_by(&other), varies(&other)), (200, None, true));
    let no_page = relay.client().send(get("/v1/account", &key)).await;
    assert_eq!((no_page.status, read_by(&no_page)), (200, None));
}

#[tokio::test]
async fn the_first_token_for_a_page_opens_the_door_to_its_browser_at_once() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_RELAY__KEY_CHECK_MS", "3600000")]);
    assert_eq!(preflight(&relay, "/a/b", APP).await.status, 403);
    let authorization = format!("Key {}", relay.key);
    let headers = [("authorization", authorization.as_str())];
    let body = json!({"origins": [APP]}).to_string();
    let made = relay.client().send(request("POST", "/v1/tokens", &headers, body.as_bytes())).await;
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(preflight(&relay, "/a/b", APP).await.status, 204);
    let answer = ask(&relay, &token, Some(APP)).await;
    assert_eq!((answer.status, read_by(&answer)), (200, Some(APP)));
}
