//! Why the admin API does not do what was asked: one exhaustive match gives each cause a status and a type. The body has
//! the shape of all the relay's errors.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::admin::AdminError;
use crate::store::StoreError;

/// Marks an answer as the relay's own error.
const X_RELAY_ERROR: HeaderName = HeaderName::from_static("x-relay-error");

/// An error of the admin API. Some have more members, which their types explain in the manual's table of errors.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    /// What is wrong, and what to do.
    detail: Cow<'static, str>,
    /// Its type, for programs.
    error_type: &'static str,
    /// The field that cannot be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<Cow<'static, str>>,
    /// More facts, each a member of its own.
    #[serde(flatten)]
    #[schema(ignore)]
    facts: Map<String, Value>,
}

impl Problem {
    fn new((status, error_type): (StatusCode, &'static str), detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into(), error_type, field: None, facts: Map::new() }
    }

    fn with(mut self, fact: &str, value: Value) -> Self {
        self.facts.insert(fact.to_owned(), value);
        self
    }

    /// One answer for all that is no operator's token.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            (StatusCode::UNAUTHORIZED, "unauthorized"),
            "This token is not known here. Send an operator's token as `Authorization: Bearer fr_admin_…`.",
        )
    }

    /// A field that cannot be taken.
    pub(super) fn field(field: impl Into<Cow<'static, str>>, reason: impl AsRef<str>) -> Self {
        let field = field.into();
        let detail = format!("{field} {}", reason.as_ref());
        let class = (StatusCode::UNPROCESSABLE_ENTITY, "invalid_field");
        Self { field: Some(field), ..Self::new(class, detail) }
    }

    /// A body that is no JSON.
    pub(super) fn not_json(error: &serde_json::Error) -> Self {
        Self::new((StatusCode::BAD_REQUEST, "bad_json"), format!("The body is not JSON: {error}."))
    }

    /// A body that broke off.
    pub(super) fn body_broken() -> Self {
        Self::new((StatusCode::BAD_REQUEST, "body_broken"), "The request body broke off before its end.")
    }

    /// A body that is larger than the route takes.
    pub(super) fn body_too_large(max_bytes: usize) -> Self {
        let detail = format!("The request body is larger than the {max_bytes} bytes that this path takes.");
        let class = (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large");
        Self::new(class, detail).with("max_bytes", max_bytes.into())
    }

    /// A body of another type.
    pub(super) fn not_json_by_type() -> Self {
        Self::new(
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            "Send the body as JSON, with `Content-Type: application/json`.",
        )
    }

    /// No such path.
    pub(super) fn no_route() -> Self {
        Self::new((StatusCode::NOT_FOUND, "route_not_found"), "There is nothing at this path.")
    }

    /// The path exists, for other methods.
    pub(super) fn no_method() -> Self {
        Self::new(
            (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            "This path takes other methods only; `Allow` names them.",
        )
    }

    /// Nothing came of it in time.
    pub(super) fn timeout() -> Self {
        Self::new(
            (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            "This took too long and was given up. A change may have been made all the same: look before you repeat it.",
        )
    }

    /// Something in the relay failed that should not.
    pub(super) fn internal() -> Self {
        Self::new(
            (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
            "The relay failed to do this; its log says why.",
        )
    }
}

/// Status and type of what the service refuses.
fn class(error: &AdminError) -> (StatusCode, &'static str) {
    match error {
        AdminError::Field { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_field"),
        AdminError::Forbidden { .. } => (StatusCode::FORBIDDEN, "role_too_low"),
        AdminError::NoSuch(_) => (StatusCode::NOT_FOUND, "not_found"),
        AdminError::Ended(_) => (StatusCode::CONFLICT, "key_ended"),
        AdminError::InUse { .. } => (StatusCode::CONFLICT, "in_use"),
        AdminError::DefaultGroup => (StatusCode::CONFLICT, "default_group"),
        AdminError::NothingToAdjust(_) => (StatusCode::CONFLICT, "nothing_to_adjust"),
        AdminError::Import(_) => (StatusCode::UNPROCESSABLE_ENTITY, "import_refused"),
        AdminError::Randomness(_) => (StatusCode::SERVICE_UNAVAILABLE, "no_randomness"),
        AdminError::Store(error) => class_of_store(error),
    }
}

fn class_of_store(error: &StoreError) -> (StatusCode, &'static str) {
    match error {
        StoreError::NameTaken(_) => (StatusCode::CONFLICT, "name_taken"),
        StoreError::KeyTaken(_) => (StatusCode::CONFLICT, "key_taken"),
        // It was there when it was looked for, and is gone now.
        StoreError::Missing(_) => (StatusCode::CONFLICT, "gone"),
        StoreError::Unanswerable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unanswerable"),
        StoreError::Open { .. }
        | StoreError::TooNew { .. }
        | StoreError::Taken(_)
        | StoreError::OverBudget(_)
        | StoreError::TokenEnded
        | StoreError::State(_)
        | StoreError::Unwritable(_)
        | StoreError::Backend(_)
        | StoreError::Closed => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        let class = class(&error);
        if class.0.is_server_error() {
            tracing::error!(%error, "the admin API could not do what an operator asked");
        }
        let problem = Self::new(class, error.to_string());
        match error {
            AdminError::Field { field, .. } => Self { field: Some(field), ..problem },
            AdminError::Forbidden { needed, has } => {
                problem.with("needed_role", json!(needed)).with("role", json!(has))
            }
            AdminError::InUse { uses, .. } => problem.with("uses", uses.into()),
            AdminError::Import(report) => problem.with("report", json!(report)),
            _ => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, error_type) = (self.status, self.error_type);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(X_RELAY_ERROR, HeaderValue::from_static(error_type));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
