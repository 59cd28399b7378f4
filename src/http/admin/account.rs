//! Who the token's operator is.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::Reader;
use crate::admin::Admin;
use crate::store::Role;

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().routes(routes!(me))
}

/// Whoever asks.
#[derive(Serialize, ToSchema)]
struct Me {
    /// His name in the audit log.
    name: String,
    /// What he may do.
    role: Role,
}

/// Show whose token this is
#[utoipa::path(get, path = "/me", tag = "operators", security(("operator" = ["read"])), responses((status = 200, body = Me)))]
async fn me(Reader(actor): Reader) -> Json<Me> {
    Json(Me { name: actor.name().to_owned(), role: actor.role() })
}
