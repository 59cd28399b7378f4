//! `v3.fal.media`: what models made, and what callers uploaded.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::reply::{Reply, file};
use super::{query, read_body, wrong_method};
use crate::sandbox::Fal;
use crate::sandbox::media::Media;
use crate::sandbox::uploads::{BadUpload, MAX_FILE_BYTES};

/// The largest list of parts.
const MAX_LIST_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct Parts {
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "partNumber")]
    number: u32,
}

/// Answers a call to the CDN: reading a file, or writing one to an address that was given out. Pages of any origin may, as
/// at fal: browsers put their uploads here themselves.
pub(super) async fn serve(fal: &Arc<Fal>, path: &str, request: Request) -> Response {
    let mut answer = match *request.method() {
        Method::OPTIONS => Reply::json(StatusCode::OK, &json!({}))
            .with("access-control-allow-methods", "GET, HEAD, PUT, POST")
            .with("access-control-allow-headers", "*")
            .into_response(),
        _ => answer(fal, path, request).await.unwrap_or_else(IntoResponse::into_response),
    };
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer
}

async fn answer(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    match *request.method() {
        Method::GET | Method::HEAD => read(fal, path),
        Method::PUT => write(fal, path, request).await,
        Method::POST => complete(fal, path, request).await,
        _ => Err(wrong_method("GET, HEAD, PUT, POST, OPTIONS")),
    }
}

fn read(fal: &Fal, path: &str) -> Result<Response, Reply> {
    if let Some(stored) = fal.uploads(|uploads| uploads.get(path)) {
        return Ok(file(stored.bytes, &stored.content_type));
    }
    let (media, bytes) = made(path).ok_or_else(not_found)?;
    Ok(file(bytes, media.content_type()))
}

/// The file of a model, made from its address.
fn made(path: &str) -> Option<(Media, Bytes)> {
    let (folder, name) = path.strip_prefix("files/b/")?.split_once('/')?;
    let (media, mark) = Media::read_name(name)?;
    (format!("{:08x}", mark.0 >> 32) == folder).then(|| (media, media.make(mark)))
}

fn not_found() -> Reply {
    Reply::detail(StatusCode::NOT_FOUND, "File not found")
}

/// `PUT {upload address}` is a whole file, `PUT {upload address}/{number}` a part of one.
async fn write(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    let signature = query(request.uri(), "signature").unwrap_or_default();
    let bytes = read_body(fal, request, MAX_FILE_BYTES).await?;
    let part = path.rsplit_once('/').and_then(|(file, number)| Some((file, number.parse::<u32>().ok()?)));
    let Some((file, number)) = part else {
        fal.uploads(|uploads| uploads.put(path, &signature, bytes)).map_err(refused)?;
        return Ok(Reply::json(StatusCode::OK, &json!({})).into_response());
    };
    let etag = format!("{:08x}", crc32fast::hash(&bytes));
    fal.uploads(|uploads| uploads.put_part(file, &signature, number, bytes)).map_err(refused)?;
    let reply = Reply::json(StatusCode::OK, &json!({ "partNumber": number, "etag": etag }));
    Ok(reply.with("etag", &format!("\"{etag}\"")).into_response())
}

async fn complete(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    let file = path.strip_suffix("/complete").ok_or_else(not_found)?;
    let signature = query(request.uri(), "signature").unwrap_or_default();
    let body = read_body(fal, request, MAX_LIST_BYTES).await?;
    let list: Parts = serde_json::from_slice(&body).map_err(|_| refused(BadUpload::PartsMissing))?;
    let numbers: Vec<u32> = list.parts.iter().map(|part| part.number).collect();
    fal.uploads(|uploads| uploads.complete(file, &signature, &numbers)).map_err(refused)?;
    Ok(Reply::json(StatusCode::OK, &json!({})).into_response())
}

fn refused(reason: BadUpload) -> Reply {
    let (status, detail) = match reason {
        BadUpload::Unknown => (StatusCode::FORBIDDEN, "Invalid upload signature"),
        BadUpload::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "File too large"),
        BadUpload::PartsMissing => (StatusCode::BAD_REQUEST, "The parts are not those that were uploaded"),
    };
    Reply::detail(status, detail)
}
