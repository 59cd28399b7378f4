//! fal-relay: a self-hosted gateway between programs that already speak fal.ai's API and fal.ai itself.
//!
//! The rooms, floor by floor; a room knows only the floors below it (`tests/layering.rs` holds it to that):
//!
//! 0. [`clock`], [`ids`], [`random`], [`secret`]: time, identities, chance and secrets, handed in.
//! 1. [`key`], [`fal`], [`call_log`], [`metrics`]: the relay's own keys; fal's protocol as pure functions; the log of
//!    calls; what is counted.
//! 2. [`store`], [`tls`], [`upstream`], and beside them [`sandbox`]: the ledger, certificates, the only door to fal,
//!    and a twin of fal.
//! 3. [`relay`], [`admin`]: the journey of a call; changes to keys.
//! 4. [`http`]: the listeners' faces.
//! 5. [`config`], [`telemetry`]: what the operator said, and what the process tells.
//! 6. [`serve`]: builds the house, binds the listeners, drains them.
//! 7. [`cli`]: the verbs of the command line.

pub mod admin;
pub mod call_log;
pub mod cli;
pub mod clock;
pub mod config;
pub mod fal;
pub mod http;
pub mod ids;
pub mod key;
pub mod metrics;
pub mod random;
pub mod relay;
pub mod sandbox;
pub mod secret;
pub mod serve;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod upstream;
