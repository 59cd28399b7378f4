//! Routes of webhooks.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::{Manager, Reader};
use super::input::{Asked, At, Input};
use super::{Answer, told};
use crate::admin::{Admin, DeliveryLog, DeliveryQuery, DeliveryView, Page, Redelivered};
use crate::ids::{DeliveryId, TenantId};

/// Nothing but perhaps a reason.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Redeliver {}

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list_webhooks))
        .routes(routes!(show_webhook))
        .routes(routes!(redeliver_webhook))
        .routes(routes!(redeliver_dead_webhooks))
}

/// List webhooks of jobs that ended, the newest first
#[utoipa::path(get, path = "/webhooks", tag = "webhooks", security(("operator" = ["read"])), params(DeliveryQuery),
    responses((status = 200, description = "A page of them.", body = Page<DeliveryView>)))]
async fn list_webhooks(
    Reader(actor): Reader,
    Asked(query): Asked<DeliveryQuery>,
) -> Answer<Json<Page<DeliveryView>>> {
    told(actor.deliveries(query).await)
}

/// Show a webhook with its tries
#[utoipa::path(get, path = "/webhooks/{id}", tag = "webhooks", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The webhook's number.")),
    responses((status = 200, description = "The webhook.", body = DeliveryLog)))]
async fn show_webhook(Reader(actor): Reader, At(id): At<i64>) -> Answer<Json<DeliveryLog>> {
    told(actor.delivery(DeliveryId(id)).await)
}

/// Send a webhook anew
///
/// Whatever became of it: it is due at once, and its tries begin at the first again.
#[utoipa::path(post, path = "/webhooks/{id}/redeliver", tag = "webhooks", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The webhook's number.")), request_body = Redeliver,
    responses((status = 200, description = "It begins anew.", body = Redelivered)))]
async fn redeliver_webhook(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<Redeliver>,
) -> Answer<Json<Redelivered>> {
    let (actor, Redeliver {}) = input.by(actor);
    told(actor.redeliver(DeliveryId(id)).await)
}

/// Send all dead webhooks of a tenant anew
#[utoipa::path(post, path = "/tenants/{id}/webhooks/redeliver", tag = "webhooks", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The tenant's number.")), request_body = Redeliver,
    responses((status = 200, description = "How many begin anew.", body = Redelivered)))]
async fn redeliver_dead_webhooks(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<Redeliver>,
) -> Answer<Json<Redelivered>> {
    let (actor, Redeliver {}) = input.by(actor);
    told(actor.redeliver_dead(TenantId(id)).await)
}
