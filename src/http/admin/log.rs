//! The route of the audit log.

use axum::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::Reader;
use super::input::Asked;
use super::{Answer, told};
use crate::admin::{Admin, AuditQuery, AuditView, Page};

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

/// List who changed what, from what, to what, and why; the newest first
#[utoipa::path(get, path = "/audit", tag = "audit", security(("operator" = ["read"])), params(AuditQuery),
    responses((status = 200, description = "A page of lines.", body = Page<AuditView>)))]
async fn list_audit(Reader(actor): Reader, Asked(query): Asked<AuditQuery>) -> Answer<Json<Page<AuditView>>> {
    told(actor.audit(query).await)
}
