//! What each outcome is billed, and when the bill shows it.

use serde_json::json;

use super::*;
use crate::money::{Multiplier, UnitPrice, Units, cost};

const ADMIN: &str = "Key someone-admin:secret";
const FLUX: &str = "fal-ai/flux-1/dev";
/// One picture of an endpoint that the catalogue does not name.
const PICTURE_NANOS: i64 = 50_000_000;

async fn bill_of(sandbox: &Sandbox, query: &str) -> Value {
    let path = format!("/api/v1/models/billing-events?limit=10000&{query}");
    let answer = sandbox.send(with_header(empty("GET", &path), "authorization", ADMIN)).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.json()["billing_events"].clone()
}

/// Units and nano-dollars of everything on the bill.
async fn billed(sandbox: &Sandbox) -> Vec<(String, i64)> {
    let bill = bill_of(sandbox, "").await;
    let line =
        |line: &Value| (line["output_units"].to_string(), line["cost_estimate_nano_usd"].as_i64().unwrap());
    bill.as_array().unwrap().iter().map(line).collect()
}

fn pictures(units: &str, count: i64) -> Vec<(String, i64)> {
    vec![(units.to_owned(), count * PICTURE_NANOS)]
}

#[tokio::test]
async fn every_outcome_is_billed_as_fal_would() {
    let nothing = Vec::new;
    for (prompt, status, header, expected) in [
        ("a fox", 200, Some("1"), pictures("1", 1)),
        ("[[units:4]]", 200, Some("4"), pictures("4", 4)),
        ("[[units:3.008]]", 200, Some("3.008"), vec![("3.008".to_owned(), 150_400_000)]),
        ("[[units:0]]", 200, Some("0"), nothing()),
        ("[[units:0.000]]", 200, Some("0.000"), nothing()),
        ("[[units:none]]", 200, None, pictures("1", 1)),
        ("[[units:NaN]]", 200, Some("NaN"), pictures("1", 1)),
        ("[[units:-1]]", 200, Some("-1"), pictures("1", 1)),
        ("[[units:1,2]]", 200, Some("1,2"), pictures("1", 1)),
        ("[[units:1e3]]", 200, Some("1e3"), pictures("1", 1)),
        ("[[units:99999999999999999999]]", 200, Some("99999999999999999999"), pictures("1", 1)),
        ("[[fail:422]]", 422, Some("0"), nothing()),
        ("[[fail:422]] [[units:2]]", 422, Some("2"), pictures("2", 2)),
        ("[[fail:422]] [[units:none]]", 422, None, nothing()),
        ("[[fail:422]] [[units:x]]", 422, Some("x"), nothing()),
        ("[[fail:400]] [[units:1.5]]", 400, Some("1.5"), vec![("1.5".to_owned(), 75_000_000)]),
        ("[[fail:500]]", 500, None, nothing()),
        ("[[fail:503]] [[units:7]]", 503, Some("7"), nothing()),
    ] {
        let input = json!({ "prompt": prompt });
        let queued = Sandbox::new();
        let result = queued.result("acme/app", &input).await;
        let direct = Sandbox::with(|settings| settings.step_ms = 0);
        let run = direct.call("POST", "/run/acme/app", &input).await;
        for (sandbox, answer) in [(queued, result), (direct, run)] {
            assert_eq!(
                (answer.status.as_u16(), answer.header("x-fal-billable-units")),
                (status, header),
                "{prompt}"
            );
            assert_eq!(billed(&sandbox).await, expected, "{prompt}");
        }
    }
}

#[tokio::test]
async fn refusals_and_bad_inputs_cost_nothing() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    for (path, input) in [
        ("/queue/acme/app", json!({ "prompt": "[[429]] [[units:5]]" })),
        ("/run/acme/app", json!({ "prompt": "[[refuse:422]] [[units:5]]" })),
        ("/queue/fal-ai/flux-1/dev", json!({})),
        ("/run/fal-ai/flux-1/foo", json!({ "prompt": "[[units:5]]" })),
        ("/run/fal-ai/flux-1/foo", json!({ "prompt": "[[fail:422]] [[units:5]]" })),
    ] {
        sandbox.call("POST", path, &input).await;
    }
    assert_eq!(billed(&sandbox).await, []);
}

