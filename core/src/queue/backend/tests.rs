//! What the shell does between the queue and its handlers, seen from inside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::queue::QueueSettings;
use crate::queue::conformance::Store;
use crate::queue::conformance::pool::{Floor, LONG};

/// What was claimed and not started when the end came, whichever way it came.
#[tokio::test]
async fn what_was_not_started_goes_back_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/queue.db", folder.path().display());
    let settings = QueueSettings { url, lease: LONG, max_attempts: 3, high_water: 1000 };
    let floor = Floor::new(Store { settings, spoil: Box::new(|_, _| Box::pin(async {})) }, LONG).await;
    let run = floor.bench.run_with(&[1, 2]).await;
    let source = |stop: CancellationToken| {
        let (queue, slots) = (floor.bench.queue.clone(), Arc::new(Semaphore::new(2)));
        let holdings = Holdings::new(CancellationToken::new());
        let desk = Desk::open(queue.clone(), WorkerId::new(), slots, holdings, stop.clone());
        Source { queue, desk, stop, trouble: watch::Sender::new(None), fatal: Arc::default() }
    };
    let first = source(floor.stop.clone());
    let mut backend = LeaseBackend::new(vec![first.clone()]);
    backend.claimed = first.desk.order().await.unwrap().into();
    assert_eq!(floor.depth().await.leased, 2);
    let context = WorkerContext::new("closing");
    std::future::poll_fn(|cx| backend.poll_close(cx, &context)).await.unwrap();
    assert_eq!(floor.depth().await.ready, 2);

    // The stop came while the call was on its way.
    let second = source(CancellationToken::new());
    let jobs = second.desk.order().await.unwrap();
    assert_eq!(jobs.len(), 2);
    second.stop.cancel();
    assert!(second.unless_stopped(jobs).await.is_empty());
    assert!(second.desk.order().await.unwrap().is_empty(), "after the stop nothing is leased");
    assert_eq!(floor.depth().await.ready, 2);
    let jobs = floor.bench.queue.jobs(&run, None, 9).await.unwrap();
    assert!(jobs.iter().all(|job| job.starts == 0));
}
