//! Pause, resume, cancel and retry, while workers run.

use sqlx::SqliteConnection;

use super::SqliteQueue;
use super::fault::Failure;
use super::rows::{state_of, stored, to_json};
use super::runs::known;
use super::writer::Step;
use crate::meeting::MeetingUuid;
use crate::queue::error::QueueError;
use crate::queue::view::{CancelReport, RetryReport};
use crate::run::{RunId, RunState};

impl SqliteQueue {
    pub(in crate::queue) async fn set_paused(
        &self,
        run: Option<&RunId>,
        paused: bool,
    ) -> Result<(), QueueError> {
        let run = run.cloned();
        self.write(move |step| {
            Box::pin(async move {
                let conn = &mut step.conn;
                if let Some(run) = run {
                    let marked = sqlx::query("UPDATE runs SET paused = ? WHERE id = ?")
                        .bind(paused)
                        .bind(run.as_str())
                        .execute(conn)
                        .await?;
                    known((marked.rows_affected() > 0).then_some(()), run)?;
                } else {
                    sqlx::query("UPDATE queue SET paused = ?").bind(paused).execute(conn).await?;
                }
                step.news = true;
                Ok(())
            })
        })
        .await
    }

    /// The account that the queue is of, if it is anybody's.
    pub(in crate::queue) async fn owner(&self) -> Result<Option<String>, QueueError> {
        let mut reader = self.reader().await?;
        let owner = sqlx::query_scalar("SELECT account FROM queue").fetch_one(&mut *reader).await;
        owner.map_err(|error| self.fault(&error))
    }

    /// The account that the queue is of; `account` if it was nobody's.
    pub(in crate::queue) async fn account(&self, account: &str) -> Result<String, QueueError> {
        let account = account.to_owned();
        self.write(move |step| {
            Box::pin(async move {
                let owner =
                    sqlx::query_scalar("UPDATE queue SET account = coalesce(account, ?) RETURNING account")
                        .bind(account)
                        .fetch_one(&mut step.conn)
                        .await?;
                Ok(owner)
            })
        })
        .await
    }

    pub(in crate::queue) async fn set_account(&self, account: &str) -> Result<(), QueueError> {
        let account = account.to_owned();
        self.write(move |step| {
            Box::pin(async move {
                sqlx::query("UPDATE queue SET account = ?").bind(account).execute(&mut step.conn).await?;
                Ok(())
            })
        })
        .await
    }

    pub(in crate::queue) fn place(&self) -> String {
        self.0.path.display().to_string()
    }

    pub(in crate::queue) async fn cancel(&self, run: &RunId) -> Result<CancelReport, QueueError> {
        let run = run.clone();
        self.write(move |step| Box::pin(async move { cancel(step, run).await })).await
    }

    pub(in crate::queue) async fn retry(
        &self,
        run: &RunId,
        only: Option<&[MeetingUuid]>,
    ) -> Result<RetryReport, QueueError> {
        let (run, only) = (run.clone(), only.map(|uuids| to_json(&uuids)));
        self.write(move |step| Box::pin(async move { retry(step, run, only.as_deref()).await })).await
    }
}

/// An end stays an end unless there is something left that would still be done: then the run is cancelled after all.
async fn cancel(step: &mut Step, run: RunId) -> Result<CancelReport, Failure> {
    let conn = &mut step.conn;
    let state = known(state_of(conn, &run).await?, run.clone())?;
    let left =
        sqlx::query("DELETE FROM job_runs WHERE run = ?").bind(run.as_str()).execute(&mut *conn).await?;
    pass_on(conn, &run).await?;
    // The owner of a job is one of its runs: what this run still owns, nobody else wants.
    let removed = sqlx::query("DELETE FROM jobs WHERE state IN ('ready', 'leased', 'delayed') AND owner = ?")
        .bind(run.as_str())
        .execute(&mut *conn)
        .await?
        .rows_affected();
    let state = if state.is_end() && left.rows_affected() == 0 {
        state
    } else {
        sqlx::query("UPDATE runs SET state = 'cancelled', finished_at = ? WHERE id = ?")
            .bind(step.now)
            .bind(run.as_str())
            .execute(&mut *conn)
            .await?;
        RunState::Cancelled
    };
    step.news = true;
    Ok(CancelReport { state, removed, passed_on: left.rows_affected() - removed })
}

/// Gives the run's jobs that others want to the first of those who is served first.
async fn pass_on(conn: &mut SqliteConnection, run: &RunId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE jobs SET owner = (SELECT runs.id FROM job_runs JOIN runs ON runs.id = job_runs.run \
         WHERE job_runs.job = jobs.id ORDER BY runs.class, runs.id LIMIT 1) \
         WHERE state IN ('ready', 'leased', 'delayed') AND owner = ? \
         AND EXISTS (SELECT 1 FROM job_runs WHERE job_runs.job = jobs.id)",
    )
    .bind(run.as_str())
    .execute(conn)
    .await
    .map(|_| ())
}

async fn retry(step: &mut Step, run: RunId, only: Option<&str>) -> Result<RetryReport, Failure> {
    let conn = &mut step.conn;
    known(state_of(conn, &run).await?, run.clone())?;
    let requeued = sqlx::query(
        "INSERT INTO jobs (uuid, owner, payload, deadline, enqueued_at) \
         SELECT uuid, run, payload, deadline, ?1 FROM dead \
         WHERE run = ?2 AND (?3 IS NULL OR uuid IN (SELECT value FROM json_each(?3))) \
         ON CONFLICT (uuid) DO NOTHING",
    )
    .bind(step.now)
    .bind(run.as_str())
    .bind(only)
    .execute(&mut *conn)
    .await?
    .rows_affected();
    sqlx::query(
        "INSERT INTO job_runs (job, run) SELECT jobs.id, dead.run FROM dead JOIN jobs ON jobs.uuid = dead.uuid \
         WHERE dead.run = ?1 AND (?2 IS NULL OR dead.uuid IN (SELECT value FROM json_each(?2)))",
    )
    .bind(run.as_str())
    .bind(only)
    .execute(&mut *conn)
    .await?;
    let taken = sqlx::query(
        "DELETE FROM dead WHERE run = ?1 AND (?2 IS NULL OR uuid IN (SELECT value FROM json_each(?2)))",
    )
    .bind(run.as_str())
    .bind(only)
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if taken > 0 {
        sqlx::query(
            "UPDATE runs SET failed = failed - ?1, pending = pending + ?1, \
             finished_at = iif(state = 'completed', NULL, finished_at), \
             state = iif(state = 'completed', 'running', state) WHERE id = ?2",
        )
        .bind(stored(taken))
        .bind(run.as_str())
        .execute(&mut *conn)
        .await?;
    }
    step.news = true;
    Ok(RetryReport { requeued, already_queued: taken - requeued })
}
