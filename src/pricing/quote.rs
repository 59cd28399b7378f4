//! What to hold for a call before it is sent.

use serde::{Deserialize, Serialize};

use super::estimate::estimate;
use super::family::Family;
use super::measure::measure;
use super::sample::Members;
use super::{History, Price, PriceBook, Sample};
use crate::money::{MoneyError, Multiplier, Units, Usd, cost};

/// What to do with an endpoint that has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// Do not call it.
    Refuse,
    /// Call it and hold the ceiling.
    Ceiling,
    /// Call it and hold nothing; its cost stays unknown.
    Flag,
}

/// What the operator wants where a cost cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For endpoints without a price.
    pub unknown: Unknown,
    /// What to hold, in the tenant's money, when there is a price but nobody knows how many units, or no price.
    pub ceiling: Usd,
}

/// Where an estimate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuoteBasis {
    /// What the request asks for.
    Request,
    /// What earlier calls to the endpoint were billed.
    History,
    /// Nothing is known; the operator's ceiling is held.
    Ceiling,
    /// Nothing is known and nothing is held.
    None,
}

impl QuoteBasis {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::History => "history",
            Self::Ceiling => "ceiling",
            Self::None => "none",
        }
    }
}

/// What a call is expected to cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The price that holds for this call to its end; `None` when there is none, and then its cost stays unknown.
    pub price: Option<Price>,
    /// The units that are expected, when something is known about them.
    pub units: Option<Units>,
    /// What to hold of the tenant's money.
    pub hold: Usd,
    /// Where the estimate comes from.
    pub basis: QuoteBasis,
}

/// Why a call cannot be quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// The endpoint has no price, and such endpoints are not called.
    #[error("the endpoint has no known price")]
    PriceUnknown,
    /// What would have to be held is more than is ever counted.
    #[error("the expected cost {0}")]
    TooLarge(#[from] MoneyError),
}

/// What to hold for a call to `endpoint` that begins with `sample`.
pub fn quote(
    book: &PriceBook,
    history: &History,
    policy: Policy,
    multiplier: Multiplier,
    endpoint: &str,
    sample: Sample,
) -> Result<Quote, QuoteError> {
    let Some(price) = book.price(endpoint) else { return without_price(policy) };
    let (units, hold, basis) = match expected(price, history, endpoint, sample) {
        Some((units, basis)) => (Some(units), cost(units, price.unit_price, multiplier)?, basis),
        None => (None, policy.ceiling, QuoteBasis::Ceiling),
    };
    Ok(Quote { price: Some(price.clone()), units, hold, basis })
}

fn without_price(policy: Policy) -> Result<Quote, QuoteError> {
    let (hold, basis) = match policy.unknown {
        Unknown::Refuse => return Err(QuoteError::PriceUnknown),
        Unknown::Ceiling => (policy.ceiling, QuoteBasis::Ceiling),
        Unknown::Flag => (Usd::ZERO, QuoteBasis::None),
    };
    Ok(Quote { price: None, units: None, hold, basis })
}

/// The request where it tells, else the endpoint's history, else what is usual for the unit.
fn expected(price: &Price, history: &History, endpoint: &str, sample: Sample) -> Option<(Units, QuoteBasis)> {
    let family = Family::of(endpoint);
    let estimate =
        measure(&price.unit).and_then(|measure| estimate(family, price, measure, &Members::read(sample)));
    let request = estimate.map(|estimate| (estimate.units, QuoteBasis::Request));
    match estimate.is_some_and(|estimate| estimate.told) {
        true => request,
        false => history.largest(endpoint).map(|units| (units, QuoteBasis::History)).or(request),
    }
}

/// Whether [`quote`] looks at the request's body at all. Where it does not, any sample will do.
pub fn needs_body(book: &PriceBook, endpoint: &str) -> bool {
    let measure = book.price(endpoint).and_then(|price| measure(&price.unit));
    measure.is_some_and(|measure| Family::of(endpoint).reads(measure.thing))
}
