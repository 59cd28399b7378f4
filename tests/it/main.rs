//! The integration tests, one binary, read as chapters.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and stops")]

mod clients;
mod corpus;
mod crowd;
mod doctor;
mod door;
mod door_h2;
mod door_limits;
mod encrypted;
mod invariants;
mod journey;
mod process;
mod refusals;
mod store_sqlite;
mod store_story;
mod support;
