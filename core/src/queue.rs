//! The durable queue: one job a missing meeting, and the books of the runs that want it.
//!
//! # The promise
//!
//! Both backends keep it; `queue/conformance.rs` holds a test for each line, by name.
//!
//! | # | invariant |
//! | --- | --- |
//! | Q1 | A job acknowledged as enqueued exists until it is finished or dead, across `kill -9` of anyone. |
//! | Q2 | One meeting, one unfinished job: enqueueing again says `Duplicate` and changes nothing of the job. |
//! | Q3 | One live lease a job, with a fencing token; whoever lost it can neither finish, retry, extend nor count. |
//! | Q4 | A dead worker's jobs run elsewhere within lease + 1 s; a job that is heart-beaten never runs twice at once. |
//! | Q5 | Starts are counted before work: a job that kills its process is dead after `max_attempts` starts. |
//! | Q6 | Snoozing and releasing cost no attempt. |
//! | Q7 | Finishing a job and moving its runs' counts is one atomic step. |
//! | Q8 | Soonest deadline first, manual and specific runs before automatic ones; a snoozed job runs when it is due. |
//! | Q9 | A finished job leaves nothing behind; the producer waits at the high-water mark. |
//! | Q10 | A payload that cannot be read is dead with its reason, and the rest goes on. |
//! | Q11 | With the queue out of reach workers finish what they may, wait, and go on when it is back; no call of theirs ends a pool for it. |
//! | Q12 | Pause, resume, cancel and retry of failed work while workers run. |
//!
//! # A job's life
//!
//! ```text
//!                    enqueue
//!                       ▼          claim (starts + 1, fence + 1)
//!   retry RUN ──────► ready ─────────────────────────► leased ──► finished: the row is gone, counts moved
//!       │               ▲  ▲                            │ │ │
//!       │          due  │  │ release; lease expired     │ │ └───► dead: kept aside with its cause, `failed` + 1
//!       │               │  └────────────────────────────┘ │          (refused for good, or starts used up)
//!       │            delayed ◄────────────────────────────┘
//!       │                     snooze (starts − 1), retry later (starts stay)
//!      dead
//! ```
//!
//! The key of a job is its meeting's UUID. A job belongs to the run that first wanted it (its owner: that run's mode
//! and pause apply to it) and counts in the books of every run that asked for it while it was unfinished. A run that
//! has a meeting among its dead has counted it: only `retry` takes it up again. Cancelling a run passes its jobs to
//! the next run that wants them and removes the others, leased ones too, whose holders learn it from the fence.
//!
//! # After a crash
//!
//! Every step above is one transaction of the backend, so what a crash leaves is a state of the drawing: a leased
//! job whose lease runs out is ready again, with its start counted; if that happens to it again it rests first, for less
//! than a second (`lease.rs`). Delivery is at least once; whoever does the work
//! makes its effects idempotent.

mod backend;
mod backoff;
mod clock;
mod desk;
mod duty;
mod error;
mod held;
mod job;
mod lease;
mod recall;
mod redis;
mod sqlite;
mod view;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use self::backend::{PoolEnd, PoolSettings, run_pool, run_pool_telling};
pub use self::clock::Clock;
pub use self::duty::{Duty, DutyToken, OnDuty};
pub use self::error::QueueError;
pub use self::held::{HeldJob, Interruption};
pub use self::job::{JobPayload, PayloadError, Wanted};
pub use self::lease::{Claimed, Exchanged, ExtendOutcome, Fate, Lease, Moved, Settled, Settlement, WorkerId};
pub use self::redis::RedisQueue;
pub use self::sqlite::SqliteQueue;
pub use self::view::{
    CancelReport, DeadJob, Depth, Enqueued, FELL_SILENT, JobState, LeasedJob, NewJob, RetryReport,
    UnfinishedJob, WorkLeft,
};
use crate::config::{RedisAddress, without_credentials};
use crate::meeting::MeetingUuid;
use crate::redis::Link;
use crate::run::{RecoveryRun, RunId, RunState, Tally, Unproven};

/// Bounds one exchange, so that no other call waits long for it.
pub const MOST_EXCHANGED: usize = 50;

/// The settings of section `queue`.
#[derive(Clone)]
pub struct QueueSettings {
    /// May hold a password.
    pub url: String,
    /// How long a job is a worker's without a heartbeat.
    pub lease: Duration,
    /// Starts that count.
    pub max_attempts: u32,
    /// Unfinished jobs above which the producer waits.
    pub high_water: u64,
}

