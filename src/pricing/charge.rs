//! What a call cost, once fal has answered.

use serde::{Deserialize, Serialize};

use crate::money::{MoneyError, Multiplier, UnitPrice, Units, Usd, cost};

/// How well a cost is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// From the units that fal billed.
    Billed,
    /// From what came out.
    Computed,
    /// From what was asked for.
    Estimated,
}

impl Basis {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Billed, Self::Computed, Self::Estimated];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Billed => "billed",
            Self::Computed => "computed",
            Self::Estimated => "estimated",
        }
    }
}

/// The final answer to a call that fal took, as far as money goes.
///
/// A call that was never sent, was refused before fal took it, or was cancelled in the queue has no outcome: it is
/// released.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The final status.
    pub status: u16,
    /// `x-fal-billable-units` as it came.
    pub units: Option<&'a str>,
    /// The price that was frozen when the call came in.
    pub unit_price: Option<UnitPrice>,
    /// The group's multiplier that was frozen with it.
    pub multiplier: Multiplier,
}

/// What is odd about an answer's units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    /// They are no number of units.
    #[error("the billed units cannot be used: the number {0}")]
    Units(MoneyError),
    /// They come to more money than is ever counted.
    #[error("the billed units come to more money than is counted: the amount {0}")]
    Cost(MoneyError),
}

/// What a call cost. `None` is not known, and never nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// What fal billed, in the endpoint's unit.
    pub units: Option<Units>,
    /// What fal asks for it.
    pub cost: Option<Usd>,
    /// What the tenant pays.
    pub charge: Option<Usd>,
    /// How well the cost is known; set when it is.
    pub basis: Option<Basis>,
    /// What an operator should hear.
    pub complaint: Option<Complaint>,
}

impl Charge {
    /// Nothing was billed, and that is known.
    fn free(units: Option<Units>, complaint: Option<Complaint>) -> Self {
        let (zero, basis) = (Some(Usd::ZERO), Some(Basis::Billed));
        Self { units, cost: zero, charge: zero, basis, complaint }
    }
}

/// What the call cost (protocol 9): a 5xx nothing, any other answer what its units say; without units, or with unsound
/// ones, or without a price, it is not known.
pub fn charge(outcome: &Outcome) -> Charge {
    let (units, complaint) = match outcome.units.map(Units::parse) {
        Some(Ok(units)) => (Some(units), None),
        Some(Err(error)) => (None, Some(Complaint::Units(error))),
        None => (None, None),
    };
    if (500..600).contains(&outcome.status) {
        return Charge::free(Units::parse("0").ok(), complaint);
    }
    match (units, outcome.unit_price) {
        (Some(none), _) if none.is_zero() => Charge::free(units, complaint),
        (Some(units), Some(unit_price)) => billed(units, unit_price, outcome.multiplier),
        _ => Charge { units, complaint, ..Charge::default() },
    }
}

