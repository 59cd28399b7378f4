//! A direct run: the client waits on the line, and when it leaves, fal is told by the closing of ours.

use http::Method;

use super::ledger::Admitted;
use super::notes::Notes;
use super::refusal::Refusal;
use super::reply::{self, Reply};
use super::{Answer, Caller, Inbound, Relay, Target, billable_units, with_query};
use crate::fal::{AcceptEncoding, Endpoint};
use crate::store::CallKind;
use crate::upstream::{Host, ResponseBody};

impl Relay {
    /// Runs a model and passes its answer on as it comes, in one piece or as events.
    pub async fn run(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
        kind: CallKind,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        self.check_length(&inbound.headers)?;
        self.check_host(Host::Run)?;
        let account = self.shared.accounts.next()?;
        let admitted = self.ledger.hold(caller, &account.name, endpoint, kind).await?;
        let suffix = if kind == CallKind::Stream { "/stream" } else { "" };
        let to = Target {
            host: Host::Run,
            method: Method::POST,
            path_and_query: with_query(format!("/{endpoint}{suffix}"), inbound.query.as_deref()),
            accept_encoding: AcceptEncoding::AsSent,
        };
        match self.forward(account, self.outgoing(to, inbound), notes).await {
            Ok(Answer::Tenant(response)) => {
                close(admitted, &response);
                Ok(reply::pass(response))
            }
            Ok(Answer::TenantError(parts, body)) => {
                admitted.release(Some(parts.status.as_u16()));
                Ok(reply::unchanged(parts, body))
            }
            Ok(Answer::AccountRefused(status)) => {
                admitted.release(Some(status.as_u16()));
                Err(Refusal::AccountUnavailable)
            }
            Err(error) => Err(self.not_answered(admitted, error)),
        }
    }
}

/// The head of the answer says what fal bills: units on a success and on some failures, nothing on a 5xx (protocol 9).
fn close(admitted: Admitted, response: &http::Response<ResponseBody>) {
    let (status, units) = (response.status(), billable_units(response.headers()));
    match units {
        None if !status.is_success() => admitted.release(Some(status.as_u16())),
        units => admitted.settle(status.as_u16(), units),
    }
}