impl fmt::Debug for QueueSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, lease, max_attempts, high_water } = self;
        f.debug_struct("QueueSettings")
            .field("url", &without_credentials(url))
            .field("lease", lease)
            .field("max_attempts", max_attempts)
            .field("high_water", high_water)
            .finish()
    }
}

/// A durable queue. Clones are handles of the same queue.
#[derive(Clone, Debug)]
pub enum Queue {
    Sqlite(SqliteQueue),
    Redis(RedisQueue),
}

impl Queue {
    /// Opens the queue that the URL names. `sqlite://` takes a relative or absolute path and creates what is missing;
    /// `redis://` and its kin are told in [`RedisAddress`].
    pub async fn open(settings: &QueueSettings) -> Result<Self, QueueError> {
        Self::open_at(settings, Clock::system()).await
    }

    /// As [`open`](Self::open), on a clock of the caller's.
    pub async fn open_at(settings: &QueueSettings, clock: Clock) -> Result<Self, QueueError> {
        if let Some(address) = RedisAddress::parse(&settings.url) {
            let address = address.map_err(|why| QueueError::BadUrl { why: why.to_owned() })?;
            return Ok(Self::Redis(RedisQueue::open(address, settings, clock).await?));
        }
        match settings.url.split_once("://") {
            Some(("sqlite", path)) => Ok(Self::Sqlite(SqliteQueue::open(path, settings, clock).await?)),
            // What follows the scheme may hold a password.
            Some((scheme, _)) => Err(QueueError::BadUrl { why: format!("'{scheme}://' is no queue") }),
            None => Err(QueueError::BadUrl { why: "it has no scheme".into() }),
        }
    }

    /// The connection of a queue that processes share, for what else they share; `None` for an embedded one.
    pub fn shared_connection(&self) -> Option<Arc<Link>> {
        match self {
            Self::Sqlite(_) => None,
            Self::Redis(queue) => Some(queue.link()),
        }
    }

    /// Whether the queue lives in this process's files: then nobody else is expected to work on it.
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// How long a lease lasts without being renewed.
    pub fn lease(&self) -> Duration {
        match self {
            Self::Sqlite(queue) => queue.lease(),
            Self::Redis(queue) => queue.lease(),
        }
    }

    /// That the queue can be written and is whole; for `doctor`.
    pub async fn check(&self) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(queue) => queue.check().await,
            Self::Redis(queue) => queue.check().await,
        }
    }

    /// That the queue is the account's or could become it; for `doctor`, and nothing is changed.
    pub async fn may_belong_to(&self, account: &str) -> Result<(), QueueError> {
        let owner = match self {
            Self::Sqlite(queue) => queue.owner().await?,
            Self::Redis(queue) => queue.owner().await?,
        };
        match owner {
            Some(owner) if owner != account => self.without_work_of(owner, account).await,
            _ => Ok(()),
        }
    }

    async fn without_work_of(&self, theirs: String, ours: &str) -> Result<(), QueueError> {
        let depth = self.depth().await?;
        if depth.unfinished() + depth.dead == 0 {
            return Ok(());
        }
        let place = match self {
            Self::Sqlite(queue) => queue.place(),
            Self::Redis(queue) => queue.place(),
        };
        Err(QueueError::OtherAccount { place, theirs, ours: ours.to_owned() })
    }

    /// Makes the queue the account's. It is refused while the queue holds work of another account, unfinished or given
    /// up: a worker would ask Zoom for meetings that its account never had, and book them as gone.
    pub async fn belong_to(&self, account: &str) -> Result<(), QueueError> {
        let owner = match self {
            Self::Sqlite(queue) => queue.account(account).await?,
            Self::Redis(queue) => queue.account(account).await?,
        };
        if owner == account {
            return Ok(());
        }
        self.without_work_of(owner, account).await?;
        match self {
            Self::Sqlite(queue) => queue.set_account(account).await,
            Self::Redis(queue) => queue.set_account(account).await,
        }
    }

    /// What an acknowledgement is worth, in a sentence; for `doctor`.
    pub async fn durability(&self) -> Result<String, QueueError> {
        match self {
            Self::Sqlite(_) => Ok("every answer is on disk (WAL, synchronous FULL)".to_owned()),
            Self::Redis(queue) => queue.durability().await,
        }
    }

    /// Finishes what is on its way and closes the queue for every clone.
    pub async fn close(self) {
        match self {
            Self::Sqlite(queue) => queue.close().await,
            Self::Redis(queue) => queue.close().await,
        }
    }
}

