//! Routes of prices.

use axum::Json;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actor::{Manager, Reader};
use super::input::{Asked, Input};
use super::{Answer, done, told};
use crate::admin::{
    Admin, ListQuery, OverrideInput, OverrideView, PriceChangeQuery, PriceChangeView, PriceVersionView,
    PricesView,
};

pub(super) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::new()
        .routes(routes!(list_prices))
        .routes(routes!(list_price_versions))
        .routes(routes!(list_price_changes))
        .routes(routes!(override_price, lift_price_override))
}

/// List the prices in force
#[utoipa::path(get, path = "/prices", tag = "prices", security(("operator" = ["read"])), params(ListQuery),
    responses((status = 200, description = "A page of them, and the operator's own.", body = PricesView)))]
async fn list_prices(Reader(actor): Reader, Asked(query): Asked<ListQuery>) -> Answer<Json<PricesView>> {
    told(actor.prices(query).await)
}

/// List the versions of fal's list, the newest first
#[utoipa::path(get, path = "/prices/versions", tag = "prices", security(("operator" = ["read"])),
    responses((status = 200, description = "All of them.", body = Vec<PriceVersionView>)))]
async fn list_price_versions(Reader(actor): Reader) -> Answer<Json<Vec<PriceVersionView>>> {
    told(actor.price_versions().await)
}

/// List what versions changed
#[utoipa::path(get, path = "/prices/changes", tag = "prices", security(("operator" = ["read"])), params(PriceChangeQuery),
    responses((status = 200, description = "Changes by version and endpoint.", body = Vec<PriceChangeView>)))]
async fn list_price_changes(
    Reader(actor): Reader,
    Asked(query): Asked<PriceChangeQuery>,
) -> Answer<Json<Vec<PriceChangeView>>> {
    told(actor.price_changes(query).await)
}

/// Set the operator's own price for a pattern
#[utoipa::path(put, path = "/prices/overrides", tag = "prices", security(("operator" = ["manage"])), request_body = OverrideInput,
    responses((status = 200, description = "As it is now.", body = OverrideView)))]
async fn override_price(Manager(actor): Manager, input: Input<OverrideInput>) -> Answer<Json<OverrideView>> {
    let (actor, own) = input.by(actor);
    told(actor.override_price(own).await)
}

/// Which own price is lifted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Pattern {
    /// Its pattern, as it was set.
    #[param(example = "fal-ai/flux/**")]
    pattern: String,
}

/// Lift the operator's own price for a pattern
///
/// Lifting one that is not there changes nothing.
#[utoipa::path(delete, path = "/prices/overrides", tag = "prices", security(("operator" = ["manage"])), params(Pattern),
    responses((status = 204, description = "There is none now.")))]
async fn lift_price_override(
    Manager(actor): Manager,
    Asked(Pattern { pattern }): Asked<Pattern>,
) -> Answer<StatusCode> {
    done(actor.lift_price_override(&pattern).await)
}
