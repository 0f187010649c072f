//! The producer: a period or a list of meetings in, one job a missing meeting out.
//!
//! ```text
//! slices × both time dimensions ──► pages ──► fold by UUID ──► compare with contacts ──► queue + books
//!          enumerate                            seen              compare                    enqueue
//! ids ──► instances of numbers ──► metadata ──────┘
//!          asked
//! ```
//!
//! Page by page: the first jobs are on the queue before the third page is asked for, and memory grows by less than a hundred
//! bytes a listed meeting (`seen.rs`). Jobs and books move together, in atomic steps of the queue.
//!
//! # What a crash leaves
//!
//! Jobs that were enqueued, and a run whose producer no longer beats, shown as stopped. The same recovery started
//! again is a run of its own: it lists all again, finds recovered meetings present and queued ones queued, and counts the
//! latter in its books too. Page tokens are never stored: they live minutes. Listing again costs requests and nothing
//! else: of a million meetings 6,667, which is seven minutes at four fifths of the limits of `pro`, and a little more than
//! two of `business`.
//!
//! # When the queue is away
//!
//! A shared queue that cannot be reached, cannot be written or is full is waited for ([`patiently`]), however long it
//! takes: a batch whose answer was lost is booked once all the same, if the queue is back within a day.

mod asked;
mod compare;
mod earlier;
mod enumerate;
mod ids;
mod page;
mod persist;
mod seen;
mod silence;

use std::time::{Duration, SystemTime};

use chrono::Utc;
use recapture_core::buffer::{Buffer, BufferError};
use recapture_core::contacts::{Contacts, ContactsError};
use recapture_core::evidence::{Entry, Evidence, MeetingVerdict};
use recapture_core::meeting::{Meeting, MeetingUuid};
use recapture_core::queue::{Enqueued, JobPayload, NewJob, Queue, QueueError, Wanted};
use recapture_core::reconcile::{Rules, Verdict};
use recapture_core::run::{Counts, Mode, RunId, Tally, Unproven};
use recapture_core::trace::{self, Detected};
use recapture_core::zoom::{Zoom, ZoomError};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub use asked::enumerate_asked;
pub use enumerate::{Look, SliceEnd, Sweep, enumerate};
pub use ids::{Asked, NoMeeting};
pub use silence::lists_anything;

