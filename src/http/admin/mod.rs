//! The admin listener: health, metrics, the admin API and the page that shows its document. It never shares a port with
//! tenants. Each route of the API is one verb of [`Admin`]; here is only what HTTP makes of it.

mod account;
mod actor;
mod budgets;
mod calls;
mod document;
mod export;
mod groups;
mod import;
mod input;
mod keys;
mod layers;
mod log;
mod operators;
mod prices;
mod problem;
mod tenants;
mod usage;
mod webhooks;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::readiness::Readiness;
use crate::admin::{Admin, AdminError};
use crate::metrics::{CONTENT_TYPE, Metrics};
use problem::Problem;

/// Where the document of the API is.
const DOCUMENT_PATH: &str = "/api/v1/openapi.json";

/// What a route answers: an answer, or why not.
type Answer<T> = Result<T, Problem>;

/// All routes of the admin listener.
pub fn admin_router(readiness: Arc<Readiness>, metrics: Arc<Metrics>, admin: Admin) -> Router {
    let open = Router::new()
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/ready", get(ready))
        .with_state(readiness)
        .route("/metrics", get(exposition).with_state(metrics));
    let (api, document) = api();
    // The page would otherwise ask a validator on the internet whether the document is sound.
    let settings = Config::default().validator_url("none");
    let pages = SwaggerUi::new("/docs").config(settings).external_url_unchecked(DOCUMENT_PATH, document);
    layers::around(open.merge(api.with_state(admin)).merge(layers::page(pages.into())))
}

/// The routes of the API, and their document. Both come from the same list.
fn api() -> (Router<Admin>, Value) {
    let routes = OpenApiRouter::with_openapi(document::begin())
        .merge(account::routes())
        .merge(tenants::routes())
        .merge(groups::routes())
        .merge(keys::routes())
        .merge(budgets::routes())
        .merge(operators::routes())
        .merge(calls::routes())
        .merge(export::routes())
        .merge(usage::routes())
        .merge(prices::routes())
        .merge(webhooks::routes())
        .merge(log::routes())
        .merge(import::routes());
    let (router, document) =
        OpenApiRouter::with_openapi(document::begin()).nest("/api/v1", routes).split_for_parts();
    (router, document::finish(&document))
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    let (status, body) = readiness.check().await;
    (status, Json(body))
}

async fn exposition(State(metrics): State<Arc<Metrics>>) -> Response {
    // It reads what the system knows of each open file, so it is done where nobody waits.
    match tokio::task::spawn_blocking(move || metrics.exposition()).await {
        Ok(Ok(page)) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Ok(Err(_)) | Err(_) => Problem::internal().into_response(),
    }
}

/// An answer with a body that was made.
fn made<T>(thing: Result<T, AdminError>) -> Answer<(StatusCode, Json<T>)> {
    Ok((StatusCode::CREATED, Json(thing?)))
}

/// An answer with a body.
fn told<T>(thing: Result<T, AdminError>) -> Answer<Json<T>> {
    Ok(Json(thing?))
}

/// An answer that there is nothing more to say.
fn done(done: Result<(), AdminError>) -> Answer<StatusCode> {
    done?;
    Ok(StatusCode::NO_CONTENT)
}
