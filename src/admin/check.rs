//! Checks of what is given. Names and words stand in tables, log lines and web pages, so what cannot be seen is not let in.

use std::borrow::Cow;

use super::AdminError;
use crate::outside::Guard;

/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 64;

/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 500;

/// The most tags of a tenant.
const MAX_TAGS: usize = 32;

/// Rows of a page, when nobody says how many, and at most.
const PAGE_ROWS: u32 = 100;
const MAX_PAGE_ROWS: u32 = 1000;

/// Checks a name.
pub(super) fn name(field: impl Into<Cow<'static, str>>, name: &str) -> Result<(), AdminError> {
    line(field, name, MAX_NAME_CHARS)
}

/// Checks why something is changed.
pub(super) fn reason(reason: &str) -> Result<(), AdminError> {
    line("reason", reason, MAX_REASON_CHARS)
}

/// Checks the words of a tenant.
pub(super) fn tags(tags: &[String]) -> Result<(), AdminError> {
    if tags.len() > MAX_TAGS {
        return Err(AdminError::field("tags", format!("must be at most {MAX_TAGS}")));
    }
    tags.iter().enumerate().try_for_each(|(nth, tag)| name(format!("tags[{nth}]"), tag))
}

/// Checks where alerts go.
pub(super) fn alert_url(guard: &Guard, text: &str) -> Result<(), AdminError> {
    guard.judge(text).map(drop).map_err(|refused| AdminError::field("alert_url", refused.to_string()))
}

/// How many rows a page has.
pub(super) fn limit(limit: Option<i64>) -> Result<u32, AdminError> {
    let Some(limit) = limit else { return Ok(PAGE_ROWS) };
    let rows = u32::try_from(limit).ok().filter(|rows| (1..=MAX_PAGE_ROWS).contains(rows));
    rows.ok_or_else(|| AdminError::field("limit", format!("must be from 1 to {MAX_PAGE_ROWS}")))
}

/// The number in a page's cursor.
pub(super) fn cursor(cursor: Option<&str>) -> Result<Option<i64>, AdminError> {
    let number = |text: &str| text.parse().ok().filter(|number: &i64| *number >= 0);
    let read = |text| {
        number(text).ok_or_else(|| AdminError::field("cursor", "must be a `next_cursor` of this list"))
    };
    cursor.map(read).transpose()
}

/// The number after which rows are wanted; from the first when not given.
pub(super) fn after(after: Option<i64>) -> Result<i64, AdminError> {
    match after {
        Some(after) if after < 0 => Err(AdminError::field("after", "must not be below zero")),
        after => Ok(after.unwrap_or(0)),
    }
}

/// What a list is searched for.
pub(super) fn search(text: Option<&str>) -> Result<Option<String>, AdminError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.chars().count() > MAX_NAME_CHARS {
        true => Err(AdminError::field("search", format!("must have at most {MAX_NAME_CHARS} characters"))),
        false => Ok(Some(text.to_owned())),
    }
}

fn line(field: impl Into<Cow<'static, str>>, text: &str, max_chars: usize) -> Result<(), AdminError> {
    let why = match text {
        "" => "must not be empty".to_owned(),
        text if text.chars().count() > max_chars => format!("must have at most {max_chars} characters"),
        text if text.trim() != text => "must not begin or end with a space".to_owned(),
        text if text.chars().any(is_unseen) => "must have printable characters only".to_owned(),
        _ => return Ok(()),
    };
    Err(AdminError::field(field, why))
}

/// Control characters, and those that print nothing or turn the direction of the text round, with which one name can
/// pass for another.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}
