//! Which fal account carries a call: they take turns, and the one that began a job serves its whole life. When fal
//! refuses an account, that is the operator's trouble, not the tenant's.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Response, StatusCode};

use super::Answer;
use super::refusal::Refusal;
use super::reply::read_envelope;
use crate::fal::top_level_strings;
use crate::ids::AccountName;
use crate::upstream::{Account, ResponseBody, UpstreamError};

/// The operator's fal accounts.
pub(super) struct Accounts {
    accounts: Vec<Account>,
    turn: AtomicUsize,
}

impl Accounts {
    pub(super) fn new(accounts: Vec<Account>) -> Self {
        Self { accounts, turn: AtomicUsize::new(0) }
    }

    /// The account whose turn it is.
    pub(super) fn next(&self) -> Result<&Account, Refusal> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let index = turn.checked_rem(self.accounts.len()).ok_or(Refusal::AccountUnavailable)?;
        self.accounts.get(index).ok_or(Refusal::AccountUnavailable)
    }

    /// The account that began an upload, by what was sealed of it.
    pub(super) fn by_name(&self, name: &str) -> Result<&Account, Refusal> {
        self.accounts.iter().find(|account| account.name.as_str() == name).ok_or(Refusal::AccountUnavailable)
    }

    /// The account that began a job. It may have left the configuration since.
    pub(super) fn named(&self, name: &AccountName) -> Result<&Account, Refusal> {
        self.accounts.iter().find(|account| account.name == *name).ok_or_else(|| {
            tracing::error!(account = %name, "a job's fal account is no longer configured; put it back to serve its jobs");
            Refusal::AccountUnavailable
        })
    }
}

/// How fal begins its words about an account (protocol 7.4). All else with 401 or 403 is about the call.
const ABOUT_THE_ACCOUNT: [&str; 3] =
    ["User is locked", "No user found for Key", "Invalid Key Authorization header format"];

/// Tells an answer for the tenant from one about the relay's own account.
pub(super) async fn sort(
    response: Response<ResponseBody>,
    account: &Account,
) -> Result<Answer, UpstreamError> {
    let status = response.status();
    if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Ok(Answer::Tenant(response));
    }
    let (parts, body) = read_envelope(response)
        .await
        .map_err(|error| UpstreamError::Cut(error.cause().unwrap_or_default()))?;
    let [detail] = top_level_strings(&body, ["detail"]);
    match detail.filter(|detail| ABOUT_THE_ACCOUNT.iter().any(|words| detail.starts_with(words))) {
        None => Ok(Answer::TenantError(parts, body)),
        Some(detail) => {
            tracing::error!(account = %account.name, status = status.as_u16(), %detail, "fal refuses the account");
            Ok(Answer::AccountRefused(status))
        }
    }
}
