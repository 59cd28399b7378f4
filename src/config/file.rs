//! The operator's file: TOML, whose keys must all be known.

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problem};
use super::said::{Said, SaidAccount, Value, join};
use crate::secret::Secret;

/// The largest file that is read: far more than any configuration needs, far less than memory.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Lays the file at `path` over what was said before.
pub(super) fn read(path: &Path, said: &mut Said) {
    let name: Arc<str> = path.display().to_string().into();
    match read_text(path) {
        Ok(text) => File { path: name, text: &text }.lay_over(said),
        Err(error) => said.problems.push(Problem::Unreadable { path: name, reason: error.to_string() }),
    }
}

/// The whole text of a small file.
pub(super) fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    match read as u64 > MAX_FILE_BYTES {
        true => Err(std::io::Error::other("the file is larger than 1 MiB")),
        false => Ok(text),
    }
}

struct File<'t> {
    path: Arc<str>,
    text: &'t str,
}

impl File<'_> {
    fn lay_over(&self, said: &mut Said) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            let (at, line) = (self.at(&span), self.line_without_value(&span));
            said.problems.push(Problem::Syntax { at, reason: error.message().into(), line });
        }
        // What the parser guessed after a fault would only bring faults that are none.
        if errors.is_empty() {
            self.section(table.get_ref(), "", said);
        }
    }

    fn section(&self, table: &DeTable<'_>, prefix: &str, said: &mut Said) {
        for (key, value) in in_order(table) {
            let name = join(prefix, key.get_ref());
            match (said.get(&name).map(|entry| entry.value.clone()), value.get_ref()) {
                _ if name == "accounts" => self.accounts(value, said),
                (Some(like), value) => self.value(key, &name, value, &like, said),
                (None, DeValue::Table(inner)) if said.is_section(&name) => self.section(inner, &name, said),
                (None, _) if said.is_section(&name) => {
                    said.refuse(self.at(&key.span()), name.as_str(), format!("is a section: write [{name}]"));
                }
                (None, DeValue::Table(_)) => self.unknown("section", key, name, said),
                (None, _) => self.unknown("key", key, name, said),
            }
        }
    }

    fn value(&self, key: &Spanned<Key<'_>>, name: &str, value: &DeValue<'_>, like: &Value, said: &mut Said) {
        match Value::from_toml(value).filter(|value| value.same_kind(like)) {
            Some(value) => said.set(name, value, self.at(&key.span())),
            None => said.refuse(self.at(&key.span()), name, like.wanted()),
        }
    }

    fn unknown(&self, what: &'static str, key: &Spanned<Key<'_>>, name: String, said: &mut Said) {
        let suggestion = if what == "section" { said.suggest_section(&name) } else { said.suggest(&name) };
        let (at, line) = (self.at(&key.span()), self.line_without_value(&key.span()));
        said.problems.push(Problem::Unknown { at, what, name: plain(name), suggestion, line });
    }

    fn accounts(&self, value: &Spanned<DeValue<'_>>, said: &mut Said) {
        let at = self.at(&value.span());
        if said.sandbox {
            return said.ignored_accounts.push(at);
        }
        let Some(items) = value.get_ref().as_array() else {
            return said.refuse(at, "accounts", "is a list: write [[accounts]] above each account");
        };
        for item in items.iter() {
            match item.get_ref().as_table() {
                Some(table) => self.account(table, self.at(&item.span()), said),
                None => said.refuse(self.at(&item.span()), "accounts", "must be tables: write [[accounts]]"),
            }
        }
    }

    fn account(&self, table: &DeTable<'_>, at: Origin, said: &mut Said) {
        let mut account = SaidAccount::new(String::new(), at);
        for (key, value) in in_order(table) {
            let at = self.at(&key.span());
            match (key.get_ref().as_ref(), value.get_ref().as_str()) {
                ("name", Some(name)) => account.name = name.into(),
                ("key", Some(text)) => account.key = Some((Secret::new(text), at)),
                ("key_file", Some(path)) => account.key_file = Some((path.into(), at)),
                ("admin_key", Some(text)) => account.admin_key = Some((Secret::new(text), at)),
                ("admin_key_file", Some(path)) => account.admin_key_file = Some((path.into(), at)),
                (name @ ("name" | "key" | "key_file" | "admin_key" | "admin_key_file"), None) => {
                    said.refuse(at, format!("accounts.{name}"), "must be a text in quotes");
                }
                (name, _) => self.unknown("key", key, join("accounts", name), said),
            }
        }
        said.accounts.push(account);
    }

    fn at(&self, span: &Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).map_or(0, |text| text.chars().count()) + 1;
        Origin::File { path: self.path.clone(), line, column }
    }

    /// The line up to its `=`. What follows may be a secret under a mistyped name, so it is never shown.
    fn line_without_value(&self, span: &Range<usize>) -> String {
        let start = self.text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or("").trim();
        match line.split_once('=') {
            Some((key, _)) => plain(format!("{} = …", key.trim())),
            None if line.starts_with('[') && line.ends_with(']') => plain(line.into()),
            None => String::new(),
        }
    }
}

type Key<'t> = toml::de::DeString<'t>;
type Pair<'t, 'i> = (&'t Spanned<Key<'i>>, &'t Spanned<DeValue<'i>>);

/// The pairs as they were written, so that problems are told in the order of the file.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Pair<'t, 'i>> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

/// A name as it is; stars when it has characters that no key has, since it may be a misplaced secret.
fn plain(name: String) -> String {
    let known = |c: char| c.is_ascii_alphanumeric() || "_-.[] =…".contains(c);
    if name.chars().all(known) { name } else { "****".into() }
}
