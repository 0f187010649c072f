//! Q3 to Q6: who may work on a job, for how long, and what a start costs.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::Bench;
use super::bench::{MOMENT, RECOVERED, because, numbers, uuid};
use crate::queue::lease::rest;
use crate::queue::{Claimed, ExtendOutcome, Fate, JobState, Settled, WorkerId};
use crate::reason::{Cause, Outcome, Reason};
use crate::run::{Mode, RunState};

/// Every way to give a job back.
fn fates(bench: &Bench) -> Vec<Fate> {
    let cause = || because(Reason::Network);
    let mut fates = vec![
        Fate::Retry { at: bench.now(), cause: cause() },
        Fate::Snooze { until: bench.now(), cause: cause() },
        Fate::Release,
        Fate::Dead { cause: cause() },
    ];
    let outcomes = [Outcome::Recovered, Outcome::Unavailable, Outcome::Expired];
    fates.extend(outcomes.map(|outcome| Fate::Finish { outcome }));
    fates
}

/// That the holder of the lease is refused everything and changes nothing.
async fn is_powerless(bench: &Bench, job: &Claimed) {
    let before = (bench.queue.depth().await, bench.queue.runs(99).await);
    assert_eq!(bench.queue.extend(std::slice::from_ref(&job.lease)).await, Ok(vec![ExtendOutcome::Lost]));
    for fate in fates(bench) {
        assert_eq!(bench.settle(job, fate.moved(7, 7)).await, Settled::Lost);
    }
    assert_eq!((bench.queue.depth().await, bench.queue.runs(99).await), before);
}

pub async fn q3_whoever_lost_the_lease_can_do_nothing(bench: Bench) {
    bench.run_with(&[1]).await;
    let ended = bench.claim_one().await;
    bench.clock.advance(bench.lease());
    // Strictly by time: nobody has taken the job yet.
    is_powerless(&bench, &ended).await;

    let taken = bench.claim_one().await;
    assert!(taken.lease.fence > ended.lease.fence);
    is_powerless(&bench, &ended).await;

    let mut forged = taken.clone();
    forged.lease.worker = WorkerId::new();
    is_powerless(&bench, &forged).await;

    assert_eq!(bench.settle(&taken, RECOVERED).await, Settled::Done);
    is_powerless(&bench, &taken).await;
}

pub async fn q3_a_token_of_a_former_job_fits_no_later_one(bench: Bench) {
    let run = bench.run_with(&[1]).await;
    let former = bench.claim_one().await;
    bench.queue.cancel(&run).await.expect("cancelled");
    bench.run_with(&[1]).await;
    let later = bench.claim_one().await;
    assert_eq!((former.starts, later.starts), (1, 1));
    is_powerless(&bench, &former).await;
    assert_eq!(bench.settle(&later, RECOVERED).await, Settled::Done);
}

pub async fn q3_two_claimers_never_get_the_same_job(bench: Bench) {
    let meetings: Vec<u32> = (0..100).collect();
    bench.run_with(&meetings).await;
    let other = bench.open_again().await;
    let mut seen = HashSet::new();
    loop {
        let worker = WorkerId::new();
        let (a, b) = tokio::join!(bench.queue.claim(&bench.worker, 3), other.claim(&worker, 4));
        let jobs = [a.expect("claimed"), b.expect("claimed")].concat();
        if jobs.is_empty() {
            break;
        }
        for job in jobs {
            assert!(seen.insert(job.payload.uuid.clone()), "{} was handed out twice", job.payload.uuid);
        }
    }
    assert_eq!(seen.len(), meetings.len());
}

pub async fn q4_an_abandoned_job_is_claimable_when_its_lease_ends(bench: Bench) {
    bench.run_with(&[1]).await;
    bench.claim_one().await;
    bench.clock.advance(bench.lease().saturating_sub(MOMENT));
    assert!(bench.claim(1).await.is_empty());

    let waiting = async {
        bench.queue.wait_for_work().await.expect("work");
        bench.claim_one().await
    };
    let (job, ()) = tokio::join!(waiting, async { bench.clock.advance(MOMENT) });
    assert_eq!(job.starts, 2);
}

