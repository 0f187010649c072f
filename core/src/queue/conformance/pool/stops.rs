//! How a pool ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{Floor, LONG, Report, recover, started, until_interrupted};
use crate::queue::conformance::Store;
use crate::queue::{PoolEnd, QueueError, Settled};

pub(crate) async fn a_stop_lets_handlers_end_by_themselves(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    floor.bench.run_with(&[1, 2]).await;
    let gate = Arc::new(Semaphore::new(0));
    let key = Arc::clone(&gate);
    let pool = floor.pool(1, LONG, move |job, report| {
        let key = Arc::clone(&key);
        async move {
            key.acquire().await.unwrap().forget();
            recover(job, report).await;
        }
    });
    assert_eq!(floor.next().await, started(1, 1));
    floor.stop.cancel();
    gate.add_permits(2);
    assert_eq!(pool.await.unwrap(), Ok(PoolEnd { started: 1, unsettled: 0 }));
    assert_eq!(floor.next().await, Report::Settled(Settled::Done));
    let depth = floor.depth().await;
    assert_eq!((depth.ready, depth.leased), (1, 0));
}

pub(crate) async fn a_drain_that_is_over_sends_jobs_back_unharmed(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    let run = floor.bench.run_with(&[1, 2, 3]).await;
    let pool = floor.pool(2, Duration::ZERO, until_interrupted);
    assert_eq!([floor.next().await, floor.next().await], [started(1, 1), started(2, 1)]);
    floor.stop.cancel();
    assert_eq!(pool.await.unwrap(), Ok(PoolEnd { started: 2, unsettled: 0 }));
    let depth = floor.depth().await;
    assert_eq!((depth.ready, depth.leased), (3, 0));
    let jobs = floor.bench.queue.jobs(&run, None, 9).await.unwrap();
    assert!(jobs.iter().all(|job| job.starts == 0));
}

pub(crate) async fn a_queue_that_fails_for_good_ends_the_pool(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    floor.bench.run_with(&[1]).await;
    let pool = floor.pool(1, LONG, recover);
    assert_eq!(floor.next().await, started(1, 1));
    assert_eq!(floor.next().await, Report::Settled(Settled::Done));
    floor.bench.queue.clone().close().await;
    assert_eq!(pool.await.unwrap(), Err(QueueError::Closed));
}

/// Between any two steps of claiming, starting, renewing and settling.
pub(crate) async fn a_stop_at_any_moment_leaves_nothing_leased(store: Store) {
    const JOBS: u32 = 30;
    let mut floor = Floor::new(store, LONG).await;
    for moment in 0..36 {
        // With one desk and with two.
        let slots = if moment % 3 == 0 { 18 } else { 4 };
        let run = floor.bench.run_with(&(0..JOBS).collect::<Vec<_>>()).await;
        let pool = floor.pool(slots, Duration::ZERO, |job, report| async move {
            tokio::task::yield_now().await;
            if job.starts() % 2 == 0 {
                until_interrupted(job, report).await;
            } else {
                recover(job, report).await;
            }
        });
        for _ in 0..moment {
            floor.next().await;
        }
        floor.stop.cancel();
        let end = pool.await.unwrap().unwrap();
        assert_eq!(end.unsettled, 0, "stopped after {moment} reports");
        let depth = floor.depth().await;
        assert_eq!(depth.leased, 0, "stopped after {moment} reports");
        assert_eq!(floor.bench.counts(&run).await.recovered + depth.ready, u64::from(JOBS));
        let jobs = floor.bench.queue.jobs(&run, None, 99).await.unwrap();
        assert!(jobs.iter().all(|job| job.starts == 0), "a start was charged after {moment} reports");
        floor.bench.queue.cancel(&run).await.unwrap();
        floor.forget_reports();
        floor.stop = tokio_util::sync::CancellationToken::new();
    }
}
