//! What a job costs, what a full server does, and commands on many jobs.
#![allow(clippy::print_stdout, reason = "what is measured is told")]

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::cmd;

use super::audit::{audit, keys};
use super::server::{Server, aside};
use super::store;
use crate::meeting::MeetingUuid;
use crate::queue::conformance::Bench;
use crate::queue::redis::scripts;
use crate::queue::{
    CancelReport, Enqueued, ExtendOutcome, Fate, JobPayload, NewJob, Queue, QueueError, RetryReport, Settled,
};
use crate::reason::{Cause, Outcome, Reason};
use crate::run::{Mode, RunId, RunState, Tally};

const MANY: u32 = 100_000;
/// Bytes of Redis that a queued job may take, with its uniqueness and its deadline.
const MOST_BYTES: u64 = 320;

/// As long as Zoom's are.
fn uuid(number: u32) -> MeetingUuid {
    MeetingUuid::parse(&format!("qB3dE/+gHiJkL4m{number:07}==")).unwrap()
}

fn job(bench: &Bench, number: u32) -> NewJob {
    let payload = JobPayload { uuid: uuid(number), ..bench.job(number).payload };
    NewJob { payload, ready: false }
}

async fn run_of_many(bench: &Bench, jobs: u32) -> RunId {
    let run = bench.run_of(Mode::Manual).await;
    let numbers: Vec<u32> = (0..jobs).collect();
    for batch in numbers.chunks(scripts::BATCH) {
        let batch: Vec<NewJob> = batch.iter().map(|number| job(bench, *number)).collect();
        bench.queue.enqueue(&run, &batch, Tally::default()).await.unwrap();
    }
    run
}

async fn info(connection: &mut MultiplexedConnection, section: &str, field: &str) -> u64 {
    let text: String = cmd("INFO").arg(section).query_async(connection).await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().parse().unwrap()
}

async fn memory(connection: &mut MultiplexedConnection) -> u64 {
    // Without what connections and the writing of the append-only file hold at the moment.
    info(connection, "memory", "used_memory_dataset").await
}

async fn config(connection: &mut MultiplexedConnection, setting: &str, value: &str) {
    let mut set = cmd("CONFIG");
    set.arg("SET").arg(setting).arg(value);
    set.exec_async(connection).await.unwrap();
}

