//! Mixed work beside fal's own bill: in the end the ledger says what fal says, call by call and to the nano-dollar.
//! `tests/drills/run bill` does two thousand calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use fal_relay::clock::SystemClock;
use fal_relay::random::Random;
use fal_relay::sandbox::{self, Running, Settings};
use fal_relay::store::{CallRecord, CallState};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{cancel, read};
use crate::drills_start::rounds;
use crate::support::{Client, FAL_SECRET, Office, Relay, Wish, get, pause, post, request};

/// Calls that are under way at once.
const AT_ONCE: usize = 16;

const SHOP: &str = "/acme/app";
const FLUX: &str = "/fal-ai/flux-1/schnell";

/// What the client of a call does once it has been sent.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Read,
    /// It does not come back.
    Leave,
    /// Cancels at once, or as soon as the job runs.
    Cancel,
    CancelRunning,
}

use Then::{Cancel, CancelRunning, Leave, Read};

/// Path, prompt, and what the client does then.
const WORK: &[(&str, &str, Then)] = &[
    (FLUX, "a cat", Read),
    (SHOP, "a cat", Read),
    (FLUX, "a cat [[units:3.008]]", Read),
    (SHOP, "a cat [[units:0.0000001]]", Read),
    (SHOP, "a cat [[units:0]]", Read),
    (FLUX, "[[fail:422]]", Read),
    (SHOP, "[[fail:422]] [[units:2]]", Read),
    (SHOP, "[[fail:422]] [[units:none]]", Read),
    (FLUX, "[[fail:500]]", Read),
    (SHOP, "[[fail:503]] [[units:7]]", Leave),
    (SHOP, "a cat [[units:none]]", Read),
    (SHOP, "a cat [[units:NaN]]", Read),
    (FLUX, "a cat", Leave),
    (SHOP, "a cat [[units:none]]", Leave),
    (SHOP, "[[fail:422]] [[units:1.5]]", Leave),
    (SHOP, "[[queue:3000]]", Cancel),
    (SHOP, "[[slow:3000]]", CancelRunning),
    (SHOP, "[[slow:0.2]] [[stubborn]]", CancelRunning),
    (SHOP, "[[cut]]", Read),
    (SHOP, "[[cut:submit]] [[units:2]]", Leave),
    (SHOP, "[[redirect:submit]] [[units:3]]", Leave),
    (SHOP, "[[refuse:429]]", Leave),
    (SHOP, "[[refuse:422]] [[units:5]]", Leave),
    (FLUX, "", Leave),
    ("/run/acme/app", "a cat [[units:2]]", Leave),
    ("/run/fal-ai/flux-1/schnell", "a cat", Leave),
    ("/run/acme/app", "[[fail:500]]", Leave),
    ("/run/acme/app", "[[fail:422]] [[units:1.25]]", Leave),
    ("/run/acme/app", "a cat [[units:none]]", Leave),
    ("/run/acme/app", "a cat [[cut]]", Leave),
    ("/run/acme/app/stream", "a cat", Leave),
    ("/run/acme/app/stream", "a cat [[units:4]]", Leave),
];

async fn fal() -> Running {
    let settings = Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        step_ms: 5,
        max_requests: 100_000,
        ..Settings::default()
    };
    sandbox::start(settings, Arc::new(SystemClock::new()), Random::seeded(1)).await.unwrap()
}

fn relay(fal: &Running) -> Relay {
    let api = format!("{}/api", fal.base_url);
    let admin_key = format!("c0ffee00-canary-admin:{FAL_SECRET}");
    let settings = [
        ("FAL_RELAY_UPSTREAM__API_URL", api.as_str()),
        ("FAL_RELAY_ACCOUNTS__DEFAULT__ADMIN_KEY", admin_key.as_str()),
        ("FAL_RELAY_PRICING__REQUESTS_PER_SECOND", "100"),
        // What the sandbox takes for a picture by a model that its list does not name.
        ("FAL_RELAY_PRICING__OVERRIDES", "acme/** = 0.05 images"),
        ("FAL_RELAY_RELAY__WATCH_AFTER_SECONDS", "1"),
    ];
    Relay::with(&fal.base_url, &settings)
}

