//! One token of another gateway, as a key of ours.

use serde_json::Value;

use super::EntryProblem;
use super::read::Entry;
use crate::admin::budget::SOFT_PERCENT;
use crate::admin::check;
use crate::clock::Timestamp;
use crate::ids::GroupId;
use crate::key::{ForeignKey, KeyDigest, KeyKind};
use crate::money::Usd;
use crate::period::{Period, Zone};
use crate::rules::{Globs, List, Rules};
use crate::store::{Budget, GroupRecord, ImportedKey, NewKey};

/// Fields that say nothing about what a key may do.
const TOLD_ELSEWHERE: [&str; 9] = [
    "id",
    "created_time",
    "accessed_time",
    "used_quota",
    "deleted_at",
    "DeletedAt",
    "cross_group_retry",
    "user_id",
    "username",
];

/// Fields that are read.
const READ: [&str; 12] = [
    "key",
    "name",
    "status",
    "expired_time",
    "remain_quota",
    "unlimited_quota",
    "model_limits_enabled",
    "model_limits",
    "models",
    "allow_ips",
    "subnet",
    "group",
];

/// The name of a key that has none.
const NAMELESS: &str = "imported";

/// What is the same for all tokens of a file.
pub(super) struct Terms<'a> {
    pub(super) tenant: Option<&'a str>,
    pub(super) quota_per_usd: i64,
    pub(super) ignore: &'a [String],
    pub(super) kind: KeyKind,
}

/// A token that can be taken.
pub(super) struct Token {
    pub(super) line: u64,
    pub(super) digest: KeyDigest,
    pub(super) group: String,
    key: NewKey,
    revoked: bool,
}

impl Token {
    /// Reads an entry; the first fault refuses it.
    pub(super) fn read(entry: &Entry, terms: &Terms<'_>) -> Result<Self, EntryProblem> {
        let fields = Fields(entry);
        fields.are_known(terms.ignore)?;
        let key = fields.key()?;
        let name = fields.text("name")?.unwrap_or_else(|| NAMELESS.into());
        fields.named("name", &name)?;
        let group = fields.text("group")?.unwrap_or_else(|| "default".into());
        fields.named("group", &group)?;
        let expires_at = fields.expiry()?;
        let key = NewKey {
            tenant: fields.tenant(terms)?,
            group_id: GroupId(GroupRecord::DEFAULT.0),
            name,
            kind: terms.kind,
            digest: key.digest(),
            last_four: key.last_four(),
            rules: fields.rules()?,
            starts_at: None,
            expires_at,
            budgets: fields.budget(terms.quota_per_usd)?.into_iter().collect(),
        };
        let revoked = fields.is_ended(expires_at)?;
        Ok(Self { line: entry.line, digest: key.digest, group, key, revoked })
    }

    pub(super) fn into_key(self) -> ImportedKey {
        ImportedKey { key: self.key, group: self.group, revoked: self.revoked }
    }
}

/// Reads the fields of an entry. What is empty or null is not there.
struct Fields<'a>(&'a Entry);

