//! Servers that take no writes for a while: a disk that is full, a replica. Nothing is lost, no pool ends, and all goes
//! on by itself.

use redis::cmd;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::audit::audit;
use super::outage::{Pools, all_is_done, bench};
use super::server::{Server, aside};
use crate::queue::{Enqueued, QueueError};
use crate::run::Tally;

use std::time::Duration;

/// No file of the server may grow any more: what a full disk is to its append-only file.
fn fill_the_disk_of(server: &Server) {
    limit_files(server, Some(1));
}

fn limit_files(server: &Server, most: Option<u64>) {
    let pid = Pid::from_raw(server.pid().try_into().unwrap()).unwrap();
    let limits = Rlimit { current: most, maximum: getrlimit(Resource::Fsize).maximum };
    prlimit(Some(pid), Resource::Fsize, limits).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q11_a_disk_that_is_full_is_waited_for() {
    let server = Server::start().await;
    let bench = bench(&server, Duration::from_secs(60)).await;
    let meetings: Vec<u32> = (0..300).collect();
    let run = bench.run_with(&meetings).await;
    let mut pools = Pools::start(&bench, 2, 8, 100).await;
    pools.recovered(&bench, &run, 100).await;

    fill_the_disk_of(&server);
    // The server learns of it by writing; what it has in memory it writes when it can.
    let refused = loop {
        // One that is unfinished: were it done and enqueued again, it would rightly start again.
        if let Err(error) = bench.queue.enqueue(&run, &[bench.job(299)], Tally::default()).await {
            break error;
        }
    };
    assert!(matches!(refused, QueueError::Unwritable { .. }) && refused.is_transient(), "{refused:?}");
    pools.gate.add_permits(1000);
    assert!(matches!(bench.queue.check().await, Err(QueueError::Unwritable { .. })));
    assert!(pools.handles.iter().all(|pool| !pool.is_finished()), "it ended a pool");

    limit_files(&server, None);
    pools.recovered(&bench, &run, 300).await;
    assert_eq!(pools.end().await, 300, "no job was started twice");
    all_is_done(&bench, &server, &run, 300).await;
}

#[tokio::test]
async fn a_replica_is_told_of_and_taken_once_it_is_the_master() {
    let master = Server::start().await;
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]).await;
    let bench = bench(&master, Duration::from_secs(60)).await;
    let run = bench.run_with(&[1]).await;
    let mut admin = aside(&replica.url()).await;
    while cmd("DBSIZE").query_async::<u64>(&mut admin).await.unwrap() < 4 {}
    let at_replica = super::outage::bench(&replica, Duration::from_secs(60)).await;
    let refused = at_replica.queue.enqueue(&run, &[at_replica.job(2)], Tally::default()).await;
    assert!(matches!(refused, Err(QueueError::Unwritable { .. })), "{refused:?}");
    assert!(at_replica.queue.depth().await.is_ok(), "it can be looked at");

    cmd("REPLICAOF").arg(&["NO", "ONE"]).exec_async(&mut admin).await.unwrap();
    let taken = at_replica.queue.enqueue(&run, &[at_replica.job(2)], Tally::default()).await;
    assert_eq!(taken, Ok(vec![Enqueued::New]));
    assert_eq!(at_replica.claim(9).await.len(), 2);
    audit(&replica.url(), None).await;
}

/// What the old master had acknowledged and the new one never heard is gone: a listing brings it back, and what was done
/// and forgotten is done again and no more.
#[tokio::test]
async fn what_a_failover_loses_the_next_listing_brings_back() {
    let mut master = Server::start().await;
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]).await;
    let sentinel = Server::sentinel_of(master.port()).await;
    let mut store = super::store(&master);
    store.settings.url = format!("redis+sentinel://127.0.0.1:{}/mymaster", sentinel.port());
    let bench = crate::queue::conformance::Bench::new(store).await;
    let run = bench.run_with(&[1, 2, 3]).await;
    let (mut heard, mut told) = (aside(&replica.url()).await, aside(&master.url()).await);
    while cmd("DBSIZE").query_async::<u64>(&mut heard).await.unwrap()
        != cmd("DBSIZE").query_async::<u64>(&mut told).await.unwrap()
    {}
    // From here on the replica hears nothing.
    cmd("REPLICAOF").arg(&["NO", "ONE"]).exec_async(&mut heard).await.unwrap();
    let done = bench.claim(2).await;
    let finished = crate::queue::Fate::Finish { outcome: crate::reason::Outcome::Recovered };
    bench.settle(&done[0], finished.clone()).await;
    bench.enqueue(&run, &[4]).await;
    let lost_run = bench.run_with(&[5]).await;

    master.kill().await;
    let mut sentinel = aside(&sentinel.url()).await;
    cmd("SENTINEL").arg(&["REMOVE", "mymaster"]).exec_async(&mut sentinel).await.unwrap();
    let monitor = ["MONITOR", "mymaster", "127.0.0.1", &replica.port().to_string(), "1"];
    cmd("SENTINEL").arg(&monitor).exec_async(&mut sentinel).await.unwrap();

    // Of the run that began too late nothing is known; its producer is told, and begins anew.
    let unknown = bench.queue.enqueue(&lost_run, &[bench.job(6)], Tally::default()).await;
    assert_eq!(unknown, Err(QueueError::UnknownRun(lost_run)));
    // A lease that the new master never gave holds nothing.
    let stale = bench.queue.settle(&done[1].lease, finished.clone()).await;
    assert_eq!(stale, Ok(crate::queue::Settled::Lost));
    let again = bench.run_with(&[1, 2, 3, 4, 5]).await;
    let jobs = bench.claim(9).await;
    assert_eq!(jobs.len(), 5);
    for job in &jobs {
        assert_eq!(bench.settle(job, finished.clone()).await, crate::queue::Settled::Done);
    }
    for (run, meetings) in [(&run, 3), (&again, 5)] {
        let counts = bench.counts(run).await;
        assert_eq!((counts.recovered, counts.pending), (meetings, 0));
        assert!(counts.balance());
    }
    audit(&replica.url(), None).await;
}
