//! What calls would cost.

use std::collections::BTreeMap;

use http::StatusCode;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::params::MAX_VALUES;
use super::{Reply, error, invalid, nanos, number};
use crate::money::Units;
use crate::sandbox::Fal;
use crate::sandbox::billing::Scope;
use crate::sandbox::endpoint::Endpoint;

#[derive(Deserialize)]
struct Question {
    estimate_type: Method,
    endpoints: BTreeMap<String, Amount>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    /// So many units, at the price of now.
    UnitPrice,
    /// So many calls, at what such calls were billed so far.
    HistoricalApiPrice,
}

#[derive(Deserialize)]
struct Amount {
    unit_quantity: Option<Box<RawValue>>,
    call_quantity: Option<u32>,
}

#[derive(Serialize)]
struct Estimate {
    estimate_type: Method,
    total_cost: Box<RawValue>,
    currency: &'static str,
}

/// Adds up what was asked for.
pub(super) fn of(fal: &Fal, scope: &Scope, body: &[u8]) -> Result<Reply, Reply> {
    let question: Question =
        serde_json::from_slice(body).map_err(|error| invalid(&format!("Invalid body: {error}")))?;
    if !(1..=MAX_VALUES).contains(&question.endpoints.len()) {
        return Err(invalid(&format!("endpoints must name 1 to {MAX_VALUES}")));
    }
    let mut total = Decimal::ZERO;
    for (id, amount) in &question.endpoints {
        let (price, quantity) = match question.estimate_type {
            Method::UnitPrice => (unit_price(fal, id)?, units(amount)?),
            Method::HistoricalApiPrice => (call_price(fal, scope, id)?, calls(amount)?),
        };
        let cost = price.checked_mul(quantity).and_then(|cost| total.checked_add(cost));
        total = cost.ok_or_else(|| invalid("the total is too large"))?;
    }
    let estimate =
        Estimate { estimate_type: question.estimate_type, total_cost: number(total), currency: "USD" };
    Ok(Reply::json(StatusCode::OK, &estimate))
}

fn units(amount: &Amount) -> Result<Decimal, Reply> {
    let units = amount.unit_quantity.as_ref().and_then(|text| Units::parse(text.get()).ok());
    let units = units.filter(|units| !units.is_zero()).map(Units::decimal);
    units.ok_or_else(|| invalid("unit_quantity must be a number above 0"))
}

fn calls(amount: &Amount) -> Result<Decimal, Reply> {
    let calls = amount.call_quantity.filter(|calls| *calls > 0).map(Decimal::from);
    calls.ok_or_else(|| invalid("call_quantity must be a whole number from 1"))
}

fn unit_price(fal: &Fal, id: &str) -> Result<Decimal, Reply> {
    let model = Endpoint::parse(id).and_then(|endpoint| fal.catalogue().find(&endpoint));
    let listed = model.and_then(|model| fal.books(|books, _| books.prices.listed(id, model)));
    let unknown = || error(StatusCode::NOT_FOUND, "not_found", &format!("No price for {id}"));
    listed.map(|tariff| tariff.unit_price.decimal()).ok_or_else(unknown)
}

/// What a call cost on average; one unit when there was none.
fn call_price(fal: &Fal, scope: &Scope, id: &str) -> Result<Decimal, Reply> {
    let (calls, spent) = fal.books(|books, now| {
        let past = books.seen(now, None).map(|(_, event)| event);
        let past = past.filter(|event| *event.endpoint == *id && scope.sees(event));
        past.fold((0_u32, 0_i128), |(calls, spent), event| {
            (calls + 1, spent + i128::from(event.cost.nanos()))
        })
    });
    match nanos(spent).checked_div(Decimal::from(calls)) {
        Some(average) => Ok(average),
        None => unit_price(fal, id),
    }
}