impl Fields<'_> {
    fn wrong(&self, field: &str, reason: impl ToString) -> EntryProblem {
        EntryProblem::new(self.0.line, field, reason)
    }

    fn are_known(&self, ignore: &[String]) -> Result<(), EntryProblem> {
        let known = |name: &str| {
            READ.contains(&name) || TOLD_ELSEWHERE.contains(&name) || ignore.iter().any(|other| other == name)
        };
        match self.0.fields.keys().find(|name| !known(name)) {
            Some(name) => Err(self.wrong(name, "is no field of a token; to import without it, ignore it")),
            None => Ok(()),
        }
    }

    fn value(&self, field: &str) -> Option<&Value> {
        self.0.fields.get(field).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    fn text(&self, field: &str) -> Result<Option<String>, EntryProblem> {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.wrong(field, "must be a text")),
        }
    }

    fn number(&self, field: &str) -> Result<Option<i64>, EntryProblem> {
        let read = |value: &Value| match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        let wrong = || self.wrong(field, "must be a whole number");
        self.value(field).map(|value| read(value).ok_or_else(wrong)).transpose()
    }

    fn flag(&self, field: &str) -> Result<bool, EntryProblem> {
        match self.value(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => match self.text(field)?.unwrap_or_default().to_ascii_lowercase().as_str() {
                "1" | "true" | "t" => Ok(true),
                "0" | "false" | "f" => Ok(false),
                _ => Err(self.wrong(field, "must be true or false, or 1 or 0")),
            },
        }
    }

    fn named(&self, field: &str, name: &str) -> Result<(), EntryProblem> {
        check::name("", name).map_err(|error| self.wrong(field, error.to_string().trim_start()))
    }

    fn key(&self) -> Result<ForeignKey, EntryProblem> {
        let text = self.text("key")?.ok_or_else(|| self.wrong("key", "is missing"))?;
        if text.contains('*') {
            return Err(self.wrong("key", "is masked with stars; export the table itself, with whole keys"));
        }
        ForeignKey::parse(text.trim()).ok_or_else(|| {
            let (min, max) = (ForeignKey::MIN_LEN, ForeignKey::MAX_LEN);
            self.wrong(
                "key",
                format!("must be {min} to {max} visible ASCII characters, with or without `sk-`"),
            )
        })
    }

    fn tenant(&self, terms: &Terms<'_>) -> Result<String, EntryProblem> {
        if let Some(tenant) = terms.tenant {
            return Ok(tenant.to_owned());
        }
        if let Some(name) = self.text("username")? {
            self.named("username", &name)?;
            return Ok(name);
        }
        let user = self.number("user_id")?;
        let user = user.ok_or_else(|| self.wrong("user_id", "is missing; name a tenant for all keys"))?;
        Ok(format!("user-{user}"))
    }

    /// -1 is never.
    fn expiry(&self) -> Result<Option<Timestamp>, EntryProblem> {
        let Some(seconds) = self.number("expired_time")?.filter(|seconds| *seconds != -1) else {
            return Ok(None);
        };
        let micros = seconds.checked_mul(1_000_000).filter(|micros| *micros >= 0);
        let wrong = || self.wrong("expired_time", "must be seconds since 1970, or -1 for never");
        micros.map(|micros| Some(Timestamp::from_micros(micros))).ok_or_else(wrong)
    }

    /// 1 works, 2 was disabled, 3 has expired, 4 has no quota left, which its budget tells.
    fn is_ended(&self, expires_at: Option<Timestamp>) -> Result<bool, EntryProblem> {
        match self.number("status")?.unwrap_or(1) {
            1 | 4 => Ok(false),
            2 => Ok(true),
            3 => Ok(expires_at.is_none()),
            _ => Err(self.wrong("status", "must be 1, 2, 3 or 4")),
        }
    }

    fn budget(&self, quota_per_usd: i64) -> Result<Option<Budget>, EntryProblem> {
        if self.flag("unlimited_quota")? {
            return Ok(None);
        }
        let Some(quota) = self.number("remain_quota")? else { return Ok(None) };
        let nanos = i128::from(quota.max(0)) * 1_000_000_000 / i128::from(quota_per_usd);
        let limit_usd = i64::try_from(nanos).ok().and_then(Usd::from_nanos);
        let limit_usd = limit_usd.ok_or_else(|| self.wrong("remain_quota", "is more than any budget"))?;
        let (period, zone) = (Period::Total, Zone::default());
        Ok(Some(Budget { period, limit_usd, soft_percent: SOFT_PERCENT, zone }))
    }

    fn rules(&self) -> Result<Rules, EntryProblem> {
        let field = if self.flag("model_limits_enabled")? { "model_limits" } else { "models" };
        let models = self.list(field, &[','])?;
        let ips = self.list("allow_ips", &[',', '\n', '\r'])?;
        let subnets = self.list("subnet", &[',', '\n', '\r'])?;
        let networks_field = if ips.is_empty() { "subnet" } else { "allow_ips" };
        Ok(Rules {
            allow: Globs::parse(&models).map_err(|error| self.wrong(field, error))?,
            networks: List::parse(&[ips, subnets].concat())
                .map_err(|error| self.wrong(networks_field, error))?,
            ..Rules::default()
        })
    }

    fn list(&self, field: &str, between: &[char]) -> Result<Vec<String>, EntryProblem> {
        let text = self.text(field)?.unwrap_or_default();
        Ok(text.split(between).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }
}
