//! Polls are what a gateway mostly does: they touch no store, whatever limits are set.

use fal_relay::period::Period;
use serde_json::json;

use super::{DOLLAR, submit, till};
use crate::metrics::fetch;
use crate::support::{Office, Relay, Wish, budget, get};

const POLLS: usize = 1_000;
const STATEMENTS: [&str; 2] = [
    "fal_relay_store_statements_total{connection=\"read\"}",
    "fal_relay_store_statements_total{connection=\"write\"}",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_polls_under_every_limit_touch_no_store() {
    let fal = till().await;
    // The looks for changed keys and for forgotten jobs are statements, too: not while this counts.
    let seldom = [
        DOLLAR,
        ("FAL_RELAY_RELAY__KEY_CHECK_MS", "3600000"),
        ("FAL_RELAY_RELAY__WATCH_AFTER_SECONDS", "86400"),
    ];
    let relay = Relay::with(&fal.base(), &seldom);
    let rules = json!({
        "allow": ["a/**"], "requests_per_minute": 1_000_000, "submits_per_minute": 1_000_000,
        "jobs_in_flight": 1000, "max_request_usd": "5", "networks": ["127.0.0.0/8"],
    });
    let all = vec![budget(Period::Total, "100"), budget(Period::Day, "100"), budget(Period::Month, "100")];
    let wish = Wish {
        tenant_rules: rules.clone(),
        group_rules: rules.clone(),
        rules,
        tenant_budgets: all.clone(),
        budgets: all,
        ..Wish::of("acme")
    };
    let key = Office::of(&relay).make(wish).await.key;
    let job = submit(&relay, "a/b", &key, r#"{"open":true}"#).await;
    let statements = async || [fetch(&relay, STATEMENTS[0]).await, fetch(&relay, STATEMENTS[1]).await];
    let before = statements().await;
    assert!(before.iter().all(|count| *count > 0.0), "{before:?}");
    for _ in 0..POLLS {
        assert_eq!(relay.client().send(get(&format!("{job}/status"), &key)).await.status, 202);
    }
    let after = statements().await;
    // What the relay reads in its own time grows with the time that the polls take, far slower than the polls.
    let few = POLLS as f64 / 10.0;
    assert!(after[0] - before[0] < few && after[1] - before[1] < few, "{before:?} {after:?}");
}