#[tokio::test]
async fn a_request_is_billed_when_it_ends_whether_or_not_anybody_reads_it() {
    let sandbox = Sandbox::new();
    let path = sandbox.submitted(FLUX, &json!({ "prompt": "a fox" })).await;
    sandbox.clock.advance(WHOLE - Duration::from_micros(1));
    assert_eq!(billed(&sandbox).await, []);
    sandbox.clock.advance(Duration::from_micros(1));
    let bill = bill_of(&sandbox, "").await;
    let expected = json!([{
        "request_id": path.rsplit('/').next().unwrap(),
        "endpoint_id": FLUX,
        "timestamp": "2023-11-14T22:13:25.000000Z",
        "output_units": 1,
        "unit_price": 0.025,
        "percent_discount": null,
        "cost_subtotal": 0.025,
        "cost_discount": 0,
        "cost_total": 0.025,
        "cost_estimate_nano_usd": 25_000_000,
    }]);
    assert_eq!(bill, expected);
    sandbox.get(&path).await;
    sandbox.get(&path).await;
    assert_eq!(bill_of(&sandbox, "").await, expected);
}

#[tokio::test]
async fn a_cancel_in_time_strikes_the_bill() {
    for (prompt, after, cancel, result, expected) in [
        ("a fox", 0, 200, 499, vec![]),
        ("a fox", 3, 202, 499, vec![]),
        ("[[stubborn]]", 0, 200, 499, vec![]),
        ("[[stubborn]]", 3, 202, 200, pictures("1", 1)),
        ("a fox", 5, 400, 200, pictures("1", 1)),
    ] {
        let sandbox = Sandbox::new();
        let other = sandbox.submitted("acme/app", &json!({ "prompt": "[[fail:500]]" })).await;
        let path = sandbox.submitted("acme/app", &json!({ "prompt": prompt })).await;
        sandbox.clock.advance(STEP * after);
        let answer = sandbox.send(empty("PUT", &format!("{path}/cancel"))).await;
        sandbox.send(empty("PUT", &format!("{other}/cancel"))).await;
        assert_eq!(answer.status, cancel, "{prompt} {after}");
        sandbox.clock.advance(WHOLE);
        assert_eq!(sandbox.get(&path).await.status, result, "{prompt} {after}");
        assert_eq!(billed(&sandbox).await, expected, "{prompt} {after}");
    }
}

#[tokio::test]
async fn whoever_leaves_a_run_pays_for_what_was_done() {
    for (prompt, after, expected) in [
        ("a fox", 2, vec![]),
        ("[[queue:9]]", 2, vec![]),
        ("[[stubborn]]", 2, pictures("1", 1)),
        // The model is done; its answer does not come.
        ("[[hang]]", 3, pictures("1", 1)),
    ] {
        for path in ["/run/acme/app", "/run/acme/app/stream"] {
            let sandbox = Sandbox::new();
            let body = json!({ "prompt": prompt });
            {
                let mut run = Box::pin(sandbox.call("POST", path, &body));
                assert!(futures_util::poll!(&mut run).is_pending());
                sandbox.clock.advance(STEP * after);
                assert!(futures_util::poll!(&mut run).is_pending());
            }
            sandbox.clock.advance(WHOLE * 3);
            assert_eq!(billed(&sandbox).await, expected, "{prompt} {path}");
            assert_eq!(sandbox.fal.counts().dropped_runs, 1);
        }
    }
}

#[tokio::test]
async fn lost_answers_are_billed() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    for path in ["/queue/sandbox/redirect/submit", "/run/sandbox/redirect", "/run/sandbox/redirect/stream"] {
        assert_eq!(sandbox.call("POST", path, &json!({})).await.status, 307, "{path}");
    }
    assert_eq!(billed(&sandbox).await.len(), 3);
}

