//! Routes of operators.

use axum::Json;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::{Owner, Reader};
use super::input::{At, Input};
use super::keys::Revoke;
use super::{Answer, made, told};
use crate::admin::{Admin, OperatorCreate, OperatorMade, OperatorView};
use crate::ids::OperatorId;

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().routes(routes!(list_operators, create_operator)).routes(routes!(revoke_operator))
}

/// List operators, those of old times too
#[utoipa::path(get, path = "/operators", tag = "operators", security(("operator" = ["read"])),
    responses((status = 200, description = "All of them.", body = Vec<OperatorView>)))]
async fn list_operators(Reader(actor): Reader) -> Answer<Json<Vec<OperatorView>>> {
    told(actor.operators().await)
}

/// Create an operator
///
/// His token is in this answer alone; the relay keeps a digest.
#[utoipa::path(post, path = "/operators", tag = "operators", security(("operator" = ["owner"])), request_body = OperatorCreate,
    responses((status = 201, description = "He was made.", body = OperatorMade)))]
async fn create_operator(
    Owner(actor): Owner,
    input: Input<OperatorCreate>,
) -> Answer<(StatusCode, Json<OperatorMade>)> {
    let (actor, create) = input.by(actor);
    made(actor.create_operator(create).await)
}

/// End an operator's token for good
#[utoipa::path(post, path = "/operators/{id}/revoke", tag = "operators", security(("operator" = ["owner"])),
    params(("id" = i64, Path, description = "The operator's number.")), request_body = Revoke,
    responses((status = 200, description = "As he is now.", body = OperatorView)))]
async fn revoke_operator(
    Owner(actor): Owner,
    At(id): At<i64>,
    input: Input<Revoke>,
) -> Answer<Json<OperatorView>> {
    let (actor, Revoke {}) = input.by(actor);
    told(actor.revoke_operator(OperatorId(id)).await)
}
