//! One job from the queue: unpack it, recover its meeting, settle it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use recapture_core::evidence::{Attempt, AttemptEnd, Entry, MeetingEnd};
use recapture_core::failpoint;
use recapture_core::metrics;
use recapture_core::queue::{Fate, HeldJob, Interruption, Moved, Settled, Settlement};
use recapture_core::reason::{Cause, Outcome, Reason};
use recapture_core::run::RunId;
use recapture_core::trace;
use tracing::{Instrument, info, info_span, warn};

use crate::disposition::{self, Disposition, decide};
use crate::error::StepError;
use crate::files_so_far::FilesSoFar;
use crate::halt::Halt;
use crate::ports::Ports;
use crate::recover_meeting::{Assignment, Ended, recover_meeting};

/// An attempt, for those who tell of it.
struct Tried {
    began: Instant,
    began_at: DateTime<Utc>,
    files: FilesSoFar,
}

/// Does the job and settles it. Never fails: what happened is in the books, in the evidence and in the log.
pub async fn work(ports: Arc<Ports>, halt: Halt, held: HeldJob) {
    let span = info_span!("meeting", uuid = %held.payload().uuid, run = %held.owner(), start = held.starts());
    trace::join(&span, held.owner(), &held.payload().uuid);
    async {
        let tried = Tried { began: Instant::now(), began_at: Utc::now(), files: FilesSoFar::default() };
        let result = attempt(&ports, &held, &tried.files).await;
        settle(&ports, &halt, held, result, &tried).await;
    }
    .instrument(span)
    .await;
}

async fn attempt(ports: &Ports, held: &HeldJob, files: &FilesSoFar) -> Result<Ended, StepError> {
    let job = Assignment {
        payload: held.payload(),
        run: held.owner(),
        worker: held.lease().worker.as_str(),
        fence: held.lease().fence,
        files,
        held: Arc::new(held.proof()),
    };
    let recovery = AssertUnwindSafe(recover_meeting(ports, &job)).catch_unwind();
    tokio::select! {
        biased;
        why = held.cancelled() => Err(match why {
            Interruption::LeaseLost => StepError::LeaseLost,
            Interruption::Draining => StepError::Stopping,
        }),
        result = recovery => result.unwrap_or_else(|panic| Err(StepError::Panicked(words(&*panic)))),
    }
}

async fn settle(ports: &Ports, halt: &Halt, held: HeldJob, result: Result<Ended, StepError>, tried: &Tried) {
    let now = Utc::now();
    let (settlement, cause) = match result {
        Ok(ended) => match record_end(ports, &held, &ended, tried.began).await {
            Ok(()) => {
                failpoint::reach("end-recorded");
                (finish(&ended), None)
            }
            Err(error) => {
                halt.raise(error.cause());
                (Fate::Release.into(), Some(error.cause()))
            }
        },
        Err(error) => {
            if let Some(wait) = disposition::closed_for(&error, now) {
                hold_back(&held, &error, wait);
            }
            (after(ports, halt, &error, &held, now).await, Some(error.cause()))
        }
    };
    let attempt = attempt_line(&held, tried);
    if let Some(cause) = &cause {
        record_attempt(ports, held.owner(), &attempt, &settlement.fate, cause).await;
    }
    let owner = held.owner().clone();
    let fate = settlement.fate.clone();
    let settled = held.settle(settlement).await;
    failpoint::reach("settled");
    measure(&fate, settled, tried.began);
    match settled {
        Settled::Done if !matches!(fate, Fate::Dead { .. }) => {}
        Settled::Done | Settled::Died => record_failure(ports, &owner, attempt, cause, tried).await,
        Settled::Lost => {
            info!("another worker has the meeting now; nothing was changed");
            let lost = Attempt { end: AttemptEnd::Lost, cause: StepError::LeaseLost.cause(), ..attempt };
            append(ports, &owner, lost).await;
        }
    }
}

/// Dead jobs stay in the queue's books with their cause; the line is for readers of the evidence alone.
async fn record_failure(ports: &Ports, owner: &RunId, attempt: Attempt, cause: Option<Cause>, tried: &Tried) {
    let end = MeetingEnd {
        meeting: attempt.meeting,
        outcome: Outcome::Failed,
        cause,
        starts: attempt.starts,
        worker: attempt.worker,
        fence: attempt.fence,
        manifest: None,
        manifest_sha256: None,
        folder: None,
        // What is stored is not fetched again by a retry.
        files: tried.files.all(),
        took_ms: attempt.took_ms,
    };
    if let Err(error) = ports.evidence.append_durably(owner, vec![Entry::Ended(end)]).await {
        warn!(%error, "the evidence of a failed meeting was not written");
    }
}

/// Where not even a byte fits, no other meeting would fare better.
async fn wait_for_room(ports: &Ports, held: &HeldJob, error: &StepError) -> Duration {
    let StepError::Buffer(why) = error else { return disposition::delay(1, fastrand::f64()) };
    let wait = ports.room.wait(&held.payload().uuid, why, fastrand::f64());
    if ports.buffer.reserve(1).await.is_err() && held.hold_back((Instant::now() + wait).into()) {
        warn!(%why, "nothing fits; no meeting is begun for a while");
    }
    wait
}

fn hold_back(held: &HeldJob, error: &StepError, wait: Duration) {
    if held.hold_back((Instant::now() + wait).into()) {
        warn!(%error, "Zoom is closed for a while; no meeting is begun until then");
    }
}

