//! fal's platform API, asked: whole lists, and a fal that says anything else.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fal_relay::clock::{Clock, Timestamp};
use fal_relay::platform::{Gathering, Platform, PlatformError, Progress, Settings};
use fal_relay::secret::Secret;
use serde_json::{Value, json};

use crate::support::{Fal, LeapingClock, Seen, Step, json as reply_json, reply};

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        connect_timeout: Duration::from_secs(5),
        requests_per_second: NonZeroU32::new(10).unwrap(),
        loopback_only: true,
    }
}

fn clock() -> LeapingClock {
    LeapingClock::at(Timestamp::from_micros(1_700_000_000_000_000))
}

/// A client of `fal`, and its time.
fn platform(fal: &Fal) -> (Platform, LeapingClock) {
    let clock = clock();
    (Platform::new(&settings(&fal.base()), None, Arc::new(clock.clone())).unwrap(), clock)
}

fn key() -> Secret {
    Secret::new("id:secret")
}

fn ok(body: &Value) -> Step {
    reply_json("200 OK", &body.to_string())
}

/// The values of a parameter in a request's target, decoded.
fn parameter(seen: &Seen, name: &str) -> Vec<String> {
    let query = seen.target.split_once('?').map_or("", |(_, query)| query);
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    pairs.filter(|(key, _)| key == name).map(|(_, value)| value).collect()
}

fn cursor(seen: &Seen) -> usize {
    parameter(seen, "cursor").first().map_or(0, |cursor| cursor.parse().unwrap())
}

fn is_pricing(seen: &Seen) -> bool {
    seen.target.starts_with("/v1/models/pricing?")
}

/// A page of models with these ids; the cursor is the page's number.
fn models(ids: &[String], next: Option<usize>) -> Step {
    let models: Vec<_> = ids.iter().map(|id| json!({ "endpoint_id": id, "metadata": {} })).collect();
    let next_cursor = next.map(|next| next.to_string());
    ok(&json!({ "models": models, "next_cursor": next_cursor, "has_more": next.is_some() }))
}

/// Everything that was asked for, at 0.025 an image.
fn prices(seen: &Seen) -> Step {
    let price =
        |id: &String| json!({ "endpoint_id": id, "unit_price": 0.025, "unit": "image", "currency": "USD" });
    let prices: Vec<_> = parameter(seen, "endpoint_id").iter().map(price).collect();
    ok(&json!({ "prices": prices, "next_cursor": null, "has_more": false }))
}

fn page_of(page: usize, size: usize) -> Vec<String> {
    (page * size..(page + 1) * size).map(|number| format!("acme/model-{number}")).collect()
}

async fn gather(platform: &Platform) -> Result<fal_relay::platform::Gathered, PlatformError> {
    platform.gather_prices(&key(), &mut Gathering::default(), &|_| {}).await
}

#[tokio::test]
async fn a_whole_list_is_gathered_page_by_page() {
    let fal = Fal::start(|seen: &Seen| match is_pricing(seen) {
        true => prices(seen),
        false => models(&page_of(cursor(seen), 40), (cursor(seen) < 2).then(|| cursor(seen) + 1)),
    })
    .await;
    let (platform, _) = platform(&fal);
    let told: Mutex<Vec<Progress>> = Mutex::default();
    let tell = |progress| told.lock().unwrap().push(progress);
    let gathered = platform.gather_prices(&key(), &mut Gathering::default(), &tell).await.unwrap();
    assert_eq!((gathered.models, gathered.prices.len(), gathered.problems.len()), (120, 120, 0));
    assert_eq!(gathered.prices["acme/model-7"].to_string(), "0.025 per image");
    let seen = fal.seen();
    let asked: Vec<_> = seen.iter().map(|seen| parameter(seen, "endpoint_id").len()).collect();
    assert_eq!(asked, [0, 0, 0, 50, 50, 20]);
    for seen in &seen {
        assert_eq!((seen.method.as_str(), seen.header("authorization")), ("GET", Some("Key id:secret")));
        assert_eq!((seen.header("accept-encoding"), seen.header("referer")), (None, None));
    }
    let steps: Vec<_> = told.lock().unwrap().iter().map(|at| (at.done, at.of)).collect();
    assert_eq!(steps, [(0, 40), (0, 80), (0, 120), (50, 120), (100, 120), (120, 120)]);
}

