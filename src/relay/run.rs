//! A direct run: the client waits on the line, and when it leaves, fal is told by the closing of ours.

use http::{Method, StatusCode};

use super::admission::{Admittance, Wanted};
use super::ledger::Admitted;
use super::notes::Notes;
use super::refusal::Refusal;
use super::reply::{self, Reply};
use super::{Answer, Caller, Inbound, Relay, Target, billable_units, tell_cost, tell_standing, with_query};
use crate::fal::{AcceptEncoding, Endpoint, tags};
use crate::ids::AccountName;
use crate::store::{CallKind, Cost};
use crate::upstream::{Account, Host, Outgoing, ResponseBody};

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
        let (relay, caller, endpoint) = (self.clone(), caller.clone(), endpoint.clone());
        let name = account.name.clone();
        // Apart from its client, whose leaving in between must not lose the row and the place.
        let begun =
            self.tasks.spawn(async move { relay.begin_run(&caller, &endpoint, &name, kind, inbound).await });
        let (mut outgoing, admittance) =
            begun.await.map_err(|error| Refusal::Internal(error.to_string()))??;
        let Admittance { mut admitted, standing } = admittance;
        self.mark(&mut outgoing, &mut admitted);
        let mut reply = self.answer_run(account, admitted, outgoing, notes).await?;
        if let Some(standing) = standing {
            tell_standing(reply.headers_mut(), standing);
        }
        Ok(reply)
    }

    /// Everything before the first byte leaves.
    async fn begin_run(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
        account: &AccountName,
        kind: CallKind,
        inbound: Inbound,
    ) -> Result<(Outgoing, Admittance), Refusal> {
        let tags = tags(&inbound.headers);
        let suffix = if kind == CallKind::Stream { "/stream" } else { "" };
        let to = Target {
            host: Host::Run,
            method: Method::POST,
            path_and_query: with_query(format!("/{endpoint}{suffix}"), inbound.query.as_deref()),
            accept_encoding: AcceptEncoding::AsSent,
        };
        let mut outgoing = self.outgoing(to, inbound);
        let wanted = Wanted { caller, account, endpoint, allowed_as: endpoint, kind, tags, webhook: None };
        let admittance = self.admit(wanted, &mut outgoing.body).await?;
        Ok((outgoing, admittance))
    }

    async fn answer_run(
        &self,
        account: &Account,
        admitted: Admitted,
        outgoing: Outgoing,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        match self.forward(account, outgoing, notes).await {
            Ok(Answer::Tenant(response)) => {
                let cost = close(admitted, &response);
                let mut reply = reply::pass(response);
                tell_cost(&mut reply, cost.map(|cost| (cost.charge, cost.basis)));
                Ok(reply)
            }
            Ok(Answer::TenantError(parts, body)) => {
                admitted.release(Some(parts.status.as_u16()), "refused");
                Ok(reply::unchanged(parts, body))
            }
            Ok(Answer::AccountRefused(status)) => {
                admitted.release(Some(status.as_u16()), "account_refused");
                Err(Refusal::AccountUnavailable)
            }
            Err(error) => Err(self.not_answered(admitted, error)),
        }
    }
}

/// The head of the answer says what fal bills (protocol 9). A refusal without units came from fal's gate, before any model
/// ran; only a 422 may come from a model that worked first.
pub(super) fn close(admitted: Admitted, response: &http::Response<ResponseBody>) -> Option<Cost> {
    let (status, units) = (response.status(), billable_units(response.headers()));
    if units.is_none() && status.is_client_error() && status != StatusCode::UNPROCESSABLE_ENTITY {
        admitted.release(Some(status.as_u16()), "refused");
        return None;
    }
    admitted.settle(status.as_u16(), units)
}
