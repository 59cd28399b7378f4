//! Prices and bills as an operator sees them: the binary in front of the simulated fal, which answers from threads of its
//! own while a command is waited for.

use std::sync::Arc;

use fal_relay::clock::SystemClock;
use fal_relay::random::Random;
use fal_relay::sandbox::{self, Running, Settings};
use serde_json::{Value, json};

use crate::support::{Client, FAL_SECRET, Relay, binary, post, request, until};

const ENDPOINT: &str = "/fal-ai/flux-1/schnell";

async fn sandbox() -> Running {
    let settings =
        Settings { listen: ([127, 0, 0, 1], 0).into(), step_ms: 0, max_requests: 100, ..Settings::default() };
    sandbox::start(settings, Arc::new(SystemClock::new()), Random::seeded(1)).await.unwrap()
}

fn relay(fal: &Running, settings: &[(&str, &str)]) -> Relay {
    let api = format!("{}/api", fal.base_url);
    let admin_key = format!("c0ffee00-canary-admin:{FAL_SECRET}");
    let common = [
        ("FAL_RELAY_UPSTREAM__API_URL", api.as_str()),
        ("FAL_RELAY_ACCOUNTS__DEFAULT__ADMIN_KEY", admin_key.as_str()),
        ("FAL_RELAY_PRICING__REQUESTS_PER_SECOND", "100"),
    ];
    Relay::with(&fal.base_url, &[&common, settings].concat())
}

async fn run(relay: &Relay, prompt: &str) -> u16 {
    let body = json!({ "prompt": prompt }).to_string();
    relay.client().send(post(&format!("/run{ENDPOINT}"), &relay.key, &body)).await.status
}

async fn set_price(fal: &Running, price: &str) {
    let body = json!({ &ENDPOINT[1..]: { "unit_price": price, "unit": "megapixels" } }).to_string();
    let put = request("PUT", "/sandbox/prices", &[("content-type", "application/json")], body.as_bytes());
    assert_eq!(Client::new(fal.addr).send(put).await.status, 200);
}

/// Every row: its state, fal's cost with all that was learned later, and whether its hold still stands.
fn rows(relay: &Relay) -> Vec<(String, Option<i64>, bool)> {
    let store = relay.store();
    let sql = "SELECT state, coalesce(cost_nano + coalesce(adjusted_cost_nano, 0), adjusted_cost_nano),
                      hold_open IS NOT NULL FROM calls ORDER BY id";
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_come_by_themselves_and_by_command() {
    let fal = sandbox().await;
    set_price(&fal, "0.003").await;
    let relay = relay(&fal, &[("FAL_RELAY_PRICING__SYNC", "daily")]);
    let version = || relay.store().query_row("SELECT max(version) FROM price_versions", (), |row| row.get(0));
    until(|| version().unwrap_or(None::<i64>) == Some(1)).await;
    assert_eq!(
        relay.cli(&["prices", "diff"]).lines().next(),
        Some("fal's prices are those that are known here.")
    );

    set_price(&fal, "0.004").await;
    let change = "~ fal-ai/flux-1/schnell: 0.003 per megapixels -> 0.004 per megapixels";
    assert_eq!(relay.cli(&["prices", "diff"]).lines().next(), Some(change));
    let synced = relay.cli(&["prices", "sync"]);
    assert_eq!(synced.lines().next(), Some(change));
    assert!(synced.contains("\nVersion 2: ") && synced.contains(" models, 1 changes."), "{synced}");
    let told: Value = serde_json::from_str(&relay.cli(&["prices", "sync", "--json"])).unwrap();
    assert_eq!((&told["version"]["version"], &told["version"]["changes"]), (&json!(3), &json!(0)));

    until(|| relay.output().contains("fal's prices were synced")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bill_settles_what_the_relay_could_not_see() {
    let fal = sandbox().await;
    let relay = relay(&fal, &[]);
    relay.cli(&["prices", "sync"]);
    // The units of the first are not told, the answer of the second breaks off, and nothing is heard of the third.
    assert_eq!(run(&relay, "a cat [[units:none]]").await, 200);
    run(&relay, "a dog [[cut]] [[units:2]]").await;
    let lost = json!({ "prompt": "a cow [[cut:submit]]" }).to_string();
    assert_ne!(relay.client().send(post(ENDPOINT, &relay.key, &lost)).await.status, 200);
    until(|| rows(&relay).iter().filter(|row| row.0 != "held").count() == 3).await;

    let report: Value = serde_json::from_str(&relay.cli(&["reconcile", "--json"])).unwrap();
    let account = &report["accounts"][0];
    assert_eq!((&account["account"], &account["error"]), (&json!("default"), &Value::Null));
    assert_eq!(account["strange"], 0, "{report}");
    assert_eq!(account["billed"], 3, "{report}");
    for (state, cost, holds) in rows(&relay) {
        assert_eq!((state.as_str(), holds), ("settled", false));
        assert!(cost.is_some_and(|cost| cost > 0));
    }
    let again = relay.cli(&["reconcile", "--apply", "--since", "2026-01-01"]);
    assert!(again.contains("       3  as the ledger says"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_fails_says_what_to_do() {
    let fal = sandbox().await;
    let relay = relay(&fal, &[]);
    let api = format!("{}/api", fal.base_url);
    let fails = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = binary(relay.folder.path());
        command.args(arguments).env("FAL_RELAY_UPSTREAM__API_URL", &api).envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let key = ("FAL_KEY", "c0ffee00:secret");
    let said = fails(&["reconcile"], &[key]);
    assert!(said.contains("set accounts.admin_key"), "{said}");
    let not_admin = ("FAL_RELAY_ACCOUNTS__DEFAULT__ADMIN_KEY", "c0ffee00:secret");
    assert!(fails(&["reconcile", "--since", "tomorrow"], &[key]).contains("2026-01-31"));
    assert!(fails(&["prices", "sync"], &[]).contains("there is no fal account to ask with"));
    assert_eq!(run(&relay, "a cat").await, 200);
    let said = fails(&["reconcile"], &[key, not_admin]);
    assert!(said.contains("not read to its end"), "{said}");
}
