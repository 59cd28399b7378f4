//! What a request brings: numbers in its path, its query and its body, each refused by the name of the field that is wrong.

use axum::body::to_bytes;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use http::request::Parts;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;
use crate::admin::{Actor, Admin};

/// The largest body of a request. The largest sensible one is a key with all its rules.
const BODY_MAX_BYTES: usize = 1024 * 1024;

/// The largest body of an import: as many keys as one import may bring, with all that other gateways tell of a key.
const IMPORT_MAX_BYTES: usize = 32 * 1024 * 1024;

/// The member of every body that says why a change is made.
pub(super) const REASON: &str = "reason";

/// Numbers and words of the path.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Admin> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Problem> {
        let Path(at) = Path::from_request_parts(parts, admin).await.map_err(|error| not_at(&error))?;
        Ok(Self(at))
    }
}

/// Every path of the API that has words in it begins with a number.
fn not_at(error: &PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(error) = error else {
        return Problem::field("path", "cannot be read");
    };
    match error.kind() {
        ErrorKind::ParseError { .. } | ErrorKind::ParseErrorAtIndex { index: 0, .. } => {
            Problem::field("id", "must be a number")
        }
        kind => Problem::field("path", format!("cannot be taken: {kind}")),
    }
}

/// The query.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Admin> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _admin: &Admin) -> Result<Self, Problem> {
        query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// A body, and the reason in it.
pub(super) struct Input<T> {
    what: T,
    reason: Option<String>,
}

impl<T> Input<T> {
    /// Whoever acts, for the reason that was given, and what he wants.
    pub(super) fn by(self, actor: Actor) -> (Actor, T) {
        match self.reason {
            None => (actor, self.what),
            reason => (actor.because(reason), self.what),
        }
    }
}

impl<T: DeserializeOwned> FromRequest<Admin> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _admin: &Admin) -> Result<Self, Problem> {
        read(request, BODY_MAX_BYTES).await
    }
}

/// A body that may be as large as an import.
pub(super) struct LargeInput<T>(pub(super) Input<T>);

impl<T: DeserializeOwned> FromRequest<Admin> for LargeInput<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _admin: &Admin) -> Result<Self, Problem> {
        read(request, IMPORT_MAX_BYTES).await.map(Self)
    }
}

async fn read<T: DeserializeOwned>(request: Request, max_bytes: usize) -> Result<Input<T>, Problem> {
    let (parts, body) = request.into_parts();
    let declared =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > max_bytes as u64) {
        return Err(Problem::body_too_large(max_bytes));
    }
    let read = to_bytes(body, max_bytes).await;
    let bytes = read.map_err(|error| match is_too_large(&error) {
        true => Problem::body_too_large(max_bytes),
        false => Problem::body_broken(),
    })?;
    if bytes.is_empty() {
        return typed(Value::Object(Map::new()));
    }
    if !is_json(&parts.headers) {
        return Err(Problem::not_json_by_type());
    }
    typed(serde_json::from_slice(&bytes).map_err(|error| Problem::not_json(&error))?)
}

/// Takes the reason out of a body and reads the rest.
fn typed<T: DeserializeOwned>(mut body: Value) -> Result<Input<T>, Problem> {
    let Some(members) = body.as_object_mut() else {
        return Err(Problem::field("body", "must be a JSON object"));
    };
    let reason = match members.remove(REASON) {
        None | Some(Value::Null) => None,
        Some(Value::String(reason)) => Some(reason),
        Some(_) => return Err(Problem::field(REASON, "must be a text")),
    };
    let what = serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        wrong(&path, &error.into_inner().to_string(), "body")
    })?;
    Ok(Input { what, reason })
}

/// Reads a query. Its values are texts; what is no text by its field is read out of it.
fn query<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(text.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        wrong(&path, &error.into_inner().to_string(), "query")
    })
}

/// Names the field: by its path, or by the name in the sentence of whoever missed or did not know it.
fn wrong(path: &str, why: &str, whole: &'static str) -> Problem {
    let quoted = why
        .split('`')
        .nth(1)
        .filter(|_| why.starts_with("missing field") || why.starts_with("unknown field"));
    match (path, quoted) {
        (".", Some(field)) => Problem::field(field.to_owned(), format!("cannot be taken: {why}")),
        (".", None) => Problem::field(whole, format!("cannot be taken: {why}")),
        (path, Some(field)) if !path.ends_with(field) => {
            Problem::field(format!("{path}.{field}"), format!("cannot be taken: {why}"))
        }
        (path, _) => Problem::field(path.to_owned(), format!("cannot be taken: {why}")),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