pub async fn q4_a_job_that_is_renewed_is_never_handed_out_twice(bench: Bench) {
    bench.run_with(&[1, 2]).await;
    let jobs = bench.claim(2).await;
    let (kept, silent) = (&jobs[0], &jobs[1]);
    for _ in 0..10 {
        bench.clock.advance(bench.lease() / 3);
        let until = bench.now() + bench.lease();
        assert_eq!(
            bench.queue.extend(std::slice::from_ref(&kept.lease)).await,
            Ok(vec![ExtendOutcome::Held { until }])
        );
        assert!(!numbers(&bench.claim(9).await).contains(&1));
    }
    // The answers stand in the order of the question.
    let leases = [silent.lease.clone(), kept.lease.clone()];
    let until = bench.now() + bench.lease();
    assert_eq!(
        bench.queue.extend(&leases).await,
        Ok(vec![ExtendOutcome::Lost, ExtendOutcome::Held { until }])
    );
    assert_eq!(bench.settle(kept, RECOVERED).await, Settled::Done);
}

pub async fn q5_a_job_that_kills_its_worker_is_dead_after_its_last_start(bench: Bench) {
    let first = bench.run_with(&[1, 2]).await;
    let second = bench.run_of(Mode::Automatic).await;
    bench.enqueue(&second, &[1]).await;
    for start in 1..=bench.store.settings.max_attempts {
        let killed = bench.claim_one().await;
        assert_eq!((numbers(std::slice::from_ref(&killed))[0], killed.starts), (1, start));
        bench.clock.advance(bench.lease() + resting(start, 1));
    }
    assert_eq!(numbers(&bench.claim(9).await), [2], "the other job goes on");
    for run in [&first, &second] {
        let dead = bench.queue.dead(run, None, 9).await.expect("read");
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].cause.reason, Reason::WorkerDied);
        assert_eq!(dead[0].starts, bench.store.settings.max_attempts);
        assert_eq!(dead[0].died_at, bench.now());
        assert!(dead[0].payload.is_some());
        assert_eq!(bench.counts(run).await.failed, 1);
        assert!(bench.counts(run).await.balance());
    }
}

fn resting(starts: u32, meeting: u32) -> Duration {
    rest(starts, &uuid(meeting)).to_std().expect("not negative")
}

pub async fn q5_jobs_that_are_abandoned_again_rest_for_less_than_a_second_each_for_another(bench: Bench) {
    let run = bench.run_with(&[1]).await;
    for start in 1..bench.store.settings.max_attempts {
        assert_eq!(bench.claim_one().await.starts, start);
        bench.clock.advance(bench.lease());
        let rest = resting(start, 1);
        if start > 1 {
            assert!(bench.claim(1).await.is_empty(), "nothing is to be done meanwhile");
            let resting = &bench.queue.jobs(&run, None, 9).await.expect("read")[0];
            assert_eq!(
                (resting.state, resting.cause.as_ref().map(|cause| cause.reason)),
                (JobState::Delayed, Some(Reason::WorkerDied))
            );
            assert_eq!(resting.due, Some(bench.now() + rest));
            assert_eq!(bench.queue.work_left(&run).await.expect("read").retrying, 1);
            bench.clock.advance(rest);
        }
    }
    // Those that died together do not come back together.
    let all: BTreeSet<Duration> = (1..50).map(|meeting| resting(2, meeting)).collect();
    assert!(all.len() > 4 && all.iter().all(|rest| rest.as_millis() < 1000), "{all:?}");
}

pub async fn q6_snoozing_and_releasing_cost_no_start(bench: Bench) {
    bench.run_with(&[1]).await;
    for _ in 0..bench.store.settings.max_attempts {
        for fate in [Fate::Release, Fate::Snooze { until: bench.now(), cause: because(Reason::Throttled) }] {
            let job = bench.claim_one().await;
            assert_eq!(job.starts, 1);
            assert_eq!(bench.settle(&job, fate).await, Settled::Done);
        }
    }
}

pub async fn q6_a_retry_costs_a_start_and_the_last_one_the_job(bench: Bench) {
    let run = bench.run_with(&[1]).await;
    let last = bench.store.settings.max_attempts;
    for start in 1..=last {
        let job = bench.claim_one().await;
        assert_eq!(job.starts, start);
        let cause = Cause { status: Some(503), ..because(Reason::ZoomError) };
        let settled = bench.settle(&job, Fate::Retry { at: bench.now(), cause: cause.clone() }).await;
        if start < last {
            assert_eq!(settled, Settled::Done);
            let left = bench.queue.jobs(&run, None, 9).await.expect("read");
            assert_eq!((left[0].starts, left[0].cause.as_ref()), (start, Some(&cause)));
        } else {
            assert_eq!(settled, Settled::Died);
            assert_eq!(bench.queue.dead(&run, None, 9).await.expect("read")[0].cause, cause);
        }
    }
    bench.queue.enumerated(&run, &[]).await.expect("enumerated");
    assert_eq!(bench.state(&run).await, RunState::Completed);
}
