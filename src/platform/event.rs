//! One line of fal's bill.

use std::borrow::Cow;
use std::collections::HashMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fal::RELAY_TAG;
use crate::ids::RequestId;
use crate::money::Usd;
use crate::pricing::PageError;

/// The longest number that is read.
const NUMBER_MAX_LEN: usize = 64;
/// Digits of a dollar that are counted.
const NANO_DIGITS: u32 = 9;

/// What fal billed for a request, or for a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The request.
    pub request_id: RequestId,
    /// What was called.
    pub endpoint: String,
    /// The units, as fal wrote them.
    pub units: Option<String>,
    /// What fal bills.
    pub cost: Usd,
    /// The value of the relay's own tag.
    pub relay_tag: Option<String>,
}

/// Why a line of the bill cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// It is no object of the known form.
    #[error("it does not have the form of a billing event")]
    Form,
    /// Its request has no name that a request can have.
    #[error("its request id is none")]
    RequestId,
    /// Its cost is no amount.
    #[error("its cost is no amount")]
    Cost,
}

/// A page of lines.
#[derive(Debug, Default)]
pub(super) struct EventPage {
    pub(super) events: Vec<Event>,
    /// The first lines that cannot be used.
    pub(super) faults: Vec<EventFault>,
    pub(super) next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    #[serde(borrow)]
    billing_events: Option<Vec<&'a RawValue>>,
    next_cursor: Option<String>,
    has_more: Option<bool>,
}

#[derive(Deserialize)]
struct RawEvent<'a> {
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    #[serde(borrow)]
    endpoint_id: Cow<'a, str>,
    #[serde(borrow)]
    output_units: Option<&'a RawValue>,
    #[serde(borrow)]
    cost_estimate_nano_usd: Option<&'a RawValue>,
    #[serde(borrow)]
    cost_total: Option<&'a RawValue>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
}

/// Reads a page of the bill. A line that cannot be used is counted and left out.
pub(super) fn read_events(body: &[u8]) -> Result<EventPage, PageError> {
    let raw: RawPage<'_> =
        serde_json::from_slice(body).map_err(|error| PageError::NotJson(error.to_string()))?;
    let lines = raw.billing_events.ok_or(PageError::NoList("billing_events"))?;
    let mut page =
        EventPage { next_cursor: next_cursor(raw.has_more, raw.next_cursor)?, ..EventPage::default() };
    for line in lines {
        match event(line) {
            Ok(event) => page.events.push(event),
            Err(fault) => page.faults.push(fault),
        }
    }
    Ok(page)
}

fn next_cursor(has_more: Option<bool>, cursor: Option<String>) -> Result<Option<String>, PageError> {
    match (has_more, cursor.filter(|cursor| !cursor.is_empty())) {
        (Some(false), _) | (None, None) => Ok(None),
        (Some(true), None) => Err(PageError::Cursor),
        (_, cursor) => Ok(cursor),
    }
}

fn event(line: &RawValue) -> Result<Event, EventFault> {
    let raw: RawEvent<'_> = serde_json::from_str(line.get()).map_err(|_| EventFault::Form)?;
    Ok(Event {
        request_id: RequestId::parse(&raw.request_id).map_err(|_| EventFault::RequestId)?,
        endpoint: shown(&raw.endpoint_id),
        units: raw.output_units.map(number_text).filter(|text| text.len() <= NUMBER_MAX_LEN),
        cost: cost(raw.cost_estimate_nano_usd, raw.cost_total).ok_or(EventFault::Cost)?,
        relay_tag: raw.tags.and_then(relay_tag),
    })
}

/// Whole nano-dollars when fal tells them, else dollars; read as they were written, never through a float.
fn cost(nanos: Option<&RawValue>, total: Option<&RawValue>) -> Option<Usd> {
    let told = |raw: &&RawValue| raw.get() != "null";
    let nanos = match nanos.filter(told) {
        Some(nanos) => decimal(nanos)?,
        None => decimal(total.filter(told)?)?.checked_mul(Decimal::from(10_i64.pow(NANO_DIGITS)))?,
    };
    // Fractions of a nano-dollar are the noise of somebody's floats.
    i64::try_from(nanos.round().mantissa())
        .ok()
        .filter(|_| nanos.round().scale() == 0)
        .and_then(Usd::from_nanos)
}

/// A JSON number or the text of a JSON string, exactly.
fn decimal(raw: &RawValue) -> Option<Decimal> {
    let text = number_text(raw);
    if text.len() > NUMBER_MAX_LEN {
        return None;
    }
    Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
}

fn number_text(raw: &RawValue) -> String {
    serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

/// The relay's own tag, from an object, a text `name=value,name=value`, or a list of such texts.
fn relay_tag(raw: &RawValue) -> Option<String> {
    if let Ok(object) = serde_json::from_str::<HashMap<String, &RawValue>>(raw.get()) {
        return serde_json::from_str(object.get(RELAY_TAG)?.get()).ok();
    }
    let text = serde_json::from_str::<String>(raw.get()).ok();
    let list = || serde_json::from_str::<Vec<String>>(raw.get()).ok();
    let pairs = text.or_else(|| Some(list()?.join(",")))?;
    let found = pairs.split(',').filter_map(|pair| pair.trim().split_once('='));
    found.filter(|(name, _)| *name == RELAY_TAG).map(|(_, value)| value.to_owned()).next()
}

/// Somebody else's text, short and harmless to a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(NUMBER_MAX_LEN).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_page_panics(text in "\\PC{0,200}", number in "-?[0-9]{0,40}(\\.[0-9]{0,40})?([eE][+-]?[0-9]{0,12})?") {
            let line = |value: &str| format!(
                r#"{{"request_id":"a","endpoint_id":"b","cost_total":{value},"output_units":{value},"tags":{value}}}"#
            );
            let quoted = serde_json::to_string(&text).unwrap();
            for value in [text.as_str(), quoted.as_str(), number.as_str()] {
                let _read = read_events(value.as_bytes());
                let _read = read_events(format!(r#"{{"billing_events":[{}]}}"#, line(value)).as_bytes());
            }
        }

        /// However fal writes an amount, it is the same one.
        #[test]
        fn amounts_are_exact(nanos in 0_i64..=1_000_000_000_000_000_000) {
            let dollars = Usd::from_nanos(nanos).unwrap();
            for cost in [
                format!(r#""cost_estimate_nano_usd":{nanos}"#),
                format!(r#""cost_estimate_nano_usd":"{nanos}.0""#),
                format!(r#""cost_total":{dollars}"#),
                format!(r#""cost_total":"{dollars}""#),
                format!(r#""cost_total":{nanos}e-9"#),
            ] {
                let page = format!(r#"{{"billing_events":[{{"request_id":"a","endpoint_id":"b",{cost}}}]}}"#);
                prop_assert_eq!(read_events(page.as_bytes()).unwrap().events[0].cost, dollars, "{}", cost);
            }
        }
    }
}
