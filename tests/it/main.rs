//! The integration tests, one binary, read as chapters.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so and stops")]

mod admin_api;
mod clients;
mod corpus;
mod crowd;
mod doctor;
mod door;
mod door_h2;
mod door_limits;
mod drills_disk;
mod drills_kill;
mod drills_secrets;
mod drills_start;
mod drills_states;
mod drills_stop;
mod encrypted;
mod errors;
mod invariants;
mod journey;
mod limits;
mod limits_memory;
mod limits_story;
mod metrics;
mod process;
mod refusals;
mod store_directory_story;
mod store_sqlite;
mod store_story;
mod support;
mod upstream_answers;
mod upstream_failfast;
mod upstream_h2;
