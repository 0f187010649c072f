//! Q1, Q2, Q9, Q10: what is on the queue stays there, once, until it is over.

use super::Bench;
use super::bench::{RECOVERED, because, ends, numbers, uuid};
use crate::queue::{Depth, Enqueued, Fate, QueueError, Settled};
use crate::reason::Reason;
use crate::run::{Mode, Tally};

pub async fn q1_what_was_acknowledged_is_there_after_reopening(bench: Bench) {
    let run = bench.run_with(&[1, 2, 3]).await;
    let job = bench.claim_one().await;
    bench
        .settle(&job, Fate::Snooze { until: bench.now() + bench.lease(), cause: because(Reason::Throttled) })
        .await;
    let before = (bench.queue.depth().await, bench.run(&run).await);

    let again = bench.open_again().await;
    assert_eq!(again.depth().await, before.0);
    assert_eq!(again.run(&run).await, Ok(Some(before.1)));
    let claimed = again.claim(&bench.worker, 9).await.expect("claimed");
    assert_eq!(numbers(&claimed), [2, 3]);
}

pub async fn q1_leases_outlive_their_process_and_then_end(bench: Bench) {
    bench.run_with(&[1]).await;
    let lost = bench.claim_one().await;
    let again = bench.open_again().await;
    assert!(again.claim(&bench.worker, 9).await.expect("claimed").is_empty());
    bench.clock.advance(bench.lease());
    let found = again.claim(&bench.worker, 9).await.expect("claimed");
    assert_eq!(numbers(&found), [1]);
    assert!(found[0].lease.fence > lost.lease.fence);
    assert_eq!(found[0].starts, 2);
}

pub async fn q2_a_meeting_has_one_unfinished_job(bench: Bench) {
    let first = bench.run_with(&[1]).await;
    let job = bench.claim_one().await;
    let second = bench.run_of(Mode::Automatic).await;
    assert_eq!(bench.enqueue(&second, &[1]).await, [Enqueued::Duplicate { owner: first.clone() }]);
    assert_eq!(bench.enqueue(&second, &[1]).await, [Enqueued::Already]);
    assert_eq!(bench.enqueue(&first, &[1]).await, [Enqueued::Already]);

    assert_eq!(bench.queue.depth().await.expect("read").unfinished(), 1);
    for run in [&first, &second] {
        let counts = bench.counts(run).await;
        assert_eq!((counts.listed, counts.missing, counts.detected, counts.pending), (1, 1, 1, 1));
    }
    // Nothing of the job has changed: it is still leased by the same token.
    assert_eq!(bench.settle(&job, RECOVERED).await, Settled::Done);
}

pub async fn q2_a_meeting_that_stands_twice_in_a_batch_counts_once(bench: Bench) {
    let run = bench.run_of(Mode::Manual).await;
    assert_eq!(bench.enqueue(&run, &[1, 2, 1]).await, [Enqueued::New, Enqueued::New, Enqueued::Already]);
    let counts = bench.counts(&run).await;
    assert_eq!((counts.listed, counts.detected, counts.pending), (2, 2, 2));
    assert!(counts.balance());
}

pub async fn q2_a_finished_meeting_can_be_enqueued_again(bench: Bench) {
    bench.run_with(&[1]).await;
    let job = bench.claim_one().await;
    assert_eq!(bench.settle(&job, RECOVERED).await, Settled::Done);
    let next = bench.run_of(Mode::Manual).await;
    assert_eq!(bench.enqueue(&next, &[1]).await, [Enqueued::New]);
}

pub async fn q2_four_producers_of_the_same_meetings_make_one_job_of_each(bench: Bench) {
    const MEETINGS: u32 = 400;
    let batches: Vec<Vec<u32>> = (0..MEETINGS).collect::<Vec<_>>().chunks(50).map(<[u32]>::to_vec).collect();
    let produce = || async {
        let queue = bench.open_again().await;
        let run = bench.run_of(Mode::Manual).await;
        let mut new = 0;
        for batch in &batches {
            let jobs: Vec<_> = batch.iter().map(|meeting| bench.job(*meeting)).collect();
            let answers = queue.enqueue(&run, &jobs, Tally::default()).await.expect("enqueued");
            new += answers.iter().filter(|answer| **answer == Enqueued::New).count();
        }
        (run, new)
    };
    let first = tokio::join!(produce(), produce(), produce(), produce());
    let runs = [first.0, first.1, first.2, first.3];
    assert_eq!(runs.iter().map(|(_, new)| new).sum::<usize>(), MEETINGS as usize);
    assert_eq!(bench.queue.depth().await.expect("read").unfinished(), u64::from(MEETINGS));

    // While they are worked on, nothing is new; whose books they are in, all are told.
    let jobs = bench.claim(MEETINGS as usize).await;
    assert_eq!(produce().await.1, 0);
    futures_util::future::join_all(jobs.iter().map(|job| bench.settle(job, RECOVERED))).await;
    while let [job, ..] = &bench.claim(1).await[..] {
        bench.settle(job, RECOVERED).await;
    }
    for (run, _) in &runs {
        let counts = bench.counts(run).await;
        assert_eq!((counts.detected, counts.recovered, counts.pending), (400, 400, 0));
    }
    assert_eq!(produce().await.1, MEETINGS as usize, "what is finished may be wanted again");
}

