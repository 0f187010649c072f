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

/// What was done with all jobs.
struct Step {
    what: &'static str,
    took: Duration,
    /// The longest script, in milliseconds.
    longest: f64,
    /// What was done at the same time, and how long that took.
    beside: String,
}

/// Bytes of Redis.
struct Memory {
    empty: u64,
    full: u64,
    drained: u64,
}

/// Twice: after Redis has forked to rewrite its append-only file, whoever writes to a page first waits for its copy.
#[allow(clippy::print_stdout, reason = "the table is the output")]
pub(crate) async fn measure(jobs: u32) -> Result<(), Fault> {
    let (steps, memory) = pass(Server::start().await?, jobs).await?;
    let mut server = Server::start().await?;
    server.rewrite_never().await?;
    let (alone, _) = pass(server, jobs).await?;

    let count = usize::try_from(jobs)?;
    println!("{}\n", machine::describe());
    println!(
        "| {jobs} jobs | took, s | jobs/s | longest script, ms | if Redis rewrites no file, ms | beside it, ms |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | --- |");
    for (Step { what, took, longest, beside }, alone) in steps.iter().zip(alone) {
        let (seconds, rate, alone) = (took.as_secs_f64(), rate(count, *took), alone.longest);
        println!("| {what} | {seconds:.1} | {rate:.0} | {longest:.1} | {alone:.1} | {beside} |");
    }
    println!("\nRedis used {:.0} bytes a queued job,", per_job(memory.full - memory.empty, count));
    println!(
        "{:.1} MiB before the first and {:.1} MiB after the last.",
        mib(memory.empty),
        mib(memory.drained)
    );
    Ok(())
}

async fn pass(mut server: Server, jobs: u32) -> Result<(Vec<Step>, Memory), Fault> {
    let (queue, count) = (jobs::open(&server.url()).await?, usize::try_from(jobs)?);
    let mut steps = Vec::new();
    let mut step = async |what, took, server: &mut Server, beside| {
        steps.push(Step { what, took, longest: server.slowest().await?, beside });
        Ok::<(), Fault>(())
    };

    let empty = server.memory().await?;
    let run = new_run(&queue).await?;
    let took = fill(&queue, &run, jobs).await?;
    let full = server.memory().await?;
    step("enqueue, 500 a call", took, &mut server, String::new()).await?;

    let (took, looks) = beside(look(&queue, &run), drain(&queue, count, FINISHED)).await?;
    step("drain with no-ops, 128 at once", took, &mut server, format!("depth and work_left: {looks}"))
        .await?;
    let drained = server.memory().await?;

    let run = new_run(&queue).await?;
    fill(&queue, &run, jobs).await?;
    server.slowest().await?;
    let refused = Fate::Dead { cause: Cause::new(Reason::Gone, "refused by the benchmark") };
    let took = drain(&queue, count, refused).await?;
    step("give up, 128 at once", took, &mut server, String::new()).await?;

    let others = new_run(&queue).await?;
    jobs::enqueue(&queue, &others, OTHERS..OTHERS + 200_000).await?;
    server.slowest().await?;
    let (took, claims) = beside(claim(&queue), timed(queue.retry(&run, None))).await?;
    step("`retry` of all", took, &mut server, format!("claims: {claims}")).await?;

    let (took, claims) = beside(claim(&queue), timed(queue.cancel(&run))).await?;
    step("`cancel` of all", took, &mut server, format!("claims: {claims}")).await?;
    server.stop().await?;
    Ok((steps, Memory { empty, full, drained }))
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
