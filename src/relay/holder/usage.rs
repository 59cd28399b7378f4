//! What a key spent, day by day: the key's own calls alone. What its tenant spent in all is told with the account.

use serde::Serialize;

use super::csv::{self, Cell};
use super::query::{Query, shown, wrong};
use super::{answer, days, json};
use crate::clock::Timestamp;
use crate::money::Delta;
use crate::relay::Relay;
use crate::relay::caller::Caller;
use crate::relay::refusal::Refusal;
use crate::relay::reply::Reply;
use crate::store::{Dimension, UsageFilter, UsageRecord};

/// The most days of one question.
const USAGE_DAYS_MAX: i64 = 366;
/// The most lines of one answer.
const USAGE_ROWS_MAX: u32 = 10_000;
/// The days of a question that names none, today among them.
const USAGE_DAYS: i64 = 30;

/// By what a holder's usage is told apart, in the order of the columns.
const DIMENSIONS: [Dimension; 3] = [Dimension::Day, Dimension::Endpoint, Dimension::Tag];

/// What is asked.
struct Asked {
    from_day: i64,
    until_day: i64,
    by: Vec<Dimension>,
    csv: bool,
}

/// An answer as JSON.
#[derive(Serialize)]
struct Usage<'a> {
    start: String,
    end: String,
    by: Vec<&'static str>,
    usage: Vec<Line<'a>>,
    total: Line<'a>,
}

/// One line of it. What it was not told apart by is left out.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    calls: u64,
    failed: u64,
    unpriced: u64,
    cost_usd: Delta,
}

impl Relay {
    /// The usage of the caller's key.
    pub(super) async fn usage(&self, caller: &Caller, query: &str) -> Result<Reply, Refusal> {
        let asked = Asked::read(&Query::read(query), self.shared.clock.now())?;
        let filter = |by: &[Dimension]| UsageFilter {
            from_day: asked.from_day,
            until_day: asked.until_day,
            tenant_id: Some(caller.tenant_id()),
            key_id: Some(caller.key_id()),
            endpoint: None,
            by: by.to_vec(),
            limit: USAGE_ROWS_MAX + 1,
        };
        let rows = self.shared.store.usage(filter(&asked.by)).await?;
        if rows.len() > USAGE_ROWS_MAX as usize {
            return Err(wrong(
                "start",
                format!(
                    "and end are too far apart: the answer has more than {USAGE_ROWS_MAX} lines; ask for fewer days"
                ),
            ));
        }
        if asked.csv {
            return Ok(answer("text/csv; charset=utf-8; header=present", asked.csv(&rows).into_bytes()));
        }
        // A call counts in each of its tags, so lines by tag do not add up.
        let total = self.shared.store.usage(filter(&[])).await?.pop().unwrap_or_default();
        json(&asked.json(&rows, &total))
    }
}

impl Asked {
    fn read(query: &Query<'_>, now: Timestamp) -> Result<Self, Refusal> {
        query.only(&["start", "end", "by", "format"])?;
        let csv = match query.one("format")? {
            None | Some("json") => false,
            Some("csv") => true,
            Some(_) => return Err(wrong("format", "must be json or csv")),
        };
        let (from_day, until_day) = stretch(query, now)?;
        Ok(Self { from_day, until_day, by: dimensions(query)?, csv })
    }

    fn json<'a>(&self, rows: &'a [UsageRecord], total: &'a UsageRecord) -> Usage<'a> {
        Usage {
            start: days::text(self.from_day),
            end: days::text(self.until_day),
            by: self.by.iter().map(|dimension| dimension.as_str()).collect(),
            usage: rows.iter().map(Line::of).collect(),
            total: Line::of(total),
        }
    }

    fn csv(&self, rows: &[UsageRecord]) -> String {
        let mut out = String::new();
        let names = self.by.iter().map(|dimension| dimension.as_str());
        let names = names.chain(["calls", "failed", "unpriced", "cost_usd"]);
        csv::line(&mut out, names.map(Cell::Text));
        for row in rows {
            let line = Line::of(row);
            let told = [line.day.as_deref(), line.endpoint, line.tag];
            let told = told.into_iter().flatten().map(Cell::Text);
            let sums = [line.calls, line.failed, line.unpriced].map(|count| Cell::Number(count.to_string()));
            let cost = Cell::Number(line.cost_usd.to_string());
            csv::line(&mut out, told.chain(sums).chain([cost]));
        }
        out
    }
}

impl<'a> Line<'a> {
    fn of(row: &'a UsageRecord) -> Self {
        Self {
            day: row.day.map(days::text),
            endpoint: row.endpoint.as_deref(),
            tag: row.tag.as_deref(),
            calls: row.calls,
            failed: row.failed,
            unpriced: row.unpriced,
            // What the holder pays is what a call costs him; what fal asks of the operator is not his to know.
            cost_usd: row.charge,
        }
    }
}

/// The days from the first to before the last. A moment within a day counts its whole day in.
fn stretch(query: &Query<'_>, now: Timestamp) -> Result<(i64, i64), Refusal> {
    let until_day = match day(query, "end")? {
        Some((day, within)) => day + i64::from(within),
        None => days::of(now) + 1,
    };
    let from_day = day(query, "start")?.map_or(until_day - USAGE_DAYS, |(day, _)| day);
    match until_day - from_day {
        ..=0 => Err(wrong("start", format!("must lie before end, which is {}", days::text(until_day)))),
        1..=USAGE_DAYS_MAX => Ok((from_day, until_day)),
        _ => Err(wrong("start", format!("must lie {USAGE_DAYS_MAX} days before end at most"))),
    }
}

fn day(query: &Query<'_>, name: &'static str) -> Result<Option<(i64, bool)>, Refusal> {
    let read = |text| {
        days::read(text).ok_or_else(|| {
            wrong(name, "must be a date such as 2026-01-31, or a moment such as 2026-01-31T00:00:00Z")
        })
    };
    query.one(name)?.map(read).transpose()
}

/// In the order of the columns, each once.
fn dimensions(query: &Query<'_>) -> Result<Vec<Dimension>, Refusal> {
    let names = query.list("by");
    if let Some(unknown) = names.iter().find(|name| DIMENSIONS.iter().all(|one| one.as_str() != **name)) {
        let shown = shown(unknown);
        return Err(wrong(
            "by",
            format!("must be day, endpoint, tag, or several of them with commas, not {shown:?}"),
        ));
    }
    let by: Vec<_> = DIMENSIONS.into_iter().filter(|one| names.contains(&one.as_str())).collect();
    match by.as_slice() {
        [] => Ok(vec![Dimension::Day]),
        by if by.contains(&Dimension::Tag) && by.contains(&Dimension::Endpoint) => {
            Err(wrong("by", "cannot be endpoint and tag at once; ask for one after the other"))
        }
        _ => Ok(by),
    }
}
