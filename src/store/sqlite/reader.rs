//! The readers: each has a connection of its own and sees every batch that was committed before it asks.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::metrics::StoreCounts;
use crate::store::StoreError;

use super::session::Session;

/// A verb that reads.
pub(super) type Job = Box<dyn FnOnce(&Session<'_>) + Send>;

/// Makes a verb out of its work and the place where its outcome is awaited.
pub(super) fn job<T, F>(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Job
where
    T: Send + 'static,
    F: FnOnce(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
{
    Box::new(move |session| {
        // Nobody waits any more: nothing to read.
        if !reply.is_closed() {
            drop(reply.send(work(session)));
        }
    })
}

/// Where all readers take their work from.
#[derive(Clone)]
pub(super) struct Queue(Arc<Mutex<mpsc::Receiver<Job>>>);

impl Queue {
    pub(super) fn new(waiting: mpsc::Receiver<Job>) -> Self {
        Self(Arc::new(Mutex::new(waiting)))
    }

    /// The next verb; `None` once the store is closing. One reader waits here, the others wait for the lock.
    fn next(&self) -> Option<Job> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
    }
}

pub(super) struct Reader {
    connection: Connection,
    counts: Arc<StoreCounts>,
}

impl Reader {
    pub(super) fn new(connection: Connection, counts: Arc<StoreCounts>) -> Self {
        Self { connection, counts }
    }

    /// Serves until the store closes.
    pub(super) fn run(self, queue: &Queue) {
        let session = Session::new(&self.connection, &self.counts.reads);
        while let Some(job) = queue.next() {
            job(&session);
        }
    }
}
