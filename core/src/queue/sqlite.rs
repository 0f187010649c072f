//! The embedded queue: one SQLite file, shared by the processes of one machine.
//!
//! # States and crashes
//!
//! A job is a row of `jobs` whose `state` is one of the drawing in [`super`]; each arrow is one transaction, and an
//! answer is given after its commit has reached the disk (WAL, `synchronous = FULL`). So:
//!
//! - killed before the commit: the step has not happened, and nobody was told that it had;
//! - killed after the commit, before the answer: the step has happened. A claim that nobody received runs out with
//!   its lease; an enqueue that is repeated finds its jobs there (`Already`);
//! - a power cut loses nothing that was answered, as far as the disk keeps what it acknowledges.
//!
//! # One writer, many readers
//!
//! SQLite has one writer at a time. Here that is one task with one connection ([`writer`]) that takes every command
//! that waits, runs each in its own savepoint and commits them together: the cost of reaching the disk is shared,
//! and a command that is refused does not harm its neighbours. Other processes on the same file take turns with it
//! by SQLite's own lock. Reading goes through a small pool and never waits for the writer.
//!
//! # Time
//!
//! Leases and due times are by this machine's clock, read once a batch, after the write lock is held, and never going
//! back within a process. Setting the clock forward ends leases early (their holders are fenced off); setting it back
//! makes other processes wait longer.

mod claim;
mod control;
mod duty;
mod enqueue;
mod fault;
mod open;
mod rows;
mod runs;
mod settle;
mod views;
mod wait;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool};

use self::fault::{Failure, fault};
use self::writer::{Step, Writer};
use super::clock::{Clock, Millis};
use super::error::QueueError;

/// A queue in a SQLite file. Clones share one writer.
#[derive(Debug, Clone)]
pub struct SqliteQueue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    clock: Clock,
    terms: Terms,
    high_water: u64,
    writer: Writer,
    readers: SqlitePool,
}

/// On which terms jobs are handed out.
#[derive(Debug, Clone, Copy)]
struct Terms {
    lease: Millis,
    max_attempts: i64,
}

impl SqliteQueue {
    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.terms.lease).unwrap_or_default())
    }

    /// Runs `work` as one atomic step; answers once it is on disk.
    async fn write<T, F>(&self, work: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: for<'s> FnOnce(&'s mut Step) -> BoxFuture<'s, Result<T, Failure>> + Send + 'static,
    {
        self.0.writer.write(work).await
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, QueueError> {
        self.0.readers.acquire().await.map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &sqlx::Error) -> QueueError {
        fault(&self.0.path, error)
    }

    /// Finishes what was handed to the writer, then closes the file; calls on clones then err with `Closed`.
    pub(super) async fn close(self) {
        self.0.writer.close().await;
        self.0.readers.close().await;
    }
}
