//! The last reports, for a moment: many clients that look at one run make one reading of its evidence.
//!
//! A report that was read is good as long as the run's books stand where they stood. Of a run that has ended and for which
//! nothing waits that is until somebody retries it; while something waits it is at most [`FRESH`], for what a meeting waits
//! for may change without the books. Each run is read by one at a time, in a thread where it may take as long as it takes; of a
//! run under way whoever asks meanwhile gets the report before, so that nobody waits for a reading as long as somebody asks
//! all the time, and readings take a small part of a processor however long the record is.
//!
//! Memory is bounded: reports that are kept hold [`MOST_MEETINGS`] together, those that are being read or written as many
//! again, and who needs more waits until others are done. A run that is larger by itself is not read here at all:
//! `recapture report` writes its report.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use recapture_core::run::{Mode, RecoveryRun, RunId};
use recapture_worker::Opened;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::report::Report;
use crate::web::problem::Problem;

const FRESH: Duration = Duration::from_secs(5);

/// Of a run whose books still move, the report may lag behind by this, or by so many times what it takes to read.
const LAG: Duration = Duration::from_secs(1);
const LAG_OF_READING: u32 = 10;

/// Reports that are kept, and the meetings that they may have together.
const MOST_KEPT: usize = 8;
const MOST_MEETINGS: u32 = 200_000;

#[derive(Clone)]
pub(in crate::serve) struct Reports {
    opened: Arc<Opened>,
    kept: Arc<Mutex<Vec<Kept>>>,
    /// Held by the one who reads the run.
    turns: Arc<Mutex<HashMap<RunId, Weak<Turn<()>>>>>,
    /// A permit a meeting that is being read or written.
    room: Arc<Semaphore>,
}

struct Kept {
    id: RunId,
    at: Instant,
    took: Duration,
    report: Arc<Report>,
}

/// How good a report is that is kept.
#[derive(Debug, PartialEq, Eq)]
enum Good {
    Enough,
    /// To be shown once more while a newer one is read.
    Yet,
    No,
}

impl Good {
    /// Of a report of the run as it was, so long after one began to read it, which took so long.
    fn of(was: &RecoveryRun, run: &RecoveryRun, age: Duration, took: Duration) -> Self {
        let stands = was.counts == run.counts && was.state == run.state;
        let lag = LAG.max(took * LAG_OF_READING);
        match () {
            () if stands && (run.state.is_end() && run.counts.pending == 0 || age < FRESH) => Self::Enough,
            // Nobody asks again for a run that has ended: what is told of it then has to be the last word.
            () if run.state.is_end() => Self::No,
            () if age < lag => Self::Enough,
            () if age < lag * 2 => Self::Yet,
            () => Self::No,
        }
    }
}

/// The meetings that a report of the run has.
fn meetings_of(run: &RecoveryRun) -> u64 {
    let counts = &run.counts;
    let present = if run.request.mode == Mode::Specific { counts.present } else { 0 };
    counts.detected + counts.excluded + counts.indeterminate + present
}

impl Reports {
    pub(super) fn new(opened: Arc<Opened>) -> Self {
        let room = Arc::new(Semaphore::new(MOST_MEETINGS as usize));
        Self { opened, kept: Arc::default(), turns: Arc::default(), room }
    }

    /// Whether the run is one that is read here.
    pub(in crate::serve) fn fit(run: &RecoveryRun) -> bool {
        meetings_of(run) <= u64::from(MOST_MEETINGS)
    }

    pub(in crate::serve) async fn of(&self, run: RecoveryRun) -> Result<Arc<Report>, Problem> {
        match self.kept(&run) {
            (Good::Enough, Some(report)) => return Ok(report),
            (Good::Yet, Some(report)) => {
                if let Ok(turn) = self.turn(&run.id).try_lock_owned() {
                    let reports = self.clone();
                    tokio::spawn(async move {
                        // Whoever asks next is told what is wrong.
                        let _ = reports.read(run, turn).await;
                    });
                }
                return Ok(report);
            }
            _ => {}
        }
        let turn = self.turn(&run.id).lock_owned().await;
        // The one before has read it, perhaps.
        match self.kept(&run) {
            (Good::Enough | Good::Yet, Some(report)) => Ok(report),
            _ => self.read(run, turn).await,
        }
    }

