//! The route that takes over another gateway's keys.

use axum::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::Manager;
use super::input::LargeInput;
use super::{Answer, told};
use crate::admin::{Admin, ImportInput, ImportReport};

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new().routes(routes!(import))
}

/// Take over keys and groups of one-api, new-api and their kin
///
/// The keys go on working; their texts are hashed and not kept. Nothing is imported unless every entry is sound, or `skip_bad` is
/// said; `dry_run` only reports.
#[utoipa::path(post, path = "/import", tag = "import", security(("operator" = ["manage"])), request_body = ImportInput,
    responses((status = 200, description = "What became of it.", body = ImportReport)))]
async fn import(
    Manager(actor): Manager,
    LargeInput(input): LargeInput<ImportInput>,
) -> Answer<Json<ImportReport>> {
    let (actor, input) = input.by(actor);
    told(actor.import(input).await)
}