/// Runs and their books.
impl Queue {
    /// Records a new run with empty books.
    pub async fn create_run(&self, run: &RecoveryRun) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(queue) => queue.create_run(run).await,
            Self::Redis(queue) => queue.create_run(run).await,
        }
    }

    /// One run as it is now. An enumerating run whose producer stopped beating is shown as stopped.
    pub async fn run(&self, id: &RunId) -> Result<Option<RecoveryRun>, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.run(id).await,
            Self::Redis(queue) => queue.run(id).await,
        }
    }

    /// Runs, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<RecoveryRun>, QueueError> {
        self.runs_before(None, limit).await
    }

    /// Runs that are older than the given one, newest first.
    pub async fn runs_before(
        &self,
        before: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<RecoveryRun>, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.runs_before(before, limit).await,
            Self::Redis(queue) => queue.runs_before(before, limit).await,
        }
    }

    /// Everything is listed and on the queue: the run is running, or completed at once if nothing is pending. Answers
    /// the state that stands now.
    pub async fn enumerated(&self, id: &RunId, unproven: &[Unproven]) -> Result<RunState, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.enumerated(id, unproven).await,
            Self::Redis(queue) => queue.enumerated(id, unproven).await,
        }
    }

    /// Ends a run unless it has ended; answers the state that stands now.
    pub async fn end_run(
        &self,
        id: &RunId,
        state: RunState,
        because: Option<&str>,
    ) -> Result<RunState, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.end_run(id, state, because).await,
            Self::Redis(queue) => queue.end_run(id, state, because).await,
        }
    }

    /// The unfinished jobs that count for the run.
    pub async fn work_left(&self, id: &RunId) -> Result<WorkLeft, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.work_left(id).await,
            Self::Redis(queue) => queue.work_left(id).await,
        }
    }

    /// The producer of the run lives, and will beat again before `until`.
    pub async fn producer_beat(&self, run: &RunId, until: DateTime<Utc>) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(queue) => queue.producer_beat(run, until).await,
            Self::Redis(queue) => queue.producer_beat(run, until).await,
        }
    }
}

/// The producer's side.
impl Queue {
    /// Puts the detected meetings of a batch on the queue and the whole batch into the run's books, in one step for each
    /// [`Self::most_enqueued`] jobs. The answers are in the order of the batch.
    pub async fn enqueue(
        &self,
        run: &RunId,
        batch: &[NewJob],
        tally: Tally,
    ) -> Result<Vec<Enqueued>, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.enqueue(run, batch, tally).await,
            Self::Redis(queue) => queue.enqueue(run, batch, tally).await,
        }
    }

    /// The jobs of one step. Of a batch with more of them it is not known, when it has failed, which steps were done.
    pub fn most_enqueued(&self) -> usize {
        match self {
            Self::Sqlite(_) => usize::MAX,
            Self::Redis(_) => redis::MOST_ENQUEUED,
        }
    }

    /// Enqueues at most [`Self::most_enqueued`] jobs, in one step; nothing is done, and none is the answer, if there are as many
    /// unfinished jobs as the high-water mark says.
    pub async fn enqueue_if_there_is_room(
        &self,
        run: &RunId,
        step: &[NewJob],
        tally: Tally,
    ) -> Result<Option<Vec<Enqueued>>, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.enqueue_if_there_is_room(run, step, tally).await,
            Self::Redis(queue) => queue.enqueue_if_there_is_room(run, step, tally).await,
        }
    }

    /// Returns when there are fewer unfinished jobs than the high-water mark.
    pub async fn below_high_water(&self) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(queue) => queue.below_high_water().await,
            Self::Redis(queue) => queue.below_high_water().await,
        }
    }

    /// How much there is, over all runs.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.depth().await,
            Self::Redis(queue) => queue.depth().await,
        }
    }
}

