//! A desk of a pool, where its jobs come back and new ones are handed out, by one call of the queue at a time.
//!
//! A job that comes back frees its slot, so the call that takes it back asks for one to put there, if the pool waits for
//! any; that one starts when the slot is free indeed. So a job costs about one call. A single job goes at once; what
//! comes while a call is under way goes with the next one, together: nothing is held back for company, and the busier a
//! pool, the fewer calls a job costs.
//!
//! # An order
//!
//! The pool orders when it is polled for work, and never while an order stands. The order is filled for as many slots as
//! are free then, and not while the pool is held back: nothing is leased that cannot start at once. It is answered with nothing when there is nothing to
//! lease, or when the pool stops; once it is part of a call, it is answered with what that call brought, stop or not.
//!
//! # Trouble and crashes
//!
//! A call that failed may have been done, and is made again for the same jobs, which the queue knows by its token, for as
//! long as the lease of any of them lasts ([`Queue::exchange`]); meanwhile others wait behind them. What it may have
//! leased without telling runs out with its lease. A desk dies with its process and has nothing that is not in the
//! queue: jobs that had not come back run again.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::backoff::Trouble;
use super::held::{HeldJob, Holdings};
use super::{Exchanged, Lease, MOST_EXCHANGED, Queue, QueueError, Settled, Settlement, WorkerId};

/// The side of those who come to it. It is open while any of them lives.
#[derive(Debug, Clone)]
pub(super) struct Desk(mpsc::UnboundedSender<Request>);

#[derive(Debug)]
enum Request {
    Back(Back),
    Order(Order),
}

/// A job that comes back.
#[derive(Debug)]
struct Back {
    lease: Lease,
    settlement: Settlement,
    waiting: Waiting,
}

/// Whoever wants to know what became of it, and until when it is certainly theirs.
#[derive(Debug)]
struct Waiting {
    reply: oneshot::Sender<Settled>,
    sure_until: Instant,
}

#[derive(Debug)]
struct Order {
    reply: oneshot::Sender<Result<Vec<HeldJob>, QueueError>>,
    /// For the jobs, which come back to it.
    desk: Desk,
}

impl Desk {
    /// A desk of one worker, with slots that no other desk has. It fills no orders after `stop`.
    pub(super) fn open(
        queue: Queue,
        worker: WorkerId,
        slots: Arc<Semaphore>,
        holdings: Arc<Holdings>,
        stop: CancellationToken,
    ) -> Self {
        let (desk, requests) = mpsc::unbounded_channel();
        let all = slots.available_permits();
        let clerk = Clerk {
            queue,
            worker,
            free: slots,
            all,
            holdings,
            stop,
            requests,
            order: None,
            backs: VecDeque::new(),
            given: Vec::new(),
            waiting: Vec::new(),
            slots: Vec::new(),
            trouble: Trouble::default(),
        };
        tokio::spawn(clerk.run());
        Self(desk)
    }

    /// Waits for a free slot, and leases for all that are free; nothing if there is nothing, or after the stop.
    pub(super) async fn order(&self) -> Result<Vec<HeldJob>, QueueError> {
        let (reply, answer) = oneshot::channel();
        let order = Order { reply, desk: self.clone() };
        // The clerk lives while we do, unless the runtime ends.
        self.0.send(Request::Order(order)).map_err(|_| QueueError::Closed)?;
        answer.await.map_err(|_| QueueError::Closed)?
    }

    /// Gives a job back that is certainly ours until then. Its slot is free once whoever calls this drops it.
    pub(super) async fn give_back(
        &self,
        lease: Lease,
        settlement: Settlement,
        sure_until: Instant,
    ) -> Settled {
        let (reply, answer) = oneshot::channel();
        let back = Back { lease, settlement, waiting: Waiting { reply, sure_until } };
        match self.0.send(Request::Back(back)) {
            Ok(()) => answer.await.unwrap_or(Settled::Lost),
            Err(_) => Settled::Lost,
        }
    }
}

/// The side of the queue.
struct Clerk {
    queue: Queue,
    worker: WorkerId,
    free: Arc<Semaphore>,
    /// How many slots there are, free or not.
    all: usize,
    holdings: Arc<Holdings>,
    stop: CancellationToken,
    requests: mpsc::UnboundedReceiver<Request>,
    order: Option<Order>,
    backs: VecDeque<Back>,
    /// The jobs of the call under way, or of one that failed.
    given: Vec<(Lease, Settlement)>,
    /// Of each of them, for as long as somebody waits.
    waiting: Vec<Option<Waiting>>,
    /// Free slots in hand, for an order.
    slots: Vec<OwnedSemaphorePermit>,
    trouble: Trouble,
}

impl Clerk {
    async fn run(mut self) {
        while self.has_something_to_do().await {
            self.exchange().await;
        }
    }

