//! The beginning and end of an upload. fal answers with presigned addresses; the bytes themselves do not pass here.

use http::Method;

use super::notes::Notes;
use super::refusal::Refusal;
use super::reply::{self, Reply};
use super::{Answer, Inbound, Relay, Target, with_query};
use crate::fal::{AcceptEncoding, Storage};
use crate::upstream::Host;

impl Relay {
    /// Passes one step of an upload on. It costs nothing at fal.
    pub async fn storage(
        &self,
        step: Storage,
        inbound: Inbound,
        notes: &mut Notes,
    ) -> Result<Reply, Refusal> {
        self.check_length(&inbound.headers)?;
        let account = self.shared.accounts.next()?;
        let to = Target {
            host: Host::Rest,
            method: Method::POST,
            path_and_query: with_query(step.as_path().to_owned(), inbound.query.as_deref()),
            accept_encoding: AcceptEncoding::AsSent,
        };
        let answer = self.forward(account, self.outgoing(to, inbound), notes).await;
        match answer.map_err(|error| Refusal::of_question(error, self.shared.settings.max_body_bytes))? {
            Answer::Tenant(response) => Ok(reply::pass(response)),
            Answer::TenantError(parts, body) => Ok(reply::unchanged(parts, body)),
            Answer::AccountRefused(_) => Err(Refusal::AccountUnavailable),
        }
    }
}
