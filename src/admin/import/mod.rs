//! Keys and groups from the exports of other gateways (one-api, new-api and their kin). Their keys go on working: each is
//! known by its digest from then on, like one of the relay's own.

mod groups;
mod read;
mod token;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use groups::Groups;
use token::{Terms, Token};

use super::{Actor, AdminError, KeyView, check};
use crate::key::KeyDigest;
use crate::store::Role;

/// What a US dollar is in one-api and new-api, unless their operator changed it.
const QUOTA_PER_USD: i64 = 500_000;

/// The most keys in one import: it is one transaction, and nothing else is written meanwhile.
const MAX_ENTRIES: usize = 10_000;

/// What another gateway exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportInput {
    /// Its tokens with whole keys: a JSON array, the answer of its token list, one JSON object a line, or CSV with a head
    /// line.
    pub tokens: String,
    /// Its group ratios as a JSON object, such as `{"default": 1, "vip": 0.8}`. A group that is not in it, and not known here,
    /// has the multiplier 1.
    pub groups: Option<String>,
    /// The tenant of all keys; when not given, each of the other gateway's users becomes a tenant.
    pub tenant: Option<String>,
    /// How many quota points one US dollar has there; 500000 when not given.
    #[schema(minimum = 1)]
    pub quota_per_usd: Option<i64>,
    /// Fields of the tokens that do not matter; any other field that is not known is a fault.
    pub ignore: Vec<String>,
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
    /// Entries that the other gateway had deleted already.
    pub deleted: u64,
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

impl EntryProblem {
    #[expect(clippy::needless_pass_by_value, reason = "callers hand in words, texts and errors")]
    fn new(line: u64, field: impl Into<String>, reason: impl ToString) -> Self {
        Self { line, field: field.into(), reason: reason.to_string() }
    }
}

impl Actor {
    /// Takes over keys and groups of another gateway, whose keys go on working. All or nothing, unless `skip_bad` is said.
    pub async fn import(&self, input: ImportInput) -> Result<ImportReport, AdminError> {
        let author = self.author(Role::Manage)?;
        let terms = terms(&input, self.admin.kind)?;
        let mut report = ImportReport::default();
        let groups = Groups::read(input.groups.as_deref(), &mut report.problems);
        let tokens = read_tokens(&input, &terms, &mut report);
        let tokens = self.without_known(tokens, &mut report.problems).await?;
        let names = tokens.iter().map(|token| token.group.as_str());
        let new_groups = groups.missing(self.store(), names, &mut report.problems).await?;
        report.groups = new_groups.iter().map(|group| group.name.clone()).collect();
        report.imported = tokens.len() as u64;
        report.problems.sort_by_key(|problem| problem.line);
        if input.dry_run {
            return Ok(report);
        }
        if !report.problems.is_empty() && !input.skip_bad {
            return Err(AdminError::Import(Box::new(report)));
        }
        let now = author.at;
        let keys = tokens.into_iter().map(Token::into_key).collect();
        let made = self.store().import(new_groups, keys, author).await?;
        report.keys = made.iter().map(|key| KeyView::new(key, now)).collect();
        Ok(report)
    }

    /// Leaves out keys that come twice or are known already.
    async fn without_known(
        &self,
        tokens: Vec<Token>,
        problems: &mut Vec<EntryProblem>,
    ) -> Result<Vec<Token>, AdminError> {
        let mut lines: BTreeMap<KeyDigest, u64> = BTreeMap::new();
        let mut new = Vec::new();
        for token in tokens {
            if let Some(line) = lines.get(&token.digest) {
                let reason = format!("is the same as that of line {line}");
                problems.push(EntryProblem::new(token.line, "key", reason));
                continue;
            }
            lines.insert(token.digest, token.line);
            match self.store().key_by_digest(token.digest).await? {
                Some(known) => {
                    let reason = format!("is known here already, as key {}", known.id);
                    problems.push(EntryProblem::new(token.line, "key", reason));
                }
                None => new.push(token),
            }
        }
        Ok(new)
    }
}

fn terms(input: &ImportInput, kind: crate::key::KeyKind) -> Result<Terms<'_>, AdminError> {
    let quota_per_usd = input.quota_per_usd.unwrap_or(QUOTA_PER_USD);
    if quota_per_usd < 1 {
        return Err(AdminError::field("quota_per_usd", "must be at least 1"));
    }
    input.tenant.as_deref().map_or(Ok(()), |name| check::name("tenant", name))?;
    Ok(Terms { tenant: input.tenant.as_deref(), quota_per_usd, ignore: &input.ignore, kind })
}

fn read_tokens(input: &ImportInput, terms: &Terms<'_>, report: &mut ImportReport) -> Vec<Token> {
    let mut entries = read::entries(&input.tokens, &mut report.problems);
    if let Some(entry) = entries.get(MAX_ENTRIES) {
        let reason = format!("begins after {MAX_ENTRIES} others; import the file in parts");
        report.problems.push(EntryProblem::new(entry.line, "-", reason));
        entries.truncate(MAX_ENTRIES);
    }
    let mut tokens = Vec::new();
    for entry in entries {
        match entry.is_deleted() {
            true => report.deleted += 1,
            false => match Token::read(&entry, terms) {
                Ok(token) => tokens.push(token),
                Err(problem) => report.problems.push(problem),
            },
        }
    }
    tokens
}
