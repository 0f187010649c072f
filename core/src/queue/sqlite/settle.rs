//! Keeping and giving back leases. Every statement is fenced: token, worker, state and time must all fit.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::claim::claim;
use super::fault::Failure;
use super::rows::{counted, starts, stored, to_json};
use super::writer::Step;
use super::{SqliteQueue, Terms};
use crate::queue::clock::instant;
use crate::queue::error::QueueError;
use crate::queue::lease::{Exchanged, ExtendOutcome, Fate, Lease, Moved, Settled, Settlement, WorkerId};
use crate::reason::{Cause, Outcome};

impl SqliteQueue {
    pub(in crate::queue) async fn extend(&self, leases: &[Lease]) -> Result<Vec<ExtendOutcome>, QueueError> {
        let (leases, terms) = (leases.to_vec(), self.0.terms);
        self.write(move |step| Box::pin(async move { extend(step, &leases, terms).await })).await
    }

    pub(in crate::queue) async fn exchange(
        &self,
        worker: &WorkerId,
        given: &[(Lease, Settlement)],
        most: usize,
    ) -> Result<Exchanged, QueueError> {
        let (worker, given, terms) = (worker.clone(), given.to_vec(), self.0.terms);
        let work = async move |step: &mut Step| {
            let mut exchanged = Exchanged::default();
            for (lease, settlement) in given {
                exchanged.settled.push(settle(step, &lease, settlement, terms).await?);
            }
            if most > 0 {
                exchanged.claimed = claim(step, &worker, most, terms).await?;
            }
            Ok(exchanged)
        };
        self.write(move |step| Box::pin(work(step))).await
    }

    pub(in crate::queue) async fn settle(
        &self,
        lease: &Lease,
        settlement: Settlement,
    ) -> Result<Settled, QueueError> {
        let (lease, terms) = (lease.clone(), self.0.terms);
        self.write(move |step| Box::pin(async move { settle(step, &lease, settlement, terms).await })).await
    }
}

async fn extend(step: &mut Step, leases: &[Lease], terms: Terms) -> Result<Vec<ExtendOutcome>, Failure> {
    let asked: Vec<_> =
        leases.iter().map(|lease| (lease.uuid.as_str(), lease.fence, lease.worker.as_str())).collect();
    let until = step.now + terms.lease;
    let held: Vec<i64> = sqlx::query_scalar(
        "UPDATE jobs SET lease_until = ?1 FROM json_each(?2) AS asked \
         WHERE jobs.uuid = asked.value ->> 0 AND fence = asked.value ->> 1 AND worker = asked.value ->> 2 \
         AND +state = 'leased' AND lease_until > ?3 RETURNING fence",
    )
    .bind(until)
    .bind(to_json(&asked))
    .bind(step.now)
    .fetch_all(&mut step.conn)
    .await?;
    let held: HashSet<u64> = held.into_iter().map(counted).collect();
    let until = instant(until);
    let outcome = |lease: &Lease| {
        if held.contains(&lease.fence) { ExtendOutcome::Held { until } } else { ExtendOutcome::Lost }
    };
    Ok(leases.iter().map(outcome).collect())
}

/// A leased job on its way out of its holder's hands.
#[derive(Clone, Copy)]
pub(super) struct Leased {
    pub(super) id: i64,
    pub(super) starts: u32,
}

impl Leased {
    /// With its start given back.
    fn unstarted(self) -> Self {
        Self { starts: self.starts.saturating_sub(1), ..self }
    }
}

async fn settle(
    step: &mut Step,
    lease: &Lease,
    settlement: Settlement,
    terms: Terms,
) -> Result<Settled, Failure> {
    let Some(job) = held(step, lease).await? else {
        return Ok(Settled::Lost);
    };
    let moved = settlement.moved;
    step.news = true;
    match settlement.fate {
        Fate::Finish { outcome: Outcome::Failed } => return Err(QueueError::FailedWithoutCause.into()),
        Fate::Finish { outcome } => end(step, job, outcome, moved).await?,
        Fate::Dead { cause } => bury(step, job, &cause, moved).await?,
        Fate::Retry { cause, .. } if i64::from(job.starts) >= terms.max_attempts => {
            bury(step, job, &cause, moved).await?;
            return Ok(Settled::Died);
        }
        Fate::Retry { at, cause } => delay(step, job, at, &cause, moved).await?,
        Fate::Snooze { until, cause } => delay(step, job.unstarted(), until, &cause, moved).await?,
        Fate::Release => release(step, job.unstarted(), moved).await?,
    }
    Ok(Settled::Done)
}

