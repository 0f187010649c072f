//! Enqueueing: jobs and books in one step; and the high-water mark.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use sqlx::{Row, SqliteConnection};

use super::SqliteQueue;
use super::fault::Failure;
use super::rows::{run_id, state_of, stored, to_json};
use super::runs::known;
use super::writer::Step;
use crate::queue::error::QueueError;
use crate::queue::job::Wanted;
use crate::queue::view::{Enqueued, NewJob};
use crate::run::{RunId, Tally};

/// How soon room that another process made is seen.
const ROOM_POLL: Duration = Duration::from_millis(500);

impl SqliteQueue {
    pub(in crate::queue) async fn enqueue(
        &self,
        run: &RunId,
        batch: &[NewJob],
        tally: Tally,
    ) -> Result<Vec<Enqueued>, QueueError> {
        let (run, batch) = (run.clone(), batch.to_vec());
        self.write(move |step| Box::pin(async move { enqueue(step, run, &batch, tally).await })).await
    }

    pub(in crate::queue) async fn enqueue_if_there_is_room(
        &self,
        run: &RunId,
        step: &[NewJob],
        tally: Tally,
    ) -> Result<Option<Vec<Enqueued>>, QueueError> {
        if self.is_full().await? { Ok(None) } else { self.enqueue(run, step, tally).await.map(Some) }
    }

    pub(in crate::queue) async fn below_high_water(&self) -> Result<(), QueueError> {
        let mut news = self.0.writer.news();
        loop {
            news.mark_unchanged();
            if !self.is_full().await? {
                return Ok(());
            }
            // Other processes make room unheard.
            if let Ok(Err(_)) = tokio::time::timeout(ROOM_POLL, news.changed()).await {
                return Err(QueueError::Closed);
            }
        }
    }

    async fn is_full(&self) -> Result<bool, QueueError> {
        let unfinished: i64 = sqlx::query_scalar("SELECT unfinished FROM queue")
            .fetch_one(&mut *self.reader().await?)
            .await
            .map_err(|error| self.fault(&error))?;
        Ok(unfinished >= stored(self.0.high_water))
    }
}

/// One job on its way into the statements below, as JSON.
#[derive(Serialize)]
struct Line<'a> {
    uuid: &'a str,
    payload: String,
    deadline: i64,
    ready: bool,
}

impl<'a> From<&'a NewJob> for Line<'a> {
    fn from(job: &'a NewJob) -> Self {
        Self {
            uuid: job.payload.uuid.as_str(),
            payload: job.payload.encode(),
            deadline: job.payload.deadline.timestamp_millis(),
            ready: job.ready,
        }
    }
}

/// What the statements found, by UUID.
struct Found {
    /// Those that had no unfinished job.
    new: HashSet<String>,
    /// The owners of those whose job counts for this run from now on.
    subscribed: HashMap<String, RunId>,
}

async fn enqueue(
    step: &mut Step,
    run: RunId,
    batch: &[NewJob],
    tally: Tally,
) -> Result<Vec<Enqueued>, Failure> {
    let state = known(state_of(&mut step.conn, &run).await?, run.clone())?;
    if state.is_end() {
        return Err(QueueError::RunOver { run, state }.into());
    }
    let mut found = insert(step, &run, batch).await?;
    let mut counted: Vec<&NewJob> = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    for job in batch {
        let uuid = job.payload.uuid.as_str();
        // Removed as it is answered: a meeting that stands twice in a batch counts once.
        let Some(owner) = found.subscribed.remove(uuid) else {
            answers.push(Enqueued::Already);
            continue;
        };
        counted.push(job);
        answers.push(if found.new.contains(uuid) { Enqueued::New } else { Enqueued::Duplicate { owner } });
    }
    book(&mut step.conn, &run, &counted, tally).await?;
    step.news = true;
    Ok(answers)
}

async fn insert(step: &mut Step, run: &RunId, batch: &[NewJob]) -> Result<Found, sqlx::Error> {
    let conn = &mut step.conn;
    let mut lines: Vec<Line<'_>> = batch.iter().map(Line::from).collect();
    // What this run has given up is counted already, and `retry` takes it up again.
    let dead: Vec<String> = sqlx::query_scalar(
        "SELECT uuid FROM dead WHERE run = ? AND uuid IN (SELECT value ->> 'uuid' FROM json_each(?))",
    )
    .bind(run.as_str())
    .bind(to_json(&lines))
    .fetch_all(&mut *conn)
    .await?;
    let dead: HashSet<String> = dead.into_iter().collect();
    lines.retain(|line| !dead.contains(line.uuid));
    let wanted = to_json(&lines);

    let new: Vec<String> = sqlx::query_scalar(
        "INSERT INTO jobs (uuid, owner, payload, deadline, enqueued_at) \
         SELECT value ->> 'uuid', ?1, value ->> 'payload', value ->> 'deadline', ?2 FROM json_each(?3) WHERE true \
         ON CONFLICT (uuid) DO NOTHING RETURNING uuid",
    )
    .bind(run.as_str())
    .bind(step.now)
    .bind(&wanted)
    .fetch_all(&mut *conn)
    .await?;
    // What waits for Zoom to finish the archive need not wait longer. (`+` keeps SQLite from looking through every
    // delayed job for these.)
    sqlx::query(
        "UPDATE jobs SET state = 'ready', due = NULL \
         WHERE uuid IN (SELECT value ->> 'uuid' FROM json_each(?) WHERE value ->> 'ready') \
         AND +state = 'delayed' AND cause ->> 'reason' = 'archive_processing'",
    )
    .bind(&wanted)
    .execute(&mut *conn)
    .await?;
    let counting: Vec<i64> = sqlx::query_scalar(
        "INSERT INTO job_runs (job, run) \
         SELECT jobs.id, ?1 FROM json_each(?2) AS line JOIN jobs ON jobs.uuid = line.value ->> 'uuid' WHERE true \
         ON CONFLICT DO NOTHING RETURNING job",
    )
    .bind(run.as_str())
    .bind(&wanted)
    .fetch_all(&mut *conn)
    .await?;
    let rows = sqlx::query("SELECT uuid, owner FROM jobs WHERE id IN (SELECT value FROM json_each(?))")
        .bind(to_json(&counting))
        .fetch_all(&mut *conn)
        .await?;
    let subscribed = rows.iter().map(|row| Ok((row.try_get("uuid")?, run_id(row, "owner")?)));
    Ok(Found { new: new.into_iter().collect(), subscribed: subscribed.collect::<Result<_, sqlx::Error>>()? })
}

/// The batch in the run's books.
async fn book(
    conn: &mut SqliteConnection,
    run: &RunId,
    counted: &[&NewJob],
    tally: Tally,
) -> Result<(), sqlx::Error> {
    let detected = stored(counted.len() as u64);
    let missing = counted.iter().filter(|job| job.payload.wanted == Wanted::All).count();
    let missing = stored(missing as u64);
    let (present, excluded) = (stored(tally.present), stored(tally.excluded));
    let indeterminate = stored(tally.indeterminate);
    sqlx::query(
        "UPDATE runs SET listed = listed + ?1 + ?2 + ?3 + ?4, detected = detected + ?1, pending = pending + ?1, \
         present = present + ?2, excluded = excluded + ?3, indeterminate = indeterminate + ?4, \
         missing = missing + ?5, incomplete = incomplete + ?1 - ?5 WHERE id = ?6",
    )
    .bind(detected)
    .bind(present)
    .bind(excluded)
    .bind(indeterminate)
    .bind(missing)
    .bind(run.as_str())
    .execute(conn)
    .await
    .map(|_| ())
}
