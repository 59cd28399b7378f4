//! fal-relay: a self-hosted gateway between programs that already speak fal.ai's API and fal.ai itself.
//!
//! The rooms, floor by floor; a room knows only the floors below it (`tests/layering.rs` holds it to that):
//!
//! 0. [`clock`], [`ids`], [`money`], [`random`], [`secret`]: time, identities, amounts, chance and secrets.
//! 1. [`key`], [`fal`], [`call_log`], [`metrics`]: the relay's own keys; fal's protocol as pure functions; the log of
//!    calls; what is counted. [`period`], [`rules`], [`pricing`]: budget periods; who may call what; what a call costs.
//!    [`outside`]: the way to addresses that tenants name.
//! 2. [`store`], [`limits`], [`alerts`], [`tls`], [`upstream`], [`platform`], and beside them [`sandbox`]: the ledger, rates,
//!    certificates, the only door to fal, the operator's questions to fal, and a twin of fal.
//! 3. [`relay`], [`admin`], [`billing`]: the journey of a call; changes to keys; prices and fal's bill.
//! 4. [`http`]: the listeners' faces.
//! 5. [`config`], [`telemetry`]: what the operator said, and what the process tells.
//! 6. [`serve`]: builds the house, binds the listeners, drains them.
//! 7. [`cli`]: the verbs of the command line.

pub mod admin;
pub mod alerts;
pub mod billing;
pub mod call_log;
pub mod cli;
pub mod clock;
pub mod config;
pub mod fal;
pub mod http;
pub mod ids;
pub mod key;
pub mod limits;
pub mod metrics;
pub mod money;
pub mod outside;
pub mod period;
pub mod platform;
pub mod pricing;
pub mod random;
pub mod relay;
pub mod rules;
pub mod sandbox;
pub mod secret;
pub mod serve;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod upstream;
