//! A recovery from its first line of evidence to its last: what every trigger has in common.
//!
//! [`begin`] records the run, [`Recovery`] lists, works and waits as far as it is asked to, [`conclude`] gives the run its
//! end. It ends in one of five ways, and each leaves the run in a state that says so: completed; left to workers
//! elsewhere, once all is on the queue; stopped by a signal, after a drain; stopped because a service went away; or
//! failed before anything was listed. What is on the queue stays there, and the same request goes on.

mod dry;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::Utc;
use futures_util::FutureExt;
use recapture_core::buffer::BufferError;
use recapture_core::config::{Config, ExcludedKind};
use recapture_core::evidence::Entry;
use recapture_core::meeting::MeetingKind;
use recapture_core::period::Period;
use recapture_core::queue::{Queue, QueueError, WorkLeft};
use recapture_core::reason::Cause;
use recapture_core::reconcile::Rules;
use recapture_core::run::{Counts, Mode, RecoveryRun, Request, RunId, RunState};
use recapture_worker::{Opened, PoolEnd, run_pool};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use dry::dry_run;

use crate::producer::{
    Asked, Enumerated, Producer, ProducerError, Progress, Sink, enumerate, enumerate_asked, patiently,
    wait_out,
};
use crate::trigger::automatic::Pass;

/// How often the display and the question whether all is done are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a producer counts as alive after its last beat.
const BEAT_LASTS: chrono::Duration = chrono::Duration::seconds(30);
const BEAT_EVERY: Duration = Duration::from_secs(10);

/// Why a recovery could not even be recorded, or followed to its end.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Buffer(#[from] BufferError),
    #[error("run {0} is not in the queue any more: the queue has lost what it held")]
    RunLost(RunId),
}

/// What is asked for.
pub enum What {
    Period(Period),
    Meetings(Vec<Asked>),
    /// What automatic recovery has not covered yet.
    Pass(Box<Pass>),
}

impl What {
    pub fn mode(&self) -> Mode {
        match self {
            Self::Period(_) => Mode::Manual,
            Self::Meetings(_) => Mode::Specific,
            Self::Pass(_) => Mode::Automatic,
        }
    }

    pub fn period(&self) -> Option<Period> {
        match self {
            Self::Period(period) => Some(*period),
            Self::Meetings(_) => None,
            Self::Pass(pass) => Some(pass.period()),
        }
    }

    pub fn rules(&self, config: &Config) -> Rules {
        match self {
            Self::Period(_) => rules(config),
            Self::Meetings(_) => Rules::default(),
            Self::Pass(pass) => Rules { settled: Some(pass.settled()), ..rules(config) },
        }
    }

    pub async fn enumerate(&self, producer: &Producer<'_>) -> Result<Enumerated, ProducerError> {
        match self {
            Self::Period(period) => enumerate(producer, *period).boxed().await,
            Self::Meetings(asked) => enumerate_asked(producer, asked).boxed().await,
            Self::Pass(pass) => pass.list(producer).boxed().await,
        }
    }
}

fn rules(config: &Config) -> Rules {
    let kind = |kind: &ExcludedKind| match kind {
        ExcludedKind::Meeting => MeetingKind::Meeting,
        ExcludedKind::Webinar => MeetingKind::Webinar,
        ExcludedKind::BreakoutRoom => MeetingKind::BreakoutRoom,
    };
    Rules {
        minimum_length: config.exclude.minimum_length,
        hosts: config.exclude.hosts.clone(),
        groups: config.exclude.groups.clone(),
        kinds: config.exclude.kinds.iter().map(kind).collect(),
        settled: None,
    }
}

pub fn retention(config: &Config) -> chrono::Duration {
    chrono::Duration::from_std(config.zoom.retention).unwrap_or(chrono::Duration::days(30))
}

/// Records the run before anything is asked of Zoom.
pub async fn begin(
    opened: &Opened,
    request: Request,
    config_sha256: String,
) -> Result<RecoveryRun, RecoveryError> {
    begin_as(RunId::new(Utc::now()), opened, request, config_sha256).await
}

