//! The jobs of all measurements: of the size of real ones.

use std::time::Duration;

use chrono::{DateTime, Utc};
use recapture_core::meeting::MeetingUuid;
use recapture_core::period::parse_instant;
use recapture_core::queue::{JobPayload, NewJob, Queue, QueueSettings, Wanted};
use recapture_core::run::{Counts, Mode, RecoveryRun, Request, RunId, RunState, Tally};

use crate::Fault;

/// Jobs of one call that enqueues.
pub(crate) const BATCH: usize = 500;

/// A queue that never makes a producer wait.
pub(crate) async fn open(url: &str) -> Result<Queue, Fault> {
    let settings = QueueSettings {
        url: url.to_owned(),
        lease: Duration::from_secs(60),
        max_attempts: 5,
        high_water: u64::MAX,
    };
    Ok(Queue::open(&settings).await?)
}

pub(crate) async fn new_run(queue: &Queue) -> Result<RunId, Fault> {
    let now = Utc::now();
    let run = RecoveryRun {
        id: RunId::new(now),
        request: Request {
            mode: Mode::Manual,
            dry_run: false,
            requested_by: "bench".into(),
            reason: None,
            period: None,
            served: None,
        },
        state: RunState::Enumerating,
        started_at: now,
        finished_at: None,
        counts: Counts::default(),
        unproven: Vec::new(),
        ended_because: None,
    };
    queue.create_run(&run).await?;
    Ok(run.id)
}

pub(crate) async fn enqueue(queue: &Queue, run: &RunId, numbers: std::ops::Range<u32>) -> Result<(), Fault> {
    let numbers: Vec<u32> = numbers.collect();
    for batch in numbers.chunks(BATCH) {
        let batch: Vec<NewJob> = batch.iter().map(|number| job(*number)).collect();
        queue.enqueue(run, &batch, Tally::default()).await?;
    }
    Ok(())
}

pub(crate) fn job(number: u32) -> NewJob {
    NewJob { payload: payload(number), ready: true }
}

/// The identifier is as long as Zoom's are; deadlines differ, so that there is an order to keep.
pub(crate) fn payload(number: u32) -> JobPayload {
    JobPayload {
        uuid: MeetingUuid::parse(&format!("qB3dE/+gHiJkL4m{number:07}==")).expect("printable"),
        started_at: epoch() + Duration::from_secs(u64::from(number)),
        deadline: epoch() + Duration::from_secs(2_592_000 + u64::from(number)),
        wanted: Wanted::All,
        mode: Mode::Manual,
    }
}

fn epoch() -> DateTime<Utc> {
    parse_instant("2026-10-01").expect("an instant")
}
