//! The admin listener: health for now, and later everything that operators do. It never shares a port with tenants.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;

use super::front::Readiness;

/// All routes of the admin listener.
pub fn admin_router(readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/ready", get(ready))
        .fallback(unknown)
        .with_state(readiness)
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    let (status, body) = readiness.check().await;
    (status, Json(body))
}

async fn unknown() -> impl IntoResponse {
    let body = json!({"detail": "There is nothing at this path.", "error_type": "route_not_found"});
    (StatusCode::NOT_FOUND, Json(body))
}