/// Cost and charge are known both or not at all: a cost without a charge could not be settled.
fn billed(units: Units, unit_price: UnitPrice, multiplier: Multiplier) -> Charge {
    let ours = cost(units, unit_price, Multiplier::ONE);
    let theirs = cost(units, unit_price, multiplier);
    match ours.and_then(|ours| Ok((ours, theirs?))) {
        Ok((ours, theirs)) => Charge {
            units: Some(units),
            cost: Some(ours),
            charge: Some(theirs),
            basis: Some(Basis::Billed),
            complaint: None,
        },
        Err(error) => {
            Charge { units: Some(units), complaint: Some(Complaint::Cost(error)), ..Charge::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(status: u16, units: Option<&str>, price: Option<&str>, multiplier: &str) -> Charge {
        charge(&Outcome {
            status,
            units,
            unit_price: price.map(|text| UnitPrice::parse(text).unwrap()),
            multiplier: Multiplier::parse(multiplier).unwrap(),
        })
    }

    fn usd(text: &str) -> Option<Usd> {
        Some(Usd::parse(text).unwrap())
    }

    #[test]
    fn every_answer_with_units_costs_what_they_say() {
        for status in [200, 400, 404, 422, 499] {
            let charge = of(status, Some("3.008"), Some("0.025"), "1.5");
            assert_eq!((charge.cost, charge.charge), (usd("0.0752"), usd("0.1128")), "{status}");
            assert_eq!((charge.basis, charge.complaint), (Some(Basis::Billed), None));
            assert_eq!(charge.units, Units::parse("3.008").ok());
        }
    }

    #[test]
    fn failures_of_fal_are_free_and_no_others() {
        for units in [Some("2"), Some("0"), None] {
            for status in [500, 502, 503, 504, 599] {
                let charge = of(status, units, Some("1"), "1");
                assert_eq!(
                    (charge.cost, charge.charge, charge.basis),
                    (usd("0"), usd("0"), Some(Basis::Billed))
                );
                assert_eq!((charge.units, charge.complaint), (Units::parse("0").ok(), None), "{status}");
            }
        }
        for status in [499, 600] {
            assert_eq!(of(status, Some("2"), Some("1"), "1").cost, usd("2"), "{status}");
        }
        assert!(of(500, Some("NaN"), None, "1").complaint.is_some());
    }

    #[test]
    fn no_units_are_free_whatever_the_price() {
        for (units, price) in [("0", None), ("0.000", Some("1000000"))] {
            let charge = of(422, Some(units), price, "2");
            assert_eq!((charge.cost, charge.charge, charge.basis), (usd("0"), usd("0"), Some(Basis::Billed)));
        }
    }

    #[test]
    fn what_is_not_said_is_not_known() {
        assert_eq!(of(200, None, Some("1"), "1"), Charge::default());
        let unpriced = of(200, Some("2"), None, "1");
        assert_eq!(unpriced, Charge { units: Units::parse("2").ok(), ..Charge::default() });
        for unsound in ["NaN", "-1", "1, 2", "[1]", "", " ", "1e3", "9999999999", "inf", "0x1", "1.", "１"] {
            let charge = of(200, Some(unsound), Some("1"), "1");
            assert!(matches!(charge.complaint, Some(Complaint::Units(_))), "{unsound}");
            assert_eq!(Charge { complaint: None, ..charge }, Charge::default(), "{unsound}");
        }
    }

    #[test]
    fn money_beyond_all_bounds_is_not_known_and_told() {
        for (price, multiplier) in [("1000000", "1"), ("1", "1000")] {
            let charge = of(200, Some("1000000000"), Some(price), multiplier);
            assert!(matches!(charge.complaint, Some(Complaint::Cost(_))), "{price}");
            assert_eq!((charge.cost, charge.charge, charge.basis), (None, None, None));
        }
    }

    #[test]
    fn the_words_of_a_basis_are_those_in_json() {
        for basis in [Basis::Billed, Basis::Computed, Basis::Estimated] {
            assert_eq!(serde_json::to_value(basis).unwrap(), basis.as_str());
        }
    }

    proptest! {
        #[test]
        fn a_cost_is_known_with_its_basis_or_not_at_all(
            status in 100u16..700,
            units in proptest::option::of("[0-9]{1,12}(\\.[0-9]{1,6})?|[-a-zN,e0-9.]{0,6}"),
            price in proptest::option::of("[0-9]{1,6}(\\.[0-9]{1,9})?"),
            multiplier in "[0-9]{1,2}(\\.[0-9]{1,3})?",
        ) {
            let charge = of(status, units.as_deref(), price.as_deref(), &multiplier);
            prop_assert_eq!(charge.cost.is_some(), charge.basis.is_some());
            prop_assert_eq!(charge.cost.is_some(), charge.charge.is_some());
            let sound = units.as_deref().and_then(|text| Units::parse(text).ok());
            if (500..600).contains(&status) {
                prop_assert_eq!((charge.cost, charge.charge), (Some(Usd::ZERO), Some(Usd::ZERO)));
            } else if sound.is_none() {
                prop_assert_eq!((charge.cost, charge.units), (None, None), "unknown is not zero");
                prop_assert_eq!(charge.complaint.is_some(), units.is_some());
            } else {
                prop_assert_eq!(charge.units, sound);
                let known = price.is_some() && charge.complaint.is_none() || sound.is_some_and(Units::is_zero);
                prop_assert_eq!(charge.cost.is_some(), known);
            }
        }
    }
}