#[tokio::test]
async fn streams_tell_their_units_in_the_head() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    for (prompt, units) in [("a fox", Some("1")), ("[[units:2.5]]", Some("2.5")), ("[[units:none]]", None)] {
        let answer = sandbox.call("POST", "/run/acme/app/stream", &json!({ "prompt": prompt })).await;
        assert_eq!(answer.header("x-fal-billable-units"), units, "{prompt}");
    }
    assert_eq!(billed(&sandbox).await.len(), 3);
    let path = sandbox.submitted("acme/app", &json!({ "prompt": "a fox" })).await;
    assert_eq!(sandbox.get(&format!("{path}/status/stream")).await.header("x-fal-billable-units"), None);
}

#[tokio::test]
async fn the_price_of_a_request_is_that_of_its_submit() {
    let sandbox = Sandbox::new();
    let set = async |price: &str| {
        let prices = json!({ FLUX: { "unit_price": price } });
        assert_eq!(sandbox.call("PUT", "/sandbox/prices", &prices).await.status, 200);
    };
    set("0.03").await;
    sandbox.submitted(FLUX, &json!({ "prompt": "a fox" })).await;
    set("0.000000000000005").await;
    sandbox.submitted(FLUX, &json!({ "prompt": "[[units:300000]]" })).await;
    set("1000").await;
    sandbox.clock.advance(WHOLE);
    let costs: Vec<_> = billed(&sandbox).await.into_iter().map(|(_, nanos)| nanos).collect();
    // 1.5 nano-dollars are rounded once, half to even.
    assert_eq!(costs, [30_000_000, 2]);
}

#[tokio::test]
async fn units_that_nobody_could_pay_are_billed_as_the_work() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    let prices = json!({ "acme/app": { "unit_price": "1000" } });
    sandbox.call("PUT", "/sandbox/prices", &prices).await;
    sandbox.call("POST", "/run/acme/app", &json!({ "prompt": "[[units:1000000000]]" })).await;
    assert_eq!(billed(&sandbox).await, [("1".to_owned(), 1_000_000_000_000)]);
}

/// A mixture of everything, drawn from a seed: what the answers told adds up to what the bill says.
#[tokio::test]
async fn the_bill_is_the_sum_of_what_the_answers_told() {
    const PROMPTS: [&str; 12] = [
        "a fox",
        "[[units:3.008]]",
        "[[units:0]]",
        "[[units:0.333333333]]",
        "[[fail:422]]",
        "[[fail:422]] [[units:1.7]]",
        "[[fail:500]] [[units:9]]",
        "[[fail:503]]",
        "[[fail:422]] [[units:none]]",
        "[[stubborn]]",
        "[[slow:2]]",
        "[[queue:1]]",
    ];
    const ENDPOINTS: [&str; 3] = ["acme/app", "fal-ai/flux-1/dev", "fal-ai/nano-banana"];
    const PRICES: [&str; 3] = ["0.05", "0.025", "0.039"];
    let (sandbox, random) = (Sandbox::new(), Random::seeded(7));
    let draw = |bound| random.below(bound).unwrap() as usize;
    let mut told = Vec::new();
    for _ in 0..400 {
        let (endpoint, prompt) = (draw(3), PROMPTS[draw(12)]);
        let path = sandbox.submitted(ENDPOINTS[endpoint], &json!({ "prompt": prompt })).await;
        sandbox.clock.advance(Duration::from_millis(draw(4000) as u64));
        if draw(4) == 0 {
            sandbox.send(empty("PUT", &format!("{path}/cancel"))).await;
        }
        told.push((path, PRICES[endpoint]));
    }
    sandbox.clock.advance(WHOLE);
    let mut expected = 0;
    for (path, price) in &told {
        let answer = sandbox.get(path).await;
        let units = answer.header("x-fal-billable-units").filter(|_| !answer.status.is_server_error());
        let (price, units) = (UnitPrice::parse(price).unwrap(), Units::parse(units.unwrap_or("0")).unwrap());
        expected += cost(units, price, Multiplier::ONE).unwrap().nanos();
    }
    let bill: i64 = billed(&sandbox).await.iter().map(|(_, nanos)| nanos).sum();
    assert!(bill > 0);
    assert_eq!(bill, expected);
}