#[tokio::test]
async fn invariant_7_fal_is_not_asked_faster_than_the_setting() {
    let fal = Fal::start(|seen: &Seen| match is_pricing(seen) {
        true => prices(seen),
        false => models(&page_of(cursor(seen), 50), (cursor(seen) < 9).then(|| cursor(seen) + 1)),
    })
    .await;
    let (platform, clock) = platform(&fal);
    gather(&platform).await.unwrap();
    // Twenty questions at ten in a second.
    assert_eq!((fal.seen().len(), clock.elapsed()), (20, Duration::from_millis(1900)));
}

#[tokio::test]
async fn an_interrupted_list_goes_on_where_it_was() {
    let broken = Arc::new(Mutex::new(Some("cursor=1")));
    let breaks = broken.clone();
    let fal = Fal::start(move |seen: &Seen| {
        if breaks.lock().unwrap().is_some_and(|part| seen.target.contains(part)) {
            return reply_json("503 Service Unavailable", "{}");
        }
        match is_pricing(seen) {
            true => prices(seen),
            false => models(&page_of(cursor(seen), 60), (cursor(seen) < 1).then(|| cursor(seen) + 1)),
        }
    })
    .await;
    let (platform, _) = platform(&fal);
    let mut gathering = Gathering::default();
    for (now, next) in [("cursor=1", Some("model-99")), ("model-99", None)] {
        assert_eq!(*broken.lock().unwrap(), Some(now));
        let error = platform.gather_prices(&key(), &mut gathering, &|_| {}).await.unwrap_err();
        assert!(matches!(error, PlatformError::Status(status) if status == 503), "{error}");
        *broken.lock().unwrap() = next;
    }
    let gathered = platform.gather_prices(&key(), &mut gathering, &|_| {}).await.unwrap();
    assert_eq!(gathered.prices.len(), 120);
    let first_page = fal.seen().iter().filter(|seen| seen.target == "/v1/models").count();
    assert_eq!(first_page, 1, "what was listed is not listed again");
    assert!(gathering.is_empty(), "the next list begins at its beginning");
}

