//! What fal does not have: prices and habits that tests set, and counts that they read. No key is needed.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::api::{error, invalid};
use super::reply::Reply;
use super::{read_body, wrong_method};
use crate::money::UnitPrice;
use crate::sandbox::Fal;
use crate::sandbox::billing::Controls;
use crate::sandbox::endpoint::Endpoint;
use crate::sandbox::prices::{Changes, MAX_CHANGES, Tariff};

/// The largest body: all prices that may be changed.
const MAX_BODY_BYTES: usize = 2 << 20;
/// The highest price in US dollars, so that every honest bill is an amount that can be kept.
const MAX_UNIT_PRICE: u32 = 1000;
/// The longest name of a unit.
const MAX_UNIT_LEN: usize = 64;
/// The longest time until a request shows up on the bill.
const MAX_LAG_SECONDS: u64 = 24 * 3600;

/// Answers a call of a test to the sandbox itself.
pub(super) async fn serve(fal: &Fal, path: &str, request: Request) -> Result<Response, Reply> {
    let settable = match path {
        "counts" => false,
        "prices" | "settings" => true,
        _ => return Err(error(StatusCode::NOT_FOUND, "not_found", "Resource not found")),
    };
    match *request.method() {
        Method::GET => {}
        Method::PUT if settable => {
            let body = read_body(fal, request, MAX_BODY_BYTES).await?;
            if path == "prices" { set_prices(fal, &body)? } else { set_controls(fal, &body)? }
        }
        _ => return Err(wrong_method(if settable { "GET, PUT" } else { "GET" })),
    }
    let body = match path {
        "counts" => counts(fal),
        "prices" => prices(fal),
        _ => json!(Habits::of(fal.books(|books, _| books.controls))),
    };
    Ok(Reply::json(StatusCode::OK, &body).into_response())
}

fn counts(fal: &Fal) -> Value {
    let counts = fal.counts();
    let (events, nanos, forgotten) = fal.books(|books, now| {
        let costs = books.seen(now, None).map(|(_, event)| i128::from(event.cost.nanos()));
        let (events, nanos) = costs.fold((0_u64, 0_i128), |(events, sum), cost| (events + 1, sum + cost));
        (events, nanos, books.events.forgotten())
    });
    json!({
        "submits": counts.submits,
        "runs": counts.runs,
        "cancels": counts.cancels,
        "dropped_runs": counts.dropped_runs,
        "billing_events": events,
        "billed_nano_usd": nanos.to_string(),
        "forgotten_billing_events": forgotten,
    })
}

/// A price as it is set.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPrice {
    unit_price: Box<RawValue>,
    unit: Option<String>,
}

fn prices(fal: &Fal) -> Value {
    let told = |tariff: &Tariff| json!({ "unit_price": tariff.unit_price, "unit": tariff.unit });
    let changes = |changes: &Changes| {
        changes.iter().map(|(id, change)| (id.clone(), change.as_ref().map_or(Value::Null, told))).collect()
    };
    Value::Object(fal.books(|books, _| changes(books.prices.changes())))
}

/// All of them or none: one that is wrong changes nothing.
fn set_prices(fal: &Fal, body: &[u8]) -> Result<(), Reply> {
    let wanted: BTreeMap<String, Option<NewPrice>> = read(body)?;
    if wanted.len() > MAX_CHANGES {
        return Err(invalid(&format!("at most {MAX_CHANGES} prices can be changed")));
    }
    let changes: Changes =
        wanted.into_iter().map(|(id, price)| change(fal, id, price)).collect::<Result<_, _>>()?;
    fal.books(|books, _| books.prices.replace(changes));
    Ok(())
}

fn change(fal: &Fal, id: String, price: Option<NewPrice>) -> Result<(String, Option<Tariff>), Reply> {
    let model = Endpoint::parse(&id).and_then(|endpoint| fal.catalogue().find(&endpoint));
    let model = model.ok_or_else(|| invalid(&format!("{id}: not an endpoint")))?;
    let Some(price) = price else { return Ok((id, None)) };
    let wrong = |why: &str| invalid(&format!("{id}: unit_price {why}"));
    let text = price.unit_price.get().trim_matches('"');
    let unit_price = UnitPrice::parse(text).map_err(|why| wrong(&why.to_string()))?;
    if unit_price.decimal() > MAX_UNIT_PRICE.into() {
        return Err(wrong(&format!("is too large; the most is {MAX_UNIT_PRICE}")));
    }
    let unit = price.unit.unwrap_or_else(|| model.price.unit.name().to_owned());
    match (1..=MAX_UNIT_LEN).contains(&unit.len()) {
        true => Ok((id, Some(Tariff { unit_price, unit: unit.into() }))),
        false => Err(invalid(&format!("{id}: unit must have 1 to {MAX_UNIT_LEN} bytes"))),
    }
}

/// How the platform behaves.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Habits {
    api_calls_per_minute: Option<u32>,
    billing_lag_seconds: u64,
}

impl Habits {
    fn of(controls: Controls) -> Self {
        Self {
            api_calls_per_minute: controls.api_calls_per_minute,
            billing_lag_seconds: controls.billing_lag.as_secs(),
        }
    }
}

fn set_controls(fal: &Fal, body: &[u8]) -> Result<(), Reply> {
    let Habits { api_calls_per_minute, billing_lag_seconds } = read(body)?;
    if billing_lag_seconds > MAX_LAG_SECONDS {
        return Err(invalid(&format!("billing_lag_seconds: the most is {MAX_LAG_SECONDS}")));
    }
    let billing_lag = Duration::from_secs(billing_lag_seconds);
    fal.books(|books, _| books.controls = Controls { api_calls_per_minute, billing_lag });
    Ok(())
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|error| invalid(&format!("Invalid body: {error}")))
}
