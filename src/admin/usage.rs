//! What was spent, by whom, on what.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::calls::short;
use super::{Actor, AdminError, csv_line, moment};
use crate::ids::KeyId;
use crate::store::{Dimension, Role, UsageFilter, UsageRecord};

/// Days of usage when nobody says how many.
const USAGE_DAYS: i64 = 30;

/// The most lines of usage in one answer.
const MAX_USAGE_ROWS: u32 = 10_000;

/// Which usage is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// The first day, in UTC; `7d` is seven days ago; when not given, 30 days before the end.
    pub start: Option<String>,
    /// The day after the last; when not given, tomorrow.
    pub end: Option<String>,
    /// By what to tell usage apart: `day`, `tenant`, `key`, `endpoint` (or `model`) and `tag`, with commas between. A tag
    /// stands beside no key or endpoint.
    #[param(example = "day,tenant")]
    pub by: Option<String>,
    /// Only the tenant of this name.
    pub tenant: Option<String>,
    /// Only the key of this number.
    pub key_id: Option<i64>,
    /// Only this endpoint.
    pub endpoint: Option<String>,
}

/// Usage of some days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageReport {
    /// The first day.
    pub start: String,
    /// The day after the last.
    pub end: String,
    /// By what it is told apart.
    pub by: Vec<Dimension>,
    /// One line for each.
    pub rows: Vec<UsageRow>,
    /// Whether there are more lines than are told.
    pub truncated: bool,
    /// All of it in one line; a call with two tags counts once.
    pub total: UsageRow,
}

/// A line of usage; what it was not told apart by is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UsageRow {
    /// The day in UTC.
    pub day: Option<String>,
    /// The tenant's name.
    pub tenant: Option<String>,
    /// The key's number.
    pub key_id: Option<i64>,
    /// The endpoint.
    pub endpoint: Option<String>,
    /// The tag, `k=v`.
    pub tag: Option<String>,
    /// Settled calls.
    pub calls: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them whose cost is not known; it is in no sum.
    pub unpriced: u64,
    /// What tenants pay.
    pub cost_usd: String,
    /// What fal bills.
    pub fal_cost_usd: String,
}

impl From<&UsageRecord> for UsageRow {
    fn from(usage: &UsageRecord) -> Self {
        Self {
            day: usage.day.map(moment::day_text),
            tenant: usage.tenant.as_deref().map(Into::into),
            key_id: usage.key_id.map(|key| key.0),
            endpoint: usage.endpoint.as_deref().map(Into::into),
            tag: usage.tag.as_deref().map(Into::into),
            calls: usage.calls,
            failed: usage.failed,
            unpriced: usage.unpriced,
            cost_usd: usage.charge.to_string(),
            fal_cost_usd: usage.cost.to_string(),
        }
    }
}

impl UsageRow {
    /// What stands under a dimension.
    pub fn cell(&self, dimension: Dimension) -> Value {
        match dimension {
            Dimension::Day => json!(self.day),
            Dimension::Tenant => json!(self.tenant),
            Dimension::Key => json!(self.key_id),
            Dimension::Endpoint => json!(self.endpoint),
            Dimension::Tag => json!(self.tag),
        }
    }
}

impl UsageReport {
    /// The report as a CSV file with a head line; the total is not in it.
    pub fn csv(&self) -> String {
        let sums = ["calls", "failed", "unpriced", "cost_usd", "fal_cost_usd"];
        let head = self.by.iter().map(|dimension| dimension.as_str()).chain(sums).map(Value::from);
        let mut file = csv_line(head);
        for row in &self.rows {
            let sums = [
                json!(row.calls),
                json!(row.failed),
                json!(row.unpriced),
                json!(row.cost_usd),
                json!(row.fal_cost_usd),
            ];
            file.push_str(&csv_line(self.by.iter().map(|dimension| row.cell(*dimension)).chain(sums)));
        }
        file
    }
}

impl Actor {
    /// Sums over settled calls.
    pub async fn usage(&self, query: UsageQuery) -> Result<UsageReport, AdminError> {
        self.may(Role::Read)?;
        let by = dimensions(query.by.as_deref().unwrap_or_default())?;
        let (from_day, until_day) = self.days(&query)?;
        let mut filter = UsageFilter {
            from_day,
            until_day,
            tenant_id: None,
            key_id: query.key_id.map(KeyId),
            endpoint: short("endpoint", query.endpoint.as_deref())?,
            by: Vec::new(),
            limit: 1,
        };
        if by.contains(&Dimension::Tag) && (filter.key_id.is_some() || filter.endpoint.is_some()) {
            return Err(AdminError::field("by", "must not have tag beside a key or an endpoint"));
        }
        let mut report = UsageReport {
            start: moment::day_text(from_day),
            end: moment::day_text(until_day),
            by,
            rows: Vec::new(),
            truncated: false,
            total: UsageRow::from(&UsageRecord::default()),
        };
        if let Some(name) = &query.tenant {
            filter.tenant_id = self.tenant_number(name).await?;
            if filter.tenant_id.is_none() {
                return Ok(report);
            }
        }
        if let Some(total) = self.store().usage(filter.clone()).await?.first() {
            report.total = total.into();
        }
        let filter = UsageFilter { by: report.by.clone(), limit: MAX_USAGE_ROWS + 1, ..filter };
        let mut rows = self.store().usage(filter).await?;
        report.truncated = rows.len() > MAX_USAGE_ROWS as usize;
        rows.truncate(MAX_USAGE_ROWS as usize);
        report.rows = rows.iter().map(UsageRow::from).collect();
        Ok(report)
    }

    fn days(&self, query: &UsageQuery) -> Result<(i64, i64), AdminError> {
        let until = match &query.end {
            Some(text) => moment::day_of(moment::past("end", text, self.now())?),
            None => moment::day_of(self.now()) + 1,
        };
        let from = match &query.start {
            Some(text) => moment::day_of(moment::past("start", text, self.now())?),
            None => until - USAGE_DAYS,
        };
        match from < until {
            true => Ok((from, until)),
            false => Err(AdminError::field("start", "must lie before end")),
        }
    }
}

/// Reads the dimensions, each once.
fn dimensions(text: &str) -> Result<Vec<Dimension>, AdminError> {
    let mut by = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let word = if word == "model" { "endpoint" } else { word };
        let found = Dimension::ALL.into_iter().find(|dimension| dimension.as_str() == word);
        match found {
            Some(dimension) if !by.contains(&dimension) => by.push(dimension),
            Some(_) => return Err(AdminError::field("by", "must name each dimension once")),
            None => {
                return Err(AdminError::field(
                    "by",
                    "must be of day, tenant, key, endpoint, tag, with commas between",
                ));
            }
        }
    }
    let alone = |other| by.contains(&Dimension::Tag) && by.contains(&other);
    match alone(Dimension::Key) || alone(Dimension::Endpoint) {
        true => Err(AdminError::field("by", "must not have tag beside key or endpoint")),
        false => Ok(by),
    }
}
