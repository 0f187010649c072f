//! When jobs start. A machine that does much else may be late once: what is promised is shown by the best of three, and
//! what is never allowed by all.
#![allow(clippy::print_stdout, reason = "what is measured is told")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Floor, LONG, Report, recover, settle_and_report, started};
use crate::queue::conformance::Store;
use crate::queue::{Fate, HeldJob, Settled, WorkerId};
use crate::reason::{Cause, Reason};
use crate::run::Mode;

/// By when a job is promised to start that could start at that instant.
const PROMPT: Duration = Duration::from_secs(1);

pub(crate) async fn an_idle_pool_starts_new_work_at_once(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    let pool = floor.pool(4, LONG, recover);
    let run = floor.bench.run_of(Mode::Manual).await;
    let mut waits = Vec::new();
    for meeting in 0..40 {
        let began = Instant::now();
        floor.bench.enqueue(&run, &[meeting]).await;
        assert_eq!(floor.next().await, started(meeting, 1));
        waits.push(began.elapsed());
        assert_eq!(floor.next().await, Report::Settled(Settled::Done));
    }
    waits.sort();
    println!("from enqueueing to the start: median {:?}, longest {:?}", waits[20], waits[39]);
    assert!(waits[20] < Duration::from_millis(100), "{waits:?}");
    floor.stop.cancel();
    pool.await.unwrap().unwrap();
}

pub(crate) async fn an_abandoned_job_starts_within_a_second_of_the_end_of_its_lease(store: Store) {
    const LEASE: Duration = Duration::from_millis(700);
    let mut floor = Floor::new(store, LEASE).await;
    let run = floor.bench.run_of(Mode::Manual).await;
    let mut waits = Vec::new();
    for meeting in 1..=3 {
        floor.bench.enqueue(&run, &[meeting]).await;
        let began = Instant::now();
        let abandoned = floor.bench.queue.claim(&WorkerId::new(), 1).await.unwrap();
        assert_eq!(abandoned.len(), 1);
        let pool = floor.pool(1, LONG, recover);
        assert_eq!(floor.next().await, started(meeting, 2));
        waits.push(began.elapsed());
        assert_eq!(floor.next().await, Report::Settled(Settled::Done));
        floor.stop.cancel();
        pool.await.unwrap().unwrap();
        floor.stop = tokio_util::sync::CancellationToken::new();
    }
    println!("abandoned jobs started {waits:?} after they were claimed for {LEASE:?}");
    assert!(waits.iter().all(|wait| *wait >= LEASE), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait <= LEASE + PROMPT), "{waits:?}");
}

fn later(by: Duration) -> (chrono::DateTime<chrono::Utc>, Cause) {
    (chrono::Utc::now() + by, Cause::new(Reason::Throttled, "told by a test"))
}

pub(crate) async fn a_snoozed_job_starts_when_it_is_due_and_is_not_charged(store: Store) {
    const WAIT: Duration = Duration::from_millis(300);
    let mut floor = Floor::new(store, LONG).await;
    floor.bench.run_with(&[1]).await;
    let rounds = Arc::new(AtomicU64::new(0));
    let pool = floor.pool(1, LONG, move |job: HeldJob, report| {
        let round = rounds.fetch_add(1, Ordering::SeqCst);
        async move {
            let (until, cause) = later(WAIT);
            if round < 3 {
                settle_and_report(job, Fate::Snooze { until, cause }, report).await;
            } else {
                recover(job, report).await;
            }
        }
    });
    let mut waits = Vec::new();
    let mut began = None;
    for _ in 0..4 {
        assert_eq!(floor.next().await, started(1, 1), "waiting costs no start");
        waits.extend(began.map(|began: Instant| began.elapsed()));
        began = Some(Instant::now());
        assert_eq!(floor.next().await, Report::Settled(Settled::Done));
    }
    println!("snoozed for {WAIT:?}, it started after {waits:?}");
    // Instants are whole milliseconds, and the report of a start comes a little after it.
    assert!(waits.iter().all(|wait| *wait + Duration::from_millis(20) >= WAIT), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait <= WAIT + PROMPT), "{waits:?}");
    floor.stop.cancel();
    pool.await.unwrap().unwrap();
}

pub(crate) async fn a_job_that_always_fails_is_dead_after_its_last_start(store: Store) {
    let mut floor = Floor::new(store, LONG).await;
    let run = floor.bench.run_with(&[1, 2]).await;
    let pool = floor.pool(1, LONG, |job: HeldJob, report| async move {
        let (at, cause) = later(Duration::from_millis(5));
        if job.payload().uuid.as_str().contains('1') {
            settle_and_report(job, Fate::Retry { at, cause }, report).await;
        } else {
            recover(job, report).await;
        }
    });
    for _round in 0..2 {
        let mut starts = Vec::new();
        loop {
            match floor.next().await {
                Report::Started { starts: now, meeting } if meeting.contains('1') => starts.push(now),
                Report::Settled(Settled::Died) => break,
                _ => {}
            }
        }
        assert_eq!(starts, [1, 2, 3], "as many as queue.max_attempts");
        let dead = floor.bench.queue.dead(&run, None, 9).await.unwrap();
        assert_eq!((dead.len(), dead[0].starts, dead[0].cause.reason), (1, 3, Reason::Throttled));
        assert_eq!(floor.depth().await.dead, 1);
        // Taken up again, it has all its starts again.
        floor.bench.queue.retry(&run, None).await.unwrap();
    }
    while floor.bench.counts(&run).await.recovered == 0 {
        floor.next().await;
    }
    floor.stop.cancel();
    pool.await.unwrap().unwrap();
}
