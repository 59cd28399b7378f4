//! What differs between two price lists.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::{Price, PriceList};

/// An endpoint that only one of the lists has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// Its price in that list.
    #[serde(flatten)]
    pub price: Price,
}

/// An endpoint whose price or unit is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The endpoint.
    pub endpoint: Arc<str>,
    /// What held before.
    pub old: Price,
    /// What holds now.
    pub new: Price,
}

/// What differs between two lists, each part sorted by endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Endpoints that are new, with their prices.
    pub added: Vec<Listed>,
    /// Endpoints that are gone, with the prices they had.
    pub removed: Vec<Listed>,
    /// Endpoints whose price or unit is another one.
    pub changed: Vec<Change>,
}

impl Diff {
    /// How `new` differs from `old`.
    pub fn between(old: &PriceList, new: &PriceList) -> Self {
        let change = |(endpoint, price): (&Arc<str>, &Price)| {
            let before = old.get(endpoint).filter(|before| *before != price)?;
            Some(Change { endpoint: Arc::clone(endpoint), old: before.clone(), new: price.clone() })
        };
        let mut changed: Vec<_> = new.iter().filter_map(change).collect();
        changed.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        Self { added: missing(new, old), removed: missing(old, new), changed }
    }

    /// Whether the lists are equal.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// What `from` has and `other` lacks.
fn missing(from: &PriceList, other: &PriceList) -> Vec<Listed> {
    let lacking = from.iter().filter(|(endpoint, _)| !other.contains_key(*endpoint));
    let listed = |(endpoint, price): (&Arc<str>, &Price)| Listed {
        endpoint: Arc::clone(endpoint),
        price: price.clone(),
    };
    let mut found: Vec<_> = lacking.map(listed).collect();
    found.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    found
}

impl fmt::Display for Diff {
    /// A line for each endpoint: `+` new, `-` gone, `~` changed. Nothing when the lists are equal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Listed { endpoint, price } in &self.added {
            writeln!(f, "+ {endpoint}: {price}")?;
        }
        for Listed { endpoint, price } in &self.removed {
            writeln!(f, "- {endpoint}: {price}")?;
        }
        for Change { endpoint, old, new } in &self.changed {
            writeln!(f, "~ {endpoint}: {old} -> {new}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::UnitPrice;

    fn price(text: &str, unit: &str) -> Price {
        Price::new(UnitPrice::parse(text).unwrap(), unit)
    }

    fn list(entries: &[(&str, &str, &str)]) -> PriceList {
        entries.iter().map(|(endpoint, text, unit)| ((*endpoint).into(), price(text, unit))).collect()
    }

    #[test]
    fn a_diff_reads_as_sorted_lines() {
        let old =
            list(&[("z", "1", "image"), ("b", "0.5", "image"), ("a", "1.0", "image"), ("u", "1", "image")]);
        let new = list(&[
            ("y", "2", "video"),
            ("c", "3", ""),
            ("b", "0.25", "image"),
            ("a", "1", "image"),
            ("u", "1", "second"),
        ]);
        let expected = "+ c: 3 per unnamed unit\n+ y: 2 per video\n- z: 1 per image\n\
                        ~ b: 0.5 per image -> 0.25 per image\n~ u: 1 per image -> 1 per second\n";
        assert_eq!(Diff::between(&old, &new).to_string(), expected);
        let json = serde_json::to_value(Diff::between(&old, &new)).unwrap();
        assert_eq!(json["changed"][0]["old"]["unit_price"], "0.5", "exact, not a float");
        let added = serde_json::json!({ "endpoint": "y", "unit_price": "2", "unit": "video" });
        assert_eq!(json["added"][1], added);
    }

    fn lists() -> impl Strategy<Value = PriceList> {
        let entry = ("[a-f]", "[0-3]", "[xy]");
        proptest::collection::vec(entry, 0..8).prop_map(|entries| {
            entries
                .iter()
                .map(|(endpoint, text, unit)| (endpoint.as_str().into(), price(text, unit)))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn a_diff_turns_the_old_list_into_the_new_one(old in lists(), new in lists()) {
            let diff = Diff::between(&old, &new);
            let mut patched = old.clone();
            for Listed { endpoint, price } in &diff.removed {
                prop_assert_eq!(patched.remove(endpoint), Some(price.clone()));
            }
            for Change { endpoint, old, new } in &diff.changed {
                prop_assert_ne!(old, new);
                prop_assert_eq!(&patched.insert(Arc::clone(endpoint), new.clone()).unwrap(), old);
            }
            for Listed { endpoint, price } in &diff.added {
                prop_assert!(patched.insert(Arc::clone(endpoint), price.clone()).is_none());
            }
            prop_assert_eq!(&patched, &new);
            prop_assert_eq!(diff.is_empty(), old == new);
            prop_assert_eq!(diff.to_string().is_empty(), diff.is_empty());
        }
    }
}
