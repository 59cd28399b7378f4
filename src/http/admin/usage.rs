//! Routes of usage.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::Reader;
use super::export::CSV_TYPE;
use super::input::Asked;
use super::{Answer, told};
use crate::admin::{Admin, UsageQuery, UsageReport};

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().routes(routes!(usage)).routes(routes!(usage_csv))
}

/// Tell what was spent, by day, tenant, key, endpoint or tag
#[utoipa::path(get, path = "/usage", tag = "usage", security(("operator" = ["read"])), params(UsageQuery),
    responses((status = 200, description = "Sums over settled calls.", body = UsageReport)))]
async fn usage(Reader(actor): Reader, Asked(query): Asked<UsageQuery>) -> Answer<Json<UsageReport>> {
    told(actor.usage(query).await)
}

/// Tell what was spent, as CSV
#[utoipa::path(get, path = "/usage.csv", tag = "usage", security(("operator" = ["read"])), params(UsageQuery),
    responses((status = 200, description = "A file after RFC 4180 with a head line.", body = String, content_type = "text/csv")))]
async fn usage_csv(Reader(actor): Reader, Asked(query): Asked<UsageQuery>) -> Answer<Response> {
    let report = actor.usage(query).await?;
    let file = "attachment; filename=\"usage.csv\"";
    let headers = [(header::CONTENT_TYPE, CSV_TYPE), (header::CONTENT_DISPOSITION, file)];
    Ok((headers, report.csv()).into_response())
}
