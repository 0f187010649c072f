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
