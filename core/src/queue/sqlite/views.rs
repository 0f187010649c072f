//! What can be seen of the queue, read beside the writer.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::SqliteQueue;
use super::rows::{cause, count, counted, json, run_id, starts, uuid};
use crate::meeting::MeetingUuid;
use crate::queue::clock::{Millis, instant};
use crate::queue::error::QueueError;
use crate::queue::job::JobPayload;
use crate::queue::view::{DeadJob, Depth, JobState, LeasedJob, UnfinishedJob, WorkLeft};
use crate::run::RunId;

/// Jobs that are read at once.
const PAGE: u32 = 1000;

impl SqliteQueue {
    pub(in crate::queue) async fn work_left(&self, run: &RunId) -> Result<WorkLeft, QueueError> {
        let row = sqlx::query(
            "SELECT \
             count(*) FILTER (WHERE state = 'ready' AND NOT held) AS ready, \
             count(*) FILTER (WHERE state = 'ready' AND held) AS held, \
             count(*) FILTER (WHERE state = 'leased') AS leased, \
             count(*) FILTER (WHERE state = 'delayed' AND waiting) AS waiting, \
             count(*) FILTER (WHERE state = 'delayed' AND NOT waiting) AS retrying, \
             min(due) AS next_due, min(deadline) AS nearest_deadline \
             FROM (SELECT jobs.state, due, deadline, \
               cause IS NOT NULL AND cause ->> 'reason' = 'archive_processing' AS waiting, \
               runs.paused OR (SELECT paused FROM queue) AS held \
               FROM job_runs JOIN jobs ON jobs.id = job_runs.job JOIN runs ON runs.id = jobs.owner \
               WHERE job_runs.run = ?)",
        )
        .bind(run.as_str())
        .fetch_one(&mut *self.reader().await?)
        .await;
        let left = |row: SqliteRow| {
            Ok(WorkLeft {
                ready: count(&row, "ready")?,
                leased: count(&row, "leased")?,
                retrying: count(&row, "retrying")?,
                waiting_for_zoom: count(&row, "waiting")?,
                held: count(&row, "held")?,
                next_due: row.try_get::<Option<Millis>, _>("next_due")?.map(instant),
                nearest_deadline: row.try_get::<Option<Millis>, _>("nearest_deadline")?.map(instant),
            })
        };
        row.and_then(left).map_err(|error| self.fault(&error))
    }

    /// Reads one narrow index, not the jobs.
    pub(in crate::queue) async fn depth(&self) -> Result<Depth, QueueError> {
        let rows = sqlx::query(
            "SELECT queue.paused, groups.state, groups.jobs, groups.nearest, runs.paused AS run_paused, \
             (SELECT sum(failed) FROM runs) AS dead, (SELECT enqueued_at FROM jobs ORDER BY id LIMIT 1) AS oldest \
             FROM queue LEFT JOIN (SELECT state, owner, count(*) AS jobs, min(deadline) AS nearest \
               FROM jobs GROUP BY state, owner) AS groups LEFT JOIN runs ON runs.id = groups.owner",
        )
        .fetch_all(&mut *self.reader().await?)
        .await;
        rows.and_then(|rows| depth(&rows)).map_err(|error| self.fault(&error))
    }

    pub(in crate::queue) async fn jobs(
        &self,
        run: &RunId,
        after: Option<&MeetingUuid>,
        limit: u32,
    ) -> Result<Vec<UnfinishedJob>, QueueError> {
        let rows = sqlx::query(
            "SELECT uuid, state, owner, due, deadline, starts, cause FROM job_runs JOIN jobs ON jobs.id = job_runs.job \
             WHERE job_runs.run = ? AND uuid > ? ORDER BY uuid LIMIT ?",
        )
        .bind(run.as_str())
        .bind(after.map_or("", MeetingUuid::as_str))
        .bind(limit)
        .fetch_all(&mut *self.reader().await?)
        .await;
        rows.and_then(|rows| rows.iter().map(unfinished).collect()).map_err(|error| self.fault(&error))
    }