/// Sends one call and does with it what its client does.
async fn work(relay: &Relay, key: &str, (path, prompt, then): (&str, &str, Then)) {
    let body = if prompt.is_empty() { "{}".to_owned() } else { json!({ "prompt": prompt }).to_string() };
    let answer = relay.client().send(post(path, key, &body)).await;
    if answer.status != 200 || !answer.whole || then == Leave {
        return;
    }
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    let job = format!("{path}/requests/{id}");
    let status = async || read(relay, &format!("{job}/status"), key).await.json()["status"].clone();
    match then {
        CancelRunning => while status().await == "IN_QUEUE" {},
        Read => while status().await != "COMPLETED" {},
        Cancel | Leave => {}
    }
    match then {
        Read => drop(read(relay, &job, key).await),
        _ => drop(cancel(relay, &job, key).await),
    }
}

/// What fal billed for each call, by the relay's own tag.
async fn billed(fal: &Running) -> BTreeMap<String, i64> {
    let authorization = format!("Key c0ffee00-canary-admin:{FAL_SECRET}");
    let headers = [("authorization", authorization.as_str())];
    let path = "/api/v1/models/billing-events?limit=10000&source=tagged-billed";
    let page = Client::new(fal.addr).send(request("GET", path, &headers, b"")).await.json();
    assert_eq!(page["has_more"], false, "one page holds the whole bill");
    let line = |event: &Value| {
        let tag = event["tags"]["fal-relay"].as_str().unwrap().split_once('.').unwrap().1.to_owned();
        (tag, event["cost_estimate_nano_usd"].as_i64().unwrap())
    };
    let events = page["billing_events"].as_array().unwrap();
    let bill: BTreeMap<_, _> = events.iter().map(line).collect();
    assert_eq!(bill.len(), events.len(), "a call was billed twice");
    bill
}

/// What the ledger says of each call that costs something.
fn known(rows: &[CallRecord]) -> BTreeMap<String, i64> {
    let costs = rows.iter().filter_map(|row| Some((row.id.to_string(), row.cost_usd?.nanos())));
    costs.filter(|(_, nanos)| *nanos != 0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_the_bill_to_the_nano_dollar() {
    let calls = rounds(WORK.len() * 4);
    let fal = fal().await;
    let relay = relay(&fal);
    let office = Office::of(&relay);
    relay.cli(&["prices", "sync"]);
    let key = office.make(Wish { multiplier: Some("1.25"), ..Wish::of("acme") }).await.key;
    // The relay has the list once it holds what a picture of the list costs, and not the ceiling.
    let (relay, key) = (&relay, key.as_str());
    work(relay, key, (FLUX, "a cat", Leave)).await;
    while office.rows().await.last().is_none_or(|row| row.terms.unit_price.is_none()) {
        pause().await;
        work(relay, key, (FLUX, "a cat", Leave)).await;
    }
    let all = (0..calls).map(|number| work(relay, key, WORK[number % WORK.len()]));
    stream::iter(all).buffer_unordered(AT_ONCE).for_each(async |()| ()).await;
    office
        .rows_when(|rows| rows.iter().all(|row| row.state.is_closed() || row.state == CallState::Unknown))
        .await;
    let before = office.balance().await;

    let report: Value = serde_json::from_str(&relay.cli(&["reconcile", "--json"])).unwrap();
    let account = &report["accounts"][0];
    assert_eq!(
        (&account["error"], &account["strange"], &account["unusable"]),
        (&Value::Null, &json!(0), &json!(0))
    );
    assert_eq!(account["differences"], json!([]), "{report}");
    let rows = office.balance().await;
    assert_eq!(known(&rows), billed(&fal).await);
    let counts = Client::new(fal.addr).send(get("/sandbox/counts", "")).await.json();
    let sum: i64 = known(&rows).values().sum();
    assert_eq!(counts["billed_nano_usd"], sum.to_string());
    // The ledger knew most of it by itself, and nothing of it otherwise.
    for (row, later) in before.iter().zip(&rows).filter(|(row, _)| row.cost_usd.is_some()) {
        assert_eq!(row.cost_usd, later.cost_usd, "{row:?}");
    }
    let unknown = |rows: &[CallRecord]| rows.iter().filter(|row| row.hold_open).count();
    println!(
        "{} calls, {} nano-dollars; {} unknown before the bill was read, {} after it",
        rows.len(),
        sum,
        unknown(&before),
        unknown(&rows)
    );
}
