//! A real apalis worker over a real queue, by the machine's clock. Handlers report what happens; the tests wait for
//! these reports.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stops;
mod timing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use self::stops::{
    a_drain_that_is_over_sends_jobs_back_unharmed, a_queue_that_fails_for_good_ends_the_pool,
    a_stop_at_any_moment_leaves_nothing_leased, a_stop_lets_handlers_end_by_themselves,
};
pub(crate) use self::timing::{
    a_job_that_always_fails_is_dead_after_its_last_start,
    a_snoozed_job_starts_when_it_is_due_and_is_not_charged,
    an_abandoned_job_starts_within_a_second_of_the_end_of_its_lease, an_idle_pool_starts_new_work_at_once,
};
use super::{Bench, Store};
use crate::queue::{
    Clock, Depth, Fate, HeldJob, Interruption, PoolEnd, PoolSettings, QueueError, Settled, WorkerId, run_pool,
};
use crate::reason::Outcome;
use crate::run::{Mode, RunState};

pub(crate) const RECOVERED: Fate = Fate::Finish { outcome: Outcome::Recovered };

/// A queue by the machine's clock, and pools that report.
pub(crate) struct Floor {
    pub(crate) bench: Bench,
    pub(crate) stop: CancellationToken,
    reports: UnboundedReceiver<Report>,
    report: UnboundedSender<Report>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Started { meeting: String, starts: u32 },
    Interrupted(Interruption),
    Settled(Settled),
}

impl Floor {
    pub(crate) async fn new(mut store: Store, lease: Duration) -> Self {
        store.settings.lease = lease;
        store.settings.high_water = 100_000;
        let mut bench = Bench::new(store).await;
        bench.clock = Clock::system();
        bench.queue = bench.open_again().await;
        let (report, reports) = unbounded_channel();
        Self { bench, stop: CancellationToken::new(), reports, report }
    }

    /// A pool whose handlers say that they started, then do `work`.
    pub(crate) fn pool<F>(
        &self,
        concurrency: usize,
        drain: Duration,
        work: impl Fn(HeldJob, UnboundedSender<Report>) -> F + Send + 'static,
    ) -> JoinHandle<Result<PoolEnd, QueueError>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.pool_until(self.stop.clone(), concurrency, drain, work)
    }

    /// The same, with a stop of its own.
    fn pool_until<F>(
        &self,
        stop: CancellationToken,
        concurrency: usize,
        drain: Duration,
        work: impl Fn(HeldJob, UnboundedSender<Report>) -> F + Send + 'static,
    ) -> JoinHandle<Result<PoolEnd, QueueError>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let report = self.report.clone();
        let settings = PoolSettings { concurrency, drain };
        tokio::spawn(run_pool(self.bench.queue.clone(), WorkerId::new(), settings, stop, move |job| {
            let started = Report::Started { meeting: job.payload().uuid.to_string(), starts: job.starts() };
            report.send(started).unwrap();
            work(job, report.clone())
        }))
    }

    pub(crate) async fn next(&mut self) -> Report {
        self.reports.recv().await.unwrap()
    }

    pub(crate) fn forget_reports(&mut self) {
        while self.reports.try_recv().is_ok() {}
    }

    pub(crate) async fn depth(&self) -> Depth {
        self.bench.queue.depth().await.unwrap()
    }
}

pub(crate) fn started(meeting: u32, starts: u32) -> Report {
    Report::Started { meeting: format!("meeting/{meeting:08}=="), starts }
}

pub(crate) async fn settle_and_report(job: HeldJob, fate: Fate, report: UnboundedSender<Report>) {
    let settled = job.settle(fate).await;
    report.send(Report::Settled(settled)).unwrap();
}

pub(crate) async fn recover(job: HeldJob, report: UnboundedSender<Report>) {
    settle_and_report(job, RECOVERED, report).await;
}

/// Goes on until it is interrupted, says why, and releases the job.
pub(crate) async fn until_interrupted(job: HeldJob, report: UnboundedSender<Report>) {
    let why = job.cancelled().await;
    assert_eq!(
        (job.is_held(), job.stop_requested()),
        match why {
            Interruption::LeaseLost => (false, false),
            Interruption::Draining => (true, true),
        }
    );
    report.send(Report::Interrupted(why)).unwrap();
    settle_and_report(job, Fate::Release, report).await;
}

pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Long enough for a renewal to come in time on a machine that does much else.
pub(crate) const SHORT: Duration = Duration::from_secs(1);

pub(crate) async fn a_pool_works_everything_off(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    let meetings: Vec<u32> = (0..200).collect();
    let run = floor.bench.run_with(&meetings).await;
    floor.bench.queue.enumerated(&run, &[]).await.unwrap();
    // One desk, and two.
    let pools = [floor.pool(8, LONG, recover), floor.pool(40, LONG, recover)];
    for _ in 0..2 * meetings.len() {
        assert_ne!(floor.next().await, Report::Settled(Settled::Lost));
    }
    floor.stop.cancel();
    let mut started = 0;
    for pool in pools {
        let end = pool.await.unwrap().unwrap();
        assert_eq!(end.unsettled, 0);
        started += end.started;
    }
    assert_eq!(started, 200);
    let run = floor.bench.run(&run).await;
    assert_eq!((run.state, run.counts.recovered), (RunState::Completed, 200));
    assert_eq!(floor.depth().await, Depth::default());
}

pub(crate) async fn a_job_that_is_enqueued_to_an_idle_pool_starts(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    let pool = floor.pool(4, LONG, recover);
    let run = floor.bench.run_of(Mode::Manual).await;
    for meeting in 1..=3 {
        floor.bench.enqueue(&run, &[meeting]).await;
        assert_eq!(floor.next().await, started(meeting, 1));
        assert_eq!(floor.next().await, Report::Settled(Settled::Done));
    }
    floor.stop.cancel();
    assert_eq!(pool.await.unwrap(), Ok(PoolEnd { started: 3, unsettled: 0 }));
}

pub(crate) async fn a_pool_leases_no_more_than_it_works_on(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    // The larger pool has two desks.
    for (slots, meetings) in [(3_u32, 0..7), (70, 100..180)] {
        let meetings: Vec<u32> = meetings.collect();
        let all = u32::try_from(meetings.len()).unwrap();
        let gate = Arc::new(Semaphore::new(0));
        floor.bench.run_with(&meetings).await;
        let (key, stop) = (Arc::clone(&gate), floor.stop.child_token());
        let hold = move |job, report| {
            let key = Arc::clone(&key);
            async move {
                key.acquire().await.unwrap().forget();
                recover(job, report).await;
            }
        };
        let pool = floor.pool_until(stop.clone(), slots as usize, LONG, hold);
        let mut first: Vec<_> = Vec::new();
        for _ in 0..slots {
            first.push(floor.next().await);
        }
        // The most urgent ones; with two desks they start in any order.
        assert!(meetings[..slots as usize].iter().all(|meeting| first.contains(&started(*meeting, 1))));
        for done in 0..all - slots {
            let depth = floor.depth().await;
            assert_eq!((depth.leased, depth.ready), (slots.into(), (all - slots - done).into()));
            gate.add_permits(1);
            assert_eq!(floor.next().await, Report::Settled(Settled::Done));
            assert!(matches!(floor.next().await, Report::Started { .. }));
        }
        gate.add_permits(slots as usize);
        stop.cancel();
        assert_eq!(pool.await.unwrap(), Ok(PoolEnd { started: all.into(), unsettled: 0 }));
        floor.forget_reports();
    }
}

/// Whoever cancels is another process. The next renewal is twenty seconds away.
pub(crate) async fn a_cancelled_run_interrupts_its_handlers_at_once(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    let run = floor.bench.run_with(&[1]).await;
    let pool = floor.pool(1, LONG, until_interrupted);
    assert_eq!(floor.next().await, started(1, 1));
    let began = Instant::now();
    floor.bench.open_again().await.cancel(&run).await.unwrap();
    assert_eq!(floor.next().await, Report::Interrupted(Interruption::LeaseLost));
    assert!(began.elapsed() < LONG / 6, "{:?}", began.elapsed());
    assert_eq!(floor.next().await, Report::Settled(Settled::Lost));
    floor.stop.cancel();
    assert_eq!(pool.await.unwrap(), Ok(PoolEnd { started: 1, unsettled: 0 }));
}

