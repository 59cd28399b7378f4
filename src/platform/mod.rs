//! fal's platform API (`api.fal.ai/v1`, protocol 8): which models there are, what they cost, and what fal billed.
//!
//! These are the operator's own questions, never a tenant's bytes, so they go through reqwest: no redirect is followed, no
//! proxy is read from the environment, nothing is inflated, nothing is sent twice behind the caller's back. Every answer
//! has a largest size, every list a last page, and in the sandbox nothing leaves the machine.

mod bill;
mod client;
mod error;
mod event;
mod here;
mod list;
mod pace;
mod paging;
mod settings;

pub use bill::{Bill, BillPage};
pub use client::Platform;
pub use error::PlatformError;
pub use event::{Event, EventFault};
pub use list::{Gathered, Gathering, Progress};
pub use settings::Settings;
