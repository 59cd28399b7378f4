//! The price book: one unchanging snapshot of all prices.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Price;

/// Prices by exact endpoint id.
pub type PriceList = HashMap<Arc<str>, Price>;

/// Whether an override is for an endpoint.
pub type Matcher = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What every endpoint costs: fal's list, and over it what the operator says.
///
/// A book never changes; [`PriceBook::synced`] makes the next one.
#[derive(Clone)]
pub struct PriceBook {
    version: u64,
    synced_at: Option<i64>,
    list: Arc<PriceList>,
    overrides: Arc<[(Matcher, Price)]>,
}

impl PriceBook {
    /// A book of overrides alone, before anything came from fal: version 0.
    pub fn new(overrides: Vec<(Matcher, Price)>) -> Self {
        Self { version: 0, synced_at: None, list: Arc::default(), overrides: overrides.into() }
    }

    /// The book with `list` in place of the old one and the same overrides; `synced_at` in microseconds since 1970.
    pub fn synced(&self, version: u64, synced_at: i64, list: PriceList) -> Self {
        let overrides = Arc::clone(&self.overrides);
        Self { version, synced_at: Some(synced_at), list: list.into(), overrides }
    }

    /// What a unit of `endpoint` costs: by the first override that matches it, else by its exact id in fal's list.
    pub fn price(&self, endpoint: &str) -> Option<&Price> {
        let overridden = self.overrides.iter().find(|(matches, _)| matches(endpoint));
        overridden.map(|(_, price)| price).or_else(|| self.list.get(endpoint))
    }

    /// Which list this is; 0 before the first.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When the list came from fal, in microseconds since 1970.
    pub fn synced_at(&self) -> Option<i64> {
        self.synced_at
    }

    /// fal's list, without the overrides.
    pub fn list(&self) -> &PriceList {
        &self.list
    }
}

impl fmt::Debug for PriceBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut book = f.debug_struct("PriceBook");
        book.field("version", &self.version).field("synced_at", &self.synced_at);
        book.field("prices", &self.list.len()).field("overrides", &self.overrides.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::UnitPrice;

    fn price(text: &str) -> Price {
        Price::new(UnitPrice::parse(text).unwrap(), "image")
    }

    fn below(prefix: &'static str) -> Matcher {
        Box::new(move |endpoint| endpoint.starts_with(prefix))
    }

    #[test]
    fn overrides_win_in_their_order_and_the_list_knows_exact_ids_only() {
        let book = PriceBook::new(vec![(below("acme/a"), price("1")), (below("acme/"), price("2"))]);
        assert_eq!((book.version(), book.synced_at(), book.price("fal-ai/x")), (0, None, None));
        let list = PriceList::from([("acme/b".into(), price("3")), ("fal-ai/x".into(), price("4"))]);
        let next = book.synced(7, 1_000, list);
        assert_eq!((next.version(), next.synced_at()), (7, Some(1_000)));
        for (endpoint, expected) in
            [("acme/a/b", Some("1")), ("acme/b", Some("2")), ("fal-ai/x", Some("4")), ("fal-ai/x/y", None)]
        {
            assert_eq!(next.price(endpoint), expected.map(price).as_ref(), "{endpoint}");
        }
        assert_eq!(book.price("fal-ai/x"), None, "a snapshot stays as it was");
    }
}
