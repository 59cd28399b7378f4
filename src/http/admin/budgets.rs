//! Routes of budgets, of tenants and of keys.

use axum::Json;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::Manager;
use super::input::{At, Input};
use super::{Answer, done, told};
use crate::admin::{Admin, BudgetInput, BudgetView};
use crate::ids::{KeyId, TenantId};
use crate::period::Period;

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(set_tenant_budget))
        .routes(routes!(lift_tenant_budget))
        .routes(routes!(set_key_budget))
        .routes(routes!(lift_key_budget))
}

/// Set a tenant's budget for a period
#[utoipa::path(put, path = "/tenants/{id}/budgets", tag = "budgets", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The tenant's number.")), request_body = BudgetInput,
    responses((status = 200, description = "As it is now.", body = BudgetView)))]
async fn set_tenant_budget(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<BudgetInput>,
) -> Answer<Json<BudgetView>> {
    let (actor, budget) = input.by(actor);
    told(actor.set_tenant_budget(TenantId(id), budget).await)
}

/// Lift a tenant's budget for a period
#[utoipa::path(delete, path = "/tenants/{id}/budgets/{period}", tag = "budgets", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The tenant's number."), ("period" = Period, Path, description = "Which.")),
    responses((status = 204, description = "There is none now.")))]
async fn lift_tenant_budget(
    Manager(actor): Manager,
    At((id, period)): At<(i64, Period)>,
) -> Answer<StatusCode> {
    done(actor.lift_tenant_budget(TenantId(id), period).await)
}

/// Set a key's budget for a period
#[utoipa::path(put, path = "/keys/{id}/budgets", tag = "budgets", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The key's number.")), request_body = BudgetInput,
    responses((status = 200, description = "As it is now.", body = BudgetView)))]
async fn set_key_budget(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<BudgetInput>,
) -> Answer<Json<BudgetView>> {
    let (actor, budget) = input.by(actor);
    told(actor.set_key_budget(KeyId(id), budget).await)
}

/// Lift a key's budget for a period
#[utoipa::path(delete, path = "/keys/{id}/budgets/{period}", tag = "budgets", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The key's number."), ("period" = Period, Path, description = "Which.")),
    responses((status = 204, description = "There is none now.")))]
async fn lift_key_budget(Manager(actor): Manager, At((id, period)): At<(i64, Period)>) -> Answer<StatusCode> {
    done(actor.lift_key_budget(KeyId(id), period).await)
}
