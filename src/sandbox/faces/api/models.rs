//! The list of models.

use http::StatusCode;
use serde_json::{Value, json};

use super::params::{self, Params, bad_cursor};
use super::{Reply, invalid};
use crate::sandbox::Fal;
use crate::sandbox::catalogue::{Catalogue, Model};
use crate::sandbox::endpoint::Endpoint;
use crate::sandbox::prices::Prices;

/// Models on one page.
const MAX_PAGE: usize = 50;

/// Lists the models that were named or searched for, page by page.
pub(super) fn list(fal: &Fal, params: &Params) -> Result<Reply, Reply> {
    let search = Search::read(params)?;
    let limit = params.limit(MAX_PAGE, MAX_PAGE)?;
    let start = match params.cursor()? {
        Some(text) => text.parse::<usize>().map_err(|_| bad_cursor())?,
        None => 0,
    };
    let (page, more) = fal.books(|books, _| {
        let all = chosen(fal.catalogue(), &books.prices, &search.ids);
        let mut found = all.into_iter().filter(|(id, model)| search.finds(id, model)).skip(start);
        let page: Vec<Value> = found.by_ref().take(limit).map(|(id, model)| entry(id, model)).collect();
        (page, found.next().is_some())
    });
    let next_cursor = more.then(|| params::cursor(&(start + limit).to_string()));
    let body = json!({ "models": page, "next_cursor": next_cursor, "has_more": more });
    Ok(Reply::json(StatusCode::OK, &body))
}

/// The named endpoints with what each is in the catalogue, or stands in for it; the whole list when none is named.
fn chosen<'a>(catalogue: &'a Catalogue, prices: &'a Prices, ids: &[&'a str]) -> Vec<(&'a str, &'a Model)> {
    if ids.is_empty() {
        return prices.endpoints(catalogue);
    }
    named(catalogue, ids)
}

/// The named endpoints that are any.
pub(super) fn named<'a>(catalogue: &'a Catalogue, ids: &[&'a str]) -> Vec<(&'a str, &'a Model)> {
    let named = |id: &&'a str| Some((*id, catalogue.find(&Endpoint::parse(id)?)?));
    ids.iter().filter_map(named).collect()
}

/// What models are looked for.
struct Search<'a> {
    ids: Vec<&'a str>,
    text: Option<String>,
    category: Option<&'a str>,
    deprecated: Option<bool>,
}

impl<'a> Search<'a> {
    fn read(params: &'a Params) -> Result<Self, Reply> {
        let deprecated = match params.one("status") {
            None => None,
            Some("active") => Some(false),
            Some("deprecated") => Some(true),
            Some(_) => return Err(invalid("status must be active or deprecated")),
        };
        Ok(Self {
            ids: params.list("endpoint_id")?,
            text: params.one("q").map(str::to_lowercase),
            category: params.one("category"),
            deprecated,
        })
    }

    fn finds(&self, id: &str, model: &Model) -> bool {
        let has = |text: &String| id.to_lowercase().contains(text) || model.category.contains(text);
        self.text.as_ref().is_none_or(has)
            && self.category.is_none_or(|category| model.category == category)
            && self.deprecated.is_none_or(|deprecated| model.deprecated == deprecated)
    }
}

fn entry(id: &str, model: &Model) -> Value {
    let example = Value::Object(model.example.clone());
    let metadata = json!({
        "display_name": id,
        "category": model.category,
        "description": format!("A simulated model. The smallest input it takes is {example}"),
        "status": if model.deprecated { "deprecated" } else { "active" },
        "tags": [],
        "updated_at": "2026-01-01T00:00:00Z",
        "date": "2026-01-01T00:00:00Z",
        "is_favorited": null,
        "thumbnail_url": "",
        "model_url": format!("https://fal.run/{id}"),
        "highlighted": false,
        "pinned": false,
    });
    json!({ "endpoint_id": id, "metadata": metadata })
}
