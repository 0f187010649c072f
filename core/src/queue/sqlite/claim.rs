//! Claiming: what is due becomes ready, what was abandoned comes back, and the most urgent jobs are leased.
//!
//! The cost is that of what is claimed, not of the backlog: every lookup below walks an index from its beginning and
//! stops. Runs with ready jobs are found by skipping through the index from owner to owner.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::fault::Failure;
use super::rows::{counted, json, run_id, starts, stored, to_json, uuid};
use super::settle::{Leased, bury};
use super::writer::Step;
use super::{SqliteQueue, Terms};
use crate::queue::clock::{Millis, instant};
use crate::queue::error::QueueError;
use crate::queue::job::JobPayload;
use crate::queue::lease::{Claimed, Lease, Moved, WorkerId, rest};
use crate::reason::{Cause, Reason};

/// Bounds one claim when very many jobs become due at the same instant; the next claim takes the next.
const MOST_DUE: i64 = 1000;

/// Whether anything has to be done before claiming.
pub(super) const HEAD: &str = "SELECT paused, \
     (SELECT min(due) FROM jobs WHERE state = 'delayed') AS due, \
     (SELECT min(lease_until) FROM jobs WHERE state = 'leased') AS lease_end FROM queue";

pub(super) const ABANDONED: &str = "SELECT id, uuid, starts, worker, lease_until FROM jobs \
     WHERE state = 'leased' AND lease_until <= ? ORDER BY lease_until";

pub(super) const PROMOTE: &str = "UPDATE jobs SET state = 'ready', due = NULL \
     WHERE id IN (SELECT id FROM jobs WHERE state = 'delayed' AND due <= ? ORDER BY due LIMIT ?)";

/// Runs that own ready jobs and are not paused, in the order in which they are served.
pub(super) const SERVED: &str = "WITH RECURSIVE owners (run) AS ( \
     SELECT min(owner) FROM jobs WHERE state = 'ready' \
     UNION ALL \
     SELECT (SELECT min(owner) FROM jobs WHERE state = 'ready' AND owner > run) FROM owners WHERE run IS NOT NULL) \
     SELECT runs.id, runs.class FROM owners CROSS JOIN runs ON runs.id = owners.run WHERE NOT runs.paused \
     ORDER BY runs.class, runs.id";

pub(super) const URGENT: &str = "SELECT deadline, id FROM jobs WHERE state = 'ready' AND owner = ? \
     ORDER BY deadline, id LIMIT ?";

impl SqliteQueue {
    pub(in crate::queue) async fn claim(
        &self,
        worker: &WorkerId,
        most: usize,
    ) -> Result<Vec<Claimed>, QueueError> {
        let (worker, terms) = (worker.clone(), self.0.terms);
        self.write(move |step| Box::pin(async move { claim(step, &worker, most, terms).await })).await
    }
}

pub(super) async fn claim(
    step: &mut Step,
    worker: &WorkerId,
    most: usize,
    terms: Terms,
) -> Result<Vec<Claimed>, Failure> {
    let head = sqlx::query(HEAD).fetch_one(&mut step.conn).await?;
    let passed = |at: Option<Millis>| at.is_some_and(|at| at <= step.now);
    let (due, abandoned) = (passed(head.try_get("due")?), passed(head.try_get("lease_end")?));
    if abandoned {
        reap(step, terms).await?;
    }
    if due {
        promote(step).await?;
    }
    if head.try_get("paused")? {
        return Ok(Vec::new());
    }
    let picked = pick(&mut step.conn, most).await?;
    if picked.is_empty() {
        return Ok(Vec::new());
    }
    let rows = lease(step, worker, &picked, terms).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    for row in &rows {
        match JobPayload::decode(row.try_get("payload")?) {
            Ok(payload) => claimed.push(claimed_of(row, payload, worker)?),
            Err(error) => {
                let cause = Cause::new(Reason::PayloadUnreadable, error.to_string());
                bury(step, leased(row)?, &cause, Moved::default()).await?;
            }
        }
    }
    // `UPDATE … RETURNING` has no order; tokens were given out in the order of picking.
    claimed.sort_by_key(|job| job.lease.fence);
    Ok(claimed)
}

