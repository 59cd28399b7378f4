//! Server-sent events: the status of a queued request, and models that answer bit by bit.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};

use super::queue::{Status, logs_between};
use super::run;
use crate::sandbox::Fal;
use crate::sandbox::faults::{Faults, Stage};
use crate::sandbox::job::Job;
use crate::sandbox::output::progress;
use crate::sandbox::payload::{Payload, broken_after};
use crate::sandbox::run::Run;
use crate::sandbox::timeline::{Phase, RUN_STEPS};

/// How often a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// What it shows then.
const COMMENT: Bytes = Bytes::from_static(b": ping\n\n");

/// One event per change of `job`, until it has ended.
pub(super) fn of_queue(fal: &Arc<Fal>, job: &Arc<Job>, logs: bool) -> Response {
    let watch = Watch { fal: Arc::clone(fal), job: Arc::clone(job), logs, told: None };
    let events =
        stream::unfold(
            watch,
            |mut watch| async move { Some((Ok::<_, Infallible>(watch.next().await?), watch)) },
        );
    event_stream(job, Body::from_stream(events))
}

fn event_stream(job: &Job, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(id) = HeaderValue::from_str(job.id.as_str()) {
        headers.insert("x-fal-request-id", id);
    }
    response
}

/// Someone who watches a request.
struct Watch {
    fal: Arc<Fal>,
    job: Arc<Job>,
    logs: bool,
    /// Up to which moment everything was told.
    told: Option<Duration>,
}

impl Watch {
    /// The next event or comment; nothing after the end was told.
    async fn next(&mut self) -> Option<Bytes> {
        let Some(told) = self.told else {
            return Some(self.tell(self.fal.clock().elapsed()));
        };
        if self.job.phase(told) == Phase::Ended {
            return None;
        }
        loop {
            // A cancel lies outside the plan, so what comes next is asked anew after each wait.
            let change = self.job.next_change(told)?;
            let left = change.saturating_sub(self.fal.clock().elapsed());
            if left.is_zero() {
                return Some(self.tell(change));
            }
            tokio::select! {
                () = self.fal.clock().sleep(left.min(KEEP_ALIVE)) => {
                    if left > KEEP_ALIVE {
                        return Some(COMMENT);
                    }
                }
                () = self.job.cancelled() => {}
            }
        }
    }

    /// The event of the moment `now`, with the log lines since the last one.
    fn tell(&mut self, now: Duration) -> Bytes {
        let logs = self.logs.then(|| logs_between(&self.job, self.told, now));
        self.told = Some(now);
        let status = Status::new(&self.fal, &self.job, self.job.phase(now), logs);
        event(serde_json::to_vec(&status).unwrap_or_default().into(), &self.job.faults)
    }
}

/// A model that tells how far it is, and at the end its answer.
pub(super) async fn of_model(fal: &Fal, run: Run) -> Response {
    let job = Arc::clone(&run.job);
    let spoiled = [job.faults.hang, job.faults.redirect].contains(&Some(Stage::Answer));
    if spoiled || job.answer().status != StatusCode::OK {
        // What goes wrong before the first event is an ordinary answer.
        return run::whole(fal, run).await;
    }
    if job.faults.cut == Some(Stage::Answer) {
        run.finish().await;
        run.end();
        return with_units(event_stream(&job, broken_after(vec![progress_event(1, &job.faults)])), &job);
    }
    let events = stream::unfold((Some(run), 1), |(run, step)| async move {
        let (event, run) = model_event(run?, step).await;
        Some((Ok::<_, Infallible>(event), (run, step + 1)))
    });
    with_units(event_stream(&job, Body::from_stream(events)), &job)
}

/// The sandbox knows the bill of a stream before it begins, and tells it in the head.
fn with_units(mut response: Response, job: &Job) -> Response {
    let units = job.answer().units;
    if let Some(value) = units.and_then(|units| HeaderValue::from_str(&units).ok()) {
        response.headers_mut().insert("x-fal-billable-units", value);
    }
    response
}

/// The event of one step. The last one is the answer itself, and ends the run.
async fn model_event(run: Run, step: u32) -> (Bytes, Option<Run>) {
    let job = Arc::clone(&run.job);
    run.wait_until(job.timeline.starts() + job.timeline.run * step / RUN_STEPS).await;
    if step < RUN_STEPS {
        return (progress_event(step, &job.faults), Some(run));
    }
    run.end();
    (event(job.answer().body, &job.faults), None)
}

fn progress_event(step: u32, faults: &Faults) -> Bytes {
    event(progress(step, RUN_STEPS).to_string().into_bytes().into(), faults)
}

/// One event with a JSON text as its data.
fn event(json: Payload, faults: &Faults) -> Bytes {
    let json = if faults.escape { json.with_slashes_escaped() } else { json };
    let pieces: Vec<Bytes> = [Bytes::from_static(b"data: ")]
        .into_iter()
        .chain(json.pieces())
        .chain([Bytes::from_static(b"\n\n")])
        .collect();
    pieces.concat().into()
}
