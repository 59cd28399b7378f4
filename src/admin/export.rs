//! The ledger's columns, one list for every format and every face. Scripts rely on their names and their order: new
//! ones are added at the end.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::calls::CallQuery;
use super::{Actor, AdminError, check};
use crate::ids::CallId;
use crate::store::{CallRecord, CallState, Role};

/// Rows of an export that are in memory at once.
const EXPORT_ROWS: u32 = 1000;

/// Declares a [`CallView`]: each column's name, type, and what of a record stands in it.
macro_rules! columns {
    ($(#[doc = $doc:literal] $name:ident: $type:ty = $cell:expr,)+) => {
        /// A row of the ledger. What is not known is null, never zero; money is in US dollars, moments are RFC 3339 in UTC.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
        pub struct CallView {
            $(#[doc = $doc] pub $name: $type,)+
        }

        impl CallView {
            /// The columns' names.
            pub const COLUMNS: [&'static str; [$(stringify!($name)),+].len()] = [$(stringify!($name)),+];

            fn cells(&self) -> [Value; Self::COLUMNS.len()] {
                [$(json!(self.$name)),+]
            }
        }

        impl From<&CallRecord> for CallView {
            fn from(call: &CallRecord) -> Self {
                $(let $name: fn(&CallRecord) -> $type = $cell;)+
                Self { $($name: $name(call),)+ }
            }
        }
    };
}

/// A text of something, when there is something.
fn text<T: ToString>(value: Option<&T>) -> Option<String> {
    value.map(ToString::to_string)
}

columns! {
    /// The row's number.
    id: i64 = |call| call.id.0,
    /// fal's id.
    request_id: Option<String> = |call| text(call.request_id.as_ref()),
    /// The client's own id of the call.
    idempotency_key: Option<String> = |_| None,
    /// The tenant's name.
    tenant: String = |call| call.tenant.as_ref().into(),
    /// The key's number.
    key_id: i64 = |call| call.key_id.0,
    /// The fal account that carried it.
    account: String = |call| call.account.to_string(),
    /// The endpoint as called.
    endpoint: String = |call| call.endpoint.as_ref().into(),
    /// How it travelled: queue, run or stream.
    kind: String = |call| call.kind.as_str().into(),
    /// How far it is: held, sent, settled, released or unknown.
    state: String = |call| call.state.as_str().into(),
    /// The status of fal's final answer.
    status: Option<u16> = |call| call.status,
    /// `x-fal-billable-units` as fal wrote it.
    billable_units: Option<String> = |call| call.billable_units.clone(),
    /// What the tenant pays, corrections included.
    cost_usd: Option<String> = |call| text(call.charge_usd.as_ref()),
    /// How the cost is known: billed, computed or estimated.
    cost_basis: Option<String> = |call| call.cost_basis.map(|basis| basis.as_str().into()),
    /// Length of the request's body.
    body_bytes: Option<u64> = |call| call.body_bytes,
    /// SHA-256 of the request's body.
    body_sha256: Option<String> = |call| call.body_sha256.clone(),
    /// When its money was held.
    held_at: String = |call| call.held_at.to_string(),
    /// When fal had taken it.
    sent_at: Option<String> = |call| text(call.sent_at.as_ref()),
    /// When it had ended.
    settled_at: Option<String> = |call| text(call.settled_at.as_ref()),
    /// When it was known that nothing was billed.
    released_at: Option<String> = |call| text(call.released_at.as_ref()),
    /// When it was lost sight of.
    lost_at: Option<String> = |call| text(call.lost_at.as_ref()),
    /// What fal bills, corrections included.
    fal_cost_usd: Option<String> = |call| text(call.cost_usd.as_ref()),
    /// The part of `cost_usd` that corrections brought.
    adjusted_usd: Option<String> = |call| text(call.adjusted_usd.as_ref()),
    /// What was held until the cost was known.
    hold_usd: String = |call| call.hold_usd.to_string(),
    /// Whether it is still held.
    hold_open: bool = |call| call.hold_open,
    /// fal's price of a unit when it was held.
    unit_price: Option<String> = |call| text(call.terms.unit_price.as_ref()),
    /// What a unit is.
    unit: Option<String> = |call| text(call.terms.unit.as_ref()),
    /// What the tenant paid for each dollar at fal.
    multiplier: String = |call| call.terms.multiplier.to_string(),
    /// The tenant's own tags, `k=v,k=v`.
    tags: Option<String> = |call| text(call.tags.as_ref()),
    /// Why it was released, in a word.
    reason: Option<String> = |call| call.reason.clone(),
    /// The number of the client token that it came with, if it came with one.
    token_id: Option<i64> = |call| call.token_id.map(|id| id.0),
}

impl CallView {
    /// Each column with its text; what is not known is a stroke.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let text = |value| match value {
            Value::Null => "-".to_owned(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        Self::COLUMNS.into_iter().zip(self.cells().map(text)).collect()
    }

    /// The head line of a CSV file.
    pub fn csv_head() -> String {
        csv_line(Self::COLUMNS.map(Value::from))
    }

    /// The row as a line of a CSV file.
    pub fn csv_line(&self) -> String {
        csv_line(self.cells())
    }
}

/// Which rows are exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// Only rows after this number: the last `id` of an earlier export.
    #[param(minimum = 0)]
    pub after: Option<i64>,
    /// Only calls of the tenant of this name.
    pub tenant: Option<String>,
    /// Only calls with the key of this number.
    pub key_id: Option<i64>,
    /// Only calls to this endpoint.
    pub endpoint: Option<String>,
    /// Only calls that carry this tag, `k=v`.
    pub tag: Option<String>,
    /// Only calls in this state.
    #[param(value_type = Option<CallState>, inline)]
    pub state: Option<CallState>,
    /// Only calls held at this moment or later.
    pub start: Option<String>,
    /// Only calls held before this moment.
    pub end: Option<String>,
}

impl ExportQuery {
    /// The row after which the export begins.
    pub fn begins(&self) -> Result<CallId, AdminError> {
        check::after(self.after).map(CallId)
    }
}

impl Actor {
    /// Rows of the ledger after the row `after`, oldest first, as many as fit in memory well; none at the end.
    pub async fn export_page(&self, query: &ExportQuery, after: CallId) -> Result<Vec<CallView>, AdminError> {
        self.may(Role::Read)?;
        let query = query.clone();
        let filter = CallQuery {
            tenant: query.tenant,
            key_id: query.key_id,
            endpoint: query.endpoint,
            tag: query.tag,
            state: query.state,
            start: query.start,
            end: query.end,
            ..CallQuery::default()
        };
        let Some(filter) = self.call_filter(&filter).await? else { return Ok(Vec::new()) };
        let calls = self.store().calls(filter, after, EXPORT_ROWS).await?;
        Ok(calls.iter().map(CallView::from).collect())
    }
}

/// A line of a CSV file after RFC 4180.
pub fn csv_line(cells: impl IntoIterator<Item = Value>) -> String {
    let mut line = cells.into_iter().map(csv_cell).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// One cell after RFC 4180; what is null is empty. A text that a spreadsheet would run as a formula gets an apostrophe,
/// as spreadsheets themselves mark plain text; an amount below zero is no formula.
pub fn csv_cell(value: Value) -> String {
    let mut text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_amount(&text) {
        text.insert(0, '\'');
    }
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

fn is_amount(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_formula() {
        for text in ["=1+1", "+1", "-1+1", "-", "-.", "@SUM(A1)", "\t=1", "\r=1", "-1.0=2"] {
            let cell = csv_cell(text.into());
            assert!(cell.starts_with('\'') || cell.starts_with("\"'"), "{cell:?}");
        }
        assert_eq!(csv_cell("a,b\"c".into()), "\"a,b\"\"c\"");
        assert_eq!(csv_cell("plain = text".into()), "plain = text");
        assert_eq!(csv_cell("-0.003".into()), "-0.003");
        assert_eq!((csv_cell(json!(-5)), csv_cell(Value::Null)), ("-5".into(), String::new()));
    }
}
