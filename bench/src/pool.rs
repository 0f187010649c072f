//! This repository's queue: with its pool, and without, which is the limit that its scripts set.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use recapture_core::queue::{Fate, HeldJob, PoolSettings, Queue, QueueError, WorkerId, run_pool};
use recapture_core::reason::Outcome;
use recapture_core::run::Tally;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Fault;
use crate::jobs::{self, job, new_run};

const FINISHED: Fate = Fate::Finish { outcome: Outcome::Recovered };

pub(crate) async fn enqueue(url: &str, count: usize) -> Result<Duration, Fault> {
    let queue = jobs::open(url).await?;
    let run = new_run(&queue).await?;
    let began = Instant::now();
    jobs::enqueue(&queue, &run, 0..u32::try_from(count)?).await?;
    Ok(began.elapsed())
}

/// Until so many jobs are settled, by a pool.
pub(crate) async fn drain(url: &str, concurrency: usize, count: usize) -> Result<Duration, Fault> {
    settle_all(&jobs::open(url).await?, concurrency, count, FINISHED).await
}

pub(crate) async fn settle_all(
    queue: &Queue,
    concurrency: usize,
    count: usize,
    fate: Fate,
) -> Result<Duration, Fault> {
    let stop = CancellationToken::new();
    let (settled, enough) = (Arc::new(AtomicUsize::new(0)), stop.clone());
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = move |held: HeldJob| {
        let (settled, enough, tell, fate) =
            (Arc::clone(&settled), enough.clone(), tell.clone(), fate.clone());
        async move {
            held.settle(fate).await;
            if settled.fetch_add(1, Ordering::SeqCst) + 1 == count {
                let _ = tell.send(Instant::now());
                enough.cancel();
            }
        }
    };
    let began = Instant::now();
    run_pool(queue.clone(), WorkerId::new(), settings(concurrency), stop, handler).await?;
    let ended = told.recv().await.ok_or("the pool ended early")?;
    Ok(ended - began)
}

fn settings(concurrency: usize) -> PoolSettings {
    PoolSettings { concurrency, drain: Duration::from_secs(10) }
}

/// The same by the scripts alone: as many at once, given back together with the claim of the next, and nothing around
/// them.
pub(crate) async fn drain_bare(url: &str, concurrency: usize, count: usize) -> Result<Duration, Fault> {
    let queue = jobs::open(url).await?;
    let worker = WorkerId::new();
    // Two take turns, so that the server has something to do while one of them looks at what it claimed.
    let lanes = concurrency.min(2);
    let settled = AtomicUsize::new(0);
    let began = Instant::now();
    try_join_all((0..lanes).map(|_| async {
        let mut given = Vec::new();
        while settled.load(Ordering::SeqCst) < count {
            let exchanged = queue.exchange(&worker, &given, concurrency / lanes).await?;
            settled.fetch_add(given.len(), Ordering::SeqCst);
            given = exchanged.claimed.into_iter().map(|job| (job.lease, FINISHED.into())).collect();
        }
        queue.exchange(&worker, &given, 0).await?;
        Ok::<_, QueueError>(())
    }))
    .await?;
    Ok(began.elapsed().mul_f64(ratio(count, settled.load(Ordering::SeqCst))))
}

#[allow(clippy::cast_precision_loss, reason = "numbers of jobs are far below 2^52")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// From before the call that enqueues to the start of the handler, in an idle pool.
pub(crate) async fn latencies(url: &str, samples: u32) -> Result<Vec<Duration>, Fault> {
    latencies_between(&jobs::open(url).await?, jobs::open(url).await?, samples).await
}

/// The same with the pool's own hold of the queue.
pub(crate) async fn latencies_between(
    queue: &Queue,
    of_the_pool: Queue,
    samples: u32,
) -> Result<Vec<Duration>, Fault> {
    let run = new_run(queue).await?;
    let stop = CancellationToken::new();
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = move |held: HeldJob| {
        let (started, tell) = (Instant::now(), tell.clone());
        async move {
            held.settle(FINISHED).await;
            let _ = tell.send(started);
        }
    };
    let worker = WorkerId::new();
    let pool = tokio::spawn(run_pool(of_the_pool, worker, settings(16), stop.clone(), handler));
    let mut latencies = Vec::new();
    for number in 0..samples {
        // Long enough for the pool to have nothing to do.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let began = Instant::now();
        queue.enqueue(&run, &[job(9_000_000 + number)], Tally::default()).await?;
        let started = told.recv().await.ok_or("the pool ended early")?;
        latencies.push(started.duration_since(began));
    }
    stop.cancel();
    pool.await??;
    Ok(latencies)
}

/// What a process of a measurement does: it works until it is killed.
pub(crate) async fn work(url: &str, concurrency: usize) -> Result<(), Fault> {
    let handler = |held: HeldJob| async move {
        held.settle(FINISHED).await;
    };
    let (queue, never) = (jobs::open(url).await?, CancellationToken::new());
    run_pool(queue, WorkerId::new(), settings(concurrency), never, handler).await?;
    Ok(())
}
