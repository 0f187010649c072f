//! What the claims are made of: a queue on a manual clock, and short words for the usual steps.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Store;
use crate::meeting::MeetingUuid;
use crate::period::{Period, parse_instant};
use crate::queue::{
    Claimed, Clock, Enqueued, Fate, JobPayload, NewJob, Queue, Settled, Settlement, Wanted, WorkerId,
};
use crate::reason::{Cause, Outcome, Reason};
use crate::run::{Counts, Mode, RecoveryRun, Request, RunId, RunState, Tally};

/// One store, open.
pub struct Bench {
    pub store: Store,
    pub clock: Clock,
    pub queue: Queue,
    pub worker: WorkerId,
}

impl Bench {
    pub async fn new(store: Store) -> Self {
        let clock = Clock::manual(epoch());
        let queue = Queue::open_at(&store.settings, clock.clone()).await.expect("an empty queue opens");
        Self { store, clock, queue, worker: WorkerId::new() }
    }

    /// Another handle on the same store, as another process has it.
    pub async fn open_again(&self) -> Queue {
        Queue::open_at(&self.store.settings, self.clock.clone()).await.expect("the queue opens again")
    }

    pub fn lease(&self) -> Duration {
        self.store.settings.lease
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub async fn run_of(&self, mode: Mode) -> RunId {
        let id = RunId::new(self.now());
        self.queue.create_run(&a_run(&id, mode, self.now())).await.expect("a new run");
        id
    }

    /// A manual run with these meetings on the queue.
    pub async fn run_with(&self, meetings: &[u32]) -> RunId {
        let run = self.run_of(Mode::Manual).await;
        self.enqueue(&run, meetings).await;
        run
    }

    /// Meetings by number; the number is also the order of their deadlines.
    pub async fn enqueue(&self, run: &RunId, meetings: &[u32]) -> Vec<Enqueued> {
        let batch: Vec<NewJob> = meetings.iter().map(|meeting| self.job(*meeting)).collect();
        self.queue.enqueue(run, &batch, Tally::default()).await.expect("enqueued")
    }

    pub fn job(&self, meeting: u32) -> NewJob {
        let payload = JobPayload {
            uuid: uuid(meeting),
            started_at: epoch(),
            deadline: job_deadline(meeting),
            wanted: Wanted::All,
            mode: Mode::Manual,
        };
        NewJob { payload, ready: false }
    }

    pub async fn claim(&self, most: usize) -> Vec<Claimed> {
        self.queue.claim(&self.worker, most).await.expect("claimed")
    }

    pub async fn claim_one(&self) -> Claimed {
        let mut claimed = self.claim(1).await;
        claimed.pop().expect("a job to claim")
    }

    pub async fn settle(&self, job: &Claimed, fate: impl Into<Settlement>) -> Settled {
        self.queue.settle(&job.lease, fate).await.expect("settled")
    }

    pub async fn run(&self, id: &RunId) -> RecoveryRun {
        self.queue.run(id).await.expect("read").expect("the run exists")
    }

    pub async fn counts(&self, id: &RunId) -> Counts {
        self.run(id).await.counts
    }

    pub async fn state(&self, id: &RunId) -> RunState {
        self.run(id).await.state
    }
}

/// When every manual clock begins.
fn epoch() -> DateTime<Utc> {
    parse_instant("2026-10-01").expect("an instant")
}

pub(super) fn job_deadline(meeting: u32) -> DateTime<Utc> {
    epoch() + Duration::from_secs(86_400 + u64::from(meeting))
}

pub(super) fn a_run(id: &RunId, mode: Mode, now: DateTime<Utc>) -> RecoveryRun {
    RecoveryRun {
        id: id.clone(),
        request: Request {
            mode,
            dry_run: false,
            requested_by: "ops".into(),
            reason: Some("an outage".into()),
            period: Period::new(now - Duration::from_secs(86_400), now).ok(),
            served: None,
        },
        state: RunState::Enumerating,
        started_at: now,
        finished_at: None,
        counts: Counts::default(),
        unproven: Vec::new(),
        ended_because: None,
    }
}

pub(super) fn uuid(meeting: u32) -> MeetingUuid {
    MeetingUuid::parse(&format!("meeting/{meeting:08}==")).expect("a UUID")
}

/// The numbers of claimed meetings, in order.
pub(super) fn numbers(jobs: &[Claimed]) -> Vec<u32> {
    let number = |job: &Claimed| job.payload.uuid.as_str()["meeting/".len()..].trim_end_matches('=').parse();
    jobs.iter().map(|job| number(job).expect("a number")).collect()
}

pub(super) fn because(reason: Reason) -> Cause {
    Cause::new(reason, "told by a test")
}

/// The least that the queue's clock tells apart.
pub(super) const MOMENT: Duration = Duration::from_millis(1);

pub(super) const RECOVERED: Fate = Fate::Finish { outcome: Outcome::Recovered };

/// Gives `waiting` every chance to end, and answers whether it has: it makes as many round trips to the store as
/// `rounds`, so that whatever was to happen by itself has happened.
pub(super) async fn ends<T>(bench: &Bench, waiting: impl Future<Output = T>, rounds: u32) -> Option<T> {
    let trips = async {
        for _ in 0..rounds {
            bench.queue.depth().await.expect("read");
        }
    };
    tokio::select! {
        biased;
        done = waiting => Some(done),
        () = trips => None,
    }
}