/// The same under an id of the caller's. An id is given once: of several processes that begin the same run one does, and
/// the others get [`QueueError::RunExists`].
pub async fn begin_as(
    id: RunId,
    opened: &Opened,
    request: Request,
    config_sha256: String,
) -> Result<RecoveryRun, RecoveryError> {
    let now = Utc::now();
    let continues = request.served.as_ref().and_then(|served| served.continues.clone());
    let run = RecoveryRun {
        id,
        request: request.clone(),
        state: RunState::Enumerating,
        started_at: now,
        finished_at: None,
        counts: Counts::default(),
        unproven: Vec::new(),
        ended_because: None,
    };
    let requested = Entry::Requested {
        run: run.id.clone(),
        request,
        tool: concat!("recapture ", env!("CARGO_PKG_VERSION")).to_owned(),
        config_sha256,
        continues,
    };
    opened.ports.evidence.append_durably(&run.id, vec![requested]).await?;
    opened.queue.create_run(&run).await?;
    match opened.queue.producer_beat(&run.id, now + BEAT_LASTS).await {
        // The listing beats too, and waits for the queue.
        Err(error) if !error.is_transient() => Err(error.into()),
        _ => Ok(run),
    }
}

/// How this process's part of a run ended.
#[derive(Debug)]
pub enum End {
    /// Nothing is left to do now.
    Done,
    /// All is on the queue, for workers elsewhere.
    Detached,
    Interrupted {
        listed: bool,
    },
    /// The listing stopped.
    Listing(ProducerError),
    /// The pool halted.
    Halted(Cause),
}

/// What this process does of a recovery.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// Puts all on the queue.
    List,
    /// Waits until workers elsewhere have done it.
    ListAndWait,
    ListAndWork,
}

/// What there is to show.
pub enum News<'a> {
    Listing(Progress),
    Listed,
    Work {
        counts: &'a Counts,
        left: &'a WorkLeft,
        /// Bytes that this process received.
        received: u64,
    },
}

/// A run that was begun.
pub struct Recovery<'a> {
    pub opened: &'a Opened,
    pub config: &'a Config,
    pub id: RunId,
    pub tell: &'a (dyn Fn(News<'_>) + Send + Sync),
    pub stop: CancellationToken,
}

