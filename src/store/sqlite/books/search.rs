//! Rows of the ledger by what is known of them.

use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::store::sqlite::calls::{self, select_calls, select_open_calls};
use crate::store::sqlite::rows;
use crate::store::sqlite::session::Session;
use crate::store::{CallFilter, CallRecord, OpenCall, StoreError};

use crate::store::sqlite::query::Query;

pub(super) fn by_id(session: &Session<'_>, id: CallId) -> Result<Option<CallRecord>, StoreError> {
    rows::one(session, select_calls!("", "WHERE calls.id = ?1"), (id,), calls::record)
}

pub(super) fn unpriced(
    session: &Session<'_>,
    after: CallId,
    limit: u32,
) -> Result<Vec<OpenCall>, StoreError> {
    let sql = select_open_calls!(
        "WHERE open IS NULL AND hold_open = 1 AND calls.id > ?1 ORDER BY calls.id LIMIT ?2"
    );
    rows::many(session, sql, (after, limit), calls::open_call)
}

/// For exports: in the order in which rows were written, so that nothing slips in behind the reader.
pub(super) fn oldest_first(
    session: &Session<'_>,
    filter: &CallFilter,
    after: CallId,
    limit: u32,
) -> Result<Vec<CallRecord>, StoreError> {
    let road = Road::of(filter);
    let mut query = Query::new(road.map_or(select_calls!("NOT INDEXED", ""), Road::select));
    query.value(" WHERE calls.id > ?", &after);
    restrict(&mut query, filter, road);
    query.value(" ORDER BY calls.id LIMIT ?", &limit);
    answer(session, filter, &query)
}

/// For people: the calls that were held last come first, whatever part of the ledger they are looked for in.
pub(super) fn newest_first(
    session: &Session<'_>,
    filter: &CallFilter,
    before: Option<CallId>,
    limit: u32,
) -> Result<Vec<CallRecord>, StoreError> {
    let sql = "SELECT held_at FROM calls WHERE id = ?1";
    let before_at: Option<Timestamp> = session.first(sql, (before,), |row| row.get(0))?;
    let road = Road::of(filter).unwrap_or_else(|| Road::through_time(filter));
    let mut query = Query::new(road.select());
    match (&before, &before_at) {
        (None, _) => query.text(" WHERE 1"),
        (Some(_), None) => return Ok(Vec::new()),
        (Some(before), Some(before_at)) => {
            query.value(" WHERE (held_at, calls.id) < (?", before_at);
            query.value(", ?)", before);
        }
    }
    restrict(&mut query, filter, Some(road));
    query.value(" ORDER BY held_at DESC, calls.id DESC LIMIT ?", &limit);
    answer(session, filter, &query)
}

fn answer(
    session: &Session<'_>,
    filter: &CallFilter,
    query: &Query<'_>,
) -> Result<Vec<CallRecord>, StoreError> {
    match &filter.tag {
        // No tag has a comma: they are kept apart by it.
        Some(tag) if tag.is_empty() || tag.contains(',') => Ok(Vec::new()),
        _ => query.all(session, calls::record),
    }
}

/// The index through which rows are looked for. It is named in the statement: SQLite knows neither how long the ledger is
/// nor which of its parts are short.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Road {
    RequestId,
    Open,
    Unpriced,
    Tenant,
    Time,
}

impl Road {
    /// To rows of which there are few.
    fn of(filter: &CallFilter) -> Option<Self> {
        let open = filter.state.is_some_and(|state| !state.is_closed());
        match filter {
            CallFilter { request_id: Some(_), .. } => Some(Self::RequestId),
            CallFilter { unpriced: true, .. } => Some(Self::Unpriced),
            _ if open => Some(Self::Open),
            _ => None,
        }
    }

    /// To rows in the order of time.
    fn through_time(filter: &CallFilter) -> Self {
        match filter.tenant_id.is_some() || filter.key_id.is_some() {
            true => Self::Tenant,
            false => Self::Time,
        }
    }

    fn select(self) -> &'static str {
        match self {
            Self::RequestId => select_calls!("INDEXED BY calls_by_request_id", ""),
            Self::Open => select_calls!("INDEXED BY calls_open", ""),
            Self::Unpriced => select_calls!("INDEXED BY calls_unpriced", ""),
            Self::Tenant => select_calls!("INDEXED BY calls_by_tenant", ""),
            Self::Time => select_calls!("INDEXED BY calls_by_time", ""),
        }
    }
}

fn restrict<'a>(query: &mut Query<'a>, filter: &'a CallFilter, road: Option<Road>) {
    if road == Some(Road::Open) {
        query.text(" AND open = 1");
    }
    if filter.unpriced {
        query.text(" AND open IS NULL AND hold_open = 1");
    }
    if filter.tenant_id.is_none() && road == Some(Road::Tenant) {
        query.when(
            " AND calls.tenant_id = (SELECT keys.tenant_id FROM keys WHERE keys.id = ?)",
            filter.key_id.as_ref(),
        );
    }
    query.when(" AND request_id = ?", filter.request_id.as_ref());
    query.when(" AND calls.tenant_id = ?", filter.tenant_id.as_ref());
    query.when(" AND key_id = ?", filter.key_id.as_ref());
    query.when(" AND held_at >= ?", filter.from.as_ref());
    query.when(" AND held_at < ?", filter.until.as_ref());
    query.when(" AND endpoint = ?", filter.endpoint.as_ref());
    query.when(" AND state = ?", filter.state.as_ref());
    query.when(" AND calls.status = ?", filter.status.as_ref());
    query.when(" AND instr(',' || calls.tags || ',', ',' || ? || ',') > 0", filter.tag.as_ref());
    query.when(
        " AND coalesce(charge_nano + coalesce(adjusted_charge_nano, 0), adjusted_charge_nano) >= ?",
        filter.min_charge.as_ref(),
    );
}
