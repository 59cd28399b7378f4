//! The bill, request by request, and what is left of the credits.

use std::time::Duration;

use http::StatusCode;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::value::RawValue;

use super::params::{self, Params, bad_cursor};
use super::{Reply, invalid, nanos, number};
use crate::clock::Timestamp;
use crate::sandbox::Fal;
use crate::sandbox::billing::{Event, Place, Scope};
use crate::sandbox::tags::Tags;

/// Events on one page when the caller does not say.
const USUAL_PAGE: usize = 50;
/// The most events on one page.
const MAX_PAGE: usize = 10_000;
/// Tags that one call may look for.
const MAX_TAG_FILTERS: usize = 10;
/// The longest time of which one call may list the events.
const MAX_RANGE: Duration = Duration::from_secs(90 * 24 * 3600);
/// What is looked at when the caller does not say.
const USUAL_RANGE: Duration = Duration::from_secs(24 * 3600);
/// What is looked for to find requests without a tag of a name.
const UNTAGGED: &str = "(untagged)";
/// What every account has paid in advance.
const CREDITS_NANO_USD: i128 = 10_000 * 1_000_000_000;

/// The time that a call looks at: from its start to before its end. Without an end it reaches to now.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
}

impl Range {
    /// Reads `start` and `end`; days begin in `zone`.
    pub(super) fn read(params: &Params, zone: &TimeZone, now: Timestamp) -> Result<Self, Reply> {
        let end = params.moment("end", zone)?;
        let usual = || Timestamp::from_micros(now.as_micros().saturating_sub(micros(USUAL_RANGE)));
        let start = params.moment("start", zone)?.unwrap_or_else(usual);
        match end.unwrap_or(now) < start {
            true => Err(invalid("end must not lie before start")),
            false => Ok(Self { start, end }),
        }
    }

    /// How long it is.
    pub(super) fn length(self, now: Timestamp) -> Duration {
        self.end.unwrap_or(now).since(self.start)
    }

    pub(super) fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && self.end.is_none_or(|end| at < end)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Which events a call looks for.
struct Filter<'a> {
    scope: &'a Scope,
    range: Range,
    endpoints: Vec<&'a str>,
    requests: Vec<&'a str>,
    keys: Vec<&'a str>,
    tags: Vec<(&'a str, &'a str)>,
}

impl<'a> Filter<'a> {
    fn read(scope: &'a Scope, params: &'a Params, now: Timestamp) -> Result<Self, Reply> {
        let range = Range::read(params, &TimeZone::UTC, now)?;
        if range.length(now) > MAX_RANGE {
            return Err(invalid("start and end must lie within 90 days"));
        }
        Ok(Self {
            scope,
            range,
            endpoints: params.list("endpoint_id")?,
            requests: params.list("request_id")?,
            keys: params.list("api_key_id")?,
            tags: tags(params)?,
        })
    }

    fn finds(&self, event: &Event) -> bool {
        let among = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        self.scope.sees(event)
            && self.range.contains(event.at)
            && among(&self.endpoints, &event.endpoint)
            && among(&self.requests, event.request_id.as_str())
            && among(&self.keys, &event.key_id)
            && self.tags.iter().all(|(name, _)| self.has_one_of(name, &event.tags))
    }

    /// A name that is given several times may have any of the values.
    fn has_one_of(&self, name: &str, tags: &Tags) -> bool {
        let mut wanted = self.tags.iter().filter(|(asked, _)| *asked == name);
        wanted.any(|(_, value)| match tags.get(name) {
            Some(found) => found == *value,
            None => *value == UNTAGGED,
        })
    }
}

/// The pairs of `tag=name=value`.
fn tags(params: &Params) -> Result<Vec<(&str, &str)>, Reply> {
    let pairs: Option<Vec<_>> = params.each("tag").map(|text| text.split_once('=')).collect();
    let pairs = pairs.ok_or_else(|| invalid("tag must be name=value"))?;
    if pairs.len() > MAX_TAG_FILTERS {
        return Err(invalid("tag takes at most 10 values"));
    }
    match !pairs.is_empty() && !with_tags(params)? {
        true => Err(invalid("tag needs source=tagged-billed")),
        false => Ok(pairs),
    }
}

