//! A price.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::money::UnitPrice;

/// The most characters of a unit's name that are kept.
const MAX_UNIT_CHARS: usize = 64;

/// What one unit of an endpoint costs at fal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Price {
    /// US dollars for one unit.
    pub unit_price: UnitPrice,
    /// What is counted, in fal's words; empty when fal does not say. It is shown, and decides how units are estimated;
    /// what a call cost never depends on it.
    pub unit: Arc<str>,
}

impl Price {
    /// A price for `unit`, of which the first characters are kept and none that could confuse a terminal or a table.
    pub fn new(unit_price: UnitPrice, unit: &str) -> Self {
        let kept: String = unit.trim().chars().filter(|c| !c.is_control()).take(MAX_UNIT_CHARS).collect();
        Self { unit_price, unit: kept.trim_end().into() }
    }
}

impl fmt::Display for Price {
    /// `0.025 per megapixel`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.unit.is_empty() { "unnamed unit" } else { &self.unit };
        write!(f, "{} per {unit}", self.unit_price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_7_a_units_name_is_kept_short_and_plain() {
        let price = |unit: &str| Price::new(UnitPrice::parse("0.025").unwrap(), unit).to_string();
        assert_eq!(price(" megapixel\u{1b}[2J\r\n"), "0.025 per megapixel[2J");
        assert_eq!(price(""), "0.025 per unnamed unit");
        assert_eq!(price(&"é".repeat(1000)), format!("0.025 per {}", "é".repeat(MAX_UNIT_CHARS)));
    }
}
