//! Quotes as admission asks for them.

mod hostile;
mod quotes;
mod sandbox;

use super::*;
use crate::money::{Multiplier, UnitPrice, Units, Usd};

const POLICY: Policy = Policy { unknown: Unknown::Refuse, ceiling: Usd::ZERO };

fn usd(text: &str) -> Usd {
    Usd::parse(text).unwrap()
}

fn units(text: &str) -> Units {
    Units::parse(text).unwrap()
}

/// A book with one price for everything.
fn book(price: &str, unit: &str) -> PriceBook {
    let price = Price::new(UnitPrice::parse(price).unwrap(), unit);
    PriceBook::new(vec![(Box::new(|_: &str| true), price)])
}

fn whole(body: &str) -> Sample<'_> {
    Sample { body: body.as_bytes(), whole: true }
}

fn cut(body: &str) -> Sample<'_> {
    Sample { body: body.as_bytes(), whole: false }
}

/// The units that are expected at a price of one dollar.
fn expected(endpoint: &str, unit: &str, sample: Sample) -> String {
    let quote =
        quote(&book("1", unit), &History::default(), POLICY, Multiplier::ONE, endpoint, sample).unwrap();
    assert_eq!(quote.basis, QuoteBasis::Request, "{endpoint} {unit}");
    quote.units.unwrap().to_string()
}