fn with_tags(params: &Params) -> Result<bool, Reply> {
    match params.one("source") {
        None | Some("billed") => Ok(false),
        Some("tagged-billed") => Ok(true),
        Some(_) => Err(invalid("source must be billed or tagged-billed")),
    }
}

/// One request on the bill as the platform writes it.
#[derive(Serialize)]
struct Line {
    request_id: String,
    endpoint_id: String,
    timestamp: String,
    output_units: Box<RawValue>,
    unit_price: Box<RawValue>,
    percent_discount: Option<u8>,
    cost_subtotal: Box<RawValue>,
    cost_discount: u8,
    cost_total: Box<RawValue>,
    cost_estimate_nano_usd: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Tags>,
}

impl Line {
    fn new(event: &Event, with_tags: bool) -> Self {
        let cost = || number(nanos(event.cost.nanos().into()));
        Self {
            request_id: event.request_id.as_str().to_owned(),
            endpoint_id: (*event.endpoint).to_owned(),
            timestamp: event.at.to_string(),
            output_units: number(event.units.decimal()),
            unit_price: number(event.tariff.unit_price.decimal()),
            percent_discount: None,
            cost_subtotal: cost(),
            cost_discount: 0,
            cost_total: cost(),
            cost_estimate_nano_usd: event.cost.nanos(),
            tags: with_tags.then(|| event.tags.clone()),
        }
    }
}

#[derive(Serialize)]
struct Page {
    billing_events: Vec<Line>,
    next_cursor: Option<String>,
    has_more: bool,
}

/// Lists the bill, what ended first at first.
pub(super) fn list(fal: &Fal, scope: &Scope, params: &Params) -> Result<Reply, Reply> {
    let filter = Filter::read(scope, params, fal.clock().now())?;
    let with_tags = with_tags(params)?;
    let limit = params.limit(USUAL_PAGE, MAX_PAGE)?;
    let after = params.cursor()?.map(|text| place(&text).ok_or_else(bad_cursor)).transpose()?;
    let (lines, next) = fal.books(|books, now| {
        let mut found = books.seen(now, after).filter(|(_, event)| filter.finds(event)).peekable();
        let (mut lines, mut last) = (Vec::new(), None);
        for (place, event) in found.by_ref().take(limit) {
            lines.push(Line::new(event, with_tags));
            last = Some(place);
        }
        (lines, last.filter(|_| found.peek().is_some()))
    });
    let next_cursor = next.map(|(ends, order)| params::cursor(&format!("{}.{order}", ends.as_nanos())));
    let page = Page { billing_events: lines, has_more: next_cursor.is_some(), next_cursor };
    Ok(Reply::json(StatusCode::OK, &page))
}

/// Reads what a cursor holds: the last place that was told.
fn place(text: &str) -> Option<Place> {
    let (nanos, order) = text.split_once('.')?;
    Some((Duration::from_nanos(nanos.parse().ok()?), order.parse().ok()?))
}

#[derive(Serialize)]
struct Account<'a> {
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credits: Option<Credits>,
}

#[derive(Serialize)]
struct Credits {
    current_balance: Box<RawValue>,
    currency: &'static str,
}

/// What is left of what was paid in advance: everything on the bill is taken off.
pub(super) fn credits(fal: &Fal, scope: &Scope, params: &Params) -> Result<Reply, Reply> {
    let left = || {
        let spent: i128 = fal.books(|books, now| {
            let seen = books.seen(now, None).filter(|(_, event)| scope.sees(event));
            seen.map(|(_, event)| i128::from(event.cost.nanos())).sum()
        });
        Credits { current_balance: number(nanos(CREDITS_NANO_USD - spent)), currency: "USD" }
    };
    let credits = params.list("expand")?.contains(&"credits").then(left);
    Ok(Reply::json(StatusCode::OK, &Account { username: scope.username(), credits }))
}
