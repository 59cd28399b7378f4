//! `fal.run`: direct runs, and models that answer as a stream.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::Method;

use super::reply::Reply;
use super::{caller, events, wrong_method};
use crate::sandbox::Fal;
use crate::sandbox::faults::Stage;
use crate::sandbox::run::Run;

/// Answers a call to the host of direct runs. The caller's leaving drops this future, and with it the run.
pub(super) async fn serve(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    if request.method() != Method::POST {
        return Err(wrong_method("POST"));
    }
    let (endpoint, as_stream) = match path.strip_suffix("/stream") {
        Some(endpoint) => (endpoint, true),
        None => (path, false),
    };
    let call = caller::call(fal, caller::endpoint(endpoint)?, request).await?;
    let run = fal.run(call).map_err(caller::not_taken)?;
    if as_stream {
        return Ok(events::of_model(fal, run).await);
    }
    Ok(whole(fal, run).await)
}

/// The answer of a run in one piece.
pub(super) async fn whole(fal: &Fal, run: Run) -> Response {
    let answer = run.finish().await;
    let response = Reply::answer(&run.job, answer).send(fal, &run.job.faults, Stage::Answer).await;
    run.end();
    response
}
