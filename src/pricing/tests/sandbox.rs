//! The estimates beside what the simulated fal bills, for every model that it knows by name.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::*;
use crate::clock::{HandClock, Timestamp};
use crate::money::cost;
use crate::random::Random;
use crate::sandbox::{Fal, Settings, router};

struct Bench {
    runtime: Runtime,
    fal: Arc<Fal>,
    book: PriceBook,
}

impl Bench {
    /// A simulated fal that answers at once, and the price book that is read from it.
    fn new() -> Self {
        let settings =
            Settings { public_url: Some("http://sandbox.test".into()), step_ms: 0, ..Settings::default() };
        let clock = HandClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let fal = Fal::new(settings, Arc::new(clock), Random::seeded(3)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut bench = Self { runtime, fal: Arc::new(fal), book: PriceBook::new(Vec::new()) };
        bench.book = bench.book.synced(1, 0, bench.prices());
        bench
    }

    fn call(&self, method: &str, path: &str, body: String) -> (Response<()>, Vec<u8>) {
        let request = http::Request::builder().method(method).uri(path).header("authorization", "Key a:b");
        let request: Request = request.body(Body::from(body)).unwrap();
        self.runtime.block_on(async {
            let (head, body) = router(Arc::clone(&self.fal)).oneshot(request).await.unwrap().into_parts();
            (Response::from_parts(head, ()), body.collect().await.unwrap().to_bytes().to_vec())
        })
    }

    fn models(&self) -> Vec<Arc<str>> {
        let (mut models, mut cursor) = (Vec::new(), String::new());
        loop {
            let page =
                read_models(&self.call("GET", &format!("/api/v1/models?limit=10{cursor}"), String::new()).1);
            let page = page.unwrap();
            assert_eq!(page.problems, []);
            models.extend(page.entries.into_iter().map(|model| model.endpoint));
            let Some(next) = page.next_cursor else { return models };
            cursor = format!("&cursor={next}");
        }
    }

    fn prices(&self) -> PriceList {
        let mut list = PriceList::new();
        for endpoints in self.models().chunks(50) {
            let path = format!("/api/v1/models/pricing?endpoint_id={}", endpoints.join(","));
            let page = read_prices(&self.call("GET", &path, String::new()).1).unwrap();
            assert_eq!(page.problems, []);
            list.extend(page.entries);
        }
        list
    }

    fn endpoints(&self) -> Vec<Arc<str>> {
        let mut endpoints: Vec<_> = self.book.list().keys().cloned().collect();
        endpoints.sort();
        endpoints
    }

    /// What was billed for a request; `None` when the model refused it.
    fn billed(&self, endpoint: &str, body: &str) -> Option<Units> {
        let (head, _) = self.call("POST", &format!("/run/{endpoint}"), body.to_owned());
        let units = head.headers().get("x-fal-billable-units").unwrap().to_str().unwrap();
        (head.status() == 200).then(|| Units::parse(units).unwrap())
    }

    fn quoted(&self, endpoint: &str, sample: Sample) -> Quote {
        quote(&self.book, &History::default(), POLICY, Multiplier::ONE, endpoint, sample).unwrap()
    }

    /// Holds a request to what was billed for it, seen whole and cut.
    fn compare(&self, endpoint: &str, body: &str, cut_at: usize) -> bool {
        let Some(billed) = self.billed(endpoint, body) else { return false };
        for sample in [whole(body), cut(&body[..cut_at])] {
            let quote = self.quoted(endpoint, sample);
            let truth = cost(billed, quote.price.unwrap().unit_price, Multiplier::ONE).unwrap();
            assert!(quote.units.unwrap() >= billed && quote.hold >= truth, "{endpoint} {body} {billed}");
            assert_eq!(quote.basis, QuoteBasis::Request);
        }
        true
    }
}

/// What any model requires, and `chosen` in an order of its own.
fn body(chosen: &[(&str, Value)]) -> String {
    let url = "https://example.com/fox.png";
    let required = json!({
        "prompt": "a", "image_url": url, "mask_url": url, "image_urls": [url], "reference_image_urls": [url],
    });
    let mut members: Map<String, Value> = chosen.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    members.extend(required.as_object().unwrap().clone());
    Value::Object(members).to_string()
}

#[test]
fn the_smallest_request_to_every_model_is_estimated() {
    let bench = Bench::new();
    let endpoints = bench.endpoints();
    assert!(endpoints.len() >= 28);
    for endpoint in endpoints {
        let body = body(&[]);
        assert!(bench.compare(&endpoint, &body, body.len() / 2), "{endpoint} refused {body}");
    }
}

fn choices() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let count = || {
        prop_oneof![
            (1u8..=6).prop_map(|n| json!(n)),
            (1u8..=4).prop_map(|n| json!(n.to_string())),
            Just(Value::Null)
        ]
    };
    let named = proptest::sample::select(vec!["square", "square_hd", "landscape_16_9", "auto_2K"]);
    let sides =
        (1u32..2500, 1u32..2500).prop_map(|(width, height)| json!({ "width": width, "height": height }));
    let choice = prop_oneof![
        (Just("num_images"), count()),
        (Just("max_images"), count()),
        (Just("image_size"), prop_oneof![named.prop_map(|name| json!(name)), sides]),
        (
            Just("duration"),
            proptest::sample::select(vec![json!("5"), json!("10"), json!("4s"), json!("8s"), Value::Null])
        ),
        (Just("generate_audio"), any::<bool>().prop_map(|sound| json!(sound))),
        (Just("resolution"), proptest::sample::select(vec![json!("2K"), json!("1080p")])),
        (Just("aspect_ratio"), Just(json!("16:9"))),
    ];
    proptest::collection::vec(choice, 0..3)
}

#[test]
fn no_request_is_estimated_below_what_is_billed() {
    let bench = Bench::new();
    let endpoints = bench.endpoints();
    let cases = (choices(), 0..endpoints.len(), 0.0..=1.0f64);
    let mut accepted = 0;
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
    let outcome = runner.run(&cases, |(chosen, at, cut)| {
        let body = body(&chosen);
        bench.compare(&endpoints[at], &body, (body.len() as f64 * cut) as usize);
        Ok(())
    });
    outcome.unwrap();
    for endpoint in &endpoints {
        for chosen in
            [("num_images", json!(4)), ("image_size", json!("square_hd")), ("duration", json!("10"))]
        {
            accepted += usize::from(bench.compare(endpoint, &body(&[chosen]), 0));
        }
    }
    assert!(accepted > 2 * endpoints.len(), "most requests must be billed: {accepted}");
}
