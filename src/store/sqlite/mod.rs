//! The embedded store: one SQLite file.
//!
//! One thread owns the write connection and lets all verbs that wait share one disk flush (`writer`); a few threads
//! read beside it (`reader`). Other processes may open the same file at the same time, as the command line does.

mod audit;
mod books;
mod calls;
mod ceiling;
mod columns;
mod directory;
mod ledger;
mod meta;
mod meters;
mod open;
mod query;
mod reader;
mod rows;
mod secrets;
mod session;
mod usage;
mod webhooks;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::clock::Timestamp;
use crate::metrics::StoreCounts;
use crate::secret::Seed;

use super::{Author, Settings, Store, StoreError, StoredSecret, Verb};
use session::Session;

/// Verbs that may wait for the writer before those who bring more must wait themselves. Twice the usual batch, so
/// that the next batch fills while one is flushed.
const WRITES_WAITING: usize = 1024;

/// Verbs that may wait for a reader; reads take microseconds.
const READS_WAITING: usize = 256;

/// Threads that read. Hot reads are cached above the store, so two suffice, and a long page cannot block all others.
const READERS: usize = 2;

/// What the store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Statements that verbs ran on the reading connections.
    pub reads: u64,
    /// Statements that verbs ran on the writing connection.
    pub writes: u64,
    /// Batches that were committed, each with one disk flush.
    pub batches: u64,
    /// Batches of which nothing was kept.
    pub failed_batches: u64,
    /// Verbs in all batches.
    pub batched: u64,
}

/// The embedded store. Dropping it waits until every verb that it has taken up is on the disk.
pub struct SqliteStore {
    writes: mpsc::Sender<writer::Job>,
    reads: mpsc::Sender<reader::Job>,
    counts: Arc<StoreCounts>,
    // The last field: the senders above are dropped first, which is what ends the threads.
    _threads: Threads,
}

impl SqliteStore {
    /// Opens the store, makes it when there is none, and brings it up to date.
    pub fn open(settings: &Settings) -> Result<Self, StoreError> {
        let path = &settings.sqlite_path;
        let write_connection = open::for_writing(path)?;
        let counts = Arc::new(StoreCounts::default());
        let (writes, waiting_writes) = mpsc::channel(WRITES_WAITING);
        let (reads, waiting_reads) = mpsc::channel(READS_WAITING);
        let mut threads = Threads(Vec::with_capacity(1 + READERS));
        let writer = writer::Writer::new(write_connection, settings.batch_max, counts.clone());
        threads.start(path, "store-writer", move || writer.run(waiting_writes))?;
        let waiting_reads = reader::Queue::new(waiting_reads);
        for _ in 0..READERS {
            let reader = reader::Reader::new(open::for_reading(path)?, counts.clone());
            let queue = waiting_reads.clone();
            threads.start(path, "store-reader", move || reader.run(&queue))?;
        }
        Ok(Self { writes, reads, counts, _threads: threads })
    }

    /// What the store has done since it was opened.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            reads: self.counts.reads.get(),
            writes: self.counts.writes.get(),
            batches: self.counts.batches.get(),
            failed_batches: self.counts.failed_batches.get(),
            batched: self.counts.batch_sizes.sum(),
        }
    }

    /// Where the store counts.
    pub fn counts(&self) -> Arc<StoreCounts> {
        self.counts.clone()
    }

    fn write<T, F>(&self, work: F) -> Verb<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let place = self.writes.reserve().await.map_err(|_| StoreError::Closed)?;
            self.counts.waiting.add(1);
            place.send(writer::job(work, reply));
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn read<T, F>(&self, work: F) -> Verb<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.reads.send(reader::job(work, reply)).await.map_err(|_| StoreError::Closed)?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    fn ping(&self) -> Verb<'_, ()> {
        self.write(meta::ping)
    }

    fn instance(&self) -> Verb<'_, Arc<str>> {
        self.read(meta::instance)
    }

    fn secrets(&self, name: &'static str, fresh: Option<Seed>, at: Timestamp) -> Verb<'_, Vec<StoredSecret>> {
        match fresh {
            Some(fresh) => self.write(move |session| secrets::of_name(session, name, &fresh, at)),
            None => self.read(move |session| secrets::all(session, name, at)),
        }
    }

    fn replace_secret(
        &self,
        name: &'static str,
        fresh: Seed,
        begins_at: Timestamp,
        ends_at: Timestamp,
        author: Author,
    ) -> Verb<'_, ()> {
        self.write(move |session| secrets::replace(session, name, &fresh, (begins_at, ends_at), &author))
    }
}

/// The store's threads; dropping them waits for their end.
struct Threads(Vec<JoinHandle<()>>);

impl Threads {
    fn start<F>(&mut self, path: &std::path::Path, name: &str, run: F) -> Result<(), StoreError>
    where
        F: FnOnce() + Send + 'static,
    {
        let thread = std::thread::Builder::new().name(name.into()).spawn(run);
        self.0.push(thread.map_err(|error| open::unwritable(path, &error))?);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            // A thread that panicked has already said so; there is nothing left to save.
            drop(thread.join());
        }
    }
}
