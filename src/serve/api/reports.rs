//! The last reports, for a moment: many clients that look at one run make one reading of its evidence.
//!
//! A report that was read is good as long as the run's books stand where they stood, and at most [`FRESH`]: what a meeting
//! waits for may change without them. One report is read at a time, in a thread where it may take as long as it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use recapture_core::run::{RecoveryRun, RunId};
use recapture_worker::Opened;
use tokio::sync::Mutex;

use crate::report::Report;
use crate::web::problem::Problem;

const FRESH: Duration = Duration::from_secs(5);

/// Of a run whose books still move, the report may lag behind by this.
const LAG: Duration = Duration::from_secs(1);

/// Reports that are kept, and the meetings that they may have together.
const MOST_KEPT: usize = 4;
const MOST_MEETINGS: usize = 200_000;

#[derive(Clone)]
pub(in crate::serve) struct Reports {
    opened: Arc<Opened>,
    kept: Arc<Mutex<Vec<Kept>>>,
}

struct Kept {
    id: RunId,
    at: Instant,
    report: Arc<Report>,
}

impl Reports {
    pub(super) fn new(opened: Arc<Opened>) -> Self {
        Self { opened, kept: Arc::default() }
    }

    pub(in crate::serve) async fn of(&self, run: RecoveryRun) -> Result<Arc<Report>, Problem> {
        let mut kept = self.kept.lock().await;
        kept.retain(|kept| kept.at.elapsed() < FRESH);
        let found = kept.iter().find(|kept| {
            let stands = kept.report.run.counts == run.counts && kept.report.run.state == run.state;
            // Nobody asks again for a run that has ended: what is told of it then has to be the last word.
            kept.id == run.id && (stands || !run.state.is_end() && kept.at.elapsed() < LAG)
        });
        if let Some(found) = found {
            return Ok(Arc::clone(&found.report));
        }
        let (opened, id) = (Arc::clone(&self.opened), run.id.clone());
        let runtime = tokio::runtime::Handle::current();
        let read = tokio::task::spawn_blocking(move || {
            runtime.block_on(Report::read(&opened.queue, &opened.ports.buffer, run))
        });
        let report = read.await.map_err(|error| {
            tracing::error!(%error, "a report could not be read");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the report could not be read")
        })??;
        let report = Arc::new(report);
        kept.retain(|kept| kept.id != id);
        kept.push(Kept { id, at: Instant::now(), report: Arc::clone(&report) });
        let meetings = |kept: &[Kept]| kept.iter().map(|kept| kept.report.meetings.len()).sum::<usize>();
        while kept.len() > MOST_KEPT || !kept.is_empty() && meetings(&kept) > MOST_MEETINGS {
            kept.remove(0);
        }
        Ok(report)
    }
}
