//! The platform's API: models, prices, estimates, usage, credits, and who may ask for them.

use serde_json::json;

use super::*;

const FLUX: &str = "fal-ai/flux-1/dev";

fn at_once() -> Sandbox {
    Sandbox::with(|settings| settings.step_ms = 0)
}

async fn as_admin(sandbox: &Sandbox, path: &str) -> Answer {
    sandbox.send(with_header(empty("GET", path), "authorization", "Key someone-admin:x")).await
}

fn ids(page: &Value) -> Vec<&str> {
    page["models"].as_array().unwrap().iter().map(|model| model["endpoint_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn models_are_listed_page_by_page() {
    let sandbox = at_once();
    let whole = sandbox.get("/api/v1/models").await.json();
    assert_eq!((&whole["has_more"], &whole["next_cursor"]), (&json!(false), &json!(null)));
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = sandbox.get(&format!("/api/v1/models?limit=7&cursor={cursor}")).await.json();
        assert!(ids(&page).len() <= 7);
        seen.extend(ids(&page).iter().map(ToString::to_string));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = url::form_urlencoded::byte_serialize(next.as_bytes()).collect(),
            None => break,
        }
    }
    assert_eq!(seen, ids(&whole));
    assert!(seen.len() >= 28);
}

#[tokio::test]
async fn models_are_searched() {
    let sandbox = at_once();
    let found = async |query: &str| {
        let page = sandbox.get(&format!("/api/v1/models?{query}")).await.json();
        ids(&page).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(found("endpoint_id=fal-ai/veo3,acme/app&endpoint_id=no").await, ["fal-ai/veo3", "acme/app"]);
    assert_eq!(found("q=SCHNELL").await, ["fal-ai/flux-1/schnell", "fal-ai/flux-1/schnell/redux"]);
    assert_eq!(found("q=no-such-thing").await, [] as [&str; 0]);
    assert_eq!(found("q=imagen4&status=deprecated").await, ["fal-ai/imagen4/preview"]);
    assert_eq!(found("q=imagen4&status=active").await, [] as [&str; 0]);
    assert_eq!(found("q=veo3/fast&category=image-to-video").await, ["fal-ai/veo3/fast/image-to-video"]);
    let model = &sandbox.get("/api/v1/models?endpoint_id=fal-ai/veo3").await.json()["models"][0];
    assert_eq!(model["metadata"]["category"], "text-to-video");
}

#[tokio::test]
async fn prices_are_told_to_the_digit() {
    let sandbox = at_once();
    let change = json!({ "acme/fine": { "unit_price": "0.000000123456789", "unit": "compute seconds" } });
    sandbox.call("PUT", "/sandbox/prices", &change).await;
    let path = format!(
        "/api/v1/models/pricing?endpoint_id={FLUX},acme/painter&endpoint_id=acme/fine,fal-ai/flux-1/foo"
    );
    let answer = sandbox.get(&path).await;
    let expected = concat!(
        r#"{"prices":[{"endpoint_id":"fal-ai/flux-1/dev","unit_price":0.025,"unit":"megapixels","currency":"USD"},"#,
        r#"{"endpoint_id":"acme/painter","unit_price":0.05,"unit":"images","currency":"USD"},"#,
        r#"{"endpoint_id":"acme/fine","unit_price":0.000000123456789,"unit":"compute seconds","currency":"USD"}],"#,
        r#""next_cursor":null,"has_more":false}"#,
    );
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn entries_of_the_price_list_are_spoiled_on_request() {
    let sandbox = at_once();
    for (word, expected) in [
        ("none", ""),
        ("no-price", r#"{"endpoint_id":"E","unit":"images","currency":"USD"}"#),
        ("no-unit", r#"{"endpoint_id":"E","unit_price":0.05,"currency":"USD"}"#),
        ("no-currency", r#"{"endpoint_id":"E","unit_price":0.05,"unit":"images"}"#),
        ("odd-unit", r#"{"endpoint_id":"E","unit_price":0.05,"unit":"bananas","currency":"USD"}"#),
        ("eur", r#"{"endpoint_id":"E","unit_price":0.05,"unit":"images","currency":"EUR"}"#),
        ("huge", r#"{"endpoint_id":"E","unit_price":1e300,"unit":"images","currency":"USD"}"#),
        ("negative", r#"{"endpoint_id":"E","unit_price":-0.05,"unit":"images","currency":"USD"}"#),
        ("nan", r#"{"endpoint_id":"E","unit_price":"NaN","unit":"images","currency":"USD"}"#),
        ("null", r#"{"endpoint_id":"E","unit_price":null,"unit":"images","currency":"USD"}"#),
        ("text", r#"{"endpoint_id":"E","unit_price":"0.05","unit":"images","currency":"USD"}"#),
        ("exponent", r#"{"endpoint_id":"E","unit_price":5e-2,"unit":"images","currency":"USD"}"#),
        (
            "fine",
            r#"{"endpoint_id":"E","unit_price":0.0000000000000000000000000000000000001,"unit":"images","currency":"USD"}"#,
        ),
        ("other", r#"{"endpoint_id":"E","unit_price":0.05,"unit":"images","currency":"USD"}"#),
    ] {
        let id = format!("sandbox/price/{word}");
        let answer = sandbox.get(&format!("/api/v1/models/pricing?endpoint_id={id}")).await;
        let entry = expected.replace("\"E\"", &format!("\"{id}\""));
        assert_eq!(answer.body, format!(r#"{{"prices":[{entry}],"next_cursor":null,"has_more":false}}"#));
        let run = sandbox.call("POST", &format!("/run/{id}"), &json!({})).await;
        assert_eq!((run.status.as_u16(), run.header("x-fal-billable-units")), (200, Some("1")), "{word}");
    }
    let billed = as_admin(&sandbox, "/api/v1/models/billing-events").await.json();
    assert!(
        billed["billing_events"].as_array().unwrap().iter().all(|line| line["cost_total"] == json!(0.05))
    );
}

async fn estimate(sandbox: &Sandbox, body: &Value) -> Answer {
    sandbox.call("POST", "/api/v1/models/pricing/estimate", body).await
}

#[tokio::test]
async fn costs_are_estimated_by_units_and_by_history() {
    let sandbox = at_once();
    let units = json!({ "estimate_type": "unit_price", "endpoints": {
        FLUX: { "unit_quantity": 50 }, "acme/app": { "unit_quantity": 0.001 },
    } });
    let answer = estimate(&sandbox, &units).await;
    assert_eq!(answer.body, r#"{"estimate_type":"unit_price","total_cost":1.25005,"currency":"USD"}"#);
    let calls =
        json!({ "estimate_type": "historical_api_price", "endpoints": { FLUX: { "call_quantity": 100 } } });
    assert_eq!(
        estimate(&sandbox, &calls).await.json()["total_cost"],
        json!(2.5),
        "no call so far: a unit each"
    );
    for prompt in ["[[units:1]]", "[[units:3]]"] {
        sandbox.call("POST", &format!("/run/{FLUX}"), &json!({ "prompt": prompt })).await;
    }
    assert_eq!(estimate(&sandbox, &calls).await.json()["total_cost"], json!(5));
}

#[tokio::test]
async fn estimates_of_nothing_sound_are_refused() {
    let sandbox = at_once();
    let unit = |quantity: Value| json!({ "estimate_type": "unit_price", "endpoints": { FLUX: { "unit_quantity": quantity } } });
    let many: serde_json::Map<_, _> =
        (0..51).map(|at| (format!("a/{at}"), json!({ "unit_quantity": 1 }))).collect();
    for (body, status) in [
        (json!({}), 400),
        (json!({ "estimate_type": "guess", "endpoints": {} }), 400),
        (json!({ "estimate_type": "unit_price", "endpoints": {} }), 400),
        (json!({ "estimate_type": "unit_price", "endpoints": many }), 400),
        (unit(json!(0)), 400),
        (unit(json!(-1)), 400),
        (unit(json!(1e30)), 400),
        (unit(json!("1")), 400),
        (unit(json!(null)), 400),
        (
            json!({ "estimate_type": "historical_api_price", "endpoints": { FLUX: { "call_quantity": 0 } } }),
            400,
        ),
        (
            json!({ "estimate_type": "unit_price", "endpoints": { "fal-ai/flux-1/foo": { "unit_quantity": 1 } } }),
            404,
        ),
        (json!({ "estimate_type": "unit_price", "endpoints": { "?": { "unit_quantity": 1 } } }), 404),
    ] {
        let answer = estimate(&sandbox, &body).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.json()["error"]["message"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn usage_is_added_up_by_endpoint_price_and_time() {
    let sandbox = at_once();
    let run = async |prompt: &str| {
        sandbox.call("POST", &format!("/run/{FLUX}"), &json!({ "prompt": prompt })).await;
    };
    run("[[units:1]]").await;
    run("[[units:0.5]]").await;
    sandbox.clock.advance(Duration::from_secs(3600));
    run("[[units:2]]").await;
    sandbox.call("PUT", "/sandbox/prices", &json!({ FLUX: { "unit_price": 0.1 } })).await;
    run("[[units:2]]").await;
    let line = |quantity: f64, price: f64, cost: f64| {
        json!({
            "endpoint_id": FLUX, "unit": "megapixels", "quantity": quantity, "unit_price": price,
            "percent_discount": null, "cost_subtotal": cost, "cost_discount": 0, "cost_total": cost, "cost": cost,
            "currency": "USD",
        })
    };
    let numbers = |value: &Value| value.to_string().replace(".0,", ",").replace(".0}", "}");
    // It is 22:13 and then 23:13 in Greenwich; in Berlin the second hour is the first of the next day.
    let usage =
        as_admin(&sandbox, "/api/v1/models/usage?timeframe=hour&expand=time_series,summary").await.json();
    let hours = json!([
        { "bucket": "2023-11-14T22:00:00+00:00", "results": [line(1.5, 0.025, 0.0375)] },
        { "bucket": "2023-11-14T23:00:00+00:00", "results": [line(2.0, 0.025, 0.05), line(2.0, 0.1, 0.2)] },
    ]);
    assert_eq!(numbers(&usage["time_series"]), numbers(&hours));
    assert_eq!(numbers(&usage["summary"]), numbers(&json!([line(3.5, 0.025, 0.0875), line(2.0, 0.1, 0.2)])));
    let buckets = async |query: &str| -> Vec<String> {
        let usage = as_admin(&sandbox, &format!("/api/v1/models/usage?{query}")).await.json();
        let series = usage["time_series"].as_array().unwrap().clone();
        series.iter().map(|bucket| bucket["bucket"].as_str().unwrap().to_owned()).collect()
    };
    let berlin = ["2023-11-14T00:00:00+01:00", "2023-11-15T00:00:00+01:00"];
    assert_eq!(buckets("timeframe=day&timezone=Europe/Berlin").await, berlin);
    assert_eq!(buckets("timeframe=week").await, ["2023-11-13T00:00:00+00:00"]);
    assert_eq!(buckets("start=2023-01-01").await, ["2023-11-01T00:00:00+00:00"]);
    assert_eq!(buckets("timeframe=minute&end=2023-11-14T22:30:00Z").await, ["2023-11-14T22:13:00+00:00"]);
    assert_eq!(buckets("endpoint_id=acme/app").await, [] as [&str; 0]);
    let early = "timeframe=hour&end=2023-11-14T22:10:00Z";
    assert_eq!(buckets(early).await, ["2023-11-14T22:00:00+00:00"], "the end moves to the end of its hour");
    assert_eq!(buckets(&format!("{early}&bound_to_timeframe=false")).await, [] as [&str; 0]);
    let (wide, exact) =
        ("timeframe=day&start=2023-11-14T23:00:00Z", "&bound_to_timeframe=false&expand=summary");
    let units = async |query: &str| {
        let usage = as_admin(&sandbox, &format!("/api/v1/models/usage?{query}")).await.json();
        usage["summary"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["quantity"].as_f64().unwrap())
            .sum::<f64>()
    };
    assert_eq!(
        (units(&format!("{wide}&expand=summary")).await, units(&format!("{wide}{exact}")).await),
        (5.5, 4.0)
    );
}

#[tokio::test]
async fn credits_fall_with_the_bill() {
    let sandbox = at_once();
    let balance = async |key: &'static str| {
        let path = "/api/v1/account/billing?expand=credits";
        let answer = sandbox.send(with_header(empty("GET", path), "authorization", key)).await;
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    let told = |name: &str, left: &str| {
        format!(r#"{{"username":"{name}","credits":{{"current_balance":{left},"currency":"USD"}}}}"#)
    };
    assert_eq!(balance("Key someone-admin:x").await, told("someone", "10000"));
    sandbox.call("POST", "/run/acme/app", &json!({ "prompt": "[[units:0.333333333]]" })).await;
    assert_eq!(balance("Key someone-admin:x").await, told("someone", "9999.983333333"));
    assert_eq!(balance("Key else-admin:x").await, told("else", "10000"));
    for _ in 0..3 {
        sandbox.call("POST", "/run/acme/app", &json!({ "prompt": "[[units:100000]]" })).await;
    }
    assert_eq!(balance("Key someone-admin:x").await, told("someone", "-5000.016666667"));
    let bare = as_admin(&sandbox, "/api/v1/account/billing").await;
    assert_eq!(bare.json(), json!({ "username": "someone" }));
}

#[tokio::test]
async fn the_books_are_for_admins() {
    let sandbox = at_once();
    let books = ["/api/v1/models/usage", "/api/v1/models/billing-events", "/api/v1/account/billing"];
    for path in books {
        for (key, status) in [
            ("Key someone:secret", 403),
            ("Key admin-someone:x", 403),
            ("Key someoneadmin:x", 403),
            ("Key locked:x", 403),
            ("Key unknown:x", 401),
            ("nonsense", 401),
            ("Key someone-admin:x", 200),
            ("Key admin:x", 200),
        ] {
            let answer = sandbox.send(with_header(empty("GET", path), "authorization", key)).await;
            assert_eq!(answer.status, status, "{path} {key}");
            assert_eq!(
                answer.json()["error"]["type"] == json!("authorization_error"),
                status != 200,
                "{path} {key}"
            );
        }
    }
    for (path, status) in
        [("/api/v1/models", 200), ("/api/v1/models/pricing?endpoint_id=a/b", 401), (books[1], 401)]
    {
        let mut bare = empty("GET", path);
        bare.headers_mut().remove("authorization");
        assert_eq!(sandbox.send(bare).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn parameters_that_cannot_be_meant_are_refused() {
    let sandbox = at_once();
    let many = vec!["a/b"; 51].join(",");
    let tags = "&tag=a=b".repeat(11);
    for path in [
        "/models?limit=0".to_owned(),
        "/models?limit=x".into(),
        "/models?cursor=x".into(),
        "/models?cursor=QQ==".into(),
        "/models?status=new".into(),
        format!("/models?endpoint_id={many}"),
        "/models/pricing".into(),
        "/models/pricing?endpoint_id=,".into(),
        format!("/models/pricing?endpoint_id={many}"),
        "/models/billing-events?start=yesterday".into(),
        "/models/billing-events?start=2023-13-01".into(),
        "/models/billing-events?end=2023-11-01".into(),
        "/models/billing-events?start=2023-01-01".into(),
        "/models/billing-events?start=-262143-01-01".into(),
        "/models/billing-events?tag=a=b".into(),
        "/models/billing-events?source=other".into(),
        "/models/billing-events?source=tagged-billed&tag=a".into(),
        format!("/models/billing-events?source=tagged-billed{tags}"),
        "/models/billing-events?cursor=QQ==".into(),
        format!("/models/billing-events?request_id={many}"),
        "/models/usage?timezone=Mars/Olympus".into(),
        "/models/usage?timeframe=year".into(),
        "/models/usage?expand=auth_method".into(),
        "/models/usage?start=2023-11-14&end=2023-11-13".into(),
    ] {
        let answer = as_admin(&sandbox, &format!("/api/v1{path}")).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json()["error"]["type"], "validation_error", "{path}");
    }
    for (method, path, status) in [
        ("GET", "/api/v1/models/pricing/estimate", 405),
        ("POST", "/api/v1/models/usage", 405),
        ("GET", "/api/v1/keys", 404),
        ("GET", "/api/v1", 404),
    ] {
        assert_eq!(sandbox.send(empty(method, path)).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn the_end_of_the_calendar_is_no_accident() {
    let sandbox = at_once();
    for query in [
        "end=9999-12-30",
        "start=-009999-01-02T00:00:00Z",
        "start=9999-12-30T22:00:00Z",
        "end=9999-12-30T22:00:00Z",
    ] {
        for frame in ["minute", "hour", "day", "week", "month"] {
            let answer = as_admin(&sandbox, &format!("/api/v1/models/usage?{query}&timeframe={frame}")).await;
            assert!(matches!(answer.status.as_u16(), 200 | 400), "{query} {frame}: {:?}", answer.body);
        }
    }
}