impl Recovery<'_> {
    /// Lists and works at the same time; the pool is drained before this returns.
    pub async fn recover(&self, what: &What, part: Part) -> Result<End, RecoveryError> {
        let stop_pool = self.stop.child_token();
        match part {
            Part::List => return Ok(self.list(what).await.map_or_else(End::Listing, |()| End::Detached)),
            Part::ListAndWait => return self.follow(what).await,
            Part::ListAndWork => {}
        }
        let pool = run_pool(self.opened, self.config, &stop_pool);
        tokio::pin!(pool);
        let followed = self.follow(what);
        tokio::pin!(followed);
        let (ended, end) = tokio::select! {
            end = &mut followed => {
                stop_pool.cancel();
                // What the pool has in hand is finished, or goes back within worker.drain.
                (pool.await?, end?)
            }
            ended = &mut pool => match ended? {
                halted @ PoolEnd::Halted(_) => (halted, End::Interrupted { listed: false }),
                PoolEnd::Stopped => (PoolEnd::Stopped, followed.await?),
            },
        };
        Ok(match ended {
            PoolEnd::Halted(cause) => End::Halted(cause),
            PoolEnd::Stopped => end,
        })
    }

    /// Lists, then waits until nothing is left to do now.
    async fn follow(&self, what: &What) -> Result<End, RecoveryError> {
        let listed = AtomicBool::new(false);
        let listing = async {
            match self.list(what).await {
                Ok(()) => {
                    listed.store(true, Ordering::Relaxed);
                    std::future::pending().await
                }
                Err(error) => End::Listing(error),
            }
        };
        // Side by side: each may hold what the other waits for, such as the connection to the queue while it is made.
        tokio::select! {
            stopped = listing => Ok(stopped),
            done = self.until_done(what, &listed) => done,
            () = self.stop.cancelled() => Ok(End::Interrupted { listed: listed.load(Ordering::Relaxed) }),
        }
    }

    /// Returns when all is listed and nothing is left to do now.
    async fn until_done(&self, what: &What, listed: &AtomicBool) -> Result<End, RecoveryError> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            look.tick().await;
            // Asked before: what is listed in the meantime is not done by what is seen.
            let listed = listed.load(Ordering::Relaxed);
            match self.look(what).await {
                Ok(done) if done && listed => return Ok(End::Done),
                Ok(_) => away = false,
                // A queue that is away comes back; the workers wait for it too.
                Err(error) if error.is_transient() => {
                    if !std::mem::replace(&mut away, true) {
                        warn!(%error, "waiting for the queue");
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn list(&self, what: &What) -> Result<(), ProducerError> {
        let queue = &self.opened.queue;
        let watch = |progress| (self.tell)(News::Listing(progress));
        let producer = Producer {
            zoom: &self.opened.ports.zoom,
            contacts: &self.opened.ports.contacts,
            buffer: &self.opened.ports.buffer,
            rules: what.rules(self.config),
            mode: what.mode(),
            retention: retention(self.config),
            sink: Sink::Run { run: &self.id, queue, evidence: &self.opened.ports.evidence },
            stop: self.stop.clone(),
            watch: &watch,
        };
        let Enumerated { unproven, .. } = tokio::select! {
            done = what.enumerate(&producer) => done?,
            error = beat(queue, &self.id) => return Err(error),
        };
        patiently(queue, &self.stop, || queue.enumerated(&self.id, &unproven)).await?;
        (self.tell)(News::Listed);
        Ok(())
    }

    /// Shows where things are; true if nothing is left to do now.
    async fn look(&self, what: &What) -> Result<bool, QueueError> {
        let queue = &self.opened.queue;
        let run = queue.run(&self.id).await?.ok_or_else(|| QueueError::UnknownRun(self.id.clone()))?;
        let left = queue.work_left(&self.id).await?;
        let received = self.opened.ports.received.load(Ordering::Relaxed);
        (self.tell)(News::Work { counts: &run.counts, left: &left, received });
        // A pass does not list again what an earlier one covered before it was killed, and nobody else works here.
        let of_earlier = match what {
            What::Pass(_) if queue.is_embedded() => {
                let depth = queue.depth().await?;
                depth.ready + depth.leased
            }
            _ => 0,
        };
        // What a pause holds back is still to be done: only Zoom's own processing is not waited for.
        let open = left.ready + left.leased + left.retrying + left.held + of_earlier;
        Ok(run.state.is_end() || open == 0)
    }
}

/// Beats for as long as the listing takes; returns only when it cannot.
async fn beat(queue: &Queue, run: &RunId) -> ProducerError {
    loop {
        match queue.producer_beat(run, Utc::now() + BEAT_LASTS).await {
            Err(error) if !error.is_transient() => return error.into(),
            // The next beat may come through; a listing that cannot enqueue says so itself.
            _ => {}
        }
        tokio::time::sleep(BEAT_EVERY).await;
    }
}

/// Gives the run its end, in the queue and in the evidence; answers the run and why it stopped, if it did.
pub async fn conclude(
    opened: &Opened,
    id: &RunId,
    end: &End,
) -> Result<(RecoveryRun, Option<String>), RecoveryError> {
    let (state, because) = match end {
        End::Done => (Some(RunState::Completed), None),
        End::Detached => (None, None),
        End::Interrupted { .. } | End::Listing(ProducerError::Interrupted) => {
            (Some(RunState::Stopped), Some("interrupted".to_owned()))
        }
        // Nothing was listed yet: it could not start.
        End::Listing(error) if opened.queue.run(id).await?.is_some_and(|run| run.counts.listed == 0) => {
            (Some(RunState::Failed), Some(error.to_string()))
        }
        End::Listing(error) => (Some(RunState::Stopped), Some(error.to_string())),
        End::Halted(cause) => (Some(RunState::Stopped), Some(cause.to_string())),
    };
    // What is done is done: it is told when the queue is back. What was stopped ends.
    let patient = matches!(end, End::Done | End::Detached);
    let queue = &opened.queue;
    if let Some(state) = state {
        let end_run = || queue.end_run(id, state, because.as_deref());
        match if patient { wait_out(queue, end_run).await } else { end_run().await } {
            Err(QueueError::UnknownRun(run)) => return Err(RecoveryError::RunLost(run)),
            other => other?,
        };
    }
    let run = if patient { wait_out(queue, || queue.run(id)).await? } else { queue.run(id).await? };
    let run = run.ok_or_else(|| RecoveryError::RunLost(id.clone()))?;
    if let Err(error) = opened.ports.evidence.close(&run, because.clone()).await {
        error!(run = %id, %error, "the evidence could not be closed");
    }
    info!(run = %id, state = run.state.as_str(), listed = run.counts.listed, detected = run.counts.detected, "listed");
    Ok((run, because))
}

/// What a script is told of a run.
pub fn exit_code(run: &RecoveryRun, end: &End) -> u8 {
    let counts = &run.counts;
    // A listing that was cut short, by a signal or by `recapture cancel`, proves nothing of the rest of the period.
    let unlisted = matches!(
        end,
        End::Listing(ProducerError::Interrupted | ProducerError::Queue(QueueError::RunOver { .. }))
            | End::Interrupted { listed: false }
    );
    let detached = matches!(end, End::Detached);
    let proven = counts.balance() && counts.indeterminate == 0 && run.unproven.is_empty();
    let open = counts.failed + counts.expired > 0 || counts.pending > 0 && !detached;
    match end {
        _ if unlisted => 4,
        End::Listing(_) | End::Halted(_) => 1,
        _ if !proven => 4,
        _ if open => 3,
        _ => 0,
    }
}
