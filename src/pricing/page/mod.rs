//! Pages of fal's lists: `GET /v1/models/pricing` and `GET /v1/models` (protocol 8).
//!
//! An entry that is no good is named and left out; the rest of its page counts. That holds for `NaN` and `Infinity` too,
//! which are no JSON but what Python's writer makes of such a number.

mod number;
mod problem;
mod words;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Price, PriceList};

pub use problem::{EntryFault, EntryProblem, PageError};

/// The most entries of one page; fal sends fifty.
const MAX_ENTRIES: usize = 10_000;
/// The longest endpoint id, cursor or other text that is taken over.
const MAX_TEXT_BYTES: usize = 1_024;

/// What one page says.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries that are sound.
    pub entries: T,
    /// The others.
    pub problems: Vec<EntryProblem>,
    /// What to ask the next page with; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// A model of fal's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The endpoint id.
    pub endpoint: Arc<str>,
    /// Its name for people, when there is one.
    pub display_name: Option<String>,
    /// `text-to-image` or the like.
    pub category: Option<String>,
    /// `active` or `deprecated`.
    pub status: Option<String>,
}

/// Reads a page of prices.
pub fn read_prices(body: &[u8]) -> Result<Page<PriceList>, PageError> {
    let body = words::quoted(body);
    let (raw, next_cursor) = entries(&body, "prices")?;
    let (mut list, mut problems) = (PriceList::new(), Vec::new());
    for (at, raw) in raw.into_iter().enumerate() {
        let fault = match price_entry(raw) {
            Ok((endpoint, price)) if list.get(&endpoint).is_none_or(|known| *known == price) => {
                list.insert(endpoint, price);
                continue;
            }
            Ok(_) => EntryFault::Twice,
            Err(fault) => fault,
        };
        problems.push(EntryProblem { at, endpoint: name(raw), fault });
    }
    Ok(Page { entries: list, problems, next_cursor })
}

/// Reads a page of models.
pub fn read_models(body: &[u8]) -> Result<Page<Vec<Model>>, PageError> {
    let body = words::quoted(body);
    let (raw, next_cursor) = entries(&body, "models")?;
    let (mut models, mut problems) = (Vec::new(), Vec::new());
    for (at, raw) in raw.into_iter().enumerate() {
        match model_entry(raw) {
            Ok(model) => models.push(model),
            Err(fault) => problems.push(EntryProblem { at, endpoint: name(raw), fault }),
        }
    }
    Ok(Page { entries: models, problems, next_cursor })
}

/// Members by name, as they were written. Of a name that comes twice the last one counts.
type Members<'a> = HashMap<String, &'a RawValue>;

fn members(raw: &RawValue) -> Result<Members<'_>, EntryFault> {
    serde_json::from_str(raw.get()).map_err(|_| EntryFault::NotAnObject)
}

/// The entries of the list `name`, and the cursor of the next page.
fn entries<'a>(body: &'a [u8], name: &'static str) -> Result<(Vec<&'a RawValue>, Option<String>), PageError> {
    let page: Members<'a> = serde_json::from_slice(body).map_err(|e| PageError::NotJson(e.to_string()))?;
    let list = page.get(name).ok_or(PageError::NoList(name))?;
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(|_| PageError::NoList(name))?;
    match list.len() {
        0..=MAX_ENTRIES => Ok((list, next_cursor(&page)?)),
        _ => Err(PageError::TooMany(MAX_ENTRIES)),
    }
}

/// A page that says neither is the last one, unless it has a cursor.
fn next_cursor(page: &Members) -> Result<Option<String>, PageError> {
    let cursor = optional::<String>(page, "next_cursor").map_err(|_| PageError::Cursor)?;
    let has_more = optional::<bool>(page, "has_more").map_err(|_| PageError::Cursor)?;
    match (has_more, cursor) {
        (Some(false), _) | (None, None) => Ok(None),
        (_, Some(cursor)) if (1..=MAX_TEXT_BYTES).contains(&cursor.len()) => Ok(Some(cursor)),
        _ => Err(PageError::Cursor),
    }
}

/// The member `name`; `None` when it is missing or null.
fn optional<'a, T: Deserialize<'a>>(
    members: &Members<'a>,
    name: &'static str,
) -> Result<Option<T>, EntryFault> {
    let Some(raw) = members.get(name) else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|_| EntryFault::Unreadable(name))
}

fn required<'a, T: Deserialize<'a>>(members: &Members<'a>, name: &'static str) -> Result<T, EntryFault> {
    optional(members, name)?.ok_or(EntryFault::Missing(name))
}

fn price_entry(raw: &RawValue) -> Result<(Arc<str>, Price), EntryFault> {
    let entry = members(raw)?;
    let endpoint = endpoint(&entry)?;
    let unit: String = required(&entry, "unit")?;
    let currency: String = required(&entry, "currency")?;
    if currency != "USD" {
        return Err(EntryFault::Currency(problem::shown(&currency)));
    }
    let written: &RawValue = required(&entry, "unit_price")?;
    // A string, or a number: a list or the like is no number either.
    let text = serde_json::from_str::<String>(written.get()).unwrap_or_else(|_| written.get().to_owned());
    let unit_price = number::unit_price(&text).map_err(EntryFault::Price)?;
    Ok((endpoint, Price::new(unit_price, &unit)))
}

fn model_entry(raw: &RawValue) -> Result<Model, EntryFault> {
    let entry = members(raw)?;
    let metadata = optional::<&RawValue>(&entry, "metadata")?.map(members).transpose()?.unwrap_or_default();
    // What is told for people only is left out when it is no short text.
    let text =
        |name| optional::<String>(&metadata, name).ok().flatten().filter(|t| t.len() <= MAX_TEXT_BYTES);
    Ok(Model {
        endpoint: endpoint(&entry)?,
        display_name: text("display_name"),
        category: text("category"),
        status: text("status"),
    })
}

fn endpoint(entry: &Members) -> Result<Arc<str>, EntryFault> {
    let id: String = required(entry, "endpoint_id")?;
    let sound = id.bytes().all(|b| b.is_ascii_graphic()) && (1..=MAX_TEXT_BYTES).contains(&id.len());
    if sound { Ok(id.into()) } else { Err(EntryFault::Unreadable("endpoint_id")) }
}

/// The endpoint of an entry that is no good, as far as it can be told and shown.
fn name(raw: &RawValue) -> Option<String> {
    let id: Option<String> = optional(&members(raw).ok()?, "endpoint_id").ok()?;
    id.map(|id| problem::shown(&id))
}
