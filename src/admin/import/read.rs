//! The forms of an export: JSON as an array, as the answer of a list or line by line, and CSV.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::EntryProblem;

/// One token of the file, its fields by name.
pub(super) struct Entry {
    /// Where it begins.
    pub(super) line: u64,
    pub(super) fields: Map<String, Value>,
}

/// The lists in the answers of token lists, innermost last.
const WRAPPERS: [&str; 2] = ["data", "items"];

impl Entry {
    /// Whether the other gateway keeps it for its own records only.
    pub(super) fn is_deleted(&self) -> bool {
        let deleted = ["deleted_at", "DeletedAt"].into_iter().filter_map(|name| self.fields.get(name));
        { deleted }.any(|value| !matches!(value, Value::Null) && value.as_str() != Some(""))
    }
}

/// All tokens of the file. What cannot be read is told, and the rest is read on where that can be done.
pub(super) fn entries(text: &str, problems: &mut Vec<EntryProblem>) -> Vec<Entry> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let found = match text.trim_start().as_bytes().first() {
        None => Vec::new(),
        Some(b'[') => array(text, text, problems),
        Some(b'{') if is_wrapped(text) => wrapped(text, problems),
        Some(b'{') => lines(text, problems),
        Some(_) => csv(text, problems),
    };
    if found.is_empty() && problems.is_empty() {
        problems.push(EntryProblem::new(1, "-", "the file holds no tokens"));
    }
    found
}

/// A list's answer is one object that stands alone, and no token.
fn is_wrapped(text: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|object| object.contains_key(WRAPPERS[0]))
}

fn wrapped(text: &str, problems: &mut Vec<EntryProblem>) -> Vec<Entry> {
    let mut inner = text;
    for name in WRAPPERS {
        let object: Result<std::collections::HashMap<&str, &RawValue>, _> = serde_json::from_str(inner);
        match object.ok().and_then(|object| object.get(name).copied()) {
            Some(found) => inner = found.get(),
            None => break,
        }
    }
    array(text, inner, problems)
}

/// The objects of the array `part`, which is a part of `text`.
fn array(text: &str, part: &str, problems: &mut Vec<EntryProblem>) -> Vec<Entry> {
    let raw: Vec<&RawValue> = match serde_json::from_str(part) {
        Ok(raw) => raw,
        Err(error) => {
            let line = line_of(text, part) + error.line() as u64 - 1;
            problems.push(EntryProblem::new(line, "-", format!("cannot be read: {}", kind(&error))));
            return Vec::new();
        }
    };
    raw.into_iter().filter_map(|raw| object(line_of(text, raw.get()), raw.get(), problems)).collect()
}

fn lines(text: &str, problems: &mut Vec<EntryProblem>) -> Vec<Entry> {
    let lines = text.lines().zip(1_u64..).filter(|(line, _)| !line.trim().is_empty());
    lines.filter_map(|(line, number)| object(number, line, problems)).collect()
}

fn object(line: u64, text: &str, problems: &mut Vec<EntryProblem>) -> Option<Entry> {
    match serde_json::from_str(text) {
        Ok(fields) => Some(Entry { line, fields }),
        Err(error) => {
            problems.push(EntryProblem::new(line, "-", format!("cannot be read: {}", kind(&error))));
            None
        }
    }
}

/// What is wrong, without the text that is: it may be a key.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "the text ends in the middle",
        serde_json::error::Category::Data => "it is not a JSON object, but each token must be one",
        _ => "it is not JSON",
    }
}

fn csv(text: &str, problems: &mut Vec<EntryProblem>) -> Vec<Entry> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let head = match reader.headers() {
        Ok(head) if head.iter().any(|name| name == "key") => head.clone(),
        _ => {
            let reason = "is no head line of tokens in CSV, and no JSON: a column `key` is missing";
            problems.push(EntryProblem::new(1, "-", reason));
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let cells = head.iter().zip(&record).filter(|(_, cell)| *cell != "NULL");
                let fields = cells.map(|(name, cell)| (name.to_owned(), Value::from(cell))).collect();
                entries.push(Entry { line, fields });
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                problems.push(EntryProblem::new(line, "-", "has not as many cells as the head line"));
            }
        }
    }
    entries
}

/// The line of `text` in which its part `part` begins.
fn line_of(text: &str, part: &str) -> u64 {
    let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len());
    1 + text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() as u64
}
