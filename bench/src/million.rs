//! Very many jobs: what they cost, and whether an operator's commands on all of them hold the workers up.

use std::time::{Duration, Instant};

use recapture_core::queue::{Fate, Queue, WorkerId};
use recapture_core::reason::{Cause, Outcome, Reason};
use recapture_core::run::RunId;
use tokio_util::sync::CancellationToken;

use crate::jobs::{self, new_run};
use crate::peer::{per_job, rate};
use crate::server::Server;
use crate::{Fault, machine, pool};

const CONCURRENCY: usize = 128;
/// Jobs of another run, for those who claim while the million is worked on.
const OTHERS: u32 = 10_000_000;

#[allow(clippy::print_stdout, reason = "the table is the output")]
pub(crate) async fn measure(jobs: u32) -> Result<(), Fault> {
    let (mut server, count) = (Server::start().await?, usize::try_from(jobs)?);
    let queue = jobs::open(&server.url()).await?;
    println!("{}\n", machine::describe());
    println!("| {jobs} jobs | took, s | jobs/s | longest script, ms | beside it, ms |");
    println!("| --- | ---: | ---: | ---: | --- |");
    let tell = async |what: &str, took: Duration, server: &mut Server, beside: String| {
        let (slowest, seconds) = (server.slowest().await?, took.as_secs_f64());
        println!("| {what} | {seconds:.1} | {:.0} | {slowest:.1} | {beside} |", rate(count, took));
        Ok::<(), Fault>(())
    };

    let empty = server.memory().await?;
    let run = new_run(&queue).await?;
    let took = fill(&queue, &run, jobs).await?;
    let full = server.memory().await?;
    tell("enqueue, 500 a call", took, &mut server, String::new()).await?;

    let (took, looks) = beside(look(&queue, &run), drain(&queue, count, FINISHED)).await?;
    tell("drain with no-ops, 128 at once", took, &mut server, format!("depth and work_left: {looks}"))
        .await?;
    let drained = server.memory().await?;

    let run = new_run(&queue).await?;
    fill(&queue, &run, jobs).await?;
    server.slowest().await?;
    let refused = Fate::Dead { cause: Cause::new(Reason::Gone, "refused by the benchmark") };
    let took = drain(&queue, count, refused).await?;
    tell("give up, 128 at once", took, &mut server, String::new()).await?;

    let others = new_run(&queue).await?;
    jobs::enqueue(&queue, &others, OTHERS..OTHERS + 200_000).await?;
    server.slowest().await?;
    let (took, claims) = beside(claim(&queue), timed(queue.retry(&run, None))).await?;
    tell("`retry` of all", took, &mut server, format!("claims: {claims}")).await?;

    let (took, claims) = beside(claim(&queue), timed(queue.cancel(&run))).await?;
    tell("`cancel` of all", took, &mut server, format!("claims: {claims}")).await?;

    println!("\nRedis used {:.0} bytes a queued job,", per_job(full - empty, count));
    println!("{:.1} MiB before the first and {:.1} MiB after the last.", mib(empty), mib(drained));
    Ok(())
}

const FINISHED: Fate = Fate::Finish { outcome: Outcome::Recovered };

async fn fill(queue: &Queue, run: &RunId, jobs: u32) -> Result<Duration, Fault> {
    let began = Instant::now();
    jobs::enqueue(queue, run, 0..jobs).await?;
    Ok(began.elapsed())
}

async fn drain(queue: &Queue, count: usize, fate: Fate) -> Result<Duration, Fault> {
    pool::settle_all(queue, CONCURRENCY, count, fate).await
}

async fn timed<T, E: Into<Fault>>(work: impl Future<Output = Result<T, E>>) -> Result<Duration, Fault> {
    let began = Instant::now();
    work.await.map_err(Into::into)?;
    Ok(began.elapsed())
}

/// Does one thing again and again while another is done; how long that took, and how long the one did.
async fn beside<F>(
    again: impl Fn() -> F,
    work: impl Future<Output = Result<Duration, Fault>>,
) -> Result<(Duration, String), Fault>
where
    F: Future<Output = Result<Duration, Fault>>,
{
    let over = CancellationToken::new();
    let repeated = async {
        let mut found = Vec::new();
        while !over.is_cancelled() {
            found.push(again().await?);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, Fault>(found)
    };
    let worked = async {
        let took = work.await;
        over.cancel();
        took
    };
    let (mut found, took) = tokio::try_join!(repeated, worked)?;
    found.sort();
    let millis = |of: Duration| of.as_secs_f64() * 1e3;
    let (median, most) = (found[found.len() / 2], found[found.len() - 1]);
    Ok((took, format!("{} calls, median {:.1}, longest {:.1}", found.len(), millis(median), millis(most))))
}

/// What `recapture status` asks.
fn look(
    queue: &Queue,
    run: &RunId,
) -> impl Fn() -> futures_util::future::BoxFuture<'static, Result<Duration, Fault>> {
    let (queue, run) = (queue.clone(), run.clone());
    move || {
        let (queue, run) = (queue.clone(), run.clone());
        Box::pin(async move {
            let began = Instant::now();
            queue.depth().await?;
            queue.work_left(&run).await?;
            Ok(began.elapsed())
        })
    }
}

/// One claim of sixteen jobs, which are then finished.
fn claim(queue: &Queue) -> impl Fn() -> futures_util::future::BoxFuture<'static, Result<Duration, Fault>> {
    let (queue, worker) = (queue.clone(), WorkerId::new());
    move || {
        let (queue, worker) = (queue.clone(), worker.clone());
        Box::pin(async move {
            let began = Instant::now();
            let claimed = queue.claim(&worker, 16).await?;
            let took = began.elapsed();
            for job in claimed {
                queue.settle(&job.lease, FINISHED).await?;
            }
            Ok(took)
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
