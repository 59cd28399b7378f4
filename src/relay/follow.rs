//! Questions about a job, asked by its owner and by nobody else, under the app base that fal returned and with the
//! account that began it.

use std::time::Duration;

use http::{Method, StatusCode};

use super::ledger::Row;
use super::notes::Notes;
use super::owners::Followed;
use super::refusal::Refusal;
use super::reply::{self, Form, Reply};
use super::{Answer, Caller, Inbound, Relay, Target, billable_units, tell_cost, with_query};
use crate::fal::{AcceptEncoding, Addresses, Endpoint, FollowUp, top_level_strings};
use crate::ids::RequestId;
use crate::store::Cost;
use crate::upstream::{Host, ResponseBody};

/// A release is on the disk by then, or at the next look.
const CANCEL_SETTLES: Duration = Duration::from_millis(500);

impl Relay {
    /// Asks fal after a job, or to cancel it.
    pub async fn follow(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
        request_id: RequestId,
        what: FollowUp,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        notes.request_id = Some(request_id.clone());
        let job = self.shared.owners.find(caller, endpoint, &request_id, self.counts()).await?;
        notes.endpoint = Some(job.call.endpoint.clone());
        let account = self.shared.accounts.named(&job.call.account)?;
        let addresses = self.addresses(&inbound.base);
        let path = ["/", &*job.call.app_base, "/requests/", request_id.as_str(), what.as_suffix()].concat();
        let to = Target {
            host: Host::Queue,
            method: method(what),
            path_and_query: with_query(path, inbound.query.as_deref()),
            accept_encoding: accept_encoding(what),
        };
        let answer = self.forward(account, self.outgoing(to, inbound), notes).await;
        match answer.map_err(|error| Refusal::of_question(error, self.shared.settings.max_body_bytes))? {
            Answer::Tenant(response) => self.answer(what, &job, response, &addresses).await,
            Answer::TenantError(parts, body) => Ok(reply::whole(parts, &body, &addresses)),
            Answer::AccountRefused(_) => Err(Refusal::AccountUnavailable),
        }
    }

    async fn answer(
        &self,
        what: FollowUp,
        job: &Followed,
        response: http::Response<ResponseBody>,
        addresses: &std::sync::Arc<Addresses>,
    ) -> Result<Reply, Refusal> {
        match what {
            FollowUp::Status => reply::rewrite(response, Form::Json, addresses).await,
            FollowUp::StatusStream if reply::is_events(response.headers()) => {
                reply::rewrite(response, Form::Events, addresses).await
            }
            FollowUp::StatusStream => reply::rewrite(response, Form::Json, addresses).await,
            // A result is the model's own output: not one byte of it is looked at.
            FollowUp::Result { .. } => {
                let ended = self.note_end(job, &response);
                let mut reply = match response.status().is_success() {
                    true => reply::pass(response),
                    // The 400 of an early result carries addresses (protocol 2.5).
                    false => reply::rewrite(response, Form::Json, addresses).await?,
                };
                if ended {
                    tell_cost(&mut reply, job.cost());
                }
                Ok(reply)
            }
            FollowUp::Cancel if response.status() == StatusCode::OK => self.note_cancel(job, response).await,
            FollowUp::Cancel => Ok(reply::pass(response)),
        }
    }

    /// Closes the job's row when this is its final result: a success, or a failure for which fal names the units. A failure
    /// without units may be a hiccup on the way; the watch finds out.
    fn note_end(&self, job: &Followed, response: &http::Response<ResponseBody>) -> bool {
        let (status, units) = (response.status(), billable_units(response.headers()));
        let is_final = status == StatusCode::OK || (units.is_some() && !status.is_success());
        if is_final
            && job.first_end()
            && let Some(Cost { charge, basis, .. }) =
                self.ledger.settle(&Row::from(&job.call), status.as_u16(), units)
        {
            job.cost_is((charge, basis));
        }
        if is_final {
            self.hurry_webhook(job, Duration::ZERO);
        }
        is_final
    }

    /// The webhook of a job whose end was just seen need not wait for the next look.
    fn hurry_webhook(&self, job: &Followed, after: Duration) {
        if job.call.webhook {
            self.shared.following.hurry(job.call.id, self.shared.clock.elapsed() + after);
        }
    }

    /// A job that fal took out of its queue before it began costs nothing (protocol 2.6). Any other answer leaves the row
    /// open: the job may still end and be billed.
    async fn note_cancel(
        &self,
        job: &Followed,
        response: http::Response<ResponseBody>,
    ) -> Result<Reply, Refusal> {
        let (parts, body) = reply::read_envelope(response).await?;
        let [status] = top_level_strings(&body, ["status"]);
        if status.as_deref() == Some("OK") && job.first_end() {
            self.ledger.release(&Row::from(&job.call), Some(parts.status.as_u16()), "cancelled");
            // The row is closed by then: a look before might take the cancelled job for one of unknown cost.
            self.hurry_webhook(job, CANCEL_SETTLES);
        }
        Ok(reply::unchanged(parts, body))
    }
}

fn method(what: FollowUp) -> Method {
    match what {
        FollowUp::Cancel => Method::PUT,
        FollowUp::Status | FollowUp::StatusStream | FollowUp::Result { .. } => Method::GET,
    }
}

/// Answers in which addresses are rewritten are asked for uncompressed. A result may come compressed in the one way
/// that the relay can undo, in case it is an early one.
fn accept_encoding(what: FollowUp) -> AcceptEncoding {
    match what {
        FollowUp::Status | FollowUp::StatusStream => AcceptEncoding::Identity,
        FollowUp::Result { .. } => AcceptEncoding::GzipAtMost,
        FollowUp::Cancel => AcceptEncoding::GzipAtMost,
    }
}
