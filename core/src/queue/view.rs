//! What goes onto the queue, and what can be seen of it.

use chrono::{DateTime, Utc};

use super::job::JobPayload;
use crate::meeting::MeetingUuid;
use crate::reason::Cause;
use crate::run::{RunId, RunState};

/// What is told of a run that was enumerating when its producer stopped beating. It is shown so and not stored: a producer
/// that only slept may go on.
pub const FELL_SILENT: &str = "its producer ended without saying so";

/// A detected meeting, on its way to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    pub payload: JobPayload,
    /// Zoom's listing shows the archive complete: a job that waits for just that becomes due at once.
    pub ready: bool,
}

/// What enqueueing did with one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    New,
    /// Another run's unfinished job recovers the meeting, and counts in this run's books too.
    Duplicate {
        owner: RunId,
    },
    /// This run has the meeting pending or dead already: the books stay as they are.
    Already,
}

/// The unfinished jobs that count for one run. Each is in exactly one of the classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkLeft {
    pub ready: u64,
    pub leased: u64,
    /// Delayed for any reason but Zoom's processing.
    pub retrying: u64,
    /// Delayed until Zoom has made the archive.
    pub waiting_for_zoom: u64,
    /// Ready, and its owner or the whole queue is paused.
    pub held: u64,
    /// When the next delayed job is due.
    pub next_due: Option<DateTime<Utc>>,
    pub nearest_deadline: Option<DateTime<Utc>>,
}

/// The whole queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    pub ready: u64,
    pub leased: u64,
    pub delayed: u64,
    /// Ready, and its owner or the whole queue is paused.
    pub held: u64,
    /// Given up, over all runs.
    pub dead: u64,
    pub paused: bool,
    pub nearest_deadline: Option<DateTime<Utc>>,
    /// When the job that is unfinished for the longest time was enqueued.
    pub oldest: Option<DateTime<Utc>>,
}

impl Depth {
    pub fn unfinished(&self) -> u64 {
        self.ready + self.leased + self.delayed + self.held
    }
}

/// Where an unfinished job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Ready,
    Leased,
    Delayed,
}

/// One unfinished job of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedJob {
    pub uuid: MeetingUuid,
    pub state: JobState,
    pub owner: RunId,
    /// Of a delayed job.
    pub due: Option<DateTime<Utc>>,
    pub deadline: DateTime<Utc>,
    pub starts: u32,
    /// What went wrong last, or what it waits for.
    pub cause: Option<Cause>,
}

/// One job in a worker's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedJob {
    pub uuid: MeetingUuid,
    pub owner: RunId,
    /// The process, as it names itself.
    pub worker: String,
    /// When the lease ends, unless it is renewed.
    pub until: DateTime<Utc>,
    pub deadline: DateTime<Utc>,
    /// This one included.
    pub starts: u32,
}

/// One job of a run that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadJob {
    pub uuid: MeetingUuid,
    /// Absent if it cannot be read.
    pub payload: Option<JobPayload>,
    /// The payload as stored.
    pub raw: String,
    pub cause: Cause,
    pub starts: u32,
    pub died_at: DateTime<Utc>,
    pub deadline: DateTime<Utc>,
}

/// What `retry` did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryReport {
    pub requeued: u64,
    /// Another run has the meeting unfinished: it counts for this run again.
    pub already_queued: u64,
}

/// What `cancel` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelReport {
    /// The run's state now: a run that had ended with nothing unfinished keeps its end.
    pub state: RunState,
    /// Jobs that nobody else wanted.
    pub removed: u64,
    /// Jobs that other runs want still.
    pub passed_on: u64,
}
