//! What a key may call, and what that costs it, in the shape of fal's Platform API (protocol 8), so that tools which
//! read fal's lists read these.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::query::{Query, wrong};
use super::{Question, json};
use crate::clock::Timestamp;
use crate::money::price_text;
use crate::pricing::{PriceBook, Unknown};
use crate::relay::Relay;
use crate::relay::caller::Caller;
use crate::relay::refusal::Refusal;
use crate::relay::reply::Reply;
use crate::rules::Glob;

/// Endpoints that one question may name, as at fal.
const ENDPOINTS_MAX: usize = 50;
/// The most entries on a page; of a page that is not asked to be shorter, all.
const MODELS_MAX: usize = 100;

#[derive(Serialize)]
struct Models<'a> {
    models: Vec<Model<'a>>,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Serialize)]
struct Model<'a> {
    endpoint_id: &'a str,
    metadata: Metadata<'a>,
}

/// fal's fields. What the price list does not tell is empty.
#[derive(Serialize)]
struct Metadata<'a> {
    display_name: &'a str,
    category: &'static str,
    description: &'static str,
    status: &'static str,
    tags: [&'static str; 0],
    updated_at: String,
    is_favorited: Option<bool>,
    thumbnail_url: &'static str,
    model_url: String,
    date: String,
    highlighted: bool,
    pinned: bool,
}

#[derive(Serialize)]
struct Prices<'a> {
    prices: Vec<Price<'a>>,
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Serialize)]
struct Price<'a> {
    endpoint_id: &'a str,
    /// A number with all its digits, which no float has.
    unit_price: Box<RawValue>,
    unit: &'a str,
    currency: &'static str,
}

#[derive(Serialize)]
struct Paging {
    next_cursor: Option<String>,
    has_more: bool,
}

/// Which part of a list is asked for.
struct Page {
    after: Option<String>,
    limit: usize,
}

impl Relay {
    /// The endpoints that the caller may call.
    pub(super) fn models(&self, caller: &Caller, question: Question<'_>) -> Result<Reply, Refusal> {
        let query = Query::read(question.query);
        let wanted = Wanted::read(&query)?;
        let page = Page::read(&query)?;
        let book = self.shared.prices.book();
        let endpoints = match wanted.none {
            true => BTreeSet::new(),
            false => self.callable(caller, &book, &named(&query)?),
        };
        let endpoints = endpoints.iter().map(|id| &**id).filter(|id| wanted.has(id)).collect();
        let (entries, paging) = page.of(endpoints);
        let listed_at = Timestamp::from_micros(book.synced_at().unwrap_or(0)).to_string();
        let models = entries.into_iter().map(|id| model(id, &listed_at, question.base)).collect();
        json(&Models { models, paging })
    }

    /// What the endpoints cost that the caller may call.
    pub(super) fn model_prices(&self, caller: &Caller, query: &str) -> Result<Reply, Refusal> {
        let query = Query::read(query);
        let page = Page::read(&query)?;
        let book = self.shared.prices.book();
        let endpoints = self.callable(caller, &book, &named(&query)?);
        let priced = endpoints.iter().map(|id| &**id).filter(|id| book.price(id).is_some()).collect();
        let (entries, paging) = page.of(priced);
        let prices = entries.into_iter().filter_map(|id| price(caller, &book, id)).collect();
        json(&Prices { prices, paging })
    }

    /// Of the endpoints that are known here, or of those that were named, the ones that the caller may call.
    fn callable(&self, caller: &Caller, book: &PriceBook, named: &[&str]) -> BTreeSet<String> {
        let rules = caller.rules();
        let prices = &self.shared.prices;
        let listed: Vec<_> = rules
            .levels()
            .into_iter()
            .flat_map(|(_, rules)| rules.allow.iter())
            .filter(|glob| glob.is_exact() && prices.unknown() != Unknown::Refuse)
            .map(Glob::as_str)
            .collect();
        let known = |id: &str| book.price(id).is_some() || listed.contains(&id);
        let permitted = |id: &&str| rules.permits(id) && known(id);
        match named {
            [] => {
                let endpoints = prices.endpoints();
                let all = endpoints.iter().map(|id| &**id).chain(listed.iter().copied());
                all.filter(permitted).map(str::to_owned).collect()
            }
            named => named.iter().copied().filter(permitted).map(str::to_owned).collect(),
        }
    }
}

