//! Q12: an operator's hands in a queue that is at work.

use futures_util::future::join_all;

use super::Bench;
use super::bench::{RECOVERED, because, ends, numbers, uuid};
use crate::queue::{CancelReport, ExtendOutcome, Fate, QueueError, RetryReport, Settled};
use crate::reason::Reason;
use crate::run::{Mode, RunId, RunState};

pub async fn q12_a_paused_run_is_held_and_others_go_on(bench: Bench) {
    let run = bench.run_with(&[1, 2]).await;
    let started = bench.claim_one().await;
    bench.queue.enumerated(&run, &[]).await.expect("enumerated");
    bench.queue.pause(Some(&run)).await.expect("paused");
    assert_eq!(bench.state(&run).await, RunState::Paused);

    let other = bench.run_of(Mode::Automatic).await;
    bench.enqueue(&other, &[2, 3]).await;
    // Meeting 2 is the paused run's, although the other wants it too.
    assert_eq!(numbers(&bench.claim(9).await), [3]);
    // What was started goes on.
    assert_eq!(bench.settle(&started, RECOVERED).await, Settled::Done);

    bench.queue.resume(Some(&run)).await.expect("resumed");
    assert_eq!(bench.state(&run).await, RunState::Running);
    assert_eq!(numbers(&bench.claim(9).await), [2]);
    let unknown = RunId::new(bench.now());
    assert_eq!(bench.queue.pause(Some(&unknown)).await, Err(QueueError::UnknownRun(unknown)));
}

pub async fn q12_a_paused_queue_hands_out_nothing_even_after_reopening(bench: Bench) {
    bench.run_with(&[1]).await;
    bench.queue.pause(None).await.expect("paused");
    assert!(bench.claim(9).await.is_empty());
    let again = bench.open_again().await;
    assert!(again.claim(&bench.worker, 9).await.expect("claimed").is_empty());
    assert_eq!(ends(&bench, again.wait_for_work(), 50).await, None);
    let depth = again.depth().await.expect("read");
    assert_eq!((depth.paused, depth.held, depth.ready), (true, 1, 0));

    let (waited, resumed) = tokio::join!(again.wait_for_work(), bench.queue.resume(None));
    assert_eq!((waited, resumed), (Ok(()), Ok(())));
    assert_eq!(numbers(&bench.claim(9).await), [1]);
}

pub async fn q12_cancelling_takes_jobs_away_from_their_holders(bench: Bench) {
    let run = bench.run_with(&[1, 2, 3]).await;
    let jobs = bench.claim(2).await;
    bench.settle(&jobs[0], RECOVERED).await;
    let report = CancelReport { state: RunState::Cancelled, removed: 2, passed_on: 0 };
    assert_eq!(bench.queue.cancel(&run).await, Ok(report));

    assert_eq!(bench.queue.extend(std::slice::from_ref(&jobs[1].lease)).await, Ok(vec![ExtendOutcome::Lost]));
    assert_eq!(bench.settle(&jobs[1], RECOVERED).await, Settled::Lost);
    assert_eq!(bench.queue.depth().await.expect("read").unfinished(), 0);
    let cancelled = bench.run(&run).await;
    assert_eq!((cancelled.state, cancelled.finished_at), (RunState::Cancelled, Some(bench.now())));
    assert_eq!((cancelled.counts.recovered, cancelled.counts.pending), (1, 2));
    assert!(cancelled.counts.balance());

    let nothing = CancelReport { removed: 0, ..report };
    assert_eq!(bench.queue.cancel(&run).await, Ok(nothing));
    let done = bench.run_of(Mode::Manual).await;
    bench.queue.enumerated(&done, &[]).await.expect("enumerated");
    let kept = CancelReport { state: RunState::Completed, ..nothing };
    assert_eq!(bench.queue.cancel(&done).await, Ok(kept));
}

pub async fn q12_cancelling_leaves_the_jobs_that_others_want(bench: Bench) {
    let owner = bench.run_with(&[1, 2]).await;
    let automatic = bench.run_of(Mode::Automatic).await;
    bench.enqueue(&automatic, &[1]).await;
    let manual = bench.run_of(Mode::Manual).await;
    bench.enqueue(&manual, &[1]).await;
    let leased = bench.claim_one().await;

    let report = CancelReport { state: RunState::Cancelled, removed: 1, passed_on: 1 };
    assert_eq!(bench.queue.cancel(&owner).await, Ok(report));
    let left = bench.queue.jobs(&automatic, None, 9).await.expect("read");
    assert_eq!((left.len(), &left[0].owner), (1, &manual), "the run that is served first owns it");

    assert_eq!(bench.settle(&leased, RECOVERED).await, Settled::Done);
    for (run, recovered) in [(&owner, 0), (&automatic, 1), (&manual, 1)] {
        assert_eq!(bench.counts(run).await.recovered, recovered);
        assert!(bench.counts(run).await.balance());
    }
}

