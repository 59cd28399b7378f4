//! Routes of the ledger's rows and their corrections.

use axum::Json;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::{Manager, Reader};
use super::input::{Asked, At, Input};
use super::{Answer, made, told};
use crate::admin::{AdjustmentInput, AdjustmentView, Admin, CallQuery, CallView, Page};
use crate::ids::CallId;

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(search_calls))
        .routes(routes!(show_call))
        .routes(routes!(list_adjustments, adjust_call))
}

/// Search calls, the newest first
#[utoipa::path(get, path = "/calls", tag = "calls", security(("operator" = ["read"])), params(CallQuery),
    responses((status = 200, description = "A page of them.", body = Page<CallView>)))]
async fn search_calls(Reader(actor): Reader, Asked(query): Asked<CallQuery>) -> Answer<Json<Page<CallView>>> {
    told(actor.calls(query).await)
}

/// Show a call
#[utoipa::path(get, path = "/calls/{id}", tag = "calls", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The row's number.")),
    responses((status = 200, description = "The row.", body = CallView)))]
async fn show_call(Reader(actor): Reader, At(id): At<i64>) -> Answer<Json<CallView>> {
    told(actor.call(CallId(id)).await)
}

/// List the corrections of a call, oldest first
#[utoipa::path(get, path = "/calls/{id}/adjustments", tag = "calls", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The row's number.")),
    responses((status = 200, description = "All of them.", body = Vec<AdjustmentView>)))]
async fn list_adjustments(Reader(actor): Reader, At(id): At<i64>) -> Answer<Json<Vec<AdjustmentView>>> {
    told(actor.adjustments(CallId(id)).await)
}

/// Correct what a closed call costs
///
/// It takes a reason.
#[utoipa::path(post, path = "/calls/{id}/adjustments", tag = "calls", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The row's number.")), request_body = AdjustmentInput,
    responses((status = 201, description = "The correction.", body = AdjustmentView)))]
async fn adjust_call(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<AdjustmentInput>,
) -> Answer<(StatusCode, Json<AdjustmentView>)> {
    let (actor, adjustment) = input.by(actor);
    made(actor.adjust(CallId(id), adjustment).await)
}