    pub(in crate::queue) async fn every_job(
        &self,
        run: &RunId,
        tell: &mut (dyn FnMut(UnfinishedJob) + Send),
    ) -> Result<(), QueueError> {
        let mut after = None;
        loop {
            let page = self.jobs(run, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.uuid.clone());
            page.into_iter().for_each(&mut *tell);
        }
    }

    pub(in crate::queue) async fn leased(&self, limit: u32) -> Result<Vec<LeasedJob>, QueueError> {
        let rows = sqlx::query(
            "SELECT uuid, owner, worker, lease_until, deadline, starts FROM jobs WHERE state = 'leased' \
             ORDER BY lease_until, uuid LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&mut *self.reader().await?)
        .await;
        rows.and_then(|rows| rows.iter().map(leased).collect()).map_err(|error| self.fault(&error))
    }

    pub(in crate::queue) async fn dead(
        &self,
        run: &RunId,
        after: Option<&MeetingUuid>,
        limit: u32,
    ) -> Result<Vec<DeadJob>, QueueError> {
        let rows = sqlx::query("SELECT * FROM dead WHERE run = ? AND uuid > ? ORDER BY uuid LIMIT ?")
            .bind(run.as_str())
            .bind(after.map_or("", MeetingUuid::as_str))
            .bind(limit)
            .fetch_all(&mut *self.reader().await?)
            .await;
        rows.and_then(|rows| rows.iter().map(dead).collect()).map_err(|error| self.fault(&error))
    }
}

/// One row a state and owner; a single row without a state if there is no job.
fn depth(rows: &[SqliteRow]) -> Result<Depth, sqlx::Error> {
    let mut depth = Depth::default();
    let mut nearest: Option<Millis> = None;
    for row in rows {
        depth.paused = row.try_get("paused")?;
        depth.dead = row.try_get::<Option<i64>, _>("dead")?.map_or(0, counted);
        depth.oldest = row.try_get::<Option<Millis>, _>("oldest")?.map(instant);
        let Some(state) = row.try_get::<Option<&str>, _>("state")? else {
            continue;
        };
        let jobs = count(row, "jobs")?;
        match job_state(state) {
            JobState::Leased => depth.leased += jobs,
            JobState::Delayed => depth.delayed += jobs,
            JobState::Ready if depth.paused || row.try_get("run_paused")? => depth.held += jobs,
            JobState::Ready => depth.ready += jobs,
        }
        let deadline = row.try_get::<Option<Millis>, _>("nearest")?;
        nearest = nearest.into_iter().chain(deadline).min();
    }
    depth.nearest_deadline = nearest.map(instant);
    Ok(depth)
}

/// The schema allows no other word.
fn job_state(word: &str) -> JobState {
    match word {
        "leased" => JobState::Leased,
        "delayed" => JobState::Delayed,
        _ => JobState::Ready,
    }
}

fn unfinished(row: &SqliteRow) -> Result<UnfinishedJob, sqlx::Error> {
    Ok(UnfinishedJob {
        uuid: uuid(row)?,
        state: job_state(row.try_get("state")?),
        owner: run_id(row, "owner")?,
        due: row.try_get::<Option<Millis>, _>("due")?.map(instant),
        deadline: instant(row.try_get("deadline")?),
        starts: starts(row)?,
        cause: cause(row)?,
    })
}

fn leased(row: &SqliteRow) -> Result<LeasedJob, sqlx::Error> {
    Ok(LeasedJob {
        uuid: uuid(row)?,
        owner: run_id(row, "owner")?,
        worker: row.try_get("worker")?,
        until: instant(row.try_get("lease_until")?),
        deadline: instant(row.try_get("deadline")?),
        starts: starts(row)?,
    })
}

fn dead(row: &SqliteRow) -> Result<DeadJob, sqlx::Error> {
    let raw: String = row.try_get("payload")?;
    Ok(DeadJob {
        uuid: uuid(row)?,
        payload: JobPayload::decode(&raw).ok(),
        raw,
        cause: json(row.try_get("cause")?, "cause")?,
        starts: starts(row)?,
        died_at: instant(row.try_get("died_at")?),
        deadline: instant(row.try_get("deadline")?),
    })
}
