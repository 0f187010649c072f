//! Keys that somebody deleted: what is lost is lost, nothing hangs, and what is whole goes on.

use redis::cmd;

use super::fresh;
use super::server::aside;
use crate::queue::Fate;
use crate::queue::conformance::Bench;
use crate::reason::{Outcome, Reason};

#[tokio::test]
async fn a_record_that_is_lost_is_dead_and_the_rest_goes_on() {
    let (store, server) = fresh().await;
    let bench = Bench::new(store).await;
    let run = bench.run_with(&[1, 2]).await;
    let lost = bench.job(1).payload.uuid;
    let mut delete = cmd("HDEL");
    delete.arg("{recapture}:jobs").arg(lost.as_str());
    delete.exec_async(&mut aside(&server.url()).await).await.unwrap();
    assert_eq!(bench.claim(9).await.len(), 1);
    let dead = bench.queue.dead(&run, None, 9).await.unwrap();
    assert_eq!((&dead[0].uuid, dead[0].cause.reason), (&lost, Reason::PayloadUnreadable));
    assert!(bench.counts(&run).await.balance());
}

#[tokio::test]
async fn no_key_whose_loss_stops_the_others() {
    for key in [
        "jobs", "causes", "ready", "other", "heads", "leased", "delayed", "run", "about", "queue", "live",
        "ages",
    ] {
        let (store, server) = fresh().await;
        let bench = Bench::new(store).await;
        let run = bench.run_with(&[1, 2, 3]).await;
        let held = bench.claim_one().await;
        let mut admin = aside(&server.url()).await;
        let found: Vec<String> =
            cmd("KEYS").arg(format!("{{recapture}}:{key}*")).query_async(&mut admin).await.unwrap();
        for name in &found {
            cmd("DEL").arg(name).exec_async(&mut admin).await.unwrap();
        }
        // Each returns, with whatever it says.
        let _ = bench.queue.claim(&bench.worker, 1).await;
        let _ = bench.queue.settle(&held.lease, Fate::Finish { outcome: Outcome::Recovered }).await;
        let _ = bench.queue.work_left(&run).await;
        let _ = bench.queue.depth().await;
        let _ = bench.queue.runs(9).await;
        let _ = bench.queue.jobs(&run, None, 9).await;
        let _ = bench.queue.cancel(&run).await;

        let other = bench.run_with(&[7]).await;
        let jobs = bench.claim(9).await;
        assert!(jobs.iter().any(|job| job.owner == other), "without {key}: {jobs:?}");
        for job in jobs {
            bench.settle(&job, Fate::Finish { outcome: Outcome::Recovered }).await;
        }
        assert_eq!(bench.counts(&other).await.recovered, 1, "without {key}");
    }
}

/// What is wrong with one record costs the others that were claimed with it nothing.
#[tokio::test]
async fn a_record_that_cannot_be_told_is_given_up_and_its_mates_are_not() {
    let (store, server) = fresh().await;
    let bench = Bench::new(store).await;
    let run = bench.run_with(&[1, 2, 3, 4]).await;
    let mut admin = aside(&server.url()).await;
    let record_of = |meeting: u32| {
        let mut get = cmd("HGET");
        get.arg("{recapture}:jobs").arg(bench.job(meeting).payload.uuid.as_str());
        get
    };
    // One that counts for a run which cannot be, and one whose meeting cannot be.
    let joined: String = record_of(2).query_async(&mut admin).await.unwrap();
    let joined = joined.replacen(&format!("{run};;"), &format!("{run};nonsense;"), 1);
    let mut set = cmd("HSET");
    set.arg("{recapture}:jobs").arg(bench.job(2).payload.uuid.as_str()).arg(joined);
    set.exec_async(&mut admin).await.unwrap();
    let whole: String = record_of(3).query_async(&mut admin).await.unwrap();
    cmd("HSET").arg("{recapture}:jobs").arg("no meeting").arg(whole).exec_async(&mut admin).await.unwrap();
    let mut add = cmd("ZADD");
    add.arg(format!("{{recapture}}:ready:{run}")).arg(0).arg("no meeting");
    add.exec_async(&mut admin).await.unwrap();

    let claimed: Vec<_> = bench.claim(9).await.into_iter().map(|job| job.payload.uuid).collect();

    assert_eq!(claimed, [1, 3, 4].map(|meeting| bench.job(meeting).payload.uuid));
    let dead = bench.queue.dead(&run, None, 9).await.unwrap();
    assert_eq!(dead.len(), 1, "what cannot be named is left out: {dead:?}");
    assert_eq!(
        (&dead[0].uuid, dead[0].cause.reason),
        (&bench.job(2).payload.uuid, Reason::PayloadUnreadable)
    );
    let left: u64 = cmd("HLEN").arg("{recapture}:jobs").query_async(&mut admin).await.unwrap();
    assert_eq!(left, 3, "nothing but the three is leased");
}
