//! An answer on its way out, and what callers asked to do to it.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::sandbox::Fal;
use crate::sandbox::answer::Answer;
use crate::sandbox::faults::{Faults, Stage};
use crate::sandbox::job::Job;
use crate::sandbox::payload::Payload;

/// How long an answer that never comes is held back before it comes after all.
const HANG: Duration = Duration::from_secs(3600);
/// The runner that every model seems to run on.
const RUNNER: &str = "sandbox-runner-1";

/// Status, headers and a body that can still be changed.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    headers: Box<HeaderMap>,
    body: Payload,
}

impl Reply {
    /// A reply with a JSON body.
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        Self::new(status, serde_json::to_vec(body).unwrap_or_default().into())
    }

    /// A reply whose body is one sentence, as fal's gate speaks.
    pub(super) fn detail(status: StatusCode, detail: &str) -> Self {
        Self::json(status, &json!({ "detail": detail }))
    }

    /// A reply of the platform around the models, with the type that clients tell errors apart by.
    pub(super) fn typed(status: StatusCode, detail: &str, error_type: &'static str) -> Self {
        let body = json!({ "detail": detail, "error_type": error_type });
        Self::json(status, &body).with("x-fal-error-type", error_type)
    }

    /// What it says about the outcome.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    fn new(status: StatusCode, body: Payload) -> Self {
        let headers =
            HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Self { status, headers: Box::new(headers), body }
    }

    /// The final answer of `job`.
    pub(super) fn answer(job: &Job, answer: Answer) -> Self {
        let status = answer.status;
        let mut reply = Self::new(status, answer.body).of(job).with("x-fal-served-from", RUNNER);
        if let Some(units) = &answer.units {
            reply = reply.with("x-fal-billable-units", units);
        }
        let Some(failure) = answer.failure else {
            return reply;
        };
        reply = reply.with("x-fal-error-type", failure.error_type);
        if failure.user_timeout {
            reply = reply.with("x-fal-request-timeout-type", "user");
        }
        match status.is_server_error() {
            true => reply.with("x-fal-needs-retry", if failure.user_timeout { "0" } else { "1" }),
            false => reply,
        }
    }

    /// The same with the id of `job`.
    pub(super) fn of(self, job: &Job) -> Self {
        self.with("x-fal-request-id", job.id.as_str())
    }

    /// The same with one more header; a value that no header can hold changes nothing.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Sends it, spoiled as `faults` say for this stage.
    pub(super) async fn send(mut self, fal: &Fal, faults: &Faults, stage: Stage) -> Response {
        let struck = |fault: Option<Stage>| fault == Some(stage);
        if struck(faults.hang) {
            fal.clock().sleep(HANG).await;
        }
        if struck(faults.redirect) {
            self = self.redirected(fal.public_url());
        }
        if faults.escape {
            self.body = self.body.with_slashes_escaped();
        }
        if struck(faults.cut) {
            return self.cut();
        }
        if faults.gzip { self.with("content-encoding", "gzip").gzip() } else { self.into_response() }
    }

    /// To another place on the same host: whoever follows it shows up there.
    fn redirected(self, public_url: &str) -> Self {
        let place = format!("{public_url}/cdn/redirected");
        Self { status: StatusCode::TEMPORARY_REDIRECT, ..self }.with("location", &place)
    }

    fn cut(self) -> Response {
        let length = self.body.len();
        let reply = self.with("content-length", &length.to_string());
        let body = reply.body.into_cut_body();
        respond(reply.status, *reply.headers, body)
    }

    fn gzip(self) -> Response {
        respond(self.status, *self.headers, self.body.into_gzip_body())
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let length = self.body.len();
        let reply = self.with("content-length", &length.to_string());
        respond(reply.status, *reply.headers, reply.body.into_body())
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A file, as the CDN serves it.
pub(super) fn file(bytes: Bytes, content_type: &str) -> Response {
    Reply::new(StatusCode::OK, bytes.into())
        .with("content-type", content_type)
        .with("cache-control", "public, max-age=5184000, immutable")
        .into_response()
}
