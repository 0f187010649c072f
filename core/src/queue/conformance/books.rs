//! Q7: the books move with the jobs, exactly.

use std::time::Duration;

use super::Bench;
use super::bench::{MOMENT, RECOVERED, a_run, because, uuid};
use crate::queue::{Fate, NewJob, QueueError, Settled, Wanted};
use crate::reason::{Outcome, Reason};
use crate::run::{Counts, Mode, RunId, RunState, Tally, Unproven};

pub async fn q7_a_batch_is_booked_with_its_tally(bench: Bench) {
    let run = bench.run_of(Mode::Manual).await;
    let NewJob { mut payload, ready } = bench.job(2);
    payload.wanted = Wanted::Files(vec!["0b7c".into()]);
    let batch = [bench.job(1), NewJob { payload, ready }, bench.job(3)];
    let tally = Tally { present: 10, excluded: 3, indeterminate: 2 };
    bench.queue.enqueue(&run, &batch, tally).await.expect("enqueued");

    let books = Counts { listed: 18, present: 10, excluded: 3, indeterminate: 2, ..Counts::default() };
    let books = Counts { missing: 2, incomplete: 1, detected: 3, pending: 3, ..books };
    assert_eq!(bench.counts(&run).await, books);
    assert!(books.balance());
}

pub async fn q7_every_outcome_moves_the_books_of_every_run_once(bench: Bench) {
    let first = bench.run_with(&[1, 2, 3, 4, 5]).await;
    let second = bench.run_of(Mode::Automatic).await;
    bench.enqueue(&second, &[1, 2, 3, 4]).await;
    let mut wanting = [first.clone(), second.clone()];
    wanting.sort();

    let jobs = bench.claim(9).await;
    let outcomes = [Outcome::Recovered, Outcome::Unavailable, Outcome::Expired];
    for (job, outcome) in jobs.iter().zip(outcomes) {
        assert_eq!(job.runs, wanting);
        assert_eq!(bench.settle(job, Fate::Finish { outcome }).await, Settled::Done);
        assert_eq!(bench.settle(job, Fate::Finish { outcome }).await, Settled::Lost);
    }
    bench.settle(&jobs[3], Fate::Dead { cause: because(Reason::ZoomRefused) }).await;
    let failed = Fate::Finish { outcome: Outcome::Failed };
    assert_eq!(bench.queue.settle(&jobs[4].lease, failed).await, Err(QueueError::FailedWithoutCause));

    let ends = Counts { recovered: 1, failed: 1, unavailable: 1, expired: 1, ..Counts::default() };
    let books = |meetings, pending| Counts {
        listed: meetings,
        missing: meetings,
        detected: meetings,
        pending,
        ..ends
    };
    assert_eq!(bench.counts(&first).await, books(5, 1));
    assert_eq!(bench.counts(&second).await, books(4, 0));
}

pub async fn q7_what_was_moved_is_booked_with_every_fate(bench: Bench) {
    let run = bench.run_with(&[1]).await;
    let other = bench.run_of(Mode::Automatic).await;
    bench.enqueue(&other, &[1]).await;
    let cause = || because(Reason::Throttled);
    let fates = [
        Fate::Snooze { until: bench.now(), cause: cause() },
        Fate::Retry { at: bench.now(), cause: cause() },
        Fate::Release,
        Fate::Dead { cause: cause() },
    ];
    for (round, fate) in (1..).zip(fates) {
        let job = bench.claim_one().await;
        assert_eq!(bench.settle(&job, fate.moved(1, 1000)).await, Settled::Done);
        for run in [&run, &other] {
            let counts = bench.counts(run).await;
            assert_eq!((counts.files, counts.bytes), (round, round * 1000));
        }
    }
}

pub async fn q7_the_last_meeting_completes_the_run(bench: Bench) {
    let run = bench.run_with(&[1, 2]).await;
    let jobs = bench.claim(2).await;
    bench.settle(&jobs[0], RECOVERED).await;
    let unproven = vec![Unproven {
        from: bench.now() - Duration::from_secs(60),
        to: bench.now(),
        dimension: "meeting_start_time".into(),
        detail: "page 2 was refused".into(),
    }];
    assert_eq!(bench.queue.enumerated(&run, &unproven).await, Ok(RunState::Running));
    bench.clock.advance(Duration::from_millis(5));
    bench.settle(&jobs[1], RECOVERED).await;
    let run = bench.run(&run).await;
    assert_eq!((run.state, run.finished_at), (RunState::Completed, Some(bench.now())));
    assert_eq!(run.unproven, unproven);
    assert_eq!(run.counts.recovered, 2);
}

