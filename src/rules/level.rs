//! What one tenant, group or key says.

use std::net::IpAddr;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::money::Usd;

use super::glob::Path;
use super::{Globs, List, Network, Origin, RulesError};

/// One level's wishes, each of them optional. As JSON, what is not said is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Endpoints that may be called; none listed is all.
    #[serde(skip_serializing_if = "Globs::is_empty")]
    pub allow: Globs,
    /// Endpoints that may not be called, whatever is allowed.
    #[serde(skip_serializing_if = "Globs::is_empty")]
    pub deny: Globs,
    /// Requests of any kind in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Calls that can cost something, in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submits_per_minute: Option<NonZeroU32>,
    /// Jobs that have begun and not ended, at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_in_flight: Option<NonZeroU32>,
    /// Uploads that begin, in a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploads_per_minute: Option<NonZeroU32>,
    /// The most bytes of one upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_upload_bytes: Option<u64>,
    /// The largest price of one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_request_usd: Option<Usd>,
    /// Networks that calls may come from; none listed is all.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub networks: List<Network>,
    /// Browser origins that calls may come from; none listed is all.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub origins: List<Origin>,
}

impl Rules {
    /// Looks for what contradicts itself: a pattern that is allowed, and denied as a whole.
    pub fn check(&self) -> Result<(), RulesError> {
        let pairs = self.allow.iter().flat_map(|allow| self.deny.iter().map(move |deny| (allow, deny)));
        match { pairs }.find(|(allow, deny)| deny.covers(allow)) {
            Some((allow, deny)) => {
                Err(RulesError::Contradiction { allow: allow.clone(), deny: deny.clone() })
            }
            None => Ok(()),
        }
    }

    pub(super) fn permits(&self, endpoint: &str, path: &Path<'_>) -> bool {
        (self.allow.is_empty() || self.allow.matches_path(endpoint, path))
            && !self.deny.matches_path(endpoint, path)
    }

    pub(super) fn admits(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(address))
    }

    pub(super) fn admits_origin(&self, origin: &str) -> bool {
        self.origins.is_empty() || self.origins.iter().any(|listed| listed.as_str() == origin)
    }
}
