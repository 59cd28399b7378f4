//! The bill added up: by endpoint and price, over all or over each hour, day, week or month.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{RoundMode, Span, Unit, Zoned, ZonedRound};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

use super::bills::Range;
use super::params::Params;
use super::{Reply, invalid, nanos, number};
use crate::clock::Timestamp;
use crate::money::UnitPrice;
use crate::sandbox::Fal;
use crate::sandbox::billing::{Event, Scope};

/// The length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Frame {
    /// The frame that was asked for, else one that suits the range.
    fn read(params: &Params, range: Range, now: Timestamp) -> Result<Self, Reply> {
        const HOUR_SECONDS: u64 = 3600;
        const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;
        match params.one("timeframe") {
            Some("minute") => Ok(Self::Minute),
            Some("hour") => Ok(Self::Hour),
            Some("day") => Ok(Self::Day),
            Some("week") => Ok(Self::Week),
            Some("month") => Ok(Self::Month),
            Some(_) => Err(invalid("timeframe must be minute, hour, day, week or month")),
            None => Ok(match range.length(now).as_secs() {
                seconds if seconds < 2 * HOUR_SECONDS => Self::Minute,
                seconds if seconds < 2 * DAY_SECONDS => Self::Hour,
                seconds if seconds < 64 * DAY_SECONDS => Self::Day,
                seconds if seconds < 183 * DAY_SECONDS => Self::Week,
                _ => Self::Month,
            }),
        }
    }

    /// The beginning of the bucket that holds `moment`.
    fn start(self, moment: &Zoned) -> Result<Zoned, jiff::Error> {
        let truncated = |unit| moment.round(ZonedRound::new().smallest(unit).mode(RoundMode::Trunc));
        match self {
            Self::Minute => truncated(Unit::Minute),
            Self::Hour => truncated(Unit::Hour),
            Self::Day => moment.start_of_day(),
            Self::Week => {
                let since_monday = moment.weekday().since(Weekday::Monday);
                moment.checked_sub(Span::new().try_days(since_monday)?)?.start_of_day()
            }
            Self::Month => moment.first_of_month()?.start_of_day(),
        }
    }

    fn length(self) -> Span {
        match self {
            Self::Minute => Span::new().minutes(1),
            Self::Hour => Span::new().hours(1),
            Self::Day => Span::new().days(1),
            Self::Week => Span::new().weeks(1),
            Self::Month => Span::new().months(1),
        }
    }

    /// The range made wider, so that it begins and ends with a bucket.
    fn widen(self, range: Range, zone: &TimeZone) -> Result<Range, jiff::Error> {
        let start = self.start(&zoned(range.start, zone)?)?;
        let end = range.end.map(|end| self.end(&zoned(end, zone)?)).transpose()?;
        Ok(Range { start: moment(&start), end: end.as_ref().map(moment) })
    }

    fn end(self, end: &Zoned) -> Result<Zoned, jiff::Error> {
        let start = self.start(end)?;
        if start == *end { Ok(start) } else { start.checked_add(self.length()) }
    }
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Result<Zoned, jiff::Error> {
    Ok(jiff::Timestamp::from_microsecond(at.as_micros())?.to_zoned(zone.clone()))
}

fn moment(zoned: &Zoned) -> Timestamp {
    Timestamp::from_micros(zoned.timestamp().as_microsecond())
}

/// What is added up: usage at another price is a line of its own.
type Line = (Arc<str>, Arc<str>, UnitPrice);

/// Units and nano-dollars by line.
#[derive(Default)]
struct Sums(BTreeMap<Line, (Decimal, i128)>);

impl Sums {
    fn add(&mut self, event: &Event) {
        let tariff = &event.tariff;
        let line = (Arc::clone(&event.endpoint), Arc::clone(&tariff.unit), tariff.unit_price);
        let (units, cost) = self.0.entry(line).or_default();
        // Far below what a decimal holds: the events and their units are bounded.
        *units = units.saturating_add(event.units.decimal());
        *cost += i128::from(event.cost.nanos());
    }

    fn tell(&self) -> Vec<Sum> {
        self.0.iter().map(|(line, (units, cost))| Sum::new(line, *units, *cost)).collect()
    }
}

