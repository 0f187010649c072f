//! The worker shell: the only place that names apalis.
//!
//! apalis polls a backend for tasks and drives their futures. Everything that must not be lost is kept out of its
//! hands: [`LeaseBackend`] orders jobs inside `poll_next`, and gets as many as there are free slots and no more; a job
//! is acknowledged by its own handler through [`HeldJob::settle`]; leases are renewed by a task of their own; trouble of
//! the queue is waited out here and never becomes an error of the worker, because that would drop what runs. Both orders
//! and settlements pass over the pool's [`Desk`], which makes one call of the queue of them.
//!
//! # The end
//!
//! A pool ends when it is told to stop, or when the queue fails for good. Then nothing more is claimed, and what a
//! claim under way brings is released. Handlers get `drain` to end by themselves, then they are interrupted and
//! release their jobs. The pool returns when all have ended: no job is leased by it then, but for those whose
//! handlers did not settle them ([`PoolEnd::unsettled`]), whose leases run out.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::task_id::RandomId;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower_layer::Identity;

use super::backoff::{Trouble, Unexplained};
use super::desk::Desk;
use super::held::{HeldJob, Holdings};
use super::{Fate, Queue, QueueError, WorkerId};
use crate::meeting::MeetingUuid;

/// How a pool works.
#[derive(Debug, Clone, Copy)]
pub struct PoolSettings {
    /// Jobs at once.
    pub concurrency: usize,
    /// How long handlers may go on after the stop.
    pub drain: Duration,
}

/// A pool of so many slots has two desks: one call is on its way while the other's jobs run. With fewer slots two desks
/// would make twice as many calls, each of half as many jobs, and Redis, which all workers share, does a third less.
const LARGE: usize = 64;

/// What a pool did in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolEnd {
    /// Jobs that were given to a handler.
    pub started: u64,
    /// Of those, jobs whose handlers ended without settling them: their leases run out.
    pub unsettled: u64,
}

/// Works on the queue's jobs until `stop`. A handler that panics takes nothing else with it.
pub async fn run_pool<H, F>(
    queue: Queue,
    worker: WorkerId,
    settings: PoolSettings,
    stop: CancellationToken,
    handler: H,
) -> Result<PoolEnd, QueueError>
where
    H: Fn(HeldJob) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    run_pool_telling(queue, worker, settings, stop, watch::Sender::new(None), handler).await
}

/// The same; `trouble` is why the pool gets no jobs, for as long as the queue does not answer as it should.
pub async fn run_pool_telling<H, F>(
    queue: Queue,
    worker: WorkerId,
    settings: PoolSettings,
    stop: CancellationToken,
    trouble: watch::Sender<Option<String>>,
    handler: H,
) -> Result<PoolEnd, QueueError>
where
    H: Fn(HeldJob) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (stop, drained) = (stop.child_token(), CancellationToken::new());
    let holdings = Holdings::new(drained.clone());
    let fatal = Arc::new(OnceLock::new());
    let sources = shares(settings.concurrency).map(|share| {
        let slots = Arc::new(Semaphore::new(share));
        let desk = Desk::open(queue.clone(), worker.clone(), slots, Arc::clone(&holdings), stop.clone());
        let (stop, fatal) = (stop.clone(), Arc::clone(&fatal));
        Source { queue: queue.clone(), desk, stop, trouble: trouble.clone(), fatal }
    });
    let backend = LeaseBackend::new(sources.collect());
    let _renewing = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&holdings).renew(queue.clone())));
    let _draining = AbortOnDropHandle::new(tokio::spawn(async move {
        stop.cancelled().await;
        tokio::time::sleep(settings.drain).await;
        drained.cancel();
    }));
    let started = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&started);
    let shell = WorkerBuilder::new(worker.as_str()).backend(backend).build(move |job: HeldJob| {
        counter.fetch_add(1, Ordering::SeqCst);
        run_handler(job.payload().uuid.clone(), handler(job))
    });
    // On a task of its own: a caller that blocks a thread of its own on this would make each job cross threads.
    let ended = AbortOnDropHandle::new(tokio::spawn(shell.run())).await;
    let ended =
        ended.map_err(|error| QueueError::Failed { place: worker.to_string(), why: error.to_string() })?;
    if let Some(error) = fatal.get() {
        return Err(QueueError::clone(error));
    }
    ended.map_err(|error| QueueError::Failed { place: worker.to_string(), why: error.to_string() })?;
    let started = started.load(Ordering::SeqCst);
    Ok(PoolEnd { started, unsettled: holdings.unsettled() })
}

/// The slots of each desk.
fn shares(concurrency: usize) -> impl Iterator<Item = usize> {
    let all = concurrency.clamp(1, Semaphore::MAX_PERMITS);
    let second = if all < LARGE { 0 } else { all / 2 };
    [all - second, second].into_iter().filter(|share| *share > 0)
}