pub(crate) async fn a_job_that_is_longer_than_its_lease_runs_once(store: Store) {
    // A disk that is busy with something else may hold up a renewal for a second.
    let mut floor = Floor::new(store, 3 * SHORT).await;
    floor.bench.run_with(&[1]).await;
    let clock = floor.bench.clock.clone();
    let work = move |job: HeldJob, report| {
        let clock = clock.clone();
        async move {
            clock.until((job.lease().until + 2 * SHORT).timestamp_millis()).await;
            assert!(job.is_held());
            recover(job, report).await;
        }
    };
    let pools = [floor.pool(1, LONG, work.clone()), floor.pool(1, LONG, work)];
    assert_eq!(floor.next().await, started(1, 1));
    assert_eq!(floor.next().await, Report::Settled(Settled::Done));
    floor.stop.cancel();
    let ends = pools.map(|pool| async { pool.await.unwrap().unwrap() });
    let started: u64 = join_all(ends).await.iter().map(|end| end.started).sum();
    assert_eq!(started, 1);
}

pub(crate) async fn a_panic_takes_nothing_else_with_it(store: Store) {
    let mut floor = Floor::new(store, SHORT).await;
    floor.bench.run_with(&[1, 2]).await;
    let panicked = Arc::new(AtomicBool::new(false));
    let pool = floor.pool(1, LONG, move |job, report| {
        let panicked = Arc::clone(&panicked);
        async move {
            assert!(panicked.swap(true, Ordering::SeqCst), "the first job panics");
            recover(job, report).await;
        }
    });
    assert_eq!(floor.next().await, started(1, 1));
    assert_eq!(floor.next().await, started(2, 1));
    assert_eq!(floor.next().await, Report::Settled(Settled::Done));
    // Nobody renewed the lease of the first: it comes back.
    assert_eq!(floor.next().await, started(1, 2));
    assert_eq!(floor.next().await, Report::Settled(Settled::Done));
    floor.stop.cancel();
    assert_eq!(pool.await.unwrap(), Ok(PoolEnd { started: 3, unsettled: 1 }));
}

/// What Zoom refuses to all is found out once, and not by taking up every job to put it back.
pub(crate) async fn a_pool_that_is_held_back_begins_nothing_until_then(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    floor.bench.run_with(&[1, 2, 3]).await;
    let first = Arc::new(AtomicBool::new(true));
    let pool = floor.pool(1, LONG, move |job, report| {
        let first = first.swap(false, Ordering::SeqCst);
        async move {
            if first {
                assert!(job.hold_back(tokio::time::Instant::now() + SHORT), "that is news");
                assert!(!job.hold_back(tokio::time::Instant::now() + SHORT), "that is not");
            }
            recover(job, report).await;
        }
    });
    assert_eq!(floor.next().await, started(1, 1));
    assert_eq!(floor.next().await, Report::Settled(Settled::Done));
    let began = Instant::now();
    assert_eq!(floor.next().await, started(2, 1));
    // As long as the hold, but for what passed until the report of the settlement was here.
    assert!(began.elapsed() > SHORT / 2, "{:?}", began.elapsed());
    for _ in 0..3 {
        floor.next().await;
    }
    floor.stop.cancel();
    assert_eq!(pool.await.unwrap(), Ok(PoolEnd { started: 3, unsettled: 0 }));
}

/// Makes a test of each; the argument is that of `suite!`.
macro_rules! pools {
    ($fresh:expr) => {
        $crate::queue::conformance::pool::pools! {
            $fresh;
            a_pool_works_everything_off,
            a_job_that_is_enqueued_to_an_idle_pool_starts,
            a_pool_leases_no_more_than_it_works_on,
            a_cancelled_run_interrupts_its_handlers_at_once,
            a_job_that_is_longer_than_its_lease_runs_once,
            a_panic_takes_nothing_else_with_it,
            a_pool_that_is_held_back_begins_nothing_until_then,
            a_stop_lets_handlers_end_by_themselves,
            a_drain_that_is_over_sends_jobs_back_unharmed,
            a_stop_at_any_moment_leaves_nothing_leased,
            a_queue_that_fails_for_good_ends_the_pool,
            an_idle_pool_starts_new_work_at_once,
            an_abandoned_job_starts_within_a_second_of_the_end_of_its_lease,
            a_snoozed_job_starts_when_it_is_due_and_is_not_charged,
            a_job_that_always_fails_is_dead_after_its_last_start,
        }
    };
    ($fresh:expr; $($name:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (store, _keep) = $fresh().await;
                $crate::queue::conformance::pool::$name(store).await;
            }
        )+
    };
}
pub(crate) use pools;
