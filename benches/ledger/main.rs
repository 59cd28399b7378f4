//! What the ledger costs: calls per second with every one flushed to the disk, and questions to a long ledger.
//!
//! `cargo bench --profile dist --bench ledger [-- ROWS]` needs about a gigabyte of disk for each two million rows (ten
//! million unless said otherwise), beside the build. `docs/performance.md` has the results.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on says so and stops")]

mod calls;
mod long;
mod questions;

use std::path::Path;
use std::sync::Arc;

use fal_relay::store::{Settings, SqliteStore};

const ROWS: u64 = 10_000_000;

fn main() {
    // Cargo's own `--bench` comes before what was said behind `--`.
    let rows = std::env::args().filter_map(|argument| argument.parse().ok()).next_back().unwrap_or(ROWS);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(calls::measure(&folder.path().join("short.db")));
    let path = folder.path().join("long.db");
    runtime.block_on(long::generate(&path, rows));
    runtime.block_on(questions::measure(&path));
}

fn open(path: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&Settings { sqlite_path: path.to_owned(), batch_max: 512 }).unwrap())
}
