//! The listeners' faces: what comes over a socket becomes a call for the relay, and what the relay says becomes an
//! answer. Here and only here is known what HTTP status a refusal has, what the log line of a call looks like, and
//! under which address a client reaches the relay.
//!
//! fal's grammar of paths has any number of segments and an ending that decides, which no router expresses; so
//! [`crate::fal::parse`] is the relay listener's router. The admin listener is an axum router like any other.

mod admin;
mod asked;
mod connection;
mod cors;
mod door;
mod errand;
mod front;
mod gate;
mod holder;
mod listen;
mod origin;
mod proxy;
mod readiness;
mod record;
mod refusal;
mod runs;
mod settings;
mod site;
mod traffic;

pub use admin::admin_router;
pub use cors::AllowOrigin;
pub use front::Front;
pub use listen::{Capacity, Door, serve};
pub use readiness::Readiness;
pub use record::Desk;
pub use settings::{Hosts, Settings};
