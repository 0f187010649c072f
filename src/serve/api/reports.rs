//! The last reports, for a moment: many clients that look at one run make one reading of its evidence.
//!
//! A report that was read is good as long as the run's books stand where they stood, and at most [`FRESH`]: what a meeting
//! waits for may change without them. One report is read at a time, in a thread where it may take as long as it takes; of a
//! run under way whoever asks meanwhile gets the one before, so that nobody waits for a reading as long as somebody asks
//! all the time, and readings take a small part of a processor however long the record is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use recapture_core::run::{RecoveryRun, RunId};
use recapture_worker::Opened;

use crate::report::Report;
use crate::web::problem::Problem;

const FRESH: Duration = Duration::from_secs(5);

/// Of a run whose books still move, the report may lag behind by this, or by so many times what it takes to read.
const LAG: Duration = Duration::from_secs(1);
const LAG_OF_READING: u32 = 10;

/// Reports that are kept, and the meetings that they may have together.
const MOST_KEPT: usize = 4;
const MOST_MEETINGS: usize = 200_000;

#[derive(Clone)]
pub(in crate::serve) struct Reports {
    opened: Arc<Opened>,
    kept: Arc<Mutex<Vec<Kept>>>,
    /// Held by the one who reads.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Kept {
    id: RunId,
    at: Instant,
    took: Duration,
    report: Arc<Report>,
}

impl Kept {
    fn lag(&self) -> Duration {
        LAG.max(self.took * LAG_OF_READING)
    }
}

/// How good a report is that is kept.
enum Good {
    Enough(Arc<Report>),
    /// To be shown once more while a newer one is read.
    Yet(Arc<Report>),
}

impl Reports {
    pub(super) fn new(opened: Arc<Opened>) -> Self {
        Self { opened, kept: Arc::default(), turn: Arc::default() }
    }

    pub(in crate::serve) async fn of(&self, run: RecoveryRun) -> Result<Arc<Report>, Problem> {
        match self.kept(&run) {
            Some(Good::Enough(report)) => return Ok(report),
            Some(Good::Yet(report)) => {
                if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
                    let reports = self.clone();
                    tokio::spawn(async move {
                        let _turn = turn;
                        // Whoever asks next is told what is wrong.
                        let _ = reports.read(run).await;
                    });
                }
                return Ok(report);
            }
            None => {}
        }
        let _turn = self.turn.lock().await;
        // The one before has read it, perhaps.
        match self.kept(&run) {
            Some(Good::Enough(report) | Good::Yet(report)) => Ok(report),
            None => self.read(run).await,
        }
    }

    fn kept(&self, run: &RecoveryRun) -> Option<Good> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|kept| kept.id == run.id)?;
        let (age, lag, report) = (found.at.elapsed(), found.lag(), Arc::clone(&found.report));
        let stands = report.run.counts == run.counts && report.run.state == run.state;
        match () {
            () if stands && age < FRESH => Some(Good::Enough(report)),
            // Nobody asks again for a run that has ended: what is told of it then has to be the last word.
            () if run.state.is_end() => None,
            () if age < lag => Some(Good::Enough(report)),
            () if age < lag * 2 => Some(Good::Yet(report)),
            () => None,
        }
    }

    /// Reads a report and keeps it; to be called in turn.
    async fn read(&self, run: RecoveryRun) -> Result<Arc<Report>, Problem> {
        let (opened, id, began) = (Arc::clone(&self.opened), run.id.clone(), Instant::now());
        let runtime = tokio::runtime::Handle::current();
        let read = tokio::task::spawn_blocking(move || {
            runtime.block_on(Report::read(&opened.queue, &opened.ports.buffer, run))
        });
        let report = read.await.map_err(|error| {
            tracing::error!(%error, "a report could not be read");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the report could not be read")
        })??;
        let report = Arc::new(report);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.id != id && kept.at.elapsed() < FRESH.max(kept.lag() * 2));
        // What happened while it was read may be in it or not.
        kept.push(Kept { id, at: began, took: began.elapsed(), report: Arc::clone(&report) });
        let meetings = |kept: &[Kept]| kept.iter().map(|kept| kept.report.meetings.len()).sum::<usize>();
        while kept.len() > MOST_KEPT || !kept.is_empty() && meetings(&kept) > MOST_MEETINGS {
            kept.remove(0);
        }
        Ok(report)
    }
}