#[tokio::test]
async fn a_model_that_fal_does_not_price_costs_only_its_own_price() {
    let fal = Fal::start(|seen: &Seen| match is_pricing(seen) {
        true if parameter(seen, "endpoint_id").contains(&"acme/model-13".to_owned()) => {
            reply_json("404 Not Found", r#"{"error":{"type":"not_found"}}"#)
        }
        true => prices(seen),
        false => models(&page_of(0, 50), None),
    })
    .await;
    let (platform, _) = platform(&fal);
    let gathered = gather(&platform).await.unwrap();
    assert_eq!((gathered.models, gathered.prices.len()), (50, 49));
    assert_eq!(gathered.problems, ["acme/model-13: fal's platform API answered 404 Not Found"]);
}

#[tokio::test]
async fn entries_that_are_no_good_are_named_and_nothing_unasked_is_taken() {
    let fal = Fal::start(|seen: &Seen| match is_pricing(seen) {
        true => ok(&json!({ "prices": [
            { "endpoint_id": "acme/a", "unit_price": "1e999", "unit": "image", "currency": "USD" },
            { "endpoint_id": "acme/b", "unit_price": 1, "unit": "image", "currency": "EUR" },
            { "endpoint_id": "acme/c", "unit_price": 0.03, "unit": "image", "currency": "USD" },
            { "endpoint_id": "acme/other", "unit_price": 0, "unit": "image", "currency": "USD" },
            7,
        ]})),
        false => ok(&json!({ "models": [
            { "endpoint_id": "acme/a" }, { "endpoint_id": "acme/b" }, { "endpoint_id": "acme/c" },
            { "endpoint_id": "../../etc" }, { "endpoint_id": 5 }, null,
        ]})),
    })
    .await;
    let (platform, _) = platform(&fal);
    let gathered = gather(&platform).await.unwrap();
    assert_eq!(gathered.prices.keys().map(|id| &**id).collect::<Vec<_>>(), ["acme/c"]);
    assert_eq!((gathered.models, gathered.problems.len()), (3, 6), "{:?}", gathered.problems);
}

#[tokio::test]
async fn answers_of_another_kind_are_told() {
    for (status, body, expected) in [
        ("200 OK", "[]", "something else than a page"),
        ("200 OK", "<html>", "something else than a page"),
        ("200 OK", r#"{"models":{}}"#, "something else than a page"),
        ("200 OK", r#"{"models":[],"has_more":true}"#, "something else than a page"),
        ("200 OK", r#"{"models":[],"has_more":"x"}"#, "something else than a page"),
        ("204 No Content", "", "answered 204"),
        ("302 Found", "", "answered 302"),
        ("401 Unauthorized", "{}", "refuses the key (401"),
        ("403 Forbidden", "{}", "refuses the key (403"),
        ("418 I'm a teapot", "{}", "answered 418"),
    ] {
        let step = move |_: &Seen| Step::Reply(reply(status, &[("location", "/elsewhere")], body.as_bytes()));
        let fal = Fal::start(step).await;
        let (platform, _) = platform(&fal);
        let error = gather(&platform).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{status} {body}: {error}");
        assert_eq!(fal.seen().len(), 1, "{status}: asked again, or followed");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn invariant_7_an_answer_of_the_platform_has_a_largest_size() {
    const MOST: usize = 8 * 1024 * 1024;
    let padded = |size: usize| {
        let body = r#"{"models":[]}"#.to_owned();
        let padding = " ".repeat(size - body.len());
        move |_: &Seen| reply_json("200 OK", &format!("{body}{padding}"))
    };
    let fal = Fal::start(padded(MOST)).await;
    assert_eq!(gather(&platform(&fal).0).await.unwrap().models, 0);
    let fal = Fal::start(padded(MOST + 1)).await;
    let error = gather(&platform(&fal).0).await.unwrap_err();
    assert!(matches!(error, PlatformError::TooLarge(MOST)), "{error}");
}

#[tokio::test]
async fn invariant_7_lists_that_never_end_are_given_up() {
    let circle = Fal::start(|seen: &Seen| models(&[], Some((cursor(seen) + 1) % 3 + 1))).await;
    let error = gather(&platform(&circle).0).await.unwrap_err();
    assert!(matches!(error, PlatformError::Circle), "{error}");

    let endless = Fal::start(|seen: &Seen| models(&[], Some(cursor(seen) + 1))).await;
    let error = gather(&platform(&endless).0).await.unwrap_err();
    assert!(matches!(error, PlatformError::Endless(5_000, "pages")), "{error}");
    assert_eq!(endless.seen().len(), 5_000);

    let crowd = Fal::start(|seen: &Seen| models(&page_of(cursor(seen), 8_000), Some(cursor(seen) + 1))).await;
    let error = gather(&platform(&crowd).0).await.unwrap_err();
    assert!(matches!(error, PlatformError::Endless(20_000, "models")), "{error}");
    assert_eq!(crowd.seen().len(), 3);

    let bill = Fal::start(|_: &Seen| ok(&json!({ "billing_events": [], "next_cursor": "same" }))).await;
    let (platform, key) = (platform(&bill).0, key());
    let mut bill = platform.bill(&key, Timestamp::from_micros(0), Timestamp::from_micros(1));
    assert!(bill.next().await.unwrap().is_some() && bill.next().await.is_err());
}

#[tokio::test]
async fn invariant_7_problems_are_named_up_to_a_point() {
    let fal = Fal::start(|_: &Seen| ok(&json!({ "models": vec![Value::Null; 150] }))).await;
    let gathered = gather(&platform(&fal).0).await.unwrap();
    assert_eq!((gathered.problems.len(), gathered.more_problems), (100, 50));
}

/// A fal that answers every question like this, and how long it is given to think better of it.
async fn waits(status: &'static str, retry_after: &'static str) -> (usize, Duration, PlatformError) {
    let step = move |_: &Seen| Step::Reply(reply(status, &[("retry-after", retry_after)], b"{}"));
    let fal = Fal::start(step).await;
    let (platform, clock) = platform(&fal);
    let error = gather(&platform).await.unwrap_err();
    (fal.seen().len(), clock.elapsed(), error)
}

#[tokio::test]
async fn invariant_7_a_fal_that_has_no_time_is_asked_a_few_times_only() {
    let seconds = Duration::from_secs;
    for (status, retry_after, waited) in [
        ("429 Too Many Requests", "3", 5 * 3),
        ("429 Too Many Requests", "99999999", 5 * 60),
        ("429 Too Many Requests", "Wed, 21 Oct 2015 07:28:00 GMT", 2 + 4 + 8 + 16 + 32),
        ("500 Internal Server Error", "-1", 2 + 4 + 8 + 16 + 32),
        ("503 Service Unavailable", "18446744073709551615", 5 * 60),
    ] {
        let (asked, took, error) = waits(status, retry_after).await;
        assert_eq!((asked, took), (6, seconds(waited)), "{status} {retry_after}");
        assert!(matches!(error, PlatformError::Status(_)), "{error}");
    }
}

#[tokio::test]
async fn a_fal_that_finds_time_again_is_heard() {
    let asked = AtomicUsize::new(0);
    let fal = Fal::start(move |_: &Seen| match asked.fetch_add(1, Ordering::Relaxed) {
        0..5 => reply_json("429 Too Many Requests", "{}"),
        _ => models(&[], None),
    })
    .await;
    assert_eq!(gather(&platform(&fal).0).await.unwrap().models, 0);
}

/// Time is tokio's own and stands still until nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn invariant_7_a_silent_platform_is_given_up() {
    for step in [|_: &Seen| Step::Hang, |_: &Seen| Step::Close] {
        let fal = Fal::start(step).await;
        let error = gather(&platform(&fal).0).await.unwrap_err();
        assert!(matches!(error, PlatformError::Silent(_)), "{error}");
    }
}

#[tokio::test]
async fn the_sandbox_stays_on_its_machine() {
    for url in ["http://192.0.2.1:9", "http://[2001:db8::1]", "https://8.8.8.8/api"] {
        let made = Platform::new(&settings(url), None, Arc::new(clock()));
        let error = made.err().unwrap().to_string();
        assert!(error.contains("--sandbox stays on it"), "{url}: {error}");
        let elsewhere = Settings { loopback_only: false, ..settings(url) };
        assert!(Platform::new(&elsewhere, None, Arc::new(clock())).is_ok(), "{url}");
    }
    let fal = Fal::start(|_: &Seen| models(&[], None)).await;
    let url = format!("http://localhost:{}", fal.address.port());
    let platform = Platform::new(&settings(&url), None, Arc::new(clock())).unwrap();
    assert_eq!(gather(&platform).await.unwrap().models, 0);
}

#[tokio::test]
async fn the_bill_is_read_exactly_and_bad_lines_are_told() {
    let fal = Fal::start(|_: &Seen| {
        let lines = r#"{"billing_events":[
            {"request_id":"a","endpoint_id":"x/y","output_units":3.008,"cost_estimate_nano_usd":75200001,"cost_total":9,
             "tags":{"fal-relay":"me.7","team":"web"}},
            {"request_id":"b","endpoint_id":"x/y","output_units":"2","cost_total":0.1,"cost_estimate_nano_usd":null},
            {"request_id":"c","endpoint_id":"x/y","cost_total":"2.5e-2","tags":"team=web, fal-relay=me.8"},
            {"request_id":"d","endpoint_id":"x/y","cost_total":0.30000000000000004,"tags":["fal-relay=me.9"]},
            {"request_id":"e","endpoint_id":"x/y","cost_estimate_nano_usd":"1000000000000000000","tags":[7]},
            {"request_id":"f","endpoint_id":"x/y"},
            {"request_id":"g","endpoint_id":"x/y","cost_total":-1},
            {"request_id":"h","endpoint_id":"x/y","cost_total":1e300},
            {"request_id":"i","endpoint_id":"x/y","cost_total":"NaN"},
            {"request_id":"j","endpoint_id":"x/y","cost_total":[1]},
            {"request_id":"../k","endpoint_id":"x/y","cost_total":1},
            {"endpoint_id":"x/y","cost_total":1}, 7, null],
            "next_cursor":null,"has_more":false}"#;
        reply_json("200 OK", lines)
    })
    .await;
    let (platform, key) = (platform(&fal).0, key());
    let mut bill = platform.bill(&key, Timestamp::from_micros(0), Timestamp::from_micros(60_000_000));
    let page = bill.next().await.unwrap().unwrap();
    let read = |event: &fal_relay::platform::Event| {
        (event.request_id.to_string(), event.cost.nanos(), event.units.clone(), event.relay_tag.clone())
    };
    let line = |id: &str, nanos, units: Option<&str>, tag: Option<&str>| {
        (id.to_owned(), nanos, units.map(str::to_owned), tag.map(str::to_owned))
    };
    assert_eq!(
        page.events.iter().map(read).collect::<Vec<_>>(),
        [
            line("a", 75_200_001, Some("3.008"), Some("me.7")),
            line("b", 100_000_000, Some("2"), None),
            line("c", 25_000_000, None, Some("me.8")),
            line("d", 300_000_000, None, Some("me.9")),
            line("e", 1_000_000_000_000_000_000, None, None),
        ]
    );
    assert_eq!(page.faults.len(), 9, "{:?}", page.faults);
    assert!(bill.next().await.unwrap().is_none() && bill.is_tagged());
    let target = &fal.seen()[0].target;
    assert_eq!(
        target,
        "/v1/models/billing-events?start=1970-01-01T00%3A00%3A00.000000Z&end=1970-01-01T00%3A01%3A00.000000Z\
         &limit=4000&source=tagged-billed"
    );
}

#[tokio::test]
async fn invariant_7_numbers_of_a_bill_have_a_longest_form() {
    let number = |digits: usize| format!("0.1{}", "0".repeat(digits - 3));
    let line = move |request: &str, digits| {
        format!(r#"{{"request_id":"{request}","endpoint_id":"x/y","cost_total":{}}}"#, number(digits))
    };
    let lines = [line("a", 20), line("b", 65)].join(",");
    let fal =
        Fal::start(move |_: &Seen| reply_json("200 OK", &format!(r#"{{"billing_events":[{lines}]}}"#))).await;
    let (platform, key) = (platform(&fal).0, key());
    let mut bill = platform.bill(&key, Timestamp::from_micros(0), Timestamp::from_micros(1));
    let page = bill.next().await.unwrap().unwrap();
    assert_eq!((page.events.len(), page.faults.len()), (1, 1));
}

#[tokio::test]
async fn an_account_without_tags_is_asked_without() {
    let fal = Fal::start(|seen: &Seen| match parameter(seen, "source").is_empty() {
        false => reply_json("400 Bad Request", "{}"),
        true => ok(&json!({ "billing_events": [] })),
    })
    .await;
    let (platform, key) = (platform(&fal).0, key());
    let mut bill = platform.bill(&key, Timestamp::from_micros(0), Timestamp::from_micros(1));
    assert!(bill.next().await.unwrap().unwrap().events.is_empty());
    assert!(!bill.is_tagged());
}
