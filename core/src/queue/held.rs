//! A job in the hands of a handler, and the renewal of all leases that a pool holds.
//!
//! A handler may write under final names while [`HeldJob::is_held`] says so. That is decided by this machine's
//! monotonic clock, from the instant *before* the queue was asked: the lease cannot end in the queue earlier than it
//! ends here, whatever the answer took and whatever the wall clock does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::backoff::Trouble;
use super::desk::Desk;
use super::recall::Recalls;
use super::{Claimed, ExtendOutcome, Fate, JobPayload, Lease, Queue, QueueError, Settled, Settlement};
use crate::reason::Outcome;
use crate::run::RunId;

/// Ends of holding back that are closer than this are one.
const HELD_BACK_GRAIN: Duration = Duration::from_secs(10);

/// Why a handler should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// Another worker may have the job: write nothing more.
    LeaseLost,
    /// The pool stops and its drain is over: release the job.
    Draining,
}

/// A leased job. Its lease is renewed until it is settled or dropped; dropped without being settled, as a panic does,
/// it runs out by itself. Its slot in the pool is free after either.
#[derive(Debug)]
pub struct HeldJob {
    claimed: Claimed,
    grip: Arc<Grip>,
    registration: Registration,
    desk: Desk,
    slot: OwnedSemaphorePermit,
}

impl HeldJob {
    pub fn payload(&self) -> &JobPayload {
        &self.claimed.payload
    }

    /// This start included.
    pub fn starts(&self) -> u32 {
        self.claimed.starts
    }

    /// The run whose class and pause apply.
    pub fn owner(&self) -> &RunId {
        &self.claimed.owner
    }

    /// The runs in whose books it was pending when it was claimed.
    pub fn runs(&self) -> &[RunId] {
        &self.claimed.runs
    }

    pub fn lease(&self) -> &Lease {
        &self.claimed.lease
    }

    /// Whether the job is certainly ours still.
    pub fn is_held(&self) -> bool {
        self.grip.is_held()
    }

    /// The same question, for a thread that has nothing else of the job.
    pub fn proof(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let grip = Arc::clone(&self.grip);
        move || grip.is_held()
    }

    /// The pool stops and its drain is over.
    pub fn stop_requested(&self) -> bool {
        self.registration.holdings.drained.is_cancelled()
    }

    /// Returns when the handler should stop, and why.
    pub async fn cancelled(&self) -> Interruption {
        self.grip.interrupted.cancelled().await;
        if self.is_held() { Interruption::Draining } else { Interruption::LeaseLost }
    }

    /// Cancelled when the handler should stop: to hand down into what it waits for.
    pub fn token(&self) -> CancellationToken {
        self.grip.interrupted.clone()
    }

    /// The pool claims nothing before that instant: no other job would fare better. Whether that is news to it.
    pub fn hold_back(&self, until: Instant) -> bool {
        self.registration.holdings.hold_back(until)
    }

    /// Gives the job back. Trouble of the queue is waited out for as long as the lease lasts; a lease that ends over
    /// it is lost, and the job runs again.
    pub async fn settle(mut self, settlement: impl Into<Settlement>) -> Settled {
        let settlement = settlement.into();
        // Renewed no more: a renewal that crosses the settlement would find the lease gone and call it lost.
        self.registration.end();
        let sure_until = self.grip.sure_until();
        if matches!(settlement.fate, Fate::Finish { outcome: Outcome::Failed }) {
            let error = QueueError::FailedWithoutCause;
            tracing::error!(meeting = %self.claimed.lease.uuid, %error, "a job was not settled and will run again");
            return Settled::Lost;
        }
        let settled = self.desk.give_back(self.claimed.lease, settlement, sure_until).await;
        drop(self.slot);
        settled
    }
}

/// One lease as its holder sees it.
#[derive(Debug)]
struct Grip {
    lease: Lease,
    sure_until: Mutex<Instant>,
    lost: AtomicBool,
    interrupted: CancellationToken,
}

impl Grip {
    fn is_held(&self) -> bool {
        !self.lost.load(Ordering::SeqCst) && Instant::now() < self.sure_until()
    }