pub async fn q2_a_queue_is_of_one_account(bench: Bench) {
    bench.queue.may_belong_to("theirs").await.expect("it is nobody's");
    bench.queue.belong_to("ours").await.expect("it was nobody's");
    let run = bench.run_with(&[1]).await;
    let again = bench.open_again().await;
    again.belong_to("ours").await.expect("it is ours");
    assert!(again.may_belong_to("theirs").await.is_err());
    again.may_belong_to("ours").await.expect("it is ours");
    let refused = again.belong_to("theirs").await.expect_err("there is work of ours");
    assert!(matches!(refused, QueueError::OtherAccount { .. }) && !refused.is_transient(), "{refused}");
    assert!(refused.to_string().contains("zoom.account_id is theirs"), "{refused}");

    // What was given up is ours too.
    let job = bench.claim_one().await;
    bench.settle(&job, Fate::Dead { cause: because(Reason::ZoomRefused) }).await;
    assert!(again.belong_to("theirs").await.is_err());
    bench.queue.retry(&run, None).await.expect("retried");
    let job = bench.claim_one().await;
    bench.settle(&job, RECOVERED).await;
    again.may_belong_to("theirs").await.expect("there is nothing of ours in it");
    bench.run_with(&[3]).await;
    again.belong_to("ours").await.expect("asking has changed nothing");
    let job = bench.claim_one().await;
    bench.settle(&job, RECOVERED).await;
    again.belong_to("theirs").await.expect("there is nothing of ours in it");
    bench.run_with(&[2]).await;
    assert!(bench.queue.belong_to("ours").await.is_err());
}

pub async fn q9_a_finished_job_leaves_nothing_behind(bench: Bench) {
    let run = bench.run_with(&[1, 2, 3]).await;
    for job in bench.claim(9).await {
        assert_eq!(bench.settle(&job, RECOVERED).await, Settled::Done);
    }
    assert_eq!(bench.queue.depth().await, Ok(Depth::default()));
    assert_eq!(bench.queue.jobs(&run, None, 9).await, Ok(Vec::new()));
    assert_eq!(bench.queue.dead(&run, None, 9).await, Ok(Vec::new()));
}

pub async fn q9_the_producer_waits_at_the_high_water_mark(bench: Bench) {
    let mark = u32::try_from(bench.store.settings.high_water).expect("a small mark");
    let meetings: Vec<u32> = (0..mark).collect();
    bench.run_with(&meetings[1..]).await;
    bench.queue.below_high_water().await.expect("one below the mark");

    let run = bench.run_with(&[]).await;
    let [last, one_more] = [0, mark].map(|meeting| [bench.job(meeting)]);
    let enqueued = bench.queue.enqueue_if_there_is_room(&run, &last, Tally::default()).await;
    assert_eq!(enqueued, Ok(Some(vec![Enqueued::New])));
    assert_eq!(bench.queue.enqueue_if_there_is_room(&run, &one_more, Tally::default()).await, Ok(None));
    assert_eq!(bench.counts(&run).await.detected, 1, "it is in the books and not on the queue");
    assert_eq!(ends(&bench, bench.queue.below_high_water(), 50).await, None);

    let job = bench.claim_one().await;
    let (room, settled) = tokio::join!(bench.queue.below_high_water(), bench.settle(&job, RECOVERED));
    assert_eq!((room, settled), (Ok(()), Settled::Done));
}

pub async fn q10_an_unreadable_payload_is_dead_and_the_rest_goes_on(bench: Bench) {
    let run = bench.run_with(&[1, 2, 3, 4]).await;
    let damaged = [(1, r#"{"v":1,"uuid"#), (2, r#"{"v":99}"#), (3, "")];
    for (meeting, payload) in damaged {
        (bench.store.spoil)(uuid(meeting).to_string(), payload.to_owned()).await;
    }
    assert_eq!(numbers(&bench.claim(9).await), [4]);
    let dead = bench.queue.dead(&run, None, 9).await.expect("read");
    assert_eq!(dead.len(), 3);
    for (dead, (meeting, payload)) in dead.iter().zip(damaged) {
        assert_eq!((&dead.uuid, dead.raw.as_str(), &dead.payload), (&uuid(meeting), payload, &None));
        assert_eq!(dead.cause.reason, Reason::PayloadUnreadable);
    }
    let counts = bench.counts(&run).await;
    assert_eq!((counts.failed, counts.pending), (3, 1));
    assert!(counts.balance());
}
