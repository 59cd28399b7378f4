//! `api.fal.ai`: the models and their prices.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::caller;
use super::reply::Reply;
use super::wrong_method;
use crate::sandbox::Fal;
use crate::sandbox::catalogue::{Catalogue, Model};
use crate::sandbox::endpoint::Endpoint;

/// Endpoints that one call may name, and models on one page.
const MAX_ENDPOINTS: usize = 50;

/// Answers a call to the platform's API.
pub(super) fn serve(fal: &Fal, path: &str, request: &Request) -> Result<Response, Reply> {
    let answer = match path {
        "v1/models" => models,
        "v1/models/pricing" => pricing,
        _ => return Err(error(StatusCode::NOT_FOUND, "not_found", "Not found")),
    };
    if request.method() != Method::GET {
        return Err(wrong_method("GET"));
    }
    // Models may be listed without a key; a key that is given must be good, and prices need one.
    if path != "v1/models" || request.headers().contains_key(http::header::AUTHORIZATION) {
        caller::account(request.headers(), "api")?;
    }
    answer(fal.catalogue(), &Query::read(request)?).map(IntoResponse::into_response)
}

/// The parameters that are understood; others are ignored.
#[derive(Default)]
struct Query {
    endpoints: Vec<String>,
    limit: Option<usize>,
    cursor: usize,
}

impl Query {
    fn read(request: &Request) -> Result<Self, Reply> {
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        {
            match &*name {
                "endpoint_id" => query.endpoints.extend(value.split(',').map(str::to_owned)),
                "limit" => query.limit = value.parse().ok(),
                "cursor" => query.cursor = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        match query.endpoints.len() {
            0..=MAX_ENDPOINTS => Ok(query),
            _ => Err(error(StatusCode::BAD_REQUEST, "validation_error", "At most 50 endpoints can be named")),
        }
    }
}

fn error(status: StatusCode, kind: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": { "type": kind, "message": message } }))
}

/// The named endpoints with what each is in the catalogue, or stands in for it; all of the catalogue when none is named.
fn chosen<'a>(catalogue: &'a Catalogue, query: &'a Query) -> Vec<(&'a str, &'a Model)> {
    if query.endpoints.is_empty() {
        return catalogue.models().iter().map(|model| (model.endpoint.as_str(), model)).collect();
    }
    let named = |id: &'a String| Some((id.as_str(), catalogue.find(&Endpoint::parse(id)?)?));
    query.endpoints.iter().filter_map(named).collect()
}

fn models(catalogue: &Catalogue, query: &Query) -> Result<Reply, Reply> {
    let all = chosen(catalogue, query);
    let limit = query.limit.unwrap_or(MAX_ENDPOINTS).clamp(1, MAX_ENDPOINTS);
    let end = query.cursor.saturating_add(limit);
    let page: Vec<Value> =
        all.iter().take(end).skip(query.cursor).map(|(id, model)| entry(id, model)).collect();
    let has_more = end < all.len();
    let next_cursor = has_more.then(|| end.to_string());
    let body = json!({ "models": page, "next_cursor": next_cursor, "has_more": has_more });
    Ok(Reply::json(StatusCode::OK, &body))
}

fn entry(id: &str, model: &Model) -> Value {
    let example = Value::Object(model.example.clone());
    let metadata = json!({
        "display_name": id,
        "category": model.category,
        "description": format!("A simulated model. The smallest input it takes is {example}"),
        "status": "active",
        "tags": [],
        "updated_at": "2026-01-01T00:00:00Z",
        "date": "2026-01-01T00:00:00Z",
        "is_favorited": null,
        "thumbnail_url": "",
        "model_url": format!("https://fal.run/{id}"),
        "highlighted": false,
        "pinned": false,
    });
    json!({ "endpoint_id": id, "metadata": metadata })
}

/// A price as the platform writes it; the order of the fields is the platform's.
#[derive(Serialize)]
struct Price<'a> {
    endpoint_id: &'a str,
    unit_price: f64,
    unit: &'static str,
    currency: &'static str,
}

/// One page of prices, which is all there is.
#[derive(Serialize)]
struct Prices<'a> {
    prices: Vec<Price<'a>>,
    next_cursor: Option<String>,
    has_more: bool,
}

fn pricing(catalogue: &Catalogue, query: &Query) -> Result<Reply, Reply> {
    if query.endpoints.is_empty() {
        return Err(error(StatusCode::BAD_REQUEST, "validation_error", "endpoint_id is required"));
    }
    let price = |&(endpoint_id, model): &(_, &Model)| {
        let (unit_price, unit) = (model.price.usd, model.price.unit.name());
        Price { endpoint_id, unit_price, unit, currency: "USD" }
    };
    let prices = chosen(catalogue, query).iter().map(price).collect();
    Ok(Reply::json(StatusCode::OK, &Prices { prices, next_cursor: None, has_more: false }))
}
