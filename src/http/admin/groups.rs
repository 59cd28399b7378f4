//! Routes of groups.

use axum::Json;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::{Manager, Reader};
use super::input::{Asked, At, Input};
use super::{Answer, done, made, told};
use crate::admin::{Admin, GroupCreate, GroupUpdate, GroupView, ListQuery, Page};
use crate::ids::GroupId;

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().routes(routes!(list_groups, create_group)).routes(routes!(
        show_group,
        update_group,
        delete_group
    ))
}

/// List and search groups
#[utoipa::path(get, path = "/groups", tag = "groups", security(("operator" = ["read"])), params(ListQuery),
    responses((status = 200, description = "A page of them.", body = Page<GroupView>)))]
async fn list_groups(Reader(actor): Reader, Asked(query): Asked<ListQuery>) -> Answer<Json<Page<GroupView>>> {
    told(actor.groups(query).await)
}

/// Create a group
#[utoipa::path(post, path = "/groups", tag = "groups", security(("operator" = ["manage"])), request_body = GroupCreate,
    responses((status = 201, description = "It was made.", body = GroupView)))]
async fn create_group(
    Manager(actor): Manager,
    input: Input<GroupCreate>,
) -> Answer<(StatusCode, Json<GroupView>)> {
    let (actor, create) = input.by(actor);
    made(actor.create_group(create).await)
}

/// Show a group
#[utoipa::path(get, path = "/groups/{id}", tag = "groups", security(("operator" = ["read"])),
    params(("id" = i64, Path, description = "The group's number.")),
    responses((status = 200, description = "The group.", body = GroupView)))]
async fn show_group(Reader(actor): Reader, At(id): At<i64>) -> Answer<Json<GroupView>> {
    told(actor.group(GroupId(id)).await)
}

/// Change a group
#[utoipa::path(patch, path = "/groups/{id}", tag = "groups", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The group's number.")), request_body = GroupUpdate,
    responses((status = 200, description = "As it is now.", body = GroupView)))]
async fn update_group(
    Manager(actor): Manager,
    At(id): At<i64>,
    input: Input<GroupUpdate>,
) -> Answer<Json<GroupView>> {
    let (actor, update) = input.by(actor);
    told(actor.update_group(GroupId(id), update).await)
}

/// Delete a group
///
/// Refused while keys belong to it, and for the group `default`.
#[utoipa::path(delete, path = "/groups/{id}", tag = "groups", security(("operator" = ["manage"])),
    params(("id" = i64, Path, description = "The group's number.")),
    responses((status = 204, description = "It is gone.")))]
async fn delete_group(Manager(actor): Manager, At(id): At<i64>) -> Answer<StatusCode> {
    done(actor.delete_group(GroupId(id)).await)
}
