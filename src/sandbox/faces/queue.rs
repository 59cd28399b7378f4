//! `queue.fal.run`: submit, status, status stream, result, cancel.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::fal::webhook::FAL_WEBHOOK;
use crate::ids::RequestId;

use super::reply::Reply;
use super::{caller, events, query, wrong_method};
use crate::sandbox::Fal;
use crate::sandbox::faults::Stage;
use crate::sandbox::job::{Cancel, Job};
use crate::sandbox::timeline::{LOG_LINES, Phase};

/// What a follow-up asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FollowUp {
    Status,
    StatusStream,
    Result,
    Cancel,
}

/// Answers a call to the queue's host.
pub(super) async fn serve(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    if let Some((endpoint, id, what)) = follow_up(path) {
        return follow(fal, endpoint, id, what, &request.into_parts().0).await;
    }
    match *request.method() {
        Method::POST => submit(fal, path, request).await,
        _ => Err(wrong_method("POST")),
    }
}

/// Splits a path at its last `/requests/`, when what follows is a follow-up.
fn follow_up(path: &str) -> Option<(&str, &str, FollowUp)> {
    let (endpoint, rest) = path.rsplit_once("/requests/")?;
    let (id, what) = rest.split_once('/').unwrap_or((rest, ""));
    let what = match what {
        "" | "response" => FollowUp::Result,
        "status" => FollowUp::Status,
        "status/stream" => FollowUp::StatusStream,
        "cancel" => FollowUp::Cancel,
        _ => return None,
    };
    Some((endpoint, id, what))
}

async fn submit(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    let receiver = query(request.uri(), FAL_WEBHOOK);
    let call = caller::call(fal, caller::endpoint(path)?, request).await?;
    let job = fal.submit(call).map_err(caller::not_taken)?;
    if let Some(receiver) = receiver {
        fal.webhooks().follow(Arc::clone(&job), &receiver);
    }
    // Told as of the submit itself: however fast the model is, its request was in the queue once.
    let phase = match job.phase(job.timeline.submitted) {
        queued @ Phase::Queued(_) => queued,
        Phase::Running | Phase::Ended => Phase::Queued(0),
    };
    let status = Status::new(fal, &job, phase, None);
    Ok(Reply::json(StatusCode::OK, &status).of(&job).send(fal, &job.faults, Stage::Submit).await)
}

async fn follow(
    fal: &Arc<Fal>,
    endpoint: &str,
    id: &str,
    what: FollowUp,
    head: &Parts,
) -> Result<Response, Reply> {
    let allow = if what == FollowUp::Cancel { Method::PUT } else { Method::GET };
    if head.method != allow {
        return Err(wrong_method(if allow == Method::PUT { "PUT" } else { "GET" }));
    }
    let endpoint = caller::endpoint(endpoint)?;
    let account = caller::account(&head.headers, endpoint.app())?;
    let unknown = || Reply::json(StatusCode::NOT_FOUND, &json!({ "status": "NOT_FOUND" }));
    let id = RequestId::parse(id).map_err(|_| unknown())?;
    let job = fal.find(&account, &endpoint, &id).ok_or_else(unknown)?;
    let logs = matches!(query(&head.uri, "logs").as_deref(), Some("1" | "true"));
    Ok(match what {
        FollowUp::Status => status(fal, &job, logs).send(fal, &job.faults, Stage::Status).await,
        FollowUp::StatusStream => events::of_queue(fal, &job, logs),
        FollowUp::Result => result(fal, &job).send(fal, &job.faults, Stage::Answer).await,
        FollowUp::Cancel => cancel(fal, &job).send(fal, &job.faults, Stage::Cancel).await,
    })
}

fn status(fal: &Fal, job: &Job, logs: bool) -> Reply {
    let now = fal.clock().elapsed();
    let phase = job.phase(now);
    let code = if phase == Phase::Ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    let logs = logs.then(|| logs_between(job, None, now));
    Reply::json(code, &Status::new(fal, job, phase, logs)).of(job)
}

fn result(fal: &Fal, job: &Job) -> Reply {
    match fal.result(job) {
        Some(answer) => Reply::answer(job, answer),
        None => Reply::json(StatusCode::BAD_REQUEST, &Early::new(fal, job)).of(job),
    }
}

fn cancel(fal: &Fal, job: &Job) -> Reply {
    let (code, status) = match fal.cancel(job) {
        Cancel::Removed => (StatusCode::OK, "OK"),
        Cancel::Requested => (StatusCode::ACCEPTED, "CANCELLATION_REQUESTED"),
        Cancel::TooLate => (StatusCode::BAD_REQUEST, "ALREADY_COMPLETED"),
    };
    Reply::json(code, &json!({ "status": status })).of(job)
}

/// A status as fal writes it; the order of the fields is fal's.
#[derive(Serialize)]
pub(super) struct Status<'a> {
    status: &'static str,
    request_id: &'a str,
    response_url: String,
    status_url: String,
    cancel_url: String,
    logs: Option<Vec<LogLine>>,
    metrics: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_position: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'static str>,
}

impl<'a> Status<'a> {
    /// The status of `job` in `phase`; `logs` when they were asked for.
    pub(super) fn new(fal: &Fal, job: &'a Job, phase: Phase, logs: Option<Vec<LogLine>>) -> Self {
        let ended = phase == Phase::Ended;
        let failure = ended.then(|| job.answer().failure).flatten();
        let seconds = if ended { job.inference_seconds() } else { None };
        let response_url = fal.response_url(&job.endpoint, &job.id);
        Self {
            status: match phase {
                Phase::Queued(_) => "IN_QUEUE",
                Phase::Running => "IN_PROGRESS",
                Phase::Ended => "COMPLETED",
            },
            request_id: job.id.as_str(),
            status_url: format!("{response_url}/status"),
            cancel_url: format!("{response_url}/cancel"),
            response_url,
            logs,
            metrics: seconds.map_or_else(|| json!({}), |seconds| json!({ "inference_time": seconds })),
            queue_position: if let Phase::Queued(ahead) = phase { Some(ahead) } else { None },
            error_type: failure.as_ref().map(|failure| failure.error_type),
            error: failure.map(|failure| failure.error),
        }
    }
}

/// One line that a model wrote.
#[derive(Serialize)]
pub(super) struct LogLine {
    message: &'static str,
    timestamp: String,
    level: &'static str,
    source: &'static str,
}

/// The lines that appeared after `since` and by `until`.
pub(super) fn logs_between(job: &Job, since: Option<Duration>, until: Duration) -> Vec<LogLine> {
    let seen = since.map_or(0, |since| job.logs_by(since));
    let lines = LOG_LINES.iter().zip(job.timeline.log_times());
    let line = |(message, time): (&&'static str, Duration)| LogLine {
        message,
        timestamp: job.wall_clock(time).to_string(),
        level: "INFO",
        source: "USER",
    };
    lines.take(job.logs_by(until)).skip(seen).map(line).collect()
}

/// What a result answers before there is one.
#[derive(Serialize)]
struct Early<'a> {
    detail: &'static str,
    request_id: &'a str,
    response_url: String,
    status_url: String,
    cancel_url: String,
}

impl<'a> Early<'a> {
    fn new(fal: &Fal, job: &'a Job) -> Self {
        let response_url = fal.response_url(&job.endpoint, &job.id);
        Self {
            detail: "Request is still in progress",
            request_id: job.id.as_str(),
            status_url: format!("{response_url}/status"),
            cancel_url: format!("{response_url}/cancel"),
            response_url,
        }
    }
}