#[tokio::test]
async fn events_are_found_by_what_they_are() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    let mut ids = Vec::new();
    for (endpoint, key, tags) in [
        ("acme/one", KEY, "fal-relay=home.1,team=design"),
        ("acme/two", KEY, "fal-relay=home.2,team=art"),
        ("acme/two", "Key someone-admin:x", ""),
        ("acme/two", "Key else:x", "team=design"),
        ("acme/two", "Key someone-adminx:x", "team=design"),
    ] {
        let call =
            with_header(request("POST", &format!("/run/{endpoint}"), &json!({})), "authorization", key);
        let answer = sandbox.send(with_header(call, "x-fal-tags", tags)).await;
        ids.push(answer.header("x-fal-request-id").unwrap().to_owned());
        sandbox.clock.advance(STEP);
    }
    let found = async |query: &str| -> Vec<usize> {
        let bill = bill_of(&sandbox, query).await;
        let at = |line: &Value| ids.iter().position(|id| line["request_id"] == **id).unwrap();
        bill.as_array().unwrap().iter().map(at).collect()
    };
    let source = "source=tagged-billed";
    assert_eq!(found("").await, [0, 1, 2]);
    assert_eq!(found("endpoint_id=acme/two,acme/three").await, [1, 2]);
    assert_eq!(found(&format!("request_id={}&request_id={}", ids[2], ids[0])).await, [0, 2]);
    assert_eq!(found(&format!("request_id={}", ids[3])).await, [] as [usize; 0], "it is somebody else's");
    assert_eq!(found("api_key_id=someone").await, [0, 1]);
    assert_eq!(found(&format!("{source}&tag=fal-relay=home.2")).await, [1]);
    assert_eq!(found(&format!("{source}&tag=team=design&tag=team=art")).await, [0, 1]);
    assert_eq!(found(&format!("{source}&tag=team=design&tag=fal-relay=home.2")).await, [] as [usize; 0]);
    assert_eq!(found(&format!("{source}&tag=team=(untagged)")).await, [2]);
    assert_eq!(found("start=2023-11-14T22:13:21Z").await, [1, 2]);
    assert_eq!(found("start=2023-11-14&end=2023-11-14T22:13:21Z").await, [0]);
    assert_eq!(found("start=2023-11-14T22:13:20.5Z&end=2023-11-15").await, [1, 2]);
    let tagged = bill_of(&sandbox, source).await;
    assert_eq!(tagged[0]["tags"], json!({ "fal-relay": "home.1", "team": "design" }));
    assert_eq!(tagged[2]["tags"], json!({}));
    let all = with_header(empty("GET", "/api/v1/models/billing-events"), "authorization", "Key admin:x");
    assert_eq!(sandbox.send(all).await.json()["billing_events"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn pages_join_without_a_gap_while_the_bill_grows() {
    let sandbox = Sandbox::with(|settings| settings.step_ms = 0);
    let (mut cursor, mut seen, mut written) = (String::new(), Vec::new(), Vec::new());
    for _ in 0..4 {
        for _ in 0..3 {
            let run = sandbox.call("POST", "/run/acme/app", &json!({})).await;
            written.push(json!(run.header("x-fal-request-id").unwrap()));
        }
        let path = format!("/api/v1/models/billing-events?limit=2&cursor={cursor}");
        let page = sandbox.send(with_header(empty("GET", &path), "authorization", ADMIN)).await.json();
        seen.extend(page["billing_events"].as_array().unwrap().iter().map(|line| line["request_id"].clone()));
        assert_eq!(page["has_more"], true);
        cursor =
            url::form_urlencoded::byte_serialize(page["next_cursor"].as_str().unwrap().as_bytes()).collect();
    }
    let path = format!("/api/v1/models/billing-events?cursor={cursor}");
    let last = sandbox.send(with_header(empty("GET", &path), "authorization", ADMIN)).await.json();
    seen.extend(last["billing_events"].as_array().unwrap().iter().map(|line| line["request_id"].clone()));
    assert_eq!((&last["has_more"], &last["next_cursor"]), (&json!(false), &json!(null)));
    assert_eq!(seen, written);
}
