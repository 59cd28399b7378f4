//! The integration tests, one binary, read as chapters.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so and stops")]

mod invariants;
mod journey;
mod refusals;
mod store_sqlite;
mod store_story;
mod support;