/// The filters of a list of models that the relay can keep.
struct Wanted {
    words: Option<String>,
    /// Deprecated ones are asked for, of which the price list has none.
    none: bool,
}

impl Wanted {
    fn read(query: &Query<'_>) -> Result<Self, Refusal> {
        if query.one("category")?.is_some() {
            return Err(wrong("category", "is not known here; leave it out"));
        }
        let none = match query.one("status")? {
            None | Some("active") => false,
            Some("deprecated") => true,
            Some(_) => return Err(wrong("status", "must be active or deprecated")),
        };
        Ok(Self { words: query.one("q")?.map(str::to_ascii_lowercase), none })
    }

    fn has(&self, endpoint: &str) -> bool {
        self.words.as_ref().is_none_or(|words| endpoint.to_ascii_lowercase().contains(words))
    }
}

impl Page {
    fn read(query: &Query<'_>) -> Result<Self, Refusal> {
        let limit = match query.one("limit")?.map(str::parse) {
            None => MODELS_MAX,
            Some(Ok(limit @ 1..)) => MODELS_MAX.min(limit),
            Some(_) => return Err(wrong("limit", "must be a whole number from 1 on")),
        };
        let after = query.one("cursor")?.map(cursor).transpose()?;
        Ok(Self { after, limit })
    }

    /// The page of a sorted list. A cursor names the last entry before it, so a list that changes in between repeats
    /// nothing and leaves nothing out that stayed.
    fn of<'a>(&self, all: Vec<&'a str>) -> (Vec<&'a str>, Paging) {
        let after = self.after.as_deref();
        let rest: Vec<_> = all.into_iter().filter(|id| after.is_none_or(|after| *id > after)).collect();
        let has_more = rest.len() > self.limit;
        let entries: Vec<_> = rest.into_iter().take(self.limit).collect();
        let next_cursor = entries.last().filter(|_| has_more).map(|id| URL_SAFE_NO_PAD.encode(id));
        (entries, Paging { next_cursor, has_more })
    }
}

fn cursor(text: &str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let after = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|after| !after.is_empty());
    after.ok_or_else(|| wrong("cursor", "must be the next_cursor of the page before"))
}

/// The endpoints that a question names; none is all.
fn named<'a>(query: &'a Query<'_>) -> Result<Vec<&'a str>, Refusal> {
    let named = query.list("endpoint_id");
    match named.iter().any(|id| id.is_empty()) {
        true => Err(wrong("endpoint_id", "must not be empty")),
        false if named.len() > ENDPOINTS_MAX => {
            Err(wrong("endpoint_id", format!("must have {ENDPOINTS_MAX} values at most")))
        }
        false => Ok(named),
    }
}

fn model<'a>(id: &'a str, listed_at: &str, base: &str) -> Model<'a> {
    let metadata = Metadata {
        display_name: id,
        category: "",
        description: "",
        status: "active",
        tags: [],
        updated_at: listed_at.to_owned(),
        is_favorited: None,
        thumbnail_url: "",
        model_url: [base, "/run/", id].concat(),
        date: listed_at.to_owned(),
        highlighted: false,
        pinned: false,
    };
    Model { endpoint_id: id, metadata }
}

fn price<'a>(caller: &Caller, book: &'a PriceBook, id: &'a str) -> Option<Price<'a>> {
    let price = book.price(id)?;
    let unit_price = price_text(price.unit_price, caller.record().group.multiplier);
    let unit_price = RawValue::from_string(unit_price).ok()?;
    Some(Price { endpoint_id: id, unit_price, unit: &price.unit, currency: "USD" })
}
