//! Q8: what is served first, and when a wait is over.

use std::time::Duration;

use futures_util::future::join_all;

use super::Bench;
use super::bench::{MOMENT, RECOVERED, because, ends, numbers};
use crate::queue::{Depth, Fate, JobState, NewJob, Settled, WorkLeft};
use crate::reason::Reason;
use crate::run::{Mode, Tally};

/// A store that takes all that is due in one step stands still at some number.
pub async fn q8_thousands_that_are_due_at_once_are_worked_off(bench: Bench) {
    const JOBS: u32 = 8_100;
    let run = bench.run_of(Mode::Manual).await;
    for batch in (0..JOBS).collect::<Vec<_>>().chunks(300) {
        bench.enqueue(&run, batch).await;
    }
    let until = bench.now() + Duration::from_secs(60);
    let delayed = each(&bench, || Fate::Snooze { until, cause: because(Reason::Throttled) }).await;
    assert_eq!(delayed, u64::from(JOBS));
    assert_eq!(bench.queue.work_left(&run).await.expect("read").retrying, delayed);
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(each(&bench, || RECOVERED).await, delayed);
    assert_eq!(bench.counts(&run).await.recovered, delayed);
    assert_eq!(bench.queue.depth().await, Ok(Depth::default()));
}

/// Settles all that can be claimed.
async fn each(bench: &Bench, fate: impl Fn() -> Fate) -> u64 {
    let mut settled = 0;
    loop {
        let jobs = bench.claim(256).await;
        if jobs.is_empty() {
            return settled;
        }
        let done = join_all(jobs.iter().map(|job| bench.settle(job, fate()))).await;
        settled += done.iter().filter(|settled| **settled == Settled::Done).count() as u64;
    }
}

pub async fn q8_class_before_deadline_and_deadline_before_run(bench: Bench) {
    let automatic = bench.run_of(Mode::Automatic).await;
    bench.enqueue(&automatic, &[1, 2]).await;
    let manual = bench.run_of(Mode::Manual).await;
    bench.enqueue(&manual, &[9, 5, 7]).await;
    let specific = bench.run_of(Mode::Specific).await;
    bench.enqueue(&specific, &[8, 6]).await;
    assert_eq!(numbers(&bench.claim(2).await), [5, 6]);
    assert_eq!(numbers(&bench.claim(4).await), [7, 8, 9, 1]);
    assert_eq!(numbers(&bench.claim(4).await), [2]);
}

pub async fn q8_a_snoozed_job_runs_when_it_is_due(bench: Bench) {
    let run = bench.run_with(&[1]).await;
    let job = bench.claim_one().await;
    let (delay, due) = (Duration::from_secs(3600), bench.now() + Duration::from_secs(3600));
    bench.settle(&job, Fate::Snooze { until: due, cause: because(Reason::Throttled) }).await;
    let left = bench.queue.jobs(&run, None, 9).await.expect("read");
    assert_eq!((left[0].state, left[0].due), (JobState::Delayed, Some(due)));

    bench.clock.advance(delay.saturating_sub(MOMENT));
    assert!(bench.claim(1).await.is_empty());
    assert_eq!(ends(&bench, bench.queue.wait_for_work(), 50).await, None);
    let (waited, ()) = tokio::join!(bench.queue.wait_for_work(), async {
        bench.clock.advance(MOMENT);
    });
    assert_eq!(waited, Ok(()));
    bench.claim_one().await;
}

pub async fn q8_new_work_wakes_who_waits(bench: Bench) {
    assert_eq!(ends(&bench, bench.queue.wait_for_work(), 50).await, None);
    let (waited, run) = tokio::join!(bench.queue.wait_for_work(), bench.run_with(&[1]));
    assert_eq!(waited, Ok(()));

    let job = bench.claim_one().await;
    let (waited, _) = tokio::join!(bench.queue.wait_for_work(), bench.settle(&job, Fate::Release));
    assert_eq!(waited, Ok(()));

    bench.queue.pause(Some(&run)).await.expect("paused");
    assert_eq!(ends(&bench, bench.queue.wait_for_work(), 50).await, None);
    let (waited, resumed) = tokio::join!(bench.queue.wait_for_work(), bench.queue.resume(Some(&run)));
    assert_eq!((waited, resumed), (Ok(()), Ok(())));

    // Work that another process brings.
    let job = bench.claim_one().await;
    bench.settle(&job, RECOVERED).await;
    let other = bench.open_again().await;
    let jobs = [bench.job(2)];
    let (waited, enqueued) =
        tokio::join!(bench.queue.wait_for_work(), other.enqueue(&run, &jobs, Tally::default()));
    assert_eq!((waited, enqueued.expect("enqueued").len()), (Ok(()), 1));
}

pub async fn q8_a_listing_that_shows_the_archive_complete_makes_the_job_due(bench: Bench) {
    let run = bench.run_with(&[1, 2]).await;
    let until = bench.now() + Duration::from_secs(3600);
    let reasons = [Reason::ArchiveProcessing, Reason::Throttled];
    for (job, reason) in bench.claim(2).await.iter().zip(reasons) {
        bench.settle(job, Fate::Snooze { until, cause: because(reason) }).await;
    }
    let listed = |meeting, ready| NewJob { ready, ..bench.job(meeting) };
    let next = bench.run_of(Mode::Manual).await;
    bench.queue.enqueue(&next, &[listed(1, false)], Tally::default()).await.expect("enqueued");
    assert!(bench.claim(9).await.is_empty());
    bench.queue.enqueue(&run, &[listed(1, true), listed(2, true)], Tally::default()).await.expect("enqueued");
    // A rate limit is none of the listing's business.
    assert_eq!(numbers(&bench.claim(9).await), [1]);
}

pub async fn q8_work_left_names_what_a_run_waits_for(bench: Bench) {
    let run = bench.run_with(&[1, 2, 3, 4]).await;
    let jobs = bench.claim(3).await;
    let soon = bench.now() + Duration::from_secs(60);
    let late = bench.now() + Duration::from_secs(300);
    bench.settle(&jobs[0], Fate::Snooze { until: late, cause: because(Reason::ArchiveProcessing) }).await;
    bench.settle(&jobs[1], Fate::Retry { at: soon, cause: because(Reason::Network) }).await;
    let left = WorkLeft {
        ready: 1,
        leased: 1,
        retrying: 1,
        waiting_for_zoom: 1,
        held: 0,
        next_due: Some(soon),
        nearest_deadline: Some(bench.job(1).payload.deadline),
    };
    assert_eq!(bench.queue.work_left(&run).await, Ok(left));
    bench.queue.pause(Some(&run)).await.expect("paused");
    assert_eq!(bench.queue.work_left(&run).await, Ok(WorkLeft { ready: 0, held: 1, ..left }));

    // The jobs count for whoever wants them, whoever owns them.
    let other = bench.run_of(Mode::Manual).await;
    assert_eq!(bench.queue.work_left(&other).await, Ok(WorkLeft::default()));
    bench.enqueue(&other, &[4]).await;
    assert_eq!(bench.queue.work_left(&other).await.expect("read").held, 1);

    let depth = bench.queue.depth().await.expect("read");
    assert_eq!((depth.ready, depth.held, depth.leased, depth.delayed), (0, 1, 1, 2));
    assert_eq!(depth.nearest_deadline, left.nearest_deadline);
    assert_eq!((depth.oldest, depth.dead, depth.paused), (Some(bench.now()), 0, false));
}
