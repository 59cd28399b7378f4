//! What a unit costs now: the catalogue's prices, and what was changed since.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::money::UnitPrice;

use super::catalogue::{Catalogue, Model};
use super::endpoint::Endpoint;

/// Endpoints whose price differs from the catalogue's.
pub(super) const MAX_CHANGES: usize = 10_000;

/// The price of one unit, and what the price list calls the unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tariff {
    pub(super) unit_price: UnitPrice,
    pub(super) unit: Arc<str>,
}

impl Tariff {
    /// What the catalogue says.
    pub(super) fn of_catalogue(model: &Model) -> Self {
        Self { unit_price: model.price.usd, unit: model.price.unit.name().into() }
    }
}

/// What differs from the catalogue: another price, or `None` for an endpoint that is in no list any more.
pub(super) type Changes = BTreeMap<String, Option<Tariff>>;

/// The prices of now.
#[derive(Debug, Default)]
pub(super) struct Prices {
    changes: Changes,
}

impl Prices {
    /// What differs from the catalogue.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Puts `changes` in the place of all earlier ones.
    pub(super) fn replace(&mut self, changes: Changes) {
        self.changes = changes;
    }

    /// What a call is billed at. An endpoint that is in no list still costs what the catalogue says.
    pub(super) fn billed(&self, endpoint: &str, model: &Model) -> Tariff {
        self.listed(endpoint, model).unwrap_or_else(|| Tariff::of_catalogue(model))
    }

    /// What the price list says; `None` when it is silent.
    pub(super) fn listed(&self, endpoint: &str, model: &Model) -> Option<Tariff> {
        match self.changes.get(endpoint) {
            Some(change) => change.clone(),
            None => Some(Tariff::of_catalogue(model)),
        }
    }

    /// Every endpoint of the list of models: those of the catalogue, and those that were given a price.
    pub(super) fn endpoints<'a>(&'a self, catalogue: &'a Catalogue) -> Vec<(&'a str, &'a Model)> {
        let delisted = |id: &str| matches!(self.changes.get(id), Some(None));
        let named = catalogue.models().iter().map(|model| (model.endpoint.as_str(), model));
        let more = self.changes.iter().filter(|(id, change)| change.is_some() && !catalogue.names(id));
        let more = more.filter_map(|(id, _)| Some((id.as_str(), catalogue.find(&Endpoint::parse(id)?)?)));
        named.filter(|(id, _)| !delisted(id)).chain(more).collect()
    }
}
