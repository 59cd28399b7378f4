//! `v3.fal.media`: what models made, and what callers uploaded.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::reply::{Reply, file};
use super::rest::{self, Opened};
use super::{query, read_body, wrong_method};
use crate::sandbox::Fal;
use crate::sandbox::media::Media;
use crate::sandbox::uploads::{BadUpload, How, MAX_FILE_BYTES, etag};

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
    etag: String,
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
        Method::POST if path == "files/upload" => whole(fal, request).await,
        Method::POST if path == "files/upload/multipart" => begin(fal, &request),
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

/// `POST /files/upload` with a token: a whole file.
async fn whole(fal: &Arc<Fal>, request: Request) -> Result<Response, Reply> {
    let opened = open(fal, &request, How::Whole)?;
    let bytes = read_body(fal, request, MAX_FILE_BYTES).await?;
    let path = path_of(fal, &opened);
    fal.uploads(|uploads| uploads.put(&path, &opened.signature, bytes)).map_err(refused)?;
    Ok(Reply::json(StatusCode::OK, &json!({ "access_url": opened.file_url })).into_response())
}

/// `POST /files/upload/multipart` with a token: a file in parts.
fn begin(fal: &Arc<Fal>, request: &Request) -> Result<Response, Reply> {
    let Opened { file_url, signature } = open(fal, request, How::Parts)?;
    let answer = json!({ "access_url": file_url, "uploadId": signature });
    Ok(Reply::json(StatusCode::OK, &answer).into_response())
}

fn open(fal: &Fal, request: &Request, how: How) -> Result<Opened, Reply> {
    check_token(fal, request)?;
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type = header("content-type").unwrap_or("application/octet-stream").to_owned();
    rest::open(fal, header("x-fal-file-name").unwrap_or_default(), content_type, how)
}

fn path_of(fal: &Fal, opened: &Opened) -> String {
    let base = format!("{}/cdn/", fal.public_url());
    opened.file_url.strip_prefix(&base).unwrap_or_default().to_owned()
}

/// The media host takes its tokens and no keys.
fn check_token(fal: &Fal, request: &Request) -> Result<(), Reply> {
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let token = authorization.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let now = fal.clock().elapsed();
    match fal.uploads(|uploads| uploads.is_token(token, now)) {
        true => Ok(()),
        false => Err(Reply::detail(StatusCode::UNAUTHORIZED, "Invalid CDN token")),
    }
}

/// The file of `{file}/multipart/{id}` and the id, which stands for the signature; a token must come with it. Else the file
/// itself, and the signature of the address that was given out.
fn file_and_signature(fal: &Fal, path: &str, request: &Request) -> Result<(String, String), Reply> {
    match path.split_once("/multipart/") {
        Some((file, id)) => check_token(fal, request).map(|()| (file.to_owned(), id.to_owned())),
        None => Ok((path.to_owned(), query(request.uri(), "signature").unwrap_or_default())),
    }
}

/// `PUT {upload address}` is a whole file, `PUT {upload address}/{number}` a part of one.
async fn write(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    let part = path.rsplit_once('/').and_then(|(file, number)| Some((file, number.parse::<u32>().ok()?)));
    let address = part.map_or(path, |(file, _)| file);
    let (file, signature) = file_and_signature(fal, address, &request)?;
    let bytes = read_body(fal, request, MAX_FILE_BYTES).await?;
    let Some((_, number)) = part else {
        fal.uploads(|uploads| uploads.put(&file, &signature, bytes)).map_err(refused)?;
        return Ok(Reply::json(StatusCode::OK, &json!({})).into_response());
    };
    let etag = etag(&bytes);
    fal.uploads(|uploads| uploads.put_part(&file, &signature, number, bytes)).map_err(refused)?;
    let reply = Reply::json(StatusCode::OK, &json!({ "partNumber": number, "etag": etag }));
    Ok(reply.with("etag", &format!("\"{etag}\"")).into_response())
}

async fn complete(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    let address = path.strip_suffix("/complete").ok_or_else(not_found)?;
    let (file, signature) = file_and_signature(fal, address, &request)?;
    let body = read_body(fal, request, MAX_LIST_BYTES).await?;
    let list: Parts = serde_json::from_slice(&body).map_err(|_| refused(BadUpload::PartsMissing))?;
    let mark = |part: Part| (part.number, part.etag.trim_matches('"').to_owned());
    let parts: Vec<_> = list.parts.into_iter().map(mark).collect();
    fal.uploads(|uploads| uploads.complete(&file, &signature, &parts)).map_err(refused)?;
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
