//! Rules as people and programs write them.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AdminError;
use crate::money::Usd;
use crate::rules::{Globs, List, Listed, Rules, RulesError};

/// What a tenant, a group or a key may do; each narrows the others. What is not said is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RulesSpec {
    /// Endpoints that may be called, such as `fal-ai/flux/**`; none listed is all.
    #[schema(example = json!(["fal-ai/flux/**"]))]
    pub allow: Vec<String>,
    /// Endpoints that may not be called, whatever is allowed.
    pub deny: Vec<String>,
    /// Requests of any kind in a minute.
    #[schema(minimum = 1, maximum = 4294967295_i64)]
    pub requests_per_minute: Option<i64>,
    /// Calls that can cost something, in a minute.
    #[schema(minimum = 1, maximum = 4294967295_i64)]
    pub submits_per_minute: Option<i64>,
    /// Jobs that have begun and not ended, at one time.
    #[schema(minimum = 1, maximum = 4294967295_i64)]
    pub jobs_in_flight: Option<i64>,
    /// Uploads that begin, in a minute.
    #[schema(minimum = 1, maximum = 4294967295_i64)]
    pub uploads_per_minute: Option<i64>,
    /// The most bytes of one upload, all its parts together.
    #[schema(minimum = 1)]
    pub max_upload_bytes: Option<i64>,
    /// The largest price of one request, in US dollars.
    #[schema(example = "0.10")]
    pub max_request_usd: Option<String>,
    /// Networks that calls may come from, such as `10.0.0.0/8`; none listed is all.
    pub networks: Vec<String>,
    /// Browser origins that calls may come from, such as `https://app.example.com`; none listed is all.
    pub origins: Vec<String>,
}

impl RulesSpec {
    /// Checks every field.
    pub(super) fn read(&self) -> Result<Rules, AdminError> {
        let rules = Rules {
            allow: Globs::parse(&self.allow).map_err(wrong("rules.allow"))?,
            deny: Globs::parse(&self.deny).map_err(wrong("rules.deny"))?,
            requests_per_minute: count("rules.requests_per_minute", self.requests_per_minute)?,
            submits_per_minute: count("rules.submits_per_minute", self.submits_per_minute)?,
            jobs_in_flight: count("rules.jobs_in_flight", self.jobs_in_flight)?,
            uploads_per_minute: count("rules.uploads_per_minute", self.uploads_per_minute)?,
            max_upload_bytes: bytes("rules.max_upload_bytes", self.max_upload_bytes)?,
            max_request_usd: match &self.max_request_usd {
                None => None,
                Some(text) => Some(usd("rules.max_request_usd", text)?),
            },
            networks: List::parse(&self.networks).map_err(wrong("rules.networks"))?,
            origins: List::parse(&self.origins).map_err(wrong("rules.origins"))?,
        };
        rules.check().map_err(wrong("rules.allow"))?;
        Ok(rules)
    }
}

impl From<&Rules> for RulesSpec {
    fn from(rules: &Rules) -> Self {
        let number = |count: Option<NonZeroU32>| count.map(|count| i64::from(count.get()));
        Self {
            allow: rules.allow.iter().map(ToString::to_string).collect(),
            deny: rules.deny.iter().map(ToString::to_string).collect(),
            requests_per_minute: number(rules.requests_per_minute),
            submits_per_minute: number(rules.submits_per_minute),
            jobs_in_flight: number(rules.jobs_in_flight),
            uploads_per_minute: number(rules.uploads_per_minute),
            max_upload_bytes: rules.max_upload_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            max_request_usd: rules.max_request_usd.map(|usd| usd.to_string()),
            networks: texts(&rules.networks),
            origins: texts(&rules.origins),
        }
    }
}

fn texts<T: Listed>(list: &List<T>) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn wrong(field: &'static str) -> impl Fn(RulesError) -> AdminError {
    move |error| AdminError::field(field, format!("is wrong: {error}"))
}

fn count(field: &'static str, count: Option<i64>) -> Result<Option<NonZeroU32>, AdminError> {
    let Some(count) = count else { return Ok(None) };
    match u32::try_from(count).ok().and_then(NonZeroU32::new) {
        Some(count) => Ok(Some(count)),
        None => Err(AdminError::field(
            field,
            format!("must be from 1 to {}; to set no limit, leave it out", u32::MAX),
        )),
    }
}

fn bytes(field: &'static str, bytes: Option<i64>) -> Result<Option<u64>, AdminError> {
    let Some(bytes) = bytes else { return Ok(None) };
    match u64::try_from(bytes) {
        Ok(bytes) if bytes > 0 => Ok(Some(bytes)),
        _ => Err(AdminError::field(field, "must be 1 or more; to set no limit, leave it out".to_owned())),
    }
}

/// Reads an amount.
pub(super) fn usd(field: impl Into<std::borrow::Cow<'static, str>>, text: &str) -> Result<Usd, AdminError> {
    Usd::parse(text).map_err(|error| AdminError::field(field, error))
}