/// The longest time in microseconds that a command has taken since the log was begun.
async fn slowest(connection: &mut MultiplexedConnection) -> u64 {
    let log: Vec<(u64, u64, u64, Vec<String>, String, String)> =
        cmd("SLOWLOG").arg("GET").arg(10_000).query_async(connection).await.unwrap();
    log.iter().filter(|entry| entry.3[0].starts_with("EVAL")).map(|entry| entry.2).max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_are_small_and_leave_nothing() {
    let server = Server::start().await;
    let bench = Bench::new(store(&server)).await;
    let mut operator = aside(&server.url()).await;
    config(&mut operator, "slowlog-log-slower-than", "1000").await;
    let before = memory(&mut operator).await;
    let run = run_of_many(&bench, MANY).await;
    let bytes = (memory(&mut operator).await - before) / u64::from(MANY);
    println!(
        "a queued job takes {bytes} bytes; the longest script of enqueueing took {} µs",
        slowest(&mut operator).await
    );
    assert!(bytes <= MOST_BYTES, "{bytes} bytes a job");

    let mut done = 0;
    loop {
        let jobs = bench.claim(scripts::SLICE).await;
        if jobs.is_empty() {
            break;
        }
        let recovered = || Fate::Finish { outcome: Outcome::Recovered };
        let settled = join_all(jobs.iter().map(|job| bench.settle(job, recovered()))).await;
        done += settled.iter().filter(|settled| **settled == Settled::Done).count();
    }
    assert_eq!(done, MANY as usize);
    println!("the longest script of working it off took {} µs", slowest(&mut operator).await);
    assert_eq!(bench.counts(&run).await.recovered, u64::from(MANY));
    assert_eq!(
        keys(&server.url()).await.len(),
        4,
        "the queue, the list of runs, one run and what it is about"
    );
    audit(&server.url(), None).await;
}

#[tokio::test]
async fn a_full_server_refuses_what_is_new_and_lets_the_rest_end() {
    let server = Server::start().await;
    let bench = Bench::new(store(&server)).await;
    let run = bench.run_with(&[1, 2, 3, 4, 5]).await;
    let doomed = bench.run_with(&[6, 7]).await;
    let held = bench.claim(1).await;
    let mut operator = aside(&server.url()).await;
    config(&mut operator, "maxmemory", "1").await;

    let before = bench.run(&run).await;
    let refused = bench.queue.enqueue(&run, &[bench.job(9)], Tally::default()).await;
    assert!(matches!(refused, Err(QueueError::Full { .. })), "{refused:?}");
    assert!(matches!(bench.queue.check().await, Err(QueueError::Full { .. })));
    assert_eq!(bench.run(&run).await, before);

    let extended = bench.queue.extend(&[held[0].lease.clone()]).await;
    assert!(matches!(extended.unwrap()[..], [ExtendOutcome::Held { .. }]));
    let jobs = [held, bench.claim(4).await].concat();
    assert_eq!(jobs.len(), 5, "what is there can be worked on");
    let cause = || Cause::new(Reason::ZoomError, "told by a test");
    let fates = [
        Fate::Finish { outcome: Outcome::Recovered },
        Fate::Release,
        Fate::Retry { at: bench.now(), cause: cause() },
        Fate::Snooze { until: bench.now(), cause: cause() },
        Fate::Dead { cause: cause() },
    ];
    for (job, fate) in jobs.iter().zip(fates) {
        assert_eq!(bench.settle(job, fate).await, Settled::Done);
    }
    assert_eq!(bench.queue.cancel(&doomed).await.unwrap().removed, 2);
    audit(&server.url(), None).await;

    config(&mut operator, "maxmemory", "0").await;
    let taken = bench.queue.enqueue(&run, &[bench.job(9)], Tally::default()).await;
    assert_eq!(taken, Ok(vec![Enqueued::New]));
}

/// Begins to cancel, as somebody who dies after the first slice.
async fn begin_to_cancel(bench: &Bench, run: &RunId) {
    let Queue::Redis(queue) = &bench.queue else { panic!("the URL names a Redis") };
    let slice = vec![run.to_string(), scripts::SLICE.to_string()];
    queue.eval_once(|| "a test".into(), &scripts::CANCEL, slice).await.unwrap();
}

#[tokio::test]
async fn a_cancelling_that_was_cut_short_is_brought_to_its_end() {
    let server = Server::start().await;
    let bench = Bench::new(store(&server)).await;
    let run = run_of_many(&bench, 1000).await;
    let other = bench.run_of(Mode::Automatic).await;
    let wanted: Vec<NewJob> = (700..720).map(|number| job(&bench, number)).collect();
    bench.queue.enqueue(&other, &wanted, Tally::default()).await.unwrap();

    begin_to_cancel(&bench, &run).await;
    audit(&server.url(), None).await;
    assert_eq!(bench.state(&run).await, RunState::Cancelled);
    // None of its jobs is handed out; whoever looks for work cuts the rest.
    let mut claimed = Vec::new();
    while bench.queue.depth().await.unwrap().unfinished() > 20 || claimed.len() < 20 {
        bench.queue.wait_for_work().await.unwrap();
        claimed.extend(bench.claim(scripts::SLICE).await);
    }
    assert!(claimed.iter().all(|job| job.owner == other));
    audit(&server.url(), None).await;
    let report = CancelReport { state: RunState::Cancelled, removed: 980, passed_on: 20 };
    assert_eq!(bench.queue.cancel(&run).await, Ok(report));
    let nothing = CancelReport { removed: 0, passed_on: 0, ..report };
    assert_eq!(bench.queue.cancel(&run).await, Ok(nothing));
    assert!(bench.counts(&run).await.balance());
}

#[tokio::test]
async fn many_are_cancelled_and_retried_in_slices() {
    let server = Server::start().await;
    let bench = Bench::new(store(&server)).await;
    let run = run_of_many(&bench, 1000).await;
    let cause = || Cause::new(Reason::ZoomRefused, "told by a test");
    let mut dead = 0;
    while dead < 1000 {
        let jobs = bench.claim(scripts::SLICE).await;
        join_all(jobs.iter().map(|job| bench.settle(job, Fate::Dead { cause: cause() }))).await;
        dead += jobs.len();
    }
    assert_eq!(bench.queue.dead(&run, None, 2000).await.unwrap().len(), 1000);
    let some: Vec<MeetingUuid> = (0..300).map(uuid).collect();
    let report = RetryReport { requeued: 300, already_queued: 0 };
    assert_eq!(bench.queue.retry(&run, Some(&some)).await, Ok(report));

    // Cancelling begins and stops; a retry of the rest ends it first, or it would lose what it puts back.
    begin_to_cancel(&bench, &run).await;
    let rest = RetryReport { requeued: 700, already_queued: 0 };
    assert_eq!(bench.queue.retry(&run, None).await, Ok(rest));
    assert_eq!(bench.queue.depth().await.unwrap().ready, 700);
    let jobs = bench.queue.jobs(&run, Some(&uuid(499)), 450).await.unwrap();
    let expected: Vec<MeetingUuid> = (500..950).map(uuid).collect();
    assert_eq!(jobs.into_iter().map(|job| job.uuid).collect::<Vec<_>>(), expected);
    audit(&server.url(), None).await;

    let report = CancelReport { state: RunState::Cancelled, removed: 700, passed_on: 0 };
    assert_eq!(bench.queue.cancel(&run).await, Ok(report));
    assert_eq!(bench.queue.depth().await.unwrap().unfinished(), 0);
    audit(&server.url(), None).await;
}
