//! Routes of tenants.

use axum::Json;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::{Manager, Reader};
use super::input::{Asked, At, Input};
use super::{Answer, done, made, told};
use crate::admin::{AccountView, Admin, ListQuery, Page, TenantCreate, TenantUpdate, TenantView};
use crate::ids::TenantId;

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list_tenants, create_tenant))
        .routes(routes!(show_tenant, update_tenant, delete_tenant))
        .routes(routes!(tenant_account))
}

/// List and search tenants
#[utoipa::path(get, path = "/tenants", tag = "tenants", security(("operator" = ["read"])), params(ListQuery),
    responses((status = 200, description = "A page of them.", body = Page<TenantView>)))]
async fn list_tenants(
    Reader(actor): Reader,
    Asked(query): Asked<ListQuery>,
) -> Answer<Json<Page<TenantView>>> {
    told(actor.tenants(query).await)
}

/// Create a tenant
#[utoipa::path(post, path = "/tenants", tag = "tenants", security(("operator" = ["manage"])), request_body = TenantCreate,
    responses((status = 201, description = "It was made.", body = TenantView)))]
async fn create_tenant(
    Manager(actor): Manager,
    input: Input<TenantCreate>,
) -> Answer<(StatusCode, Json<TenantView>)> {
    let (actor, create) = input.by(actor);
    made(actor.create_tenant(create).await)
}

/// Show a tenant
#[utoipa::path(get, path = "/tenants/{id}", tag = "tenants", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The tenant's number.")),
    responses((status = 200, description = "The tenant.", body = TenantView)))]
async fn show_tenant(Reader(actor): Reader, At(id): At<i64>) -> Answer<Json<TenantView>> {
    told(actor.tenant(TenantId(id)).await)
}

/// Change a tenant
///
/// `{"status": "suspended"}` closes all its keys until it is `active` again.
#[utoipa::path(patch, path = "/tenants/{id}", tag = "tenants", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The tenant's number.")), request_body = TenantUpdate,
    responses((status = 200, description = "As it is now.", body = TenantView)))]
async fn update_tenant(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<TenantUpdate>,
) -> Answer<Json<TenantView>> {
    let (actor, update) = input.by(actor);
    told(actor.update_tenant(TenantId(id), update).await)
}

/// Delete a tenant and its keys
///
/// Refused while calls are open. Its rows in the ledger stay.
#[utoipa::path(delete, path = "/tenants/{id}", tag = "tenants", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The tenant's number.")),
    responses((status = 204, description = "It is gone.")))]
async fn delete_tenant(Manager(actor): Manager, At(id): At<i64>) -> Answer<StatusCode> {
    done(actor.delete_tenant(TenantId(id)).await)
}

/// Show how far a tenant's money is spent
#[utoipa::path(get, path = "/tenants/{id}/account", tag = "tenants", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The tenant's number.")),
    responses((status = 200, description = "Its meters, and those of its keys that have budgets.", body = AccountView)))]
async fn tenant_account(Reader(actor): Reader, At(id): At<i64>) -> Answer<Json<AccountView>> {
    told(actor.account(TenantId(id)).await)
}