    fn sure_until(&self) -> Instant {
        *self.sure_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renewed(&self, until: Instant) {
        *self.sure_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn lose(&self) {
        tracing::warn!(meeting = %self.lease.uuid, "a lease was lost; its handler is stopped");
        crate::metrics::lease_lost();
        self.lost.store(true, Ordering::SeqCst);
        self.interrupted.cancel();
    }
}

/// Every lease that a pool holds, by its fencing token.
#[derive(Debug)]
pub(super) struct Holdings {
    grips: Mutex<HashMap<u64, Arc<Grip>>>,
    drained: CancellationToken,
    unsettled: AtomicU64,
    held_back: Mutex<Option<Instant>>,
}

/// A lease is renewed while this lives.
#[derive(Debug)]
struct Registration {
    holdings: Arc<Holdings>,
    fence: u64,
    ended: bool,
}

impl Registration {
    fn end(&mut self) {
        self.ended = true;
        self.holdings.grips().remove(&self.fence);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
            self.holdings.unsettled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Holdings {
    /// `drained` interrupts every handler.
    pub(super) fn new(drained: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            grips: Mutex::default(),
            drained,
            unsettled: AtomicU64::new(0),
            held_back: Mutex::default(),
        })
    }

    /// Jobs whose handlers ended without settling them.
    pub(super) fn unsettled(&self) -> u64 {
        self.unsettled.load(Ordering::SeqCst)
    }

    fn hold_back(&self, until: Instant) -> bool {
        let mut held_back = self.held_back.lock().unwrap_or_else(PoisonError::into_inner);
        // Handlers that were refused at nearly the same time reckon nearly the same end.
        let news = held_back.is_none_or(|known| known + HELD_BACK_GRAIN < until);
        *held_back = held_back.max(Some(until));
        news
    }

    /// Until when nothing is to be claimed.
    pub(super) fn held_back(&self) -> Option<Instant> {
        let held_back = *self.held_back.lock().unwrap_or_else(PoisonError::into_inner);
        held_back.filter(|until| *until > Instant::now())
    }

    /// Takes up a job that was asked for at the instant `asked`.
    pub(super) fn hold(
        self: &Arc<Self>,
        desk: &Desk,
        lease: Duration,
        claimed: Claimed,
        asked: Instant,
        slot: OwnedSemaphorePermit,
    ) -> HeldJob {
        let grip = Arc::new(Grip {
            lease: claimed.lease.clone(),
            sure_until: Mutex::new(asked + lease),
            lost: AtomicBool::new(false),
            interrupted: self.drained.child_token(),
        });
        let fence = claimed.lease.fence;
        self.grips().insert(fence, Arc::clone(&grip));
        let registration = Registration { holdings: Arc::clone(self), fence, ended: false };
        HeldJob { claimed, grip, registration, desk: desk.clone(), slot }
    }

    /// Renews all leases, three times in the length of one and whenever some may have been taken back, until it is
    /// dropped.
    pub(super) async fn renew(self: Arc<Self>, queue: Queue) {
        let interval = queue.lease() / 3;
        let mut recalls = Recalls::of(&queue);
        let mut trouble = Trouble::default();
        let mut wait = interval;
        loop {
            let in_time = async {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = recalls.next() => {}
                }
            };
            self.watched(in_time).await;
            let (asked, leases) = (Instant::now(), self.leases());
            wait = interval;
            if leases.is_empty() {
                continue;
            }
            match self.watched(queue.extend(&leases)).await {
                Ok(outcomes) => {
                    trouble.over("leases can be renewed again");
                    self.apply(&leases, &outcomes, asked + queue.lease());
                }
                Err(error) => wait = trouble.pause(&error, "leases cannot be renewed").min(interval),
            }
        }
    }

    /// Does `work`, and meanwhile gives up what is not certainly held any more: the queue may be out of reach for
    /// longer than a lease.
    async fn watched<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            let earliest = self.grips().values().map(|grip| grip.sure_until()).min();
            let end = async {
                match earliest {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                done = &mut work => return done,
                () = end => self.grips().retain(|_, grip| {
                    let held = grip.is_held();
                    if !held {
                        grip.lose();
                    }
                    held
                }),
            }
        }
    }

    fn apply(&self, leases: &[Lease], outcomes: &[ExtendOutcome], until: Instant) {
        let mut grips = self.grips();
        for (lease, outcome) in leases.iter().zip(outcomes) {
            // What was settled meanwhile is nobody's any more.
            let Some(grip) = grips.get(&lease.fence) else {
                continue;
            };
            match outcome {
                ExtendOutcome::Held { .. } => grip.renewed(until),
                ExtendOutcome::Lost => {
                    grip.lose();
                    grips.remove(&lease.fence);
                }
            }
        }
    }

    fn leases(&self) -> Vec<Lease> {
        self.grips().values().map(|grip| grip.lease.clone()).collect()
    }

    /// No panic can leave the map half-changed: each change is one call.
    fn grips(&self) -> MutexGuard<'_, HashMap<u64, Arc<Grip>>> {
        self.grips.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
