//! What the model of a call answers, decided once when the call comes in.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::money::{self, Multiplier, UnitPrice, Units, Usd};

use super::catalogue::Catalogue;
use super::endpoint::Endpoint;
use super::faults::Faults;
use super::input::Input;
use super::output::{self, Work};
use super::payload::Payload;
use super::problem::{Problem, Step};
use super::validate;

/// The final word on a call: status, body and what it is billed as.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The model's own status.
    pub(super) status: StatusCode,
    /// The model's own body.
    pub(super) body: Payload,
    /// The billed units as the answer tells them; `None` when it does not.
    pub(super) units: Option<String>,
    /// The units of the work that was done, whatever the answer tells.
    work: Option<Units>,
    /// Why it failed, as the queue tells it.
    pub(super) failure: Option<Failure>,
}

impl Answer {
    /// What fal bills for it: the units that it tells, when they are a quantity that can be paid, else the units of the
    /// work. Failures of the platform cost nothing.
    pub(super) fn bill(&self, price: UnitPrice) -> Option<(Units, Usd)> {
        if self.status.is_server_error() {
            return None;
        }
        let told = self.units.as_deref().and_then(|text| Units::parse(text).ok());
        let priced = |units| Some((units, money::cost(units, price, Multiplier::ONE).ok()?));
        [told, self.work].into_iter().flatten().find_map(priced).filter(|(units, _)| !units.is_zero())
    }
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For people.
    pub(super) error: String,
    /// For programs.
    pub(super) error_type: &'static str,
    /// Whether the caller's own limit on the start ran out.
    pub(super) user_timeout: bool,
}

/// What the outside adds to an output on request.
pub(super) struct Extras<'a> {
    /// Where this answer can be read.
    pub(super) response_url: &'a str,
    /// The headers that came with the call.
    pub(super) headers: Value,
}

/// What the caller sent: its JSON object, or why there is none.
pub(super) fn parse(body: &[u8]) -> Result<Map<String, Value>, Box<Problem>> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(input)) => Ok(input),
        Ok(other) => {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            Err(Box::new(Problem::typed(&["body".into()], "model_attributes_type", msg, &other)))
        }
        Err(error) => {
            let loc = [Step::from("body"), Step::from(error.column())];
            let ctx = json!({ "error": error.to_string() });
            Err(Box::new(Problem::typed(&loc, "json_invalid", "JSON decode error", &json!({})).with(ctx)))
        }
    }
}

/// The answer to a call.
pub(super) fn of(
    catalogue: &Catalogue,
    endpoint: &Endpoint,
    input: &Result<Map<String, Value>, Box<Problem>>,
    faults: &Faults,
    work: &Work,
    extras: &Extras,
) -> Answer {
    if let Some(status) = faults.fail {
        return Answer { units: faults.billed_failure(), ..failed(status) };
    }
    let Some(model) = catalogue.find(endpoint) else {
        return no_path(endpoint);
    };
    let given = match input {
        Ok(given) => given,
        Err(problem) => return refused(std::slice::from_ref(&**problem)),
    };
    let problems = validate::problems(model, given);
    if !problems.is_empty() {
        return refused(&problems);
    }
    let input = Input { model, given };
    let mut body = serde_json::to_vec(&output::make(&input, work)).unwrap_or_default();
    add(&mut body, faults, extras);
    let work = output::units(&input);
    Answer {
        status: StatusCode::OK,
        body: Payload::padded(body, faults.padding),
        work: Units::parse(&work).ok(),
        units: faults.billed(work),
        failure: None,
    }
}

/// Adds what was asked for to the end of a JSON object.
fn add(body: &mut Vec<u8>, faults: &Faults, extras: &Extras) {
    let mut more = Map::new();
    if faults.echo_url {
        let echo = json!({ "text": "see https://queue.fal.run/x", "response_url": extras.response_url });
        more.insert("echo".into(), echo);
    }
    if faults.echo_headers {
        more.insert("headers".into(), extras.headers.clone());
    }
    if !more.is_empty() && body.pop() == Some(b'}') {
        body.push(b',');
        body.extend(serde_json::to_vec(&more).unwrap_or_default().into_iter().skip(1));
    }
}

/// The input is not what the model takes; fal bills nothing for that.
fn refused(problems: &[Problem]) -> Answer {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Answer { units: Some("0".into()), ..answer(status, Problem::body(problems), "bad_request") }
}

fn no_path(endpoint: &Endpoint) -> Answer {
    let body = json!({ "detail": format!("Path {} not found", endpoint.path()) });
    Answer { units: Some("0".into()), ..answer(StatusCode::NOT_FOUND, text(&body), "bad_request") }
}

/// A failure on request, in the words of whoever would speak: the model, or the platform around it.
fn failed(status: StatusCode) -> Answer {
    let of_model = |kind, msg: &str, error_type| {
        let problem = Problem::of_model(&["body".into(), "prompt".into()], kind, msg);
        answer(status, Problem::body(&[problem]), error_type)
    };
    let of_platform = |msg: &str, error_type| {
        answer(status, text(&json!({ "detail": msg, "error_type": error_type })), error_type)
    };
    match status.as_u16() {
        422 => of_model(
            "content_policy_violation",
            "The content was flagged by a content checker.",
            "bad_request",
        ),
        500 => of_model("internal_server_error", "Internal server error.", "runner_server_error"),
        502 => of_platform("The runner sent an incomplete response", "runner_incomplete_response"),
        503 => of_platform("No runner is available", "runner_scheduling_failure"),
        504 => of_model("generation_timeout", "The generation timed out.", "request_timeout"),
        400..500 => of_platform("The request failed", "bad_request"),
        _ => of_platform("Internal error", "internal_error"),
    }
}

/// The request did not start before the caller's own limit.
pub(super) fn not_started() -> Answer {
    let body = json!({ "detail": "Request timed out", "error_type": "request_timeout" });
    let mut answer = answer(StatusCode::GATEWAY_TIMEOUT, text(&body), "request_timeout");
    if let Some(failure) = &mut answer.failure {
        failure.user_timeout = true;
    }
    answer
}

/// The caller changed its mind. The status is 499, which has no name in the standard.
pub(super) fn cancelled() -> Answer {
    let status = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
    let body = json!({ "detail": "Request was cancelled", "error_type": "client_cancelled" });
    let mut answer = answer(status, text(&body), "client_cancelled");
    if let Some(failure) = &mut answer.failure {
        failure.error = "Request was cancelled".into();
    }
    answer
}

fn text(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

fn answer(status: StatusCode, body: Vec<u8>, error_type: &'static str) -> Answer {
    let error = format!("Invalid status code: {}", status.as_u16());
    Answer {
        status,
        body: body.into(),
        units: None,
        work: None,
        failure: Some(Failure { error, error_type, user_timeout: false }),
    }
}