pub async fn q12_retrying_takes_up_what_was_given_up(bench: Bench) {
    let run = bench.run_with(&[1, 2, 3]).await;
    bench.queue.enumerated(&run, &[]).await.expect("enumerated");
    for job in bench.claim(3).await {
        bench.settle(&job, Fate::Dead { cause: because(Reason::ZoomRefused) }).await;
    }
    assert_eq!(bench.state(&run).await, RunState::Completed);
    // A dead meeting is counted already: listing it again changes nothing, and does not bring it back.
    let listed = bench.run(&run).await.counts;
    let page = bench.queue.dead(&run, Some(&uuid(1)), 1).await.expect("read");
    assert_eq!((page.len(), &page[0].uuid), (1, &uuid(2)));

    let only = [uuid(2), uuid(9)];
    let report = RetryReport { requeued: 1, already_queued: 0 };
    assert_eq!(bench.queue.retry(&run, Some(&only)).await, Ok(report));
    let retried = bench.run(&run).await;
    assert_eq!((retried.state, retried.finished_at), (RunState::Running, None));
    assert_eq!(
        (retried.counts.failed, retried.counts.pending, retried.counts.detected),
        (2, 1, listed.detected)
    );

    let job = bench.claim_one().await;
    assert_eq!(
        (numbers(std::slice::from_ref(&job)), job.starts, job.owner.clone()),
        (vec![2], 1, run.clone())
    );
    bench.settle(&job, RECOVERED).await;
    assert_eq!(bench.state(&run).await, RunState::Completed);

    let (waited, report) = tokio::join!(bench.queue.wait_for_work(), bench.queue.retry(&run, None));
    assert_eq!((waited, report), (Ok(()), Ok(RetryReport { requeued: 2, already_queued: 0 })));
    assert_eq!(bench.queue.retry(&run, None).await, Ok(RetryReport::default()));
    assert_eq!(bench.state(&run).await, RunState::Running);
    assert!(bench.counts(&run).await.balance());
}

pub async fn q12_many_are_given_up_and_retried(bench: Bench) {
    const MANY: u32 = 450;
    let run = bench.run_of(Mode::Manual).await;
    for batch in (0..MANY).collect::<Vec<_>>().chunks(150) {
        bench.enqueue(&run, batch).await;
    }
    for round in 1..=2 {
        let mut given_up = 0;
        while given_up < MANY as usize {
            let jobs = bench.claim(200).await;
            assert!(jobs.iter().all(|job| job.starts == 1), "in round {round} all starts are there");
            let dead = || Fate::Dead { cause: because(Reason::ZoomRefused) };
            join_all(jobs.iter().map(|job| bench.settle(job, dead()))).await;
            given_up += jobs.len();
        }
        assert_eq!(bench.counts(&run).await.failed, u64::from(MANY));
        let report = RetryReport { requeued: u64::from(MANY), already_queued: 0 };
        assert_eq!(bench.queue.retry(&run, None).await, Ok(report));
        let counts = bench.counts(&run).await;
        assert_eq!((counts.failed, counts.pending), (0, u64::from(MANY)));
    }
}

pub async fn q12_retrying_joins_a_job_that_is_unfinished_elsewhere(bench: Bench) {
    let run = bench.run_with(&[1]).await;
    let job = bench.claim_one().await;
    bench.settle(&job, Fate::Dead { cause: because(Reason::ZoomRefused) }).await;
    let other = bench.run_with(&[1]).await;
    // The run's own listing does not join: the meeting is among its dead.
    bench.enqueue(&run, &[1]).await;
    assert_eq!(bench.counts(&run).await.listed, 1);

    let report = RetryReport { requeued: 0, already_queued: 1 };
    assert_eq!(bench.queue.retry(&run, None).await, Ok(report));
    let job = bench.claim_one().await;
    assert_eq!(job.owner, other);
    bench.settle(&job, RECOVERED).await;
    for run in [&run, &other] {
        let counts = bench.counts(run).await;
        assert_eq!((counts.recovered, counts.failed, counts.pending), (1, 0, 0));
    }
}
