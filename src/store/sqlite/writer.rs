//! The one writer. It takes all verbs that wait into one transaction and answers them once that is on the disk, so the
//! cost of a flush is shared and nothing is answered that a power cut could take back.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::metrics::StoreCounts;
use crate::store::StoreError;

use super::session::{Session, reason};

/// A verb on its way through a batch.
pub(super) type Job = Box<dyn Batched>;

/// What the writer does with a verb: run it inside the transaction, answer it after.
pub(super) trait Batched: Send {
    /// Does the work; says whether its changes are to be kept.
    fn run(&mut self, session: &Session<'_>) -> bool;
    /// Tells the caller the outcome, or why the whole batch failed.
    fn answer(self: Box<Self>, batch: Result<(), &str>);
}

struct Task<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

/// Makes a verb out of its work and the place where its outcome is awaited.
pub(super) fn job<T, F>(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Job
where
    T: Send + 'static,
    F: FnOnce(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
{
    Box::new(Task { work: Some(work), outcome: None, reply })
}

impl<T, F> Batched for Task<T, F>
where
    T: Send,
    F: FnOnce(&Session<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, session: &Session<'_>) -> bool {
        self.outcome = self.work.take().map(|work| work(session));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, batch: Result<(), &str>) {
        let answer = match batch {
            Ok(()) => self.outcome.unwrap_or(Err(StoreError::Closed)),
            Err(reason) => Err(StoreError::Unwritable(reason.into())),
        };
        // It fails when the caller has left; the verb stands all the same.
        drop(self.reply.send(answer));
    }
}

pub(super) struct Writer {
    connection: Connection,
    batch_max: usize,
    counts: Arc<StoreCounts>,
}

impl Writer {
    pub(super) fn new(connection: Connection, batch_max: usize, counts: Arc<StoreCounts>) -> Self {
        Self { connection, batch_max: batch_max.max(1), counts }
    }

    /// Serves until every sender is gone and the channel is empty.
    pub(super) fn run(self, mut waiting: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        while let Some(job) = waiting.blocking_recv() {
            batch.push(job);
            while batch.len() < self.batch_max
                && let Ok(job) = waiting.try_recv()
            {
                batch.push(job);
            }
            let outcome = self.commit(&mut batch);
            for job in batch.drain(..) {
                self.counts.waiting.add(-1);
                job.answer(outcome.as_ref().copied().map_err(String::as_str));
            }
        }
    }

    /// Runs the batch and brings it to the disk, wholly or not at all.
    fn commit(&self, batch: &mut [Job]) -> Result<(), String> {
        let outcome = self.transaction(batch);
        self.counts.batch_sizes.observe(batch.len());
        if outcome.is_ok() { &self.counts.batches } else { &self.counts.failed_batches }.add(1);
        match outcome {
            Ok(()) => {}
            // Should the rollback fail too, the next batch finds the transaction open, fails and tries again.
            Err(_) if !self.connection.is_autocommit() => drop(self.control("ROLLBACK")),
            Err(_) => {}
        }
        outcome
    }

    fn transaction(&self, batch: &mut [Job]) -> Result<(), String> {
        // IMMEDIATE: a transaction that reads first and writes later fails at once when another process writes.
        self.control("BEGIN IMMEDIATE")?;
        let session = Session::new(&self.connection, &self.counts.writes);
        match batch {
            [job] => self.run_alone(job, &session),
            jobs => jobs
                .iter_mut()
                .try_for_each(|job| self.run_among(job, &session))
                .and_then(|()| self.control("COMMIT")),
        }
    }

    /// A verb that has the transaction to itself: when it fails, so does the transaction, and nobody else is hurt.
    fn run_alone(&self, job: &mut Job, session: &Session<'_>) -> Result<(), String> {
        if job.run(session) {
            return self.control("COMMIT");
        }
        self.check_open()?;
        self.control("ROLLBACK")
    }

    /// A verb among others: when it fails, only its own changes are taken back.
    fn run_among(&self, job: &mut Job, session: &Session<'_>) -> Result<(), String> {
        self.control("SAVEPOINT verb")?;
        if !job.run(session) {
            self.check_open()?;
            self.control("ROLLBACK TO verb")?;
        }
        self.control("RELEASE verb")
    }

    /// When the disk is full or fails, SQLite may end the whole transaction of its own accord.
    fn check_open(&self) -> Result<(), String> {
        match self.connection.is_autocommit() {
            true => Err("the disk is full or failing".into()),
            false => Ok(()),
        }
    }

    /// Runs a statement that steers the transaction; not counted.
    fn control(&self, sql: &'static str) -> Result<(), String> {
        let executed = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(()));
        executed.map(drop).map_err(|error| reason(&error))
    }
}
