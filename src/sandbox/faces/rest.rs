//! `rest.fal.ai`: addresses for uploads, and the key of webhooks.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::reply::Reply;
use super::{caller, query, read_body, wrong_method};
use crate::sandbox::Fal;
use crate::sandbox::uploads::How;

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

/// What a caller says about the token that it wants.
#[derive(Deserialize)]
struct TokenWish {
    expiration_seconds: Option<u64>,
}

fn any_type() -> String {
    "application/octet-stream".into()
}

#[derive(Serialize)]
struct Addresses {
    file_url: String,
    upload_url: String,
}

/// How long a token for the media host holds unless its caller says so, and at most.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where an upload's bytes go, and what its caller must know.
pub(super) struct Opened {
    pub(super) file_url: String,
    pub(super) signature: String,
}

/// Answers a call to the REST host: the two ways to begin an upload, tokens for the media host, and the key of webhooks.
pub(super) async fn serve(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    if path == ".well-known/jwks.json" {
        return keys(fal, request.method());
    }
    let how = match path {
        "storage/upload/initiate" => Some(How::Whole),
        "storage/upload/initiate-multipart" => Some(How::Parts),
        "storage/auth/token" => None,
        _ => return Err(Reply::detail(StatusCode::NOT_FOUND, "Not Found")),
    };
    if request.method() != Method::POST {
        return Err(wrong_method("POST"));
    }
    caller::account(request.headers(), "storage")?;
    if query(request.uri(), "storage_type").is_none() {
        return Err(Reply::detail(StatusCode::BAD_REQUEST, "storage_type is required"));
    }
    let body = read_body(fal, request, MAX_BODY_BYTES).await?;
    let Some(how) = how else { return token(fal, &read(&body)?) };
    let upload: Upload = read(&body)?;
    let Opened { file_url, signature } = open(fal, &upload.file_name, upload.content_type, how)?;
    let upload_url = format!("{file_url}?signature={signature}");
    Ok(Reply::json(StatusCode::OK, &Addresses { file_url, upload_url }).into_response())
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

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Reply> {
    serde_json::from_slice(body)
        .map_err(|error| Reply::detail(StatusCode::UNPROCESSABLE_ENTITY, &format!("Invalid body: {error}")))
}

fn token(fal: &Fal, wish: &TokenWish) -> Result<Response, Reply> {
    let life = wish.expiration_seconds.map_or(TOKEN_LIFE, Duration::from_secs).min(LONGEST_TOKEN_LIFE);
    let token = draw(fal)?;
    let ends_at = fal.clock().elapsed().saturating_add(life);
    fal.uploads(|uploads| uploads.give_token(token.clone(), ends_at));
    let answer = json!({
        "token": token,
        "token_type": "Bearer",
        "base_url": format!("{}/cdn", fal.public_url()),
        "expires_at": fal.clock().now().plus(life).to_string().replace('Z', "+00:00"),
    });
    Ok(Reply::json(StatusCode::OK, &answer).into_response())
}

fn draw(fal: &Fal) -> Result<String, Reply> {
    let drawn = fal.random().uuid();
    drawn.map(|uuid| uuid.simple().to_string()).map_err(|reason| caller::not_taken(reason.into()))
}

/// Opens an upload to a new address.
pub(super) fn open(fal: &Fal, name: &str, content_type: String, how: How) -> Result<Opened, Reply> {
    let (id, signature) = (draw(fal)?, draw(fal)?);
    let (folder, id) = id.split_at(8);
    let path = format!("files/b/{folder}/{id}_{}", plain_name(name));
    let file_url = format!("{}/cdn/{path}", fal.public_url());
    fal.uploads(|uploads| uploads.open(path, signature.clone(), content_type, how));
    Ok(Opened { file_url, signature })
}

/// The name with everything replaced that would need escapes in an address.
fn plain_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.chars().take(MAX_NAME_LEN).map(plain).collect();
    if name.is_empty() { "file".into() } else { name }
}