/// On a task of its own: handlers use every core, and a panic ends one of them.
async fn run_handler(meeting: MeetingUuid, handling: impl Future<Output = ()> + Send + 'static) {
    if let Err(error) = AbortOnDropHandle::new(tokio::spawn(handling)).await {
        tracing::error!(%meeting, %error, "a handler did not end well; its job runs again when the lease ends");
    }
}

/// Where the backend's jobs come from.
#[derive(Clone)]
struct Source {
    queue: Queue,
    desk: Desk,
    stop: CancellationToken,
    trouble: watch::Sender<Option<String>>,
    fatal: Arc<OnceLock<QueueError>>,
}

impl Source {
    /// Waits for a free slot and for work; nothing means the end.
    async fn next(self) -> Vec<HeldJob> {
        let (mut trouble, mut unexplained) = (Trouble::default(), Unexplained::default());
        while !self.stop.is_cancelled() {
            // Never cancelled half-way: a call that was sent may have leased jobs.
            let ordered = self.desk.order().await;
            if ordered.is_ok() {
                // Said before the wait for work, which in a quiet pool has no end.
                trouble.over("the queue can be reached again");
                unexplained = Unexplained::default();
                self.trouble.send_if_modified(|told| told.take().is_some());
            }
            let attempt = match ordered {
                Ok(jobs) if jobs.is_empty() => {
                    match self.stop.run_until_cancelled(self.queue.wait_for_work()).await {
                        Some(waited) => waited.map(|()| Vec::new()),
                        None => return Vec::new(),
                    }
                }
                attempt => attempt,
            };
            match attempt {
                Ok(jobs) if jobs.is_empty() => {}
                Ok(jobs) => return self.unless_stopped(jobs).await,
                Err(error) if error.is_transient() && !unexplained.stays(&error) => {
                    self.trouble.send_replace(Some(error.to_string()));
                    let pause = trouble.pause(&error, "the queue cannot be reached");
                    self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the queue failed for good; the pool ends");
                    let _ = self.fatal.set(error);
                    self.stop.cancel();
                }
            }
        }
        Vec::new()
    }

    async fn unless_stopped(&self, jobs: Vec<HeldJob>) -> Vec<HeldJob> {
        if self.stop.is_cancelled() {
            release(jobs).await;
            return Vec::new();
        }
        jobs
    }
}

async fn release(jobs: impl IntoIterator<Item = HeldJob>) {
    join_all(jobs.into_iter().map(|job| job.settle(Fate::Release))).await;
}

/// The queue as apalis sees it.
struct LeaseBackend {
    lanes: Vec<Lane>,
    /// Claimed, and about to be started: apalis asks again at once for as long as there is any.
    claimed: VecDeque<HeldJob>,
    stop: CancellationToken,
    closing: Option<BoxFuture<'static, ()>>,
}

/// One desk, and the claim, or the wait for one, under way there; none once it has ended.
struct Lane {
    source: Source,
    next: Option<BoxFuture<'static, Vec<HeldJob>>>,
}

impl LeaseBackend {
    fn new(sources: Vec<Source>) -> Self {
        let begun = |source: Source| Lane { next: Some(source.clone().next().boxed()), source };
        let stop = sources.first().map(|source| source.stop.clone()).unwrap_or_default();
        Self {
            lanes: sources.into_iter().map(begun).collect(),
            claimed: VecDeque::new(),
            stop,
            closing: None,
        }
    }

    /// Takes what the lanes bring; a lane that brought jobs goes on if the pool does. Whether any is under way.
    fn poll_lanes(&mut self, cx: &mut Context<'_>, goes_on: bool) -> bool {
        let mut under_way = false;
        for Lane { source, next } in &mut self.lanes {
            // It orders again before its jobs start: the call that takes the first of them back can fill that order.
            while let Some(claim) = next {
                let Poll::Ready(jobs) = claim.poll_unpin(cx) else {
                    under_way = true;
                    break;
                };
                let ended = jobs.is_empty() || !goes_on;
                *next = (!ended).then(|| source.clone().next().boxed());
                self.claimed.extend(jobs);
            }
        }
        under_way
    }
}

impl Backend for LeaseBackend {
    type Task = Task<HeldJob>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        if self.claimed.is_empty() && self.poll_lanes(cx, true) && self.claimed.is_empty() {
            return Poll::Pending;
        }
        if let Some(job) = self.claimed.pop_front() {
            return Poll::Ready(Some(Ok(Task::new(job))));
        }
        // The shell ends only if its context is stopped too; a context that is not running has ended already.
        let _ = worker.stop();
        Poll::Ready(None)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.stop.cancel();
        if self.closing.is_none() && self.poll_lanes(cx, false) {
            return Poll::Pending;
        }
        let claimed = &mut self.claimed;
        let closing = self.closing.get_or_insert_with(|| release(std::mem::take(claimed)).boxed());
        ready!(closing.poll_unpin(cx));
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LeaseBackend {
    type Args = HeldJob;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

#[cfg(test)]
mod tests;