/// One line as the platform writes it.
#[derive(Serialize)]
struct Sum {
    endpoint_id: String,
    unit: String,
    quantity: Box<RawValue>,
    unit_price: Box<RawValue>,
    percent_discount: Option<u8>,
    cost_subtotal: Box<RawValue>,
    cost_discount: u8,
    cost_total: Box<RawValue>,
    cost: Box<RawValue>,
    currency: &'static str,
}

impl Sum {
    fn new((endpoint, unit, unit_price): &Line, units: Decimal, cost: i128) -> Self {
        let cost = || number(nanos(cost));
        Self {
            endpoint_id: (**endpoint).to_owned(),
            unit: (**unit).to_owned(),
            quantity: number(units),
            unit_price: number(unit_price.decimal()),
            percent_discount: None,
            cost_subtotal: cost(),
            cost_discount: 0,
            cost_total: cost(),
            cost: cost(),
            currency: "USD",
        }
    }
}

#[derive(Serialize)]
struct Bucket {
    bucket: String,
    results: Vec<Sum>,
}

/// All of it on one page.
#[derive(Serialize)]
struct Usage {
    #[serde(skip_serializing_if = "Option::is_none")]
    time_series: Option<Vec<Bucket>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Vec<Sum>>,
    next_cursor: Option<String>,
    has_more: bool,
}

/// Adds up the bill. Buckets in which nothing was billed are left out.
pub(super) fn tell(fal: &Fal, scope: &Scope, params: &Params) -> Result<Reply, Reply> {
    let expand = params.list("expand")?;
    let series = expand.is_empty() || expand.contains(&"time_series");
    let summary = expand.contains(&"summary");
    if !series && !summary {
        return Err(invalid("expand must name time_series or summary"));
    }
    let zone = TimeZone::get(params.one("timezone").unwrap_or("UTC"))
        .map_err(|_| invalid("timezone must be a name such as Europe/Berlin"))?;
    let now = fal.clock().now();
    let range = Range::read(params, &zone, now)?;
    let frame = Frame::read(params, range, now)?;
    let out_of_time = |_| invalid("start and end must lie within the calendar");
    let range = match params.one("bound_to_timeframe") {
        Some("false") => range,
        _ => frame.widen(range, &zone).map_err(out_of_time)?,
    };
    let events = chosen(fal, scope, params, range)?;
    let time_series = series.then(|| buckets(&events, frame, &zone)).transpose().map_err(out_of_time)?;
    let summary = summary.then(|| sums(&events).tell());
    Ok(Reply::json(StatusCode::OK, &Usage { time_series, summary, next_cursor: None, has_more: false }))
}

fn chosen(fal: &Fal, scope: &Scope, params: &Params, range: Range) -> Result<Vec<Event>, Reply> {
    let (endpoints, keys) = (params.list("endpoint_id")?, params.list("api_key_id")?);
    let among = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
    let finds = |event: &Event| {
        scope.sees(event)
            && range.contains(event.at)
            && among(&endpoints, &event.endpoint)
            && among(&keys, &event.key_id)
    };
    Ok(fal.books(|books, now| {
        let seen = books.seen(now, None).map(|(_, event)| event);
        seen.filter(|event| finds(event)).cloned().collect()
    }))
}

fn sums(events: &[Event]) -> Sums {
    let mut sums = Sums::default();
    events.iter().for_each(|event| sums.add(event));
    sums
}

fn buckets(events: &[Event], frame: Frame, zone: &TimeZone) -> Result<Vec<Bucket>, jiff::Error> {
    let mut by_start: BTreeMap<Timestamp, (Zoned, Sums)> = BTreeMap::new();
    for event in events {
        let start = frame.start(&zoned(event.at, zone)?)?;
        let (_, sums) = by_start.entry(moment(&start)).or_insert_with(|| (start, Sums::default()));
        sums.add(event);
    }
    let bucket = |(start, sums): (Zoned, Sums)| Bucket {
        bucket: start.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        results: sums.tell(),
    };
    Ok(by_start.into_values().map(bucket).collect())
}
