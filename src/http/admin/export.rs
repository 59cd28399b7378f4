//! The ledger as a file: page after page, as fast as it is read, and never more than a page in memory.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Answer;
use super::actor::Reader;
use super::input::Asked;
use crate::admin::{Actor, Admin, AdminError, CallView, ExportQuery};
use crate::ids::CallId;

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().routes(routes!(export_csv)).routes(routes!(export_jsonl))
}

/// How rows are written.
#[derive(Clone, Copy)]
struct Format {
    content_type: &'static str,
    file: &'static str,
    head: fn() -> String,
    line: fn(&CallView) -> String,
}

pub(super) const CSV_TYPE: &str = "text/csv; charset=utf-8; header=present";

const CSV: Format = Format {
    content_type: CSV_TYPE,
    file: "attachment; filename=\"calls.csv\"",
    head: CallView::csv_head,
    line: CallView::csv_line,
};

const JSONL: Format = Format {
    content_type: "application/jsonl",
    file: "attachment; filename=\"calls.jsonl\"",
    head: String::new,
    line: |call| serde_json::to_string(call).unwrap_or_default() + "\n",
};

/// Export calls as CSV, oldest first
///
/// Columns stay as they are; new ones come at the end. To go on later, give the last `id` as `after`.
#[utoipa::path(get, path = "/export.csv", tag = "calls", security(("operator" = ["read"])), params(ExportQuery),
    responses((status = 200, description = "A file after RFC 4180 with a head line.", body = String, content_type = "text/csv")))]
async fn export_csv(Reader(actor): Reader, Asked(query): Asked<ExportQuery>) -> Answer<Response> {
    Ok(export(actor, query, CSV).await?)
}

/// Export calls as JSON, one object a line, oldest first
#[utoipa::path(get, path = "/export.jsonl", tag = "calls", security(("operator" = ["read"])), params(ExportQuery),
    responses((status = 200, description = "One call a line.", body = String, content_type = "application/jsonl")))]
async fn export_jsonl(Reader(actor): Reader, Asked(query): Asked<ExportQuery>) -> Answer<Response> {
    Ok(export(actor, query, JSONL).await?)
}

/// The first page is read before the answer begins, so that what is wrong with the question is said in its status. When a
/// later one cannot be read, the answer breaks off, which no reader takes for its end.
async fn export(actor: Actor, query: ExportQuery, format: Format) -> Result<Response, AdminError> {
    let first = actor.export_page(&query, query.begins()?).await?;
    let head = Bytes::from((format.head)());
    let begin = Some((actor, query, first));
    let pages = stream::try_unfold(begin, move |state| async move {
        let Some((actor, query, page)) = state else { return Ok(None) };
        let Some(last) = page.last().map(|call| CallId(call.id)) else { return Ok(None) };
        let lines: String = page.iter().map(format.line).collect();
        let next = actor.export_page(&query, last).await?;
        Ok::<_, AdminError>(Some((Bytes::from(lines), Some((actor, query, next)))))
    });
    let body = futures_util::StreamExt::chain(stream::iter([Ok(head)]), pages);
    let headers = [(header::CONTENT_TYPE, format.content_type), (header::CONTENT_DISPOSITION, format.file)];
    Ok((headers, Body::from_stream(body)).into_response())
}