/// The workers' side.
impl Queue {
    /// Leases at most `most` jobs, the most urgent first, and counts their starts.
    pub async fn claim(&self, worker: &WorkerId, most: usize) -> Result<Vec<Claimed>, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.claim(worker, most).await,
            Self::Redis(queue) => queue.claim(worker, most).await,
        }
    }

    /// Renews leases by a whole lease from now; answers in their order.
    pub async fn extend(&self, leases: &[Lease]) -> Result<Vec<ExtendOutcome>, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.extend(leases).await,
            Self::Redis(queue) => queue.extend(leases).await,
        }
    }

    /// Gives a job back and moves the books, in one step. A lease that is not held any more changes nothing.
    pub async fn settle(
        &self,
        lease: &Lease,
        settlement: impl Into<Settlement>,
    ) -> Result<Settled, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.settle(lease, settlement.into()).await,
            Self::Redis(queue) => queue.settle(lease, settlement.into()).await,
        }
    }

    /// Gives back jobs of one worker, at most [`MOST_EXCHANGED`], and leases at most `most` others to it, in one step.
    /// An error leaves open whether it was done; made again for the same jobs, it answers what became of them then.
    pub async fn exchange(
        &self,
        worker: &WorkerId,
        given: &[(Lease, Settlement)],
        most: usize,
    ) -> Result<Exchanged, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.exchange(worker, given, most).await,
            Self::Redis(queue) => queue.exchange(worker, given, most).await,
        }
    }

    /// Returns when something may be claimable: new, released or resumed work, a due time, the end of a lease.
    pub async fn wait_for_work(&self) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(queue) => queue.wait_for_work().await,
            Self::Redis(queue) => queue.wait_for_work().await,
        }
    }
}

/// The operator's side.
impl Queue {
    /// Hands out no more jobs of one run, or none at all; what is leased goes on. Outlives restarts.
    pub async fn pause(&self, run: Option<&RunId>) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(queue) => queue.set_paused(run, true).await,
            Self::Redis(queue) => queue.set_paused(run, true).await,
        }
    }

    /// Takes back the [`pause`](Self::pause) of the same argument, not of the other kind.
    pub async fn resume(&self, run: Option<&RunId>) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(queue) => queue.set_paused(run, false).await,
            Self::Redis(queue) => queue.set_paused(run, false).await,
        }
    }

    /// Ends a run and removes its jobs, leased ones too, unless other runs want them. Its `pending` stays in the books.
    pub async fn cancel(&self, run: &RunId) -> Result<CancelReport, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.cancel(run).await,
            Self::Redis(queue) => queue.cancel(run).await,
        }
    }

    /// Puts what the run has given up back on the queue, with its starts forgotten: all of it, or these meetings.
    pub async fn retry(&self, run: &RunId, only: Option<&[MeetingUuid]>) -> Result<RetryReport, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.retry(run, only).await,
            Self::Redis(queue) => queue.retry(run, only).await,
        }
    }

    /// What the run has given up, in the order of UUIDs, after the given one.
    pub async fn dead(
        &self,
        run: &RunId,
        after: Option<&MeetingUuid>,
        limit: u32,
    ) -> Result<Vec<DeadJob>, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.dead(run, after, limit).await,
            Self::Redis(queue) => queue.dead(run, after, limit).await,
        }
    }

    /// What is unfinished for the run, in the order of UUIDs, after the given one.
    pub async fn jobs(
        &self,
        run: &RunId,
        after: Option<&MeetingUuid>,
        limit: u32,
    ) -> Result<Vec<UnfinishedJob>, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.jobs(run, after, limit).await,
            Self::Redis(queue) => queue.jobs(run, after, limit).await,
        }
    }

    /// Everything that is unfinished for the run, in no order, by one walk however much it is: a job that changes hands
    /// meanwhile may be told twice.
    pub async fn every_job(
        &self,
        run: &RunId,
        tell: &mut (dyn FnMut(UnfinishedJob) + Send),
    ) -> Result<(), QueueError> {
        match self {
            Self::Sqlite(queue) => queue.every_job(run, tell).await,
            Self::Redis(queue) => queue.every_job(run, tell).await,
        }
    }

    /// Who holds what: leased jobs, those whose lease ends first at the front.
    pub async fn leased(&self, limit: u32) -> Result<Vec<LeasedJob>, QueueError> {
        match self {
            Self::Sqlite(queue) => queue.leased(limit).await,
            Self::Redis(queue) => queue.leased(limit).await,
        }
    }
}
