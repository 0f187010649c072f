//! BullMQ's own Rust port. Its jobs carry the meeting as their id, which makes them unique as ours are, and nothing is
//! kept of a finished one; it keeps no order by deadline here, which would cost it more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bullmq::options::{JobOptions, QueueOptions, RedisConnectionOptions, WorkerOptions};
use bullmq::types::RemoveOnFinish;
use bullmq::{BulkJob, Job, Queue, Worker};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::Fault;
use crate::jobs::{BATCH, payload};

const NAME: &str = "meetings";

async fn open(url: &str) -> Result<Queue, Fault> {
    let options = QueueOptions { connection: connection(url), ..QueueOptions::default() };
    Ok(Queue::with_options(NAME, options).await?)
}

fn connection(url: &str) -> RedisConnectionOptions {
    RedisConnectionOptions::new().url(url)
}

async fn worker<F>(url: &str, concurrency: usize, handler: F) -> Result<Worker, Fault>
where
    F: Fn() + Clone + Send + Sync + 'static,
{
    let options = WorkerOptions {
        connection: connection(url),
        concurrency,
        remove_on_complete: Some(RemoveOnFinish::Bool(true)),
        ..WorkerOptions::default()
    };
    let processor = move |_: Job, _| {
        handler();
        async { Ok(Value::Null) }
    };
    Ok(Worker::with_options(NAME, processor, options).await?)
}

fn bulk_job(number: u32) -> BulkJob {
    let payload = payload(number);
    let options = JobOptions {
        job_id: Some(payload.uuid.to_string()),
        remove_on_complete: Some(RemoveOnFinish::Bool(true)),
        ..JobOptions::default()
    };
    BulkJob::with_options("recover", payload, options)
}

pub(crate) async fn enqueue(url: &str, count: usize) -> Result<Duration, Fault> {
    let queue = open(url).await?;
    let numbers: Vec<u32> = (0..u32::try_from(count)?).collect();
    let began = Instant::now();
    for batch in numbers.chunks(BATCH) {
        queue.add_bulk(batch.iter().map(|number| bulk_job(*number)).collect()).await?;
    }
    Ok(began.elapsed())
}

pub(crate) async fn drain(url: &str, concurrency: usize, count: usize) -> Result<Duration, Fault> {
    let done = Arc::new(AtomicUsize::new(0));
    let (tell, mut told) = mpsc::unbounded_channel();
    let began = Instant::now();
    let worker = worker(url, concurrency, move || {
        if done.fetch_add(1, Ordering::SeqCst) + 1 == count {
            let _ = tell.send(Instant::now());
        }
    })
    .await?;
    let ended = told.recv().await.ok_or("the worker ended early")?;
    worker.close(10_000).await?;
    Ok(ended - began)
}

/// What a process of a measurement does: it works until it is killed.
pub(crate) async fn work(url: &str, concurrency: usize) -> Result<(), Fault> {
    let _worker = worker(url, concurrency, || {}).await?;
    std::future::pending().await
}

/// Where jobs are that are not done.
pub(crate) const LEFT: [(&str, &str); 2] = [("LLEN", "bull:meetings:wait"), ("LLEN", "bull:meetings:active")];

pub(crate) async fn latencies(url: &str, samples: u32) -> Result<Vec<Duration>, Fault> {
    let queue = open(url).await?;
    let (tell, mut told) = mpsc::unbounded_channel();
    let worker = worker(url, 16, move || {
        let _ = tell.send(Instant::now());
    })
    .await?;
    let mut latencies = Vec::new();
    for number in 0..samples {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let began = Instant::now();
        queue.add_bulk(vec![bulk_job(9_000_000 + number)]).await?;
        let started = told.recv().await.ok_or("the worker ended early")?;
        latencies.push(started.duration_since(began));
    }
    worker.close(100).await?;
    Ok(latencies)
}