    fn turn(&self, run: &RunId) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(run).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(run.clone(), Arc::downgrade(&turn));
        turn
    }

    fn kept(&self, run: &RecoveryRun) -> (Good, Option<Arc<Report>>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.iter().find(|kept| kept.id == run.id) {
            Some(kept) => {
                let good = Good::of(&kept.report.run, run, kept.at.elapsed(), kept.took);
                (good, Some(Arc::clone(&kept.report)))
            }
            None => (Good::No, None),
        }
    }

    /// Waits until there is room for so many meetings more.
    async fn room_for(&self, meetings: u64) -> Result<OwnedSemaphorePermit, Problem> {
        let most = u64::from(MOST_MEETINGS);
        let some = u32::try_from(meetings.clamp(1, most)).unwrap_or(MOST_MEETINGS);
        Arc::clone(&self.room).acquire_many_owned(some).await.map_err(|_| failed("read"))
    }

    /// Reads a report and keeps it; whoever asked may go away meanwhile.
    async fn read(&self, run: RecoveryRun, turn: OwnedMutexGuard<()>) -> Result<Arc<Report>, Problem> {
        if !Self::fit(&run) {
            let detail = format!(
                "the run has {} meetings, and reports of up to {MOST_MEETINGS} are read here; `recapture report` writes larger ones",
                meetings_of(&run)
            );
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        }
        let reading = tokio::spawn(self.clone().read_in_turn(run, turn));
        reading.await.map_err(|_| failed("read"))?
    }

    async fn read_in_turn(self, run: RecoveryRun, turn: OwnedMutexGuard<()>) -> Result<Arc<Report>, Problem> {
        let _turn = turn;
        let _room = self.room_for(meetings_of(&run)).await?;
        let (opened, id, began) = (Arc::clone(&self.opened), run.id.clone(), Instant::now());
        let runtime = tokio::runtime::Handle::current();
        let read = tokio::task::spawn_blocking(move || {
            runtime.block_on(Report::read(&opened.queue, &opened.ports.buffer, run))
        });
        let report = Arc::new(read.await.map_err(|_| failed("read"))??);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.id != id);
        // What happened while it was read may be in it or not.
        kept.push(Kept { id, at: began, took: began.elapsed(), report: Arc::clone(&report) });
        let meetings = |kept: &[Kept]| kept.iter().map(|kept| kept.report.meetings.len()).sum::<usize>();
        while kept.len() > MOST_KEPT || kept.len() > 1 && meetings(&kept) > MOST_MEETINGS as usize {
            kept.remove(0);
        }
        Ok(report)
    }

    /// The report in some form, written where it may take as long as it takes.
    pub(in crate::serve) async fn written(
        &self,
        report: Arc<Report>,
        form: impl FnOnce(&Report) -> String + Send + 'static,
    ) -> Result<String, Problem> {
        let room = self.room_for(report.meetings.len() as u64).await?;
        let written = tokio::task::spawn_blocking(move || {
            let _room = room;
            form(&report)
        });
        written.await.map_err(|_| failed("written"))
    }
}

fn failed(what: &str) -> Problem {
    tracing::error!("a report could not be {what}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the report could not be {what}"))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use recapture_core::run::{Counts, Request, RunState};

    use super::*;

    fn run(state: RunState, detected: u64, pending: u64) -> RecoveryRun {
        RecoveryRun {
            id: RunId::new(Utc::now()),
            request: Request {
                mode: Mode::Manual,
                dry_run: false,
                requested_by: "ops".to_owned(),
                reason: None,
                period: None,
                served: None,
            },
            state,
            started_at: Utc::now(),
            finished_at: None,
            counts: Counts { detected, pending, ..Counts::default() },
            unproven: Vec::new(),
            ended_because: None,
        }
    }

    #[test]
    fn what_has_ended_is_read_once_and_what_moves_now_and_then() {
        let (short, day) = (Duration::from_millis(10), Duration::from_secs(86_400));
        let over = run(RunState::Completed, 5, 0);
        assert_eq!(Good::of(&over, &over, day, short), Good::Enough);
        let mut retried = over.clone();
        retried.counts.pending = 1;
        assert_eq!(Good::of(&over, &retried, short, short), Good::No, "its books have moved");
        assert_eq!(Good::of(&retried, &retried, FRESH, short), Good::No, "something waits");
        let moving = run(RunState::Running, 5, 3);
        let mut moved = moving.clone();
        moved.counts.pending = 2;
        for (age, good) in [(9, Good::Enough), (11, Good::Yet), (21, Good::No)] {
            let (age, took) = (Duration::from_secs(age), Duration::from_secs(1));
            assert_eq!(Good::of(&moving, &moved, age, took), good, "{age:?}");
        }
    }

    #[test]
    fn a_run_larger_than_the_room_is_not_read() {
        let most = u64::from(MOST_MEETINGS);
        assert!(Reports::fit(&run(RunState::Completed, most, 0)));
        assert!(!Reports::fit(&run(RunState::Completed, most + 1, 0)));
    }
}