/// The job, if the lease still holds it.
async fn held(step: &mut Step, lease: &Lease) -> Result<Option<Leased>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT id, starts FROM jobs \
         WHERE uuid = ? AND fence = ? AND worker = ? AND +state = 'leased' AND lease_until > ?",
    )
    .bind(lease.uuid.as_str())
    .bind(stored(lease.fence))
    .bind(lease.worker.as_str())
    .bind(step.now)
    .fetch_optional(&mut step.conn)
    .await?;
    row.map(|row| Ok(Leased { id: row.try_get("id")?, starts: starts(&row)? })).transpose()
}

/// Books one job in every run that wants it: what was moved, and how it ended, if it did. The last pending job of an
/// enumerated run ends the run.
async fn book(step: &mut Step, job: Leased, ended: Option<Outcome>, moved: Moved) -> Result<(), sqlx::Error> {
    if ended.is_none() && moved == Moved::default() {
        return Ok(());
    }
    let ended_as = |outcome| i64::from(ended == Some(outcome));
    sqlx::query(
        "UPDATE runs SET recovered = recovered + ?2, failed = failed + ?3, unavailable = unavailable + ?4, \
         expired = expired + ?5, pending = pending - ?6, files = files + ?7, bytes = bytes + ?8, \
         finished_at = iif(state = 'running' AND pending = ?6, ?9, finished_at), \
         state = iif(state = 'running' AND pending = ?6, 'completed', state) \
         WHERE id IN (SELECT run FROM job_runs WHERE job = ?1)",
    )
    .bind(job.id)
    .bind(ended_as(Outcome::Recovered))
    .bind(ended_as(Outcome::Failed))
    .bind(ended_as(Outcome::Unavailable))
    .bind(ended_as(Outcome::Expired))
    .bind(i64::from(ended.is_some()))
    .bind(stored(moved.files))
    .bind(stored(moved.bytes))
    .bind(step.now)
    .execute(&mut step.conn)
    .await
    .map(|_| ())
}

/// Books the end and removes the job.
async fn end(step: &mut Step, job: Leased, outcome: Outcome, moved: Moved) -> Result<(), sqlx::Error> {
    book(step, job, Some(outcome), moved).await?;
    sqlx::query("DELETE FROM jobs WHERE id = ?").bind(job.id).execute(&mut step.conn).await?;
    step.news = true;
    Ok(())
}

/// Gives a job up: each run that wants it keeps a copy and counts it as failed.
pub(super) async fn bury(
    step: &mut Step,
    job: Leased,
    cause: &Cause,
    moved: Moved,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO dead (run, uuid, payload, cause, starts, died_at, deadline) \
         SELECT run, uuid, payload, ?, starts, ?, deadline FROM jobs JOIN job_runs ON job = id WHERE id = ?",
    )
    .bind(to_json(cause))
    .bind(step.now)
    .bind(job.id)
    .execute(&mut step.conn)
    .await?;
    end(step, job, Outcome::Failed, moved).await
}

async fn delay(
    step: &mut Step,
    job: Leased,
    due: DateTime<Utc>,
    cause: &Cause,
    moved: Moved,
) -> Result<(), sqlx::Error> {
    book(step, job, None, moved).await?;
    sqlx::query(
        "UPDATE jobs SET state = 'delayed', due = ?, cause = ?, starts = ?, \
         worker = NULL, fence = NULL, lease_until = NULL WHERE id = ?",
    )
    .bind(due.timestamp_millis())
    .bind(to_json(cause))
    .bind(job.starts)
    .bind(job.id)
    .execute(&mut step.conn)
    .await
    .map(|_| ())
}

async fn release(step: &mut Step, job: Leased, moved: Moved) -> Result<(), sqlx::Error> {
    book(step, job, None, moved).await?;
    sqlx::query(
        "UPDATE jobs SET state = 'ready', starts = ?, worker = NULL, fence = NULL, lease_until = NULL WHERE id = ?",
    )
    .bind(job.starts)
    .bind(job.id)
    .execute(&mut step.conn)
    .await
    .map(|_| ())
}
