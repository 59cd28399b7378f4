//! What a call costs: the price book, estimates before it, charges after it. Pure functions and plain state.
//!
//! - [`PriceBook`]: what a unit of each endpoint costs, as one unchanging snapshot; [`Diff`] tells two lists apart,
//!   [`read_prices`] and [`read_models`] read the pages of fal's lists.
//! - [`quote`]: what to hold for a call before it is sent. Units come from the beginning of the request ([`Sample`])
//!   where the price's unit is something that a request tells, else from the [`History`] of the endpoint, else the
//!   [`Policy`]'s ceiling is held. A hold is put right when the call ends, so an estimate is rather too high.
//! - [`charge`]: what the call cost once fal has answered. What is not known stays `None`, never zero.

mod book;
mod charge;
mod diff;
mod estimate;
mod family;
mod history;
mod measure;
mod page;
mod price;
mod quote;
mod sample;

#[cfg(test)]
mod tests;

pub use book::{Matcher, PriceBook, PriceList};
pub use charge::{Basis, Charge, Complaint, Outcome, charge};
pub use diff::{Change, Diff, Listed};
pub use history::History;
pub use measure::{Meters, metered, meters};
pub use page::{EntryFault, EntryProblem, Model, Page, PageError, read_models, read_prices};
pub use price::Price;
pub use quote::{Policy, Quote, QuoteBasis, QuoteError, Unknown, needs_body, quote};
pub use sample::{SAMPLE_BYTES, Sample};