pub async fn q7_a_run_without_work_completes_when_it_is_enumerated(bench: Bench) {
    let run = bench.run_of(Mode::Manual).await;
    let tally = Tally { present: 2, ..Tally::default() };
    bench.queue.enqueue(&run, &[], tally).await.expect("enqueued");
    assert_eq!(bench.queue.enumerated(&run, &[]).await, Ok(RunState::Completed));
    assert!(bench.run(&run).await.reconciled());

    let again = a_run(&run, Mode::Manual, bench.now());
    assert_eq!(bench.queue.create_run(&again).await, Err(QueueError::RunExists(run)));
}

pub async fn q7_an_end_stays_an_end_and_counts_still_move(bench: Bench) {
    let run = bench.run_with(&[1, 2]).await;
    assert_eq!(
        bench.queue.end_run(&run, RunState::Stopped, Some("Zoom went away")).await,
        Ok(RunState::Stopped)
    );
    for end in [RunState::Completed, RunState::Failed, RunState::Cancelled] {
        assert_eq!(bench.queue.end_run(&run, end, None).await, Ok(RunState::Stopped));
    }
    assert_eq!(bench.queue.enumerated(&run, &[]).await, Ok(RunState::Stopped));
    assert_eq!(
        bench.queue.end_run(&run, RunState::Running, None).await,
        Err(QueueError::NoEnd(RunState::Running))
    );
    let over = QueueError::RunOver { run: run.clone(), state: RunState::Stopped };
    assert_eq!(bench.queue.enqueue(&run, &[bench.job(3)], Tally::default()).await, Err(over));

    for job in bench.claim(2).await {
        bench.settle(&job, RECOVERED).await;
    }
    let run = bench.run(&run).await;
    assert_eq!((run.state, run.ended_because.as_deref()), (RunState::Stopped, Some("Zoom went away")));
    assert_eq!((run.counts.recovered, run.counts.pending), (2, 0));

    // Newest first, as many as asked for.
    bench.clock.advance(MOMENT);
    let newer = bench.run_of(Mode::Manual).await;
    let listed = bench.queue.runs(9).await.expect("read");
    assert_eq!(listed.iter().map(|run| &run.id).collect::<Vec<_>>(), [&newer, &run.id]);
    assert_eq!(bench.queue.runs(1).await.expect("read").len(), 1);
}

pub async fn q7_a_producer_that_fell_silent_is_shown_as_stopped(bench: Bench) {
    let run = bench.run_with(&[1]).await;
    let until = bench.now() + bench.lease() * 2;
    bench.queue.producer_beat(&run, until).await.expect("beaten");
    bench.clock.advance(bench.lease() * 2);
    assert_eq!(bench.state(&run).await, RunState::Enumerating);
    bench.clock.advance(MOMENT);
    let silent = bench.run(&run).await;
    assert_eq!((silent.state, silent.finished_at), (RunState::Stopped, Some(until)));
    assert_eq!(silent.ended_because.as_deref(), Some("its producer ended without saying so"));
    // It was only slow: nothing is lost by what was shown.
    bench.queue.producer_beat(&run, bench.now() + bench.lease()).await.expect("beaten");
    assert_eq!(bench.state(&run).await, RunState::Enumerating);
    assert_eq!(bench.queue.enumerated(&run, &[]).await, Ok(RunState::Running));
}

pub async fn q7_a_refused_batch_changes_nothing(bench: Bench) {
    let unknown = RunId::new(bench.now());
    let (run, job) = (bench.run_of(Mode::Manual).await, bench.job(1));
    let batch = std::slice::from_ref(&job);
    let tally = Tally { present: 1, ..Tally::default() };
    // Side by side, so that they may share a commit.
    let (refused, taken) =
        tokio::join!(bench.queue.enqueue(&unknown, batch, tally), bench.queue.enqueue(&run, batch, tally));
    assert_eq!(refused, Err(QueueError::UnknownRun(unknown.clone())));
    assert_eq!(taken.expect("enqueued").len(), 1);
    let counts = bench.counts(&run).await;
    assert_eq!((counts.listed, counts.present, counts.pending), (2, 1, 1));
    assert_eq!(bench.queue.run(&unknown).await, Ok(None));
    assert_eq!(bench.queue.jobs(&run, None, 9).await.expect("read")[0].uuid, uuid(1));
}
