//! Routes of tenants' keys.

use axum::Json;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::{Manager, Reader};
use super::input::{Asked, At, Input};
use super::{Answer, done, made, told};
use crate::admin::{
    Admin, KeyCreate, KeyMade, KeyQuery, KeyRotate, KeyUpdate, KeyView, ListQuery, MeterView, ModelView,
    Page, TokensRevoked, TokensView,
};
use crate::ids::KeyId;

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list_keys, create_key))
        .routes(routes!(show_key, update_key, delete_key))
        .routes(routes!(rotate_key))
        .routes(routes!(revoke_key))
        .routes(routes!(key_tokens))
        .routes(routes!(revoke_tokens))
        .routes(routes!(key_account))
        .routes(routes!(key_models))
}

/// Nothing but a reason.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {}

/// List and search keys
#[utoipa::path(get, path = "/keys", tag = "keys", security(("operator" = ["read"])), params(KeyQuery),
    responses((status = 200, description = "A page of them.", body = Page<KeyView>)))]
async fn list_keys(Reader(actor): Reader, Asked(query): Asked<KeyQuery>) -> Answer<Json<Page<KeyView>>> {
    told(actor.keys(query).await)
}

/// Create a key
///
/// Its text is in this answer alone; the relay keeps a digest.
#[utoipa::path(post, path = "/keys", tag = "keys", security(("operator" = ["manage"])), request_body = KeyCreate,
    responses((status = 201, description = "It was made.", body = KeyMade)))]
async fn create_key(Manager(actor): Manager, input: Input<KeyCreate>) -> Answer<(StatusCode, Json<KeyMade>)> {
    let (actor, create) = input.by(actor);
    made(actor.create_key(create).await)
}

/// Show a key
#[utoipa::path(get, path = "/keys/{id}", tag = "keys", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The key's number.")),
    responses((status = 200, description = "The key, without its text.", body = KeyView)))]
async fn show_key(Reader(actor): Reader, At(id): At<i64>) -> Answer<Json<KeyView>> {
    told(actor.key(KeyId(id)).await)
}

/// Change a key
#[utoipa::path(patch, path = "/keys/{id}", tag = "keys", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The key's number.")), request_body = KeyUpdate,
    responses((status = 200, description = "As it is now.", body = KeyView)))]
async fn update_key(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<KeyUpdate>,
) -> Answer<Json<KeyView>> {
    let (actor, update) = input.by(actor);
    told(actor.update_key(KeyId(id), update).await)
}

/// Delete a key
///
/// Refused while calls are open. Its rows in the ledger stay.
#[utoipa::path(delete, path = "/keys/{id}", tag = "keys", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The key's number.")),
    responses((status = 204, description = "It is gone.")))]
async fn delete_key(Manager(actor): Manager, At(id): At<i64>) -> Answer<StatusCode> {
    done(actor.delete_key(KeyId(id)).await)
}

/// Replace a key
///
/// The new key's text is in this answer alone. The old one works on for the grace.
#[utoipa::path(post, path = "/keys/{id}/rotate", tag = "keys", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The old key's number.")), request_body = KeyRotate,
    responses((status = 201, description = "The new key.", body = KeyMade)))]
async fn rotate_key(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<KeyRotate>,
) -> Answer<(StatusCode, Json<KeyMade>)> {
    let (actor, rotate) = input.by(actor);
    made(actor.rotate_key(KeyId(id), rotate).await)
}

/// End a key for good
///
/// Revoking a revoked key changes nothing. Jobs that it began go to their ends.
#[utoipa::path(post, path = "/keys/{id}/revoke", tag = "keys", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The key's number.")), request_body = Revoke,
    responses((status = 200, description = "As it is now.", body = KeyView)))]
async fn revoke_key(Manager(actor): Manager, At(id): At<i64>, input: Input<Revoke>) -> Answer<Json<KeyView>> {
    let (actor, Revoke {}) = input.by(actor);
    told(actor.revoke_key(KeyId(id)).await)
}

/// Count the client tokens of a key that work
#[utoipa::path(get, path = "/keys/{id}/tokens", tag = "keys", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The key's number.")),
    responses((status = 200, description = "How many there are.", body = TokensView)))]
async fn key_tokens(Reader(actor): Reader, At(id): At<i64>) -> Answer<Json<TokensView>> {
    told(actor.key_tokens(KeyId(id)).await)
}

/// End all client tokens of a key for good
///
/// The key goes on, and may make others.
#[utoipa::path(post, path = "/keys/{id}/tokens/revoke", tag = "keys", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The key's number.")), request_body = Revoke,
    responses((status = 200, description = "How many worked until now.", body = TokensRevoked)))]
async fn revoke_tokens(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<Revoke>,
) -> Answer<Json<TokensRevoked>> {
    let (actor, Revoke {}) = input.by(actor);
    told(actor.revoke_tokens(KeyId(id)).await)
}

/// Show how far a key's money is spent
#[utoipa::path(get, path = "/keys/{id}/account", tag = "keys", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The key's number.")),
    responses((status = 200, description = "Its own meters and its tenant's.", body = Vec<MeterView>)))]
async fn key_account(Reader(actor): Reader, At(id): At<i64>) -> Answer<Json<Vec<MeterView>>> {
    told(actor.key_account(KeyId(id)).await)
}

/// List the endpoints that a key may call, with what it pays
#[utoipa::path(get, path = "/keys/{id}/models", tag = "keys", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The key's number."), ListQuery),
    responses((status = 200, description = "A page of them.", body = Page<ModelView>)))]
async fn key_models(
    Reader(actor): Reader,
    At(id): At<i64>,
    Asked(query): Asked<ListQuery>,
) -> Answer<Json<Page<ModelView>>> {
    told(actor.key_models(KeyId(id), query).await)
}
