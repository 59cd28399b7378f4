//! Rates and jobs in flight.

use serde_json::json;

use super::{DOLLAR, cancel, class, paid, read, submit, till};
use crate::support::{Answer, Office, Relay, Wish, get, pause, post};

/// Sends until it is refused, and says how often it was let in.
async fn until_refused(relay: &Relay, request: impl Fn() -> Vec<u8>) -> (usize, Answer) {
    for passed in 0..200 {
        let answer = relay.client().send(request()).await;
        if answer.status == 429 {
            return (passed, answer);
        }
    }
    panic!("nothing was refused");
}

/// What a refusal by a limit must say.
fn check_refusal(answer: &Answer, scope: &str, limited: &str, limit: u64) {
    assert_eq!(class(answer), (429, "rate_limited"));
    let said = answer.json();
    assert_eq!(
        (&said["scope"], &said["limited"], &said["limit"]),
        (&scope.into(), &limited.into(), &limit.into()),
        "{said}"
    );
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let policy = answer.header("ratelimit-policy").unwrap();
    assert!(policy.contains(&format!(";q={limit}")), "{policy}");
    assert!(answer.header("ratelimit").unwrap().contains(";r=0"), "{:?}", answer.headers);
}

#[tokio::test]
async fn requests_of_any_kind_count_for_each_level() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let office = Office::of(&relay);
    let rules = json!({"requests_per_minute": 6});
    for (scope, wish) in [
        ("key", Wish { rules: rules.clone(), ..Wish::of("one") }),
        ("group", Wish { group_rules: rules.clone(), ..Wish::of("two") }),
        ("tenant", Wish { tenant_rules: rules.clone(), ..Wish::of("three") }),
    ] {
        let key = office.make(wish).await.key;
        let path = submit(&relay, "a/b", &key, r#"{"open":true}"#).await;
        let (polls, refused) = until_refused(&relay, || get(&format!("{path}/status"), &key)).await;
        assert!((1..6).contains(&polls), "{scope}: {polls} polls after one submit, of six requests a minute");
        check_refusal(&refused, scope, "requests", 6);
        let before = fal.seen().len();
        for path in ["/a/b", "/run/a/b", "/storage/upload/initiate"] {
            check_refusal(&relay.client().send(post(path, &key, "{}")).await, scope, "requests", 6);
        }
        assert_eq!(fal.seen().len(), before, "what was refused reached fal");
    }
}

#[tokio::test]
async fn calls_that_cost_have_a_rate_of_their_own() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let office = Office::of(&relay);
    let key = office.make(Wish { rules: json!({"submits_per_minute": 6}), ..Wish::of("acme") }).await.key;
    let path = submit(&relay, "a/b", &key, r#"{"open":true}"#).await;
    let (runs, refused) = until_refused(&relay, || post("/run/a/b", &key, r#"{"units":"1"}"#)).await;
    assert!((1..6).contains(&runs), "{runs}");
    check_refusal(&refused, "key", "submits", 6);
    for _ in 0..20 {
        assert_eq!(read(&relay, &format!("{path}/status"), &key).await.status, 202, "polls are not counted");
    }
    assert_eq!(paid(&fal).len(), 1 + runs);
    assert_eq!(office.rows().await.len(), 1 + runs, "a call that was refused is in the ledger");
    assert_eq!(cancel(&relay, &path, &key).await.status, 202, "the end of a job is not counted");
}

#[tokio::test]
async fn an_answer_tells_what_is_left() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let wish = Wish { rules: json!({"submits_per_minute": 600, "jobs_in_flight": 5}), ..Wish::of("acme") };
    let key = Office::of(&relay).make(wish).await.key;
    let answer = relay.client().send(post("/a/b", &key, r#"{"open":true}"#)).await;
    let (policy, left) = (answer.header("ratelimit-policy").unwrap(), answer.header("ratelimit").unwrap());
    assert!(policy.contains(";q=5") && policy.contains("concurrent-requests"), "{policy}");
    assert!(left.contains(";r=4"), "{left}");
}

#[tokio::test]
async fn jobs_in_flight_end_with_their_result_their_cancel_their_failure_or_by_the_watch() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR, ("FAL_RELAY_RELAY__WATCH_AFTER_SECONDS", "1")]);
    let office = Office::of(&relay);
    let key = office.make(Wish { rules: json!({"jobs_in_flight": 1}), ..Wish::of("acme") }).await.key;
    let full = async || relay.client().send(post("/a/b", &key, "{}")).await;
    // Each leaves the one place to the next, or the next submit waits for ever.
    let enter = async |body: &str| loop {
        let answer = relay.client().send(post("/a/b", &key, body)).await;
        match answer.status {
            200 => return format!("/a/b/requests/{}", answer.json()["request_id"].as_str().unwrap()),
            _ => check_refusal(&answer, "key", "jobs", 1),
        }
        pause().await;
    };
    let job = enter(r#"{"units":"1"}"#).await;
    check_refusal(&full().await, "key", "jobs", 1);
    assert_eq!(read(&relay, &job, &key).await.status, 200);

    let job = enter(r#"{"open":true,"cancel":"OK"}"#).await;
    check_refusal(&full().await, "key", "jobs", 1);
    assert_eq!(cancel(&relay, &job, &key).await.status, 200);

    let job = enter(r#"{"status":422,"units":"0"}"#).await;
    check_refusal(&full().await, "key", "jobs", 1);
    assert_eq!(read(&relay, &job, &key).await.status, 422);

    // Nobody asks after these: one has ended, the other is not known to fal any more.
    enter(r#"{"units":"1"}"#).await;
    enter(r#"{"gone":true}"#).await;

    // fal did not take this one, and these were no jobs for long.
    for (path, body) in
        [("/a/b", r#"{"refuse":422}"#), ("/run/a/b", r#"{"units":"1"}"#), ("/run/a/b/stream", "{}")]
    {
        while relay.client().send(post(path, &key, body)).await.status == 429 {
            pause().await;
        }
    }
    enter("{}").await;
    office.rows_when(|rows| rows.iter().all(|row| row.state.is_closed())).await;
    office.balance().await;
}

#[tokio::test]
async fn a_call_that_is_refused_for_its_money_takes_no_place() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let office = Office::of(&relay);
    let wish = Wish { rules: json!({"jobs_in_flight": 1, "max_request_usd": "0.5"}), ..Wish::of("acme") };
    let key = office.make(wish).await.key;
    for _ in 0..3 {
        let answer = relay.client().send(post("/a/b", &key, "{}")).await;
        assert_eq!(class(&answer), (402, "request_price_limit"));
    }
}

#[tokio::test]
async fn invariant_9_jobs_in_flight_are_counted_again_after_a_restart() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let wish = Wish { tenant_rules: json!({"jobs_in_flight": 2}), ..Wish::of("acme") };
    let key = Office::of(&relay).make(wish).await.key;
    let job = submit(&relay, "a/b", &key, r#"{"open":true,"cancel":"OK"}"#).await;
    submit(&relay, "a/b", &key, r#"{"open":true}"#).await;
    let relay = relay.restart();
    check_refusal(&relay.client().send(post("/a/b", &key, "{}")).await, "tenant", "jobs", 2);
    assert_eq!(cancel(&relay, &job, &key).await.status, 200);
    while relay.client().send(post("/a/b", &key, "{}")).await.status == 429 {
        pause().await;
    }
    check_refusal(&relay.client().send(post("/a/b", &key, "{}")).await, "tenant", "jobs", 2);
}