/// How soon it is seen that a queue in trouble takes calls again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a listing did not come to its end. The run stops; the same command goes on.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    #[error("the listing stopped: {0}")]
    Zoom(#[from] ZoomError),
    #[error("the comparison stopped: {0}")]
    Contacts(#[from] ContactsError),
    #[error("the queue stopped taking jobs: {0}")]
    Queue(#[from] QueueError),
    #[error("the evidence could not be written: {0}")]
    Evidence(#[from] BufferError),
    #[error("interrupted while listing")]
    Interrupted,
    /// Of automatic recovery: what it lists from here on would not count.
    #[error("another process has taken over automatic recovery, or the queue has lost what it held")]
    DutyLost,
}

/// What the producer works with.
pub struct Producer<'a> {
    pub zoom: &'a Zoom,
    pub contacts: &'a Contacts,
    /// Where the records of earlier runs are.
    pub buffer: &'a Buffer,
    pub rules: Rules,
    pub mode: Mode,
    /// How long Zoom keeps archives.
    pub retention: chrono::Duration,
    pub sink: Sink<'a>,
    pub stop: CancellationToken,
    /// Told of progress.
    pub watch: &'a (dyn Fn(Progress) + Send + Sync),
}

/// Where verdicts go.
pub enum Sink<'a> {
    /// Onto the queue, into the books and the evidence of a run.
    Run { run: &'a RunId, queue: &'a Queue, evidence: &'a Evidence },
    /// A dry run: shown and counted, and nothing else.
    Dry { show: &'a (dyn Fn(&Meeting, &Verdict) + Send + Sync), counts: std::sync::Mutex<Counts> },
}

/// Where the listing is.
#[derive(Debug, Clone)]
pub struct Progress {
    pub slice: usize,
    pub slices: usize,
    pub listing: String,
    pub listed: u64,
    pub detected: u64,
}

/// How a listing ended.
#[derive(Debug, Default)]
pub struct Enumerated {
    pub unproven: Vec<Unproven>,
    pub listed: u64,
    pub detected: u64,
}

/// What became of a batch.
#[derive(Debug, Default)]
struct Taken {
    /// To be recovered.
    detected: u64,
    /// Not compared.
    indeterminate: Vec<MeetingUuid>,
}

impl Producer<'_> {
    /// Puts a compared batch where verdicts go; with when it was asked of Zoom and of the platform.
    async fn put(
        &self,
        batch: &[Meeting],
        verdicts: Vec<Verdict>,
        asked_at: [SystemTime; 2],
    ) -> Result<Taken, ProducerError> {
        let mut taken = Taken::default();
        for (meeting, verdict) in batch.iter().zip(&verdicts) {
            match verdict {
                Verdict::Missing | Verdict::Incomplete { .. } => taken.detected += 1,
                Verdict::Indeterminate { .. } => taken.indeterminate.push(meeting.uuid.clone()),
                Verdict::Present | Verdict::Excluded { .. } => {}
            }
        }
        match &self.sink {
            Sink::Run { run, queue, evidence } => {
                self.enqueue(run, queue, evidence, batch, verdicts, asked_at).await?;
            }
            Sink::Dry { show, counts } => {
                let mut counts = counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                for (meeting, verdict) in batch.iter().zip(&verdicts) {
                    count(&mut counts, verdict);
                    show(meeting, verdict);
                }
            }
        }
        Ok(taken)
    }

    async fn enqueue(
        &self,
        run: &RunId,
        queue: &Queue,
        evidence: &Evidence,
        batch: &[Meeting],
        verdicts: Vec<Verdict>,
        [listed, compared]: [SystemTime; 2],
    ) -> Result<(), ProducerError> {
        let (mut jobs, mut tally, mut records) = (Vec::new(), Tally::default(), Vec::new());
        let mut job_records = Vec::new();
        for (meeting, verdict) in batch.iter().zip(verdicts) {
            let wanted = match &verdict {
                Verdict::Present => {
                    tally.present += 1;
                    // Whoever asks for a meeting by its id is told of it; a sweep of a period records what is lacking.
                    if self.mode != Mode::Specific {
                        continue;
                    }
                    None
                }
                Verdict::Excluded { .. } => {
                    tally.excluded += 1;
                    None
                }
                Verdict::Indeterminate { .. } => {
                    tally.indeterminate += 1;
                    None
                }
                Verdict::Missing => Some(Wanted::All),
                Verdict::Incomplete { lacking } => Some(Wanted::Files(lacking.clone())),
            };
            let mut record = record(meeting, &verdict);
            let Some(wanted) = wanted else {
                records.push(record);
                continue;
            };
            let job = self.job(meeting, wanted);
            record.deadline = Some(job.payload.deadline);
            jobs.push(job);
            job_records.push(record);
        }
        let enqueued = self.put_on_the_queue(run, queue, &jobs, tally).await?;
        for (record, enqueued) in job_records.iter_mut().zip(enqueued) {
            match enqueued {
                Enqueued::Duplicate { owner } => record.queued_by = Some(owner),
                Enqueued::Already => {}
                Enqueued::New => {
                    let MeetingVerdict { meeting, verdict, .. } = &*record;
                    trace::detected(&Detected { run, meeting, verdict, listed, compared });
                }
            }
        }
        records.extend(job_records);
        evidence.append(run, records.into_iter().map(Entry::Verdict).collect()).await?;
        Ok(())
    }

    /// Step by step: one that has to be made again is no part of a batch whose other jobs may be done by then, and would be
    /// counted twice.
    async fn put_on_the_queue(
        &self,
        run: &RunId,
        queue: &Queue,
        jobs: &[NewJob],
        tally: Tally,
    ) -> Result<Vec<Enqueued>, ProducerError> {
        let (mut rest, mut tally) = (jobs, tally);
        let mut enqueued = Vec::with_capacity(jobs.len());
        loop {
            let (step, later) = rest.split_at(rest.len().min(queue.most_enqueued()));
            let enqueue = || queue.enqueue_if_there_is_room(run, step, tally);
            let Some(done) = patiently(queue, &self.stop, enqueue).await? else {
                patiently(queue, &self.stop, || queue.below_high_water()).await?;
                continue;
            };
            enqueued.extend(done);
            if later.is_empty() {
                return Ok(enqueued);
            }
            (rest, tally) = (later, Tally::default());
        }
    }

    fn job(&self, meeting: &Meeting, wanted: Wanted) -> NewJob {
        // A meeting without a start is kept under the day that computers count from: the folder must not depend on
        // when it was listed.
        let started_at = meeting.started_at.or(meeting.archived_at).unwrap_or_default();
        let archived_at = meeting
            .archived_at
            .or(meeting.ended_at())
            .unwrap_or_else(|| meeting.started_at.unwrap_or_else(Utc::now));
        NewJob {
            payload: JobPayload {
                uuid: meeting.uuid.clone(),
                started_at,
                deadline: archived_at + self.retention,
                wanted,
                mode: self.mode,
            },
            ready: !meeting.is_processing(),
        }
    }
}

/// Makes a call of the queue until it is taken. Trouble of a shared queue is waited out, as its high-water mark is: it comes
/// back, workers elsewhere make room, or its operator does. A full disk of this machine is not: it fills further.
pub async fn patiently<T, F>(
    queue: &Queue,
    stop: &CancellationToken,
    call: impl Fn() -> F,
) -> Result<T, ProducerError>
where
    F: Future<Output = Result<T, QueueError>>,
{
    Ok(stop.run_until_cancelled(wait_out(queue, call)).await.ok_or(ProducerError::Interrupted)??)
}

/// The same for what cannot be stopped.
pub async fn wait_out<T, F>(queue: &Queue, call: impl Fn() -> F) -> Result<T, QueueError>
where
    F: Future<Output = Result<T, QueueError>>,
{
    let mut told = false;
    loop {
        match call().await {
            Err(error) if error.is_transient() && !queue.is_embedded() => {
                if !std::mem::replace(&mut told, true) {
                    warn!(%error, "waiting for the queue; the recovery goes on by itself");
                }
            }
            done => {
                if told {
                    // As loud as what it ends.
                    warn!("the queue is back");
                }
                return done;
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn record(meeting: &Meeting, verdict: &Verdict) -> MeetingVerdict {
    let (word, detail) = match verdict {
        Verdict::Present => ("present", None),
        Verdict::Missing => ("missing", None),
        Verdict::Incomplete { lacking } => ("incomplete", Some(format!("lacks {}", lacking.join(", ")))),
        Verdict::Excluded { rule } => ("excluded", Some((*rule).to_owned())),
        Verdict::Indeterminate { why } => ("indeterminate", Some(why.clone())),
    };
    MeetingVerdict {
        meeting: meeting.uuid.clone(),
        started_at: meeting.started_at,
        verdict: word.to_owned(),
        detail,
        deadline: None,
        queued_by: None,
    }
}

fn count(counts: &mut Counts, verdict: &Verdict) {
    counts.listed += 1;
    match verdict {
        Verdict::Present => counts.present += 1,
        Verdict::Excluded { .. } => counts.excluded += 1,
        Verdict::Indeterminate { .. } => counts.indeterminate += 1,
        Verdict::Missing | Verdict::Incomplete { .. } => {
            match verdict {
                Verdict::Missing => counts.missing += 1,
                _ => counts.incomplete += 1,
            }
            counts.detected += 1;
            counts.pending += 1;
        }
    }
}
