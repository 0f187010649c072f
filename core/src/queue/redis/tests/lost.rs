//! Answers that are lost: what was done is done once, and is told as if nothing had happened.

use super::audit::audit;
use super::proxy::Proxy;
use super::server::Server;
use super::store;
use crate::queue::conformance::Bench;
use crate::queue::{CancelReport, Enqueued, ExtendOutcome, Fate, QueueError, RetryReport, Settled};
use crate::reason::{Cause, Outcome, Reason};
use crate::run::{Mode, RunState, Tally};

async fn behind_a_proxy() -> (Bench, Proxy, Server) {
    let server = Server::start().await;
    // The server knows the scripts, so that the first answer to each is not that it does not.
    let mut warm = store(&server);
    warm.settings.url += "?prefix=warm";
    let warm = Bench::new(warm).await;
    let run = warm.run_with(&[1]).await;
    let job = warm.claim_one().await;
    warm.queue.extend(std::slice::from_ref(&job.lease)).await.unwrap();
    warm.settle(&job, Fate::Release).await;
    warm.queue.retry(&run, None).await.unwrap();
    warm.queue.cancel(&run).await.unwrap();
    let proxy = Proxy::before(server.port()).await;
    let mut store = store(&server);
    store.settings.url = proxy.url();
    (Bench::new(store).await, proxy, server)
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_booked_once() {
    let (bench, proxy, server) = behind_a_proxy().await;
    let other = bench.run_with(&[1]).await;
    proxy.lose_the_next_answer();
    let run = bench.run_of(Mode::Manual).await;
    let batch = [bench.job(1), bench.job(2), bench.job(2)];
    let tally = Tally { present: 5, excluded: 2, indeterminate: 1 };
    for _ in 0..2 {
        proxy.lose_the_next_answer();
        let answer = bench.queue.enqueue(&run, &batch, tally).await;
        let first = [Enqueued::Duplicate { owner: other.clone() }, Enqueued::New, Enqueued::Already];
        let second = [Enqueued::Already, Enqueued::Already, Enqueued::Already];
        assert_eq!(answer, Ok(if bench.counts(&run).await.present == 5 { first } else { second }.into()));
    }
    assert_eq!(proxy.lost(), 3);
    let counts = bench.counts(&run).await;
    // The second call is another one, and says so of its tally.
    assert_eq!((counts.listed, counts.present, counts.pending), (2 + 2 * 8, 10, 2));
    assert!(counts.balance());
    audit(&server.url(), None).await;
}

#[tokio::test]
async fn a_settlement_whose_answer_is_lost_is_done_once() {
    let (bench, proxy, server) = behind_a_proxy().await;
    let run = bench.run_with(&[1, 2, 3, 4]).await;
    let cause = || Cause::new(Reason::ZoomError, "told by a test");
    let fates = [
        (Fate::Finish { outcome: Outcome::Recovered }, Settled::Done),
        (Fate::Release, Settled::Done),
        (Fate::Snooze { until: bench.now() + bench.lease(), cause: cause() }, Settled::Done),
        (Fate::Dead { cause: cause() }, Settled::Done),
    ];
    for (job, (fate, settled)) in bench.claim(4).await.iter().zip(fates) {
        let settlement = fate.moved(1, 10);
        proxy.lose_the_next_answers(2);
        let lost = bench.queue.settle(&job.lease, settlement.clone()).await;
        assert!(matches!(lost, Err(QueueError::Unreachable { .. })), "{lost:?}");
        assert_eq!(bench.queue.settle(&job.lease, settlement.clone()).await, Ok(settled));
        // That was told; who asks once more has lost the lease.
        assert_eq!(bench.queue.settle(&job.lease, settlement).await, Ok(Settled::Lost));
    }
    let counts = bench.counts(&run).await;
    assert_eq!((counts.files, counts.bytes, counts.recovered, counts.failed), (4, 40, 1, 1));
    audit(&server.url(), None).await;
}

#[tokio::test]
async fn a_last_retry_whose_answer_is_lost_is_told_to_have_died() {
    let (bench, proxy, _server) = behind_a_proxy().await;
    bench.run_with(&[1]).await;
    let retry = || Fate::Retry { at: bench.now(), cause: Cause::new(Reason::ZoomError, "told by a test") };
    for _ in 1..bench.store.settings.max_attempts {
        let job = bench.claim_one().await;
        assert_eq!(bench.settle(&job, retry()).await, Settled::Done);
    }
    let job = bench.claim_one().await;
    proxy.lose_the_next_answer();
    // A connection that broke is made again at once.
    assert_eq!(bench.settle(&job, retry()).await, Settled::Died);
    assert_eq!((proxy.lost(), bench.settle(&job, retry()).await), (1, Settled::Lost));
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_runs_out() {
    let (bench, proxy, server) = behind_a_proxy().await;
    bench.run_with(&[1]).await;
    proxy.lose_the_next_answer();
    assert!(bench.queue.claim(&bench.worker, 1).await.is_err());
    assert_eq!(bench.claim(1).await, []);
    bench.clock.advance(bench.lease());
    let job = bench.claim_one().await;
    assert_eq!(job.starts, 2);
    // Renewing is harmless to repeat.
    proxy.lose_the_next_answer();
    let leases = [job.lease];
    assert!(matches!(bench.queue.extend(&leases).await.unwrap()[..], [ExtendOutcome::Held { .. }]));
    audit(&server.url(), None).await;
}

#[tokio::test]
async fn an_operators_command_whose_answer_is_lost_is_reported_as_it_was() {
    let (bench, proxy, server) = behind_a_proxy().await;
    let run = bench.run_with(&[1, 2, 3]).await;
    for job in bench.claim(2).await {
        let cause = Cause::new(Reason::ZoomRefused, "told by a test");
        bench.settle(&job, Fate::Dead { cause }).await;
    }
    proxy.lose_the_next_answer();
    let report = RetryReport { requeued: 2, already_queued: 0 };
    assert_eq!(bench.queue.retry(&run, None).await, Ok(report));
    proxy.lose_the_next_answer();
    let report = CancelReport { state: RunState::Cancelled, removed: 3, passed_on: 0 };
    assert_eq!(bench.queue.cancel(&run).await, Ok(report));
    assert_eq!(proxy.lost(), 2);
    audit(&server.url(), None).await;
}

/// The answer to a command that was given before is none to the same words given now.
#[tokio::test]
async fn a_cancelling_after_a_retry_is_not_answered_for_a_former_one() {
    let (bench, proxy, server) = behind_a_proxy().await;
    let run = bench.run_with(&[1, 2]).await;
    let job = bench.claim_one().await;
    let cause = Cause::new(Reason::ZoomRefused, "told by a test");
    bench.settle(&job, Fate::Dead { cause }).await;
    proxy.lose_the_next_answers(2);
    let unanswered = bench.queue.cancel(&run).await;
    assert!(matches!(unanswered, Err(QueueError::Unreachable { .. })), "{unanswered:?}");
    let report = RetryReport { requeued: 1, already_queued: 0 };
    assert_eq!(bench.queue.retry(&run, None).await, Ok(report));

    let report = CancelReport { state: RunState::Cancelled, removed: 1, passed_on: 0 };
    assert_eq!(bench.queue.cancel(&run).await, Ok(report));
    assert_eq!(bench.queue.depth().await.unwrap().unfinished(), 0);
    audit(&server.url(), None).await;
}
