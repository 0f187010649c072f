//! Runs: created, enumerated, ended. Their counts are moved by the commands that move jobs.

use chrono::{DateTime, Utc};

use super::SqliteQueue;
use super::fault::Failure;
use super::rows::{run as run_of, state_of, to_json};
use crate::queue::error::QueueError;
use crate::run::{RecoveryRun, RunId, RunState, Unproven};

impl SqliteQueue {
    pub(in crate::queue) async fn create_run(&self, run: &RecoveryRun) -> Result<(), QueueError> {
        let run = run.clone();
        // Until its first beat a producer has as long as a lease: one that dies before it is noticed too.
        let grace = self.0.terms.lease;
        self.write(move |step| {
            Box::pin(async move {
                let inserted = sqlx::query(
                    "INSERT INTO runs (id, request, class, state, beat_until, started_at, finished_at, ended_because, \
                     unproven) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                )
                .bind(run.id.as_str())
                .bind(to_json(&run.request))
                .bind(run.request.mode.class())
                .bind(run.state.as_str())
                .bind(step.now + grace)
                .bind(run.started_at.timestamp_millis())
                .bind(run.finished_at.map(|at| at.timestamp_millis()))
                .bind(&run.ended_because)
                .bind(to_json(&run.unproven))
                .execute(&mut step.conn)
                .await?;
                match inserted.rows_affected() {
                    0 => Err(QueueError::RunExists(run.id).into()),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    pub(in crate::queue) async fn run(&self, id: &RunId) -> Result<Option<RecoveryRun>, QueueError> {
        let now = self.0.clock.millis();
        let row = sqlx::query("SELECT * FROM runs WHERE id = ?")
            .bind(id.as_str())
            .fetch_optional(&mut *self.reader().await?)
            .await;
        row.and_then(|row| row.map(|row| run_of(&row, now)).transpose()).map_err(|error| self.fault(&error))
    }

    pub(in crate::queue) async fn runs_before(
        &self,
        before: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<RecoveryRun>, QueueError> {
        let now = self.0.clock.millis();
        // Ids are made of digits and capital letters, which all sort before this.
        let rows = sqlx::query("SELECT * FROM runs WHERE id < ? ORDER BY id DESC LIMIT ?")
            .bind(before.map_or("~", RunId::as_str))
            .bind(limit)
            .fetch_all(&mut *self.reader().await?)
            .await;
        rows.and_then(|rows| rows.iter().map(|row| run_of(row, now)).collect())
            .map_err(|error| self.fault(&error))
    }

    pub(in crate::queue) async fn enumerated(
        &self,
        id: &RunId,
        unproven: &[Unproven],
    ) -> Result<RunState, QueueError> {
        let (id, unproven) = (id.clone(), to_json(&unproven));
        self.write(move |step| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE runs SET unproven = ?1, state = iif(pending = 0, 'completed', 'running'), \
                     finished_at = iif(pending = 0, ?2, NULL) WHERE id = ?3 AND state = 'enumerating'",
                )
                .bind(unproven)
                .bind(step.now)
                .bind(id.as_str())
                .execute(&mut step.conn)
                .await?;
                known(state_of(&mut step.conn, &id).await?, id)
            })
        })
        .await
    }

    pub(in crate::queue) async fn end_run(
        &self,
        id: &RunId,
        state: RunState,
        because: Option<&str>,
    ) -> Result<RunState, QueueError> {
        if !state.is_end() {
            return Err(QueueError::NoEnd(state));
        }
        let (id, because) = (id.clone(), because.map(str::to_owned));
        self.write(move |step| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE runs SET state = ?, ended_because = ?, finished_at = ? \
                     WHERE id = ? AND state IN ('enumerating', 'running')",
                )
                .bind(state.as_str())
                .bind(because)
                .bind(step.now)
                .bind(id.as_str())
                .execute(&mut step.conn)
                .await?;
                known(state_of(&mut step.conn, &id).await?, id)
            })
        })
        .await
    }

    pub(in crate::queue) async fn producer_beat(
        &self,
        run: &RunId,
        until: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let run = run.clone();
        self.write(move |step| {
            Box::pin(async move {
                let beaten = sqlx::query("UPDATE runs SET beat_until = ? WHERE id = ?")
                    .bind(until.timestamp_millis())
                    .bind(run.as_str())
                    .execute(&mut step.conn)
                    .await?;
                known((beaten.rows_affected() > 0).then_some(()), run)
            })
        })
        .await
    }
}

pub(super) fn known<T>(found: Option<T>, run: RunId) -> Result<T, Failure> {
    found.ok_or_else(|| QueueError::UnknownRun(run).into())
}
