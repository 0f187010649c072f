//! The one writer: takes every command that waits, commits them together, then answers each.
//!
//! A command that is refused is undone alone. What fails the batch (no room, an I/O error, a lock that another process
//! keeps) fails every command of it, and none of them has happened; the connection is then opened afresh, so that no
//! half-known transaction lives on.

use std::any::Any;
use std::path::PathBuf;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::fault::{Failure, fault, is_busy};
use crate::queue::clock::{Clock, Millis};
use crate::queue::error::QueueError;

/// Bounds how long the first command of a batch waits for the last.
const MOST_PER_COMMIT: usize = 256;

/// Commands that may wait; further callers wait for room.
const BACKLOG: usize = 1024;

/// How often the write lock is asked for again, each time for `BUSY_SECONDS`, before the callers are told.
const LOCK_ATTEMPTS: usize = 4;

/// What a command works with.
pub(super) struct Step {
    pub(super) conn: SqliteConnection,
    /// The instant of the whole batch.
    pub(super) now: Millis,
    /// Set by a command that may have made work claimable, or room below the high-water mark.
    pub(super) news: bool,
}

type Value = Box<dyn Any + Send>;
type Work = Box<dyn for<'s> FnOnce(&'s mut Step) -> BoxFuture<'s, Result<Value, Failure>> + Send>;
type Reply = oneshot::Sender<Result<Value, QueueError>>;

struct Command {
    work: Work,
    reply: Reply,
}

/// The caller's end of the writer.
#[derive(Debug)]
pub(super) struct Writer {
    commands: mpsc::Sender<Command>,
    news: watch::Receiver<u64>,
    closing: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(
        path: PathBuf,
        options: SqliteConnectOptions,
        conn: SqliteConnection,
        clock: Clock,
    ) -> Self {
        let (commands, inbox) = mpsc::channel(BACKLOG);
        let (bell, news) = watch::channel(0);
        let closing = CancellationToken::new();
        let desk = Desk { path, options, conn: Some(conn), clock, inbox, bell, closing: closing.clone() };
        Self { commands, news, closing, task: Mutex::new(Some(tokio::spawn(desk.run()))) }
    }

    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: for<'s> FnOnce(&'s mut Step) -> BoxFuture<'s, Result<T, Failure>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |step| {
            let work = work(step);
            Box::pin(async move { work.await.map(|value| Box::new(value) as Value) })
        });
        self.commands.send(Command { work, reply }).await.map_err(|_| QueueError::Closed)?;
        let value = answer.await.map_err(|_| QueueError::Closed)??;
        Ok(*value.downcast().expect("a command is answered with its own value"))
    }

    /// Changes whenever a commit of this process brought news.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.clone()
    }

    /// Takes no more commands, finishes those that wait, closes the file.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the queue's writer did not end well");
        }
    }
}

/// The task's side.
struct Desk {
    path: PathBuf,
    options: SqliteConnectOptions,
    /// Absent after a batch failed.
    conn: Option<SqliteConnection>,
    clock: Clock,
    inbox: mpsc::Receiver<Command>,
    bell: watch::Sender<u64>,
    closing: CancellationToken,
}

impl Desk {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(MOST_PER_COMMIT);
        loop {
            let closing = self.closing.clone();
            let taken = tokio::select! {
                taken = self.inbox.recv_many(&mut batch, MOST_PER_COMMIT) => taken,
                () = closing.cancelled(), if !self.inbox.is_closed() => {
                    self.inbox.close();
                    continue;
                }
            };
            if taken == 0 {
                break;
            }
            self.serve(&mut batch).await;
        }
        if let Some(conn) = self.conn.take()
            && let Err(error) = conn.close().await
        {
            tracing::warn!(%error, path = %self.path.display(), "the queue's file did not close cleanly");
        }
    }

    /// Runs and answers one batch.
    async fn serve(&mut self, batch: &mut Vec<Command>) {
        let mut answers = Vec::with_capacity(batch.len());
        match self.commit(batch, &mut answers).await {
            Ok(news) => {
                for (reply, answer) in answers {
                    // A caller that has gone does not need its answer.
                    let _ = reply.send(answer);
                }
                if news {
                    self.bell.send_modify(|count| *count += 1);
                }
            }
            Err(error) => {
                let replies = answers.into_iter().map(|(reply, _)| reply);
                for reply in replies.chain(batch.drain(..).map(|command| command.reply)) {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Leaves in `batch` what was not run, and the connection only if its transaction is over.
    async fn commit(
        &mut self,
        batch: &mut Vec<Command>,
        answers: &mut Vec<(Reply, Result<Value, QueueError>)>,
    ) -> Result<bool, QueueError> {
        let conn = self.begin().await.map_err(|error| fault(&self.path, &error))?;
        let mut step = Step { conn, now: self.clock.millis(), news: false };
        batch.reverse();
        while let Some(Command { work, reply }) = batch.pop() {
            // Nobody would hold what an abandoned claim leases.
            if reply.is_closed() {
                continue;
            }
            match self.run_one(&mut step, work).await {
                Ok(answer) => answers.push((reply, answer)),
                Err(error) => {
                    let error = error.at(&self.path);
                    answers.push((reply, Err(error.clone())));
                    return Err(error);
                }
            }
        }
        execute(&mut step.conn, "COMMIT").await.map_err(|error| fault(&self.path, &error))?;
        self.conn = Some(step.conn);
        Ok(step.news)
    }

    /// One command in its savepoint. The outer error is the batch's.
    async fn run_one(&self, step: &mut Step, work: Work) -> Result<Result<Value, QueueError>, Failure> {
        execute(&mut step.conn, "SAVEPOINT command").await?;
        let answer = match work(step).await {
            Ok(value) => Ok(value),
            Err(failure) => {
                // There is no savepoint any more if SQLite has undone the whole transaction, as on a full disk.
                if execute(&mut step.conn, "ROLLBACK TO command").await.is_err() {
                    return Err(failure);
                }
                Err(failure.at(&self.path))
            }
        };
        execute(&mut step.conn, "RELEASE command").await?;
        Ok(answer)
    }

    /// The connection, with the write lock held: nothing after this can find the file locked.
    async fn begin(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.options.connect().await?,
        };
        // `busy_timeout` is the waiting; the pause only keeps a lock that is refused at once from being a hot loop.
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(10))
            .with_max_times(LOCK_ATTEMPTS - 1)
            .build();
        for pause in pauses {
            match execute(&mut conn, "BEGIN IMMEDIATE").await {
                Err(error) if is_busy(&error) => tokio::time::sleep(pause).await,
                begun => return begun.map(|()| conn),
            }
        }
        execute(&mut conn, "BEGIN IMMEDIATE").await?;
        Ok(conn)
    }
}

async fn execute(conn: &mut SqliteConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(statement).execute(conn).await.map(|_| ())
}
