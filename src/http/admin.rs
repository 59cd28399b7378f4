//! The admin listener: health and metrics for now, and later everything that operators do. It never shares a port with tenants.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde_json::json;

use super::front::Readiness;
use crate::metrics::{CONTENT_TYPE, Metrics};

/// All routes of the admin listener.
pub fn admin_router(readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/ready", get(ready))
        .with_state(readiness)
        .route("/metrics", get(exposition).with_state(metrics))
        .fallback(unknown)
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    let (status, body) = readiness.check().await;
    (status, Json(body))
}

async fn exposition(State(metrics): State<Arc<Metrics>>) -> Response {
    // It reads what the system knows of each open file, so it is done where nobody waits.
    match tokio::task::spawn_blocking(move || metrics.exposition()).await {
        Ok(Ok(page)) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn unknown() -> impl IntoResponse {
    let body = json!({"detail": "There is nothing at this path.", "error_type": "route_not_found"});
    (StatusCode::NOT_FOUND, Json(body))
}
