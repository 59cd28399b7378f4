//! A job for fal's queue: written down, sent once, and followed to its answer though the client leaves.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::admission::{Admittance, Wanted};
use super::ledger::{Admitted, Row};
use super::notes::Notes;
use super::refusal::Refusal;
use super::reply::{self, Reply};
use super::{Answer, Caller, Inbound, Relay, Target, tell_standing, with_query};
use crate::fal::{AcceptEncoding, Addresses, Endpoint, tags, top_level_strings};
use crate::ids::{AccountName, RequestId};
use crate::store::{CallKind, OwnedCall, SentCall};
use crate::upstream::{BodyEnd, BodyProgress, Host};

impl Relay {
    /// Puts a job into fal's queue. Once begun it goes to its end in a task of its own: the client's leaving loses the
    /// reply, not the row (invariant 11).
    pub async fn submit(
        &self,
        caller: Caller,
        endpoint: Endpoint,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        self.check_length(&inbound.headers)?;
        let (relay, mut kept) = (self.clone(), notes.clone());
        // Boxed: it takes kilobytes, and is handed on several times on its way into the task.
        let task = self.tasks.spawn(Box::pin(async move {
            let reply = relay.carry(&caller, &endpoint, inbound, &mut kept).await;
            (reply, kept)
        }));
        let (reply, kept) = task.await.map_err(|error| Refusal::Internal(error.to_string()))?;
        *notes = kept;
        reply
    }

    async fn carry(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        let webhook = self.asked_webhook(inbound.query.as_deref())?;
        self.check_host(Host::Queue)?;
        let account = self.shared.accounts.next()?;
        let tags = tags(&inbound.headers);
        let addresses = self.addresses(&inbound.base);
        let has_webhook = webhook.is_some();
        let to = Target {
            host: Host::Queue,
            method: Method::POST,
            path_and_query: with_query(format!("/{endpoint}"), inbound.query.as_deref()),
            accept_encoding: AcceptEncoding::Identity,
        };
        let mut outgoing = self.outgoing(to, inbound);
        let wanted = Wanted {
            caller,
            account: &account.name,
            endpoint,
            allowed_as: endpoint,
            kind: CallKind::Queue,
            tags,
            webhook,
        };
        let Admittance { mut admitted, standing } = self.admit(wanted, &mut outgoing.body).await?;
        if has_webhook {
            outgoing.path_and_query = self.with_call_back(outgoing.path_and_query, admitted.row().id);
        }
        self.mark(&mut outgoing, &mut admitted);
        let progress = outgoing.body.progress();
        match self.forward(account, outgoing, notes).await {
            Ok(Answer::Tenant(response)) if response.status().is_success() => {
                let (parts, body) = read_accepted(response).await?;
                let accepted = self.accepted(endpoint, &body)?;
                notes.request_id = Some(accepted.request_id.clone());
                let called = Called { caller, account: &account.name, has_webhook };
                self.record(called, admitted, accepted, &progress).await?;
                let mut reply = reply::whole(parts, &body, &addresses);
                if let Some(standing) = standing {
                    tell_standing(reply.headers_mut(), standing);
                }
                Ok(reply)
            }
            Ok(answer) => not_accepted(admitted, answer, &addresses).await,
            Err(error) => Err(self.not_answered(admitted, error)),
        }
    }

    /// fal's id, and the app base of the addresses that it returned. Both are checked before they are used.
    fn accepted(&self, endpoint: &Endpoint, body: &Bytes) -> Result<Accepted, Refusal> {
        let [request_id, response_url] = top_level_strings(body, ["request_id", "response_url"]);
        let request_id = request_id.as_deref().and_then(|id| RequestId::parse(id).ok()).ok_or_else(|| {
            Refusal::OutcomeUnknown("fal's answer to a submit has no request id that can be used".into())
        })?;
        let returned = response_url.as_deref().and_then(|address| self.shared.addresses.app_base(address));
        let app_base = returned.unwrap_or_else(|| endpoint.app_base()).into();
        Ok(Accepted { request_id, app_base })
    }

    /// Writes down what fal took, so that its owner can follow it, and only then lets the answer go.
    async fn record(
        &self,
        called: Called<'_>,
        admitted: Admitted,
        accepted: Accepted,
        progress: &BodyProgress,
    ) -> Result<(), Refusal> {
        let Called { caller, account, has_webhook } = called;
        let Accepted { request_id, app_base } = accepted;
        let Row { id, lease, endpoint, terms } = admitted.row().clone();
        let call = OwnedCall {
            id,
            account: account.clone(),
            endpoint,
            app_base: app_base.clone(),
            closed: false,
            lease,
            terms,
            charge: None,
            webhook: has_webhook,
        };
        let sent = SentCall {
            request_id: request_id.clone(),
            app_base,
            body_sha256: match progress.end() {
                Some(BodyEnd::Complete { sha256 }) => sha256,
                // fal answered before it had read the body to its end.
                _ => None,
            },
            body_bytes: progress.bytes(),
            sent_at: self.shared.clock.now(),
        };
        admitted.sent(sent).await.map_err(|error| {
            tracing::error!(%request_id, %error, "fal took a job that could not be written down");
            Refusal::OutcomeUnknown(error.to_string())
        })?;
        if has_webhook {
            self.shared.following.begin(id, self.shared.clock.elapsed());
        }
        self.shared.owners.remember(caller.tenant_id(), request_id, call);
        Ok(())
    }
}

/// Who called, and how.
struct Called<'a> {
    caller: &'a Caller,
    account: &'a AccountName,
    has_webhook: bool,
}

struct Accepted {
    request_id: RequestId,
    app_base: Arc<str>,
}

async fn read_accepted(
    response: http::Response<crate::upstream::ResponseBody>,
) -> Result<(http::response::Parts, Bytes), Refusal> {
    // The job is in the queue by now: an answer that breaks off is an unknown outcome, not a bad answer.
    reply::read_envelope(response)
        .await
        .map_err(|error| Refusal::OutcomeUnknown(error.cause().unwrap_or_default()))
}

/// Passes on what fal said instead of taking the job.
async fn not_accepted(
    admitted: Admitted,
    answer: Answer,
    addresses: &Arc<Addresses>,
) -> Result<Reply, Refusal> {
    match answer {
        Answer::Tenant(response) => {
            close(admitted, response.status());
            reply::rewrite(response, reply::Form::Json, addresses).await
        }
        Answer::TenantError(parts, body) => {
            close(admitted, parts.status);
            Ok(reply::unchanged(parts, body))
        }
        Answer::AccountRefused(status) => {
            admitted.release(Some(status.as_u16()), "account_refused");
            Err(Refusal::AccountUnavailable)
        }
    }
}

/// fal refused the job, or answered in a way that leaves open whether it took it: then the row ends as unknown.
fn close(admitted: Admitted, status: StatusCode) {
    if status.is_client_error() {
        admitted.release(Some(status.as_u16()), "refused");
    }
}