/// Counts a start by what became of it, and a meeting that came to its end.
fn measure(fate: &Fate, settled: Settled, began: Instant) {
    let (word, outcome) = match (fate, settled) {
        (_, Settled::Lost) => ("lost", None),
        (Fate::Finish { outcome }, _) => (outcome.as_str(), Some(*outcome)),
        (Fate::Dead { .. }, _) | (Fate::Retry { .. }, Settled::Died) => ("dead", Some(Outcome::Failed)),
        (Fate::Retry { .. }, Settled::Done) => ("retry", None),
        (Fate::Snooze { .. }, _) => ("snooze", None),
        (Fate::Release, _) => ("release", None),
    };
    metrics::attempt_ended(word, began.elapsed());
    if let Some(outcome) = outcome {
        metrics::meeting_ended(outcome);
    }
}

/// What the table's word means for the queue.
async fn after(
    ports: &Ports,
    halt: &Halt,
    error: &StepError,
    held: &HeldJob,
    now: DateTime<Utc>,
) -> Settlement {
    let cause = error.cause();
    let fate = match decide(error) {
        Disposition::Retry { not_before } => {
            let delay = disposition::delay(held.starts(), fastrand::f64());
            let at = now + chrono::Duration::from_std(delay).unwrap_or(chrono::Duration::minutes(5));
            let at = not_before.map_or(at, |wish| wish.max(at));
            info!(%cause, retry_at = %recapture_core::period::stamp(at), "not this time");
            Fate::Retry { at, cause }
        }
        Disposition::Snooze { until } => {
            let poll = chrono::Duration::from_std(ports.settings.processing_poll);
            // At its deadline what there is of an archive is taken, not at the look after it.
            let look = now + poll.unwrap_or(chrono::Duration::minutes(5));
            let until = until.unwrap_or_else(|| look.min(held.payload().deadline));
            info!(%cause, until = %recapture_core::period::stamp(until), "waiting");
            Fate::Snooze { until, cause }
        }
        Disposition::NoRoom => {
            let wait = wait_for_room(ports, held, error).await;
            let until = now + chrono::Duration::from_std(wait).unwrap_or(chrono::Duration::minutes(5));
            info!(%cause, until = %recapture_core::period::stamp(until), "waiting for room");
            Fate::Snooze { until, cause }
        }
        Disposition::Gone | Disposition::Dead => {
            warn!(%cause, "given up; `recapture retry` takes it up again");
            Fate::Dead { cause }
        }
        Disposition::Halt | Disposition::Outage { .. } => {
            halt.raise(cause);
            Fate::Release
        }
        Disposition::Release | Disposition::Nothing => Fate::Release,
    };
    fate.into()
}

fn finish(ended: &Ended) -> Settlement {
    Settlement {
        fate: Fate::Finish { outcome: ended.outcome },
        moved: Moved { files: ended.files, bytes: ended.bytes },
    }
}

/// An attempt as far as it is known before it is decided what becomes of it.
fn attempt_line(held: &HeldJob, tried: &Tried) -> Attempt {
    let files = tried.files.of_this_attempt();
    let stored = files.iter().filter(|file| file.unavailable.is_none());
    let bytes = stored.filter_map(|file| file.size).sum();
    Attempt {
        meeting: held.payload().uuid.clone(),
        end: AttemptEnd::Release,
        cause: StepError::Stopping.cause(),
        again_at: None,
        starts: held.starts(),
        worker: held.lease().worker.to_string(),
        fence: held.lease().fence,
        began_at: Some(tried.began_at),
        took_ms: milliseconds(tried.began),
        bytes: (!files.is_empty()).then_some(bytes),
        files,
    }
}

/// Tells how a job came back without an end. Nobody waits for the line to be durable: the job itself is.
async fn record_attempt(ports: &Ports, owner: &RunId, attempt: &Attempt, fate: &Fate, cause: &Cause) {
    let (end, again_at) = match fate {
        Fate::Retry { at, .. } => (AttemptEnd::Retry, Some(*at)),
        Fate::Snooze { until, .. } => (AttemptEnd::Snooze, Some(*until)),
        Fate::Dead { .. } => (AttemptEnd::Dead, None),
        // Whoever lost the lease is told so when it gives the job back.
        Fate::Release if cause.reason == Reason::LeaseLost => return,
        Fate::Release => (AttemptEnd::Release, None),
        Fate::Finish { .. } => return,
    };
    append(ports, owner, Attempt { end, cause: cause.clone(), again_at, ..attempt.clone() }).await;
}

async fn append(ports: &Ports, owner: &RunId, attempt: Attempt) {
    if let Err(error) = ports.evidence.append(owner, vec![Entry::Attempt(attempt)]).await {
        warn!(%error, "the evidence of an attempt was not written");
    }
}

fn milliseconds(since: Instant) -> Option<u64> {
    u64::try_from(since.elapsed().as_millis()).ok()
}

async fn record_end(ports: &Ports, held: &HeldJob, ended: &Ended, began: Instant) -> Result<(), StepError> {
    if let Some(cause) = &ended.cause {
        warn!(outcome = %ended.outcome, %cause, "nothing could be recovered");
    } else {
        info!(files = ended.files, bytes = ended.bytes, "recovered");
    }
    let manifest = ended.manifest.as_ref();
    let end = MeetingEnd {
        meeting: held.payload().uuid.clone(),
        outcome: ended.outcome,
        cause: ended.cause.clone(),
        starts: held.starts(),
        worker: held.lease().worker.to_string(),
        fence: held.lease().fence,
        manifest: manifest.map(|stored| format!("{:?}", stored.state).to_lowercase()),
        manifest_sha256: manifest.map(|stored| stored.sha256.clone()),
        folder: manifest.map(|stored| stored.folder.clone()),
        files: ended.file_ends.clone(),
        took_ms: milliseconds(began),
    };
    Ok(ports.evidence.append_durably(held.owner(), vec![Entry::Ended(end)]).await?)
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}