/// Jobs whose worker stopped renewing: ready again, at once or after a rest, or dead if that was their last start.
async fn reap(step: &mut Step, terms: Terms) -> Result<(), sqlx::Error> {
    let rows = sqlx::query(ABANDONED).bind(step.now).fetch_all(&mut step.conn).await?;
    for row in &rows {
        let job = leased(row)?;
        let worker: &str = row.try_get("worker")?;
        let detail = format!("worker {worker} stopped renewing its lease in start {}", job.starts);
        let cause = Cause::new(Reason::WorkerDied, detail);
        tracing::warn!(meeting = %uuid(row)?, %cause, "a job was abandoned");
        if i64::from(job.starts) >= terms.max_attempts {
            bury(step, job, &cause, Moved::default()).await?;
        } else {
            let ended: Millis = row.try_get("lease_until")?;
            let due = ended + rest(job.starts, &uuid(row)?).num_milliseconds();
            let (state, due) = if due > step.now { ("delayed", Some(due)) } else { ("ready", None) };
            sqlx::query(
                "UPDATE jobs SET state = ?, due = ?, worker = NULL, fence = NULL, lease_until = NULL, cause = ? \
                 WHERE id = ?",
            )
            .bind(state)
            .bind(due)
            .bind(to_json(&cause))
            .bind(job.id)
            .execute(&mut step.conn)
            .await?;
        }
        step.news = true;
    }
    Ok(())
}

async fn promote(step: &mut Step) -> Result<(), sqlx::Error> {
    sqlx::query(PROMOTE).bind(step.now).bind(MOST_DUE).execute(&mut step.conn).await?;
    step.news = true;
    Ok(())
}

/// The ids of the most urgent ready jobs: class before deadline, deadline before run.
async fn pick(conn: &mut SqliteConnection, most: usize) -> Result<Vec<i64>, sqlx::Error> {
    let runs: Vec<(String, i64)> = sqlx::query_as(SERVED).fetch_all(&mut *conn).await?;
    let mut picked: Vec<i64> = Vec::with_capacity(most);
    for class in runs.chunk_by(|a, b| a.1 == b.1) {
        let room = most.saturating_sub(picked.len());
        if room == 0 {
            break;
        }
        let mut heads: Vec<(Millis, i64)> = Vec::new();
        for (run, _) in class {
            let head: Vec<(Millis, i64)> =
                sqlx::query_as(URGENT).bind(run).bind(stored(room as u64)).fetch_all(&mut *conn).await?;
            heads.extend(head);
        }
        heads.sort_unstable();
        picked.extend(heads.into_iter().take(room).map(|(_, id)| id));
    }
    Ok(picked)
}

/// Counts the starts before any work is done, so that a job that kills its process cannot do so for ever.
async fn lease(
    step: &mut Step,
    worker: &WorkerId,
    picked: &[i64],
    terms: Terms,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let given = stored(picked.len() as u64);
    let last: i64 = sqlx::query_scalar("UPDATE queue SET fence = fence + ? RETURNING fence")
        .bind(given)
        .fetch_one(&mut step.conn)
        .await?;
    sqlx::query(
        "UPDATE jobs SET state = 'leased', starts = starts + 1, worker = ?1, lease_until = ?2, \
         fence = ?3 + picked.key FROM json_each(?4) AS picked WHERE jobs.id = picked.value \
         RETURNING jobs.id, uuid, payload, owner, starts, fence, lease_until, \
         (SELECT json_group_array(run) FROM \
           (SELECT run FROM job_runs WHERE job = jobs.id ORDER BY run)) AS runs",
    )
    .bind(worker.as_str())
    .bind(step.now + terms.lease)
    .bind(last - given + 1)
    .bind(to_json(&picked))
    .fetch_all(&mut step.conn)
    .await
}

fn leased(row: &SqliteRow) -> Result<Leased, sqlx::Error> {
    Ok(Leased { id: row.try_get("id")?, starts: starts(row)? })
}

fn claimed_of(row: &SqliteRow, payload: JobPayload, worker: &WorkerId) -> Result<Claimed, sqlx::Error> {
    let lease = Lease {
        uuid: uuid(row)?,
        fence: counted(row.try_get("fence")?),
        worker: worker.clone(),
        until: instant(row.try_get("lease_until")?),
    };
    let runs = json(row.try_get("runs")?, "runs")?;
    Ok(Claimed { payload, lease, starts: starts(row)?, owner: run_id(row, "owner")?, runs })
}
