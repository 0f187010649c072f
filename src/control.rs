//! What people do with a run while it goes on: pause, resume, cancel, retry; and that the run's evidence says who did.
//!
//! # The order
//!
//! 1. A durable line says who asks for what. If it cannot be written, nothing is done.
//! 2. Before failed meetings are put back, a durable line for each of them names the failed end that is taken up.
//! 3. It is done.
//! 4. A durable line under the same `order` says what it came to.
//!
//! # What a crash leaves
//!
//! The first line without the last: who asked for what is known, and that it may have been done; the queue's books tell
//! whether. Each of the four can be asked for again: what was done is not done twice.

use recapture_core::buffer::BufferError;
use recapture_core::evidence::{Controlled, Entry, Evidence, Retried, Selection, Stage};
use recapture_core::failpoint;
use recapture_core::queue::{CancelReport, DeadJob, Queue, QueueError, RetryReport};
use recapture_core::run::{RecoveryRun, RunId, RunState};
use tracing::warn;
use ulid::Ulid;

/// Failed meetings that are taken up in one step.
const ROWS: u32 = 1000;

/// So many of the newest runs are told of a pause of the whole queue.
const NEWEST: u32 = 1000;

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("nothing is done without a record of who asked for it, and that cannot be written: {0}")]
    Evidence(#[from] BufferError),
}

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub struct Asker {
    pub by: String,
    /// The address of a client of the service.
    pub client: String,
    /// As the service's log names the request.
    pub request_id: String,
}

/// Does what one asks.
#[derive(Clone)]
pub struct Operator {
    pub queue: Queue,
    pub evidence: Evidence,
    pub asker: Asker,
}

/// What was asked for, as its first line says, and in which runs' evidence.
struct Order {
    line: Controlled,
    runs: Vec<RunId>,
}

impl Operator {
    /// Hands out no more meetings of a run, or of any.
    pub async fn pause(&self, run: Option<&RunId>) -> Result<(), ControlError> {
        let order = self.order(run, "pause", None).await?;
        let done = self.queue.pause(run).await;
        self.answer(order, done.as_ref().map(|()| "no more meetings are handed out".to_owned())).await;
        Ok(done?)
    }

    /// Takes a pause back.
    pub async fn resume(&self, run: Option<&RunId>) -> Result<(), ControlError> {
        let order = self.order(run, "resume", None).await?;
        let done = self.queue.resume(run).await;
        self.answer(order, done.as_ref().map(|()| "meetings are handed out again".to_owned())).await;
        Ok(done?)
    }

    /// Ends a run and takes its meetings off the queue, unless other runs want them.
    pub async fn cancel(&self, run: &RunId) -> Result<CancelReport, ControlError> {
        let order = self.order(Some(run), "cancel", None).await?;
        let done = self.queue.cancel(run).await;
        let words = |report: &CancelReport| {
            format!("{} taken off the queue, {} left to other runs", report.removed, report.passed_on)
        };
        self.answer(order, done.as_ref().map(words)).await;
        Ok(done?)
    }

    /// Puts what the run has given up back on the queue, as selected.
    pub async fn retry(&self, run: &RunId, selection: Selection) -> Result<RetryReport, ControlError> {
        let order = self.order(Some(run), "retry", Some(selection.clone())).await?;
        let done = self.take_up(run, &selection, order.line.order.as_deref().unwrap_or_default()).await;
        let words = |report: &RetryReport| {
            format!("{} put back on the queue, {} on it already", report.requeued, report.already_queued)
        };
        self.answer(order, done.as_ref().map(words)).await;
        done
    }

    async fn take_up(
        &self,
        run: &RunId,
        selection: &Selection,
        order: &str,
    ) -> Result<RetryReport, ControlError> {
        let (mut sum, mut after) = (RetryReport::default(), None);
        loop {
            let rows = self.queue.dead(run, after.as_ref(), ROWS).await?;
            let Some(last) = rows.last() else { return Ok(sum) };
            after = Some(last.uuid.clone());
            let taken: Vec<DeadJob> =
                rows.into_iter().filter(|dead| selection.takes(&dead.uuid, dead.cause.reason)).collect();
            if taken.is_empty() {
                continue;
            }
            let meetings: Vec<_> = taken.iter().map(|dead| dead.uuid.clone()).collect();
            let lines = taken.into_iter().map(|dead| {
                Entry::Retried(Retried {
                    meeting: dead.uuid,
                    order: order.to_owned(),
                    cause: dead.cause,
                    starts: dead.starts,
                    died_at: dead.died_at,
                })
            });
            self.evidence.append_durably(run, lines.collect()).await?;
            let RetryReport { requeued, already_queued } = self.queue.retry(run, Some(&meetings)).await?;
            sum.requeued += requeued;
            sum.already_queued += already_queued;
        }
    }

    /// Writes down what is asked for, before anything of it is done.
    async fn order(
        &self,
        run: Option<&RunId>,
        action: &str,
        selection: Option<Selection>,
    ) -> Result<Order, ControlError> {
        let runs = match run {
            // A run that nobody knows gets no evidence.
            Some(run) if self.queue.run(run).await?.is_none() => {
                return Err(QueueError::UnknownRun(run.clone()).into());
            }
            Some(run) => vec![run.clone()],
            None => {
                let runs = self.queue.runs(NEWEST).await?;
                runs.into_iter().filter(has_work).map(|run| run.id).collect()
            }
        };
        let of = if run.is_some() { "" } else { "the whole queue" };
        let Asker { by, client, request_id } = self.asker.clone();
        let line = Controlled {
            action: action.to_owned(),
            by,
            client,
            request_id,
            detail: of.to_owned(),
            order: Some(Ulid::generate().to_string()),
            stage: Some(Stage::Asked),
            selection,
        };
        for run in &runs {
            self.evidence.append_durably(run, vec![Entry::Controlled(line.clone())]).await?;
        }
        failpoint::reach("order-recorded");
        Ok(Order { line, runs })
    }

    /// Writes down what it came to. What is done is done: if the line cannot be written, the first one says who asked.
    async fn answer(&self, order: Order, came_to: Result<String, &impl std::fmt::Display>) {
        failpoint::reach("order-done");
        let (stage, detail) = match came_to {
            Ok(words) => (Stage::Done, words),
            Err(error) => (Stage::Failed, error.to_string()),
        };
        let line = Controlled { stage: Some(stage), detail, selection: None, ..order.line };
        for run in &order.runs {
            let entry = Entry::Controlled(line.clone());
            if let Err(error) = self.evidence.append_durably(run, vec![entry]).await {
                warn!(%run, action = line.action, %error, "what it came to was not recorded; who asked for it is");
            }
        }
    }
}

/// What waits for Zoom stays on the queue beyond its run's end.
fn has_work(run: &RecoveryRun) -> bool {
    !run.state.is_end() || run.state == RunState::Completed && run.counts.pending > 0
}
