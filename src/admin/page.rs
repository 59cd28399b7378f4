//! Lists in pages.

use std::fmt::Display;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// A page of `limit` rows out of the one more that was asked for; `cursor` tells where the next begins.
    pub(super) fn cut<R, C: Display>(
        mut rows: Vec<R>,
        limit: u32,
        cursor: impl Fn(&R) -> C,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let kept = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > kept;
        rows.truncate(kept);
        let next_cursor = rows.last().filter(|_| has_more).map(|row| cursor(row).to_string());
        Self { items: rows.into_iter().map(view).collect(), next_cursor, has_more }
    }

    /// Nothing.
    pub(super) fn empty() -> Self {
        Self { items: Vec::new(), next_cursor: None, has_more: false }
    }
}

/// Which page of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those whose name contains this, in any case.
    pub search: Option<String>,
    /// The most rows, 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Reads a member that may be left out (`None`) or be null (`Some(None)`).
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