    /// Waits for a reason to call the queue; there will be none any more when nobody can come.
    async fn has_something_to_do(&mut self) -> bool {
        let mut alone = true;
        loop {
            while let Ok(request) = self.requests.try_recv() {
                self.note(request);
            }
            if self.stop.is_cancelled()
                && let Some(order) = self.order.take()
            {
                let _ = order.reply.send(Ok(Vec::new()));
            }
            if !self.backs.is_empty() && alone && self.others_run() {
                // Whoever is as ready goes along; nobody is waited for.
                alone = false;
                tokio::task::yield_now().await;
                continue;
            }
            if !self.given.is_empty() || !self.backs.is_empty() {
                return true;
            }
            let ordered = self.order.is_some();
            let held_back = self.holdings.held_back();
            tokio::select! {
                biased;
                request = self.requests.recv() => match request {
                    Some(request) => self.note(request),
                    None => return false,
                },
                () = self.stop.cancelled(), if ordered => {}
                () = sleep_until(held_back.unwrap_or_else(Instant::now)), if ordered && held_back.is_some() => {}
                slot = Arc::clone(&self.free).acquire_owned(), if ordered && held_back.is_none() => {
                    self.slots.extend(slot);
                    return true;
                }
            }
        }
    }

    /// Whether there are jobs that have not come back.
    fn others_run(&self) -> bool {
        self.free.available_permits() + self.slots.len() + self.backs.len() < self.all
    }

    fn note(&mut self, request: Request) {
        match request {
            Request::Back(back) => self.backs.push_back(back),
            Request::Order(order) => self.order = Some(order),
        }
    }

    async fn exchange(&mut self) {
        if self.given.is_empty() {
            self.take_back();
        }
        // The handler that gave a job back may have said that no other would fare better.
        let order = if self.holdings.held_back().is_none() { self.order.take() } else { None };
        let mut most = 0;
        if order.is_some() {
            let leaving = self.waiting.iter().flatten().filter(|waiting| !waiting.reply.is_closed()).count();
            while leaving + self.slots.len() < MOST_EXCHANGED
                && let Ok(slot) = Arc::clone(&self.free).try_acquire_owned()
            {
                self.slots.push(slot);
            }
            most = (leaving + self.slots.len()).min(MOST_EXCHANGED);
        }
        let asked = Instant::now();
        match self.queue.exchange(&self.worker, &self.given, most).await {
            Ok(exchanged) => self.hand_out(exchanged, order, asked).await,
            Err(error) => {
                if let Some(order) = order {
                    let _ = order.reply.send(Err(error.clone()));
                }
                self.keep_or_give_up(&error).await;
            }
        }
    }

    /// The next call is about those who came first.
    fn take_back(&mut self) {
        for _ in 0..self.backs.len().min(MOST_EXCHANGED) {
            let Some(Back { lease, settlement, waiting }) = self.backs.pop_front() else { break };
            self.given.push((lease, settlement));
            self.waiting.push(Some(waiting));
        }
    }

    /// First to those who gave back, whose slots are free once they know; then to who ordered.
    async fn hand_out(&mut self, exchanged: Exchanged, order: Option<Order>, asked: Instant) {
        self.trouble.over("jobs can be settled again");
        for (waiting, settled) in self.waiting.drain(..).zip(exchanged.settled) {
            if let Some(waiting) = waiting {
                let _ = waiting.reply.send(settled);
            }
        }
        self.given.clear();
        let mut slots = std::mem::take(&mut self.slots);
        let Some(Order { reply, desk }) = order else { return };
        let lacking = exchanged.claimed.len().saturating_sub(slots.len());
        if let Ok(lacking) = u32::try_from(lacking)
            && let Ok(mut left) = Arc::clone(&self.free).acquire_many_owned(lacking).await
        {
            slots.extend(std::iter::from_fn(|| left.split(1)));
        }
        let held = exchanged.claimed.into_iter().zip(slots);
        let jobs = held.map(|(job, slot)| self.holdings.hold(&desk, self.queue.lease(), job, asked, slot));
        // Whoever ordered and is gone ends the pool with what it holds: the leases run out.
        let _ = reply.send(Ok(jobs.collect()));
    }

    /// After a failure: waits to try again, for as long as any of the leases lasts.
    async fn keep_or_give_up(&mut self, error: &QueueError) {
        if self.given.is_empty() {
            self.slots.clear();
            return;
        }
        let pause = self.trouble.pause(error, "jobs cannot be settled");
        let again = Instant::now() + pause;
        for ((lease, _), waiting) in self.given.iter().zip(&mut self.waiting) {
            let Some(Waiting { sure_until, .. }) = waiting else { continue };
            if !error.is_transient() || again >= *sure_until {
                tracing::error!(meeting = %lease.uuid, %error, "a job was not settled and will run again");
                // Dropped: that says that it is lost.
                *waiting = None;
            }
        }
        if self.waiting.iter().all(Option::is_none) {
            self.given.clear();
            self.waiting.clear();
            self.slots.clear();
            return;
        }
        // Whoever comes now finds out whether the trouble is over.
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Some(request) = self.requests.recv() => self.note(request),
        }
    }
}
