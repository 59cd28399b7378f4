//! What was said: every known key with a value and its origin, laid over each other in the order defaults, file,
//! environment. Whether the values make sense is asked in `meant`.

use std::fmt;

use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};
use crate::secret::Secret;

/// The defaults with their reasons, as the operator reads them.
pub(super) const DEFAULTS: &str = include_str!("../../config/fal-relay.toml");

/// The keys of each of `[[accounts]]`, which the default file can only show in a comment.
const ACCOUNT_KEYS: [&str; 5] =
    ["accounts.name", "accounts.key", "accounts.key_file", "accounts.admin_key", "accounts.admin_key_file"];

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Switch(bool),
    List(Vec<String>),
}

impl Value {
    /// The value in TOML, or `None` when no key has such a value.
    pub(super) fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(Self::Text(text.to_string())),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(Self::Number)
            }
            DeValue::Boolean(switch) => Some(Self::Switch(*switch)),
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map(Self::List),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
        }
    }

    /// The value in an environment variable, where `like` tells which kind the key wants.
    pub(super) fn from_variable(text: &str, like: &Self) -> Option<Self> {
        match like {
            Self::Text(_) => Some(Self::Text(text.to_owned())),
            Self::Number(_) => text.trim().parse().ok().map(Self::Number),
            Self::Switch(_) => text.trim().parse().ok().map(Self::Switch),
            Self::List(_) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Self::List(items.map(str::to_owned).collect()))
            }
        }
    }

    pub(super) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// What a key of this kind wants, as the end of a sentence.
    pub(super) fn wanted(&self) -> &'static str {
        match self {
            Self::Text(_) => "must be a text in quotes",
            Self::Number(_) => "must be a whole number",
            Self::Switch(_) => "must be true or false",
            Self::List(_) => "must be a list of texts, such as [\"one\", \"two\"]",
        }
    }
}

impl fmt::Display for Value {
    /// As in TOML. A text with an `@` or a `?` may be an address with a password in it, so it is hidden.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let private = |text: &String| text.contains(['@', '?']);
        match self {
            Self::Text(text) if private(text) => f.write_str("\"****\""),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Switch(switch) => write!(f, "{switch}"),
            Self::List(items) if items.iter().any(private) => f.write_str("[\"****\"]"),
            Self::List(items) => write!(f, "{items:?}"),
        }
    }
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// One fal account as it was said.
#[derive(Clone, Debug)]
pub(super) struct SaidAccount {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) key: Option<(Secret, Origin)>,
    pub(super) key_file: Option<(String, Origin)>,
    pub(super) admin_key: Option<(Secret, Origin)>,
    pub(super) admin_key_file: Option<(String, Origin)>,
}

impl SaidAccount {
    pub(super) fn new(name: String, origin: Origin) -> Self {
        Self { name, origin, key: None, key_file: None, admin_key: None, admin_key_file: None }
    }
}

/// All that was said so far, and what was wrong with the saying.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// In the order of the default file.
    pub(super) entries: Vec<Entry>,
    pub(super) accounts: Vec<SaidAccount>,
    /// Accounts that were said but not looked at, since this is the sandbox.
    pub(super) ignored_accounts: Vec<Origin>,
    pub(super) notices: Vec<String>,
    pub(super) problems: Vec<Problem>,
    /// With `--sandbox` no real key is looked at.
    pub(super) sandbox: bool,
}

impl Said {
    /// The defaults.
    pub(super) fn new(sandbox: bool) -> Self {
        let mut said = Self { sandbox, ..Self::default() };
        match DeTable::parse(DEFAULTS) {
            Ok(table) => collect_defaults(table.get_ref(), "", &mut said.entries),
            Err(error) => said.problems.push(Problem::Syntax {
                at: Origin::Default,
                reason: error.message().into(),
                line: String::new(),
            }),
        }
        said
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Whether the operator said something about `key`.
    pub(super) fn was_said(&self, key: &str) -> bool {
        self.get(key).is_some_and(|entry| entry.origin != Origin::Default)
    }

    /// Whether `key` is an empty text.
    pub(super) fn is_empty(&self, key: &str) -> bool {
        self.get(key).is_some_and(|entry| entry.value == Value::Text(String::new()))
    }

    pub(super) fn set(&mut self, key: &str, value: Value, origin: Origin) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == key) {
            entry.value = value;
            entry.origin = origin;
        }
    }

    pub(super) fn is_section(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| is_inside(&entry.key, name))
    }

    pub(super) fn refuse(&mut self, at: Origin, key: impl Into<String>, reason: impl Into<String>) {
        self.problems.push(Problem::Unusable { at, key: key.into(), reason: reason.into() });
    }

    /// The known key that `name` was perhaps meant to be: a near spelling, or the same word in another section.
    pub(super) fn suggest(&self, name: &str) -> Option<String> {
        let keys = || self.entries.iter().map(|entry| entry.key.as_str()).chain(ACCOUNT_KEYS);
        let near = nearest(name, leaf(name).len(), keys().map(|key| (key, key)));
        near.or_else(|| nearest(leaf(name), leaf(name).len(), keys().map(|key| (leaf(key), key))))
    }

    /// The known section that `name` was perhaps meant to be.
    pub(super) fn suggest_section(&self, name: &str) -> Option<String> {
        let sections = self.entries.iter().filter_map(|entry| Some(entry.key.rsplit_once('.')?.0));
        nearest(name, name.len(), sections.chain(["accounts"]).map(|section| (section, section)))
    }
}

fn is_inside(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

fn leaf(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// The name of the spelling that is nearest to `name`, if it is within a third of `letters`, two at least.
fn nearest<'a>(
    name: &str,
    letters: usize,
    spellings: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<String> {
    let most = (letters / 3).max(2);
    let near = spellings.map(|(spelling, of)| (strsim::osa_distance(name, spelling), of));
    near.filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, of)| of.to_owned())
}

/// Flattens the default file, whose keys are all the keys there are.
fn collect_defaults(table: &DeTable<'_>, prefix: &str, entries: &mut Vec<Entry>) {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in pairs {
        let key = join(prefix, key.get_ref());
        match (value.get_ref(), Value::from_toml(value.get_ref())) {
            (DeValue::Table(inner), _) => collect_defaults(inner, &key, entries),
            (_, Some(value)) => entries.push(Entry { key, value, origin: Origin::Default }),
            (_, None) => {}
        }
    }
}

pub(super) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.into() } else { format!("{prefix}.{key}") }
}
