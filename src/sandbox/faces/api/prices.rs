//! The price list, with entries that are wrong on request.

use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use super::models::named;
use super::params::Params;
use super::{Reply, invalid, number};
use crate::sandbox::Fal;
use crate::sandbox::prices::Tariff;

/// A price as the platform writes it; the order of the fields is the platform's. It always has all of them; an entry
/// that was spoiled may not.
#[derive(Serialize)]
struct Entry<'a> {
    endpoint_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<&'static str>,
}

/// One page of prices, which is all there is.
#[derive(Serialize)]
struct Prices<'a> {
    prices: Vec<Entry<'a>>,
    next_cursor: Option<String>,
    has_more: bool,
}

/// The prices of the named endpoints; those that have none are left out.
pub(super) fn list(fal: &Fal, params: &Params) -> Result<Reply, Reply> {
    let ids = params.list("endpoint_id")?;
    if ids.is_empty() {
        return Err(invalid("endpoint_id is required"));
    }
    let prices = fal.books(|books, _| {
        let listed = |(id, model)| Some(entry(id, &books.prices.listed(id, model)?));
        named(fal.catalogue(), &ids).into_iter().filter_map(listed).flatten().collect()
    });
    Ok(Reply::json(StatusCode::OK, &Prices { prices, next_cursor: None, has_more: false }))
}

fn entry<'a>(endpoint_id: &'a str, tariff: &Tariff) -> Option<Entry<'a>> {
    let entry = Entry {
        endpoint_id,
        unit_price: Some(number(tariff.unit_price.decimal())),
        unit: Some((*tariff.unit).to_owned()),
        currency: Some("USD"),
    };
    match endpoint_id.strip_prefix("sandbox/price/") {
        Some(word) => spoiled(entry, word),
        None => Some(entry),
    }
}

/// The entry as the last part of its endpoint asks for it; words that mean nothing change nothing.
fn spoiled<'a>(mut entry: Entry<'a>, word: &str) -> Option<Entry<'a>> {
    let price = |json: &str| RawValue::from_string(json.to_owned()).ok();
    match word {
        "none" => return None,
        "no-price" => entry.unit_price = None,
        "no-unit" => entry.unit = None,
        "no-currency" => entry.currency = None,
        "odd-unit" => entry.unit = Some("bananas".into()),
        "eur" => entry.currency = Some("EUR"),
        "huge" => entry.unit_price = price("1e300"),
        "negative" => entry.unit_price = price("-0.05"),
        "nan" => entry.unit_price = price("\"NaN\""),
        "null" => entry.unit_price = price("null"),
        "text" => entry.unit_price = price("\"0.05\""),
        "exponent" => entry.unit_price = price("5e-2"),
        "fine" => entry.unit_price = price("0.0000000000000000000000000000000000001"),
        _ => {}
    }
    Some(entry)
}
