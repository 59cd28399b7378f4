//! `rest.fal.ai`: addresses for uploads, and the key of webhooks.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::reply::Reply;
use super::{caller, query, read_body, wrong_method};
use crate::sandbox::Fal;

/// The largest description of a file.
const MAX_BODY_BYTES: usize = 64 << 10;
/// The longest file name that is kept.
const MAX_NAME_LEN: usize = 64;

/// What the caller says about its file.
#[derive(Deserialize)]
struct Upload {
    #[serde(default = "any_type")]
    content_type: String,
    #[serde(default)]
    file_name: String,
}

fn any_type() -> String {
    "application/octet-stream".into()
}

#[derive(Serialize)]
struct Addresses {
    file_url: String,
    upload_url: String,
}

/// Answers a call to the REST host: the two ways to begin an upload, the key of webhooks, and nothing else.
pub(super) async fn serve(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    if path == ".well-known/jwks.json" {
        return keys(fal, request.method());
    }
    if !matches!(path, "storage/upload/initiate" | "storage/upload/initiate-multipart") {
        return Err(Reply::detail(StatusCode::NOT_FOUND, "Not Found"));
    }
    if request.method() != Method::POST {
        return Err(wrong_method("POST"));
    }
    caller::account(request.headers(), "storage")?;
    if query(request.uri(), "storage_type").is_none() {
        return Err(Reply::detail(StatusCode::BAD_REQUEST, "storage_type is required"));
    }
    let body = read_body(fal, request, MAX_BODY_BYTES).await?;
    let upload: Upload = serde_json::from_slice(&body).map_err(|error| {
        Reply::detail(StatusCode::UNPROCESSABLE_ENTITY, &format!("Invalid body: {error}"))
    })?;
    Ok(Reply::json(StatusCode::OK, &open(fal, upload)?).into_response())
}

/// The key of webhooks, for anybody.
fn keys(fal: &Fal, method: &Method) -> Result<Response, Reply> {
    match *method {
        Method::GET => {
            let keys: serde_json::Value = serde_json::from_str(&fal.webhooks().keys()).unwrap_or_default();
            Ok(Reply::json(StatusCode::OK, &keys).into_response())
        }
        _ => Err(wrong_method("GET")),
    }
}

fn open(fal: &Fal, upload: Upload) -> Result<Addresses, Reply> {
    let draw = || {
        let drawn = fal.random().uuid();
        drawn.map(|uuid| uuid.simple().to_string()).map_err(|reason| caller::not_taken(reason.into()))
    };
    let (id, signature) = (draw()?, draw()?);
    let (folder, id) = id.split_at(8);
    let path = format!("files/b/{folder}/{id}_{}", plain_name(&upload.file_name));
    let file_url = format!("{}/cdn/{path}", fal.public_url());
    let upload_url = format!("{file_url}?signature={signature}");
    fal.uploads(|uploads| uploads.open(path, signature, upload.content_type));
    Ok(Addresses { file_url, upload_url })
}

/// The name with everything replaced that would need escapes in an address.
fn plain_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.chars().take(MAX_NAME_LEN).map(plain).collect();
    if name.is_empty() { "file".into() } else { name }
}
