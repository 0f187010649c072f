//! Redis goes away and comes back while pools work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::cmd;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::audit::{audit, keys};
use super::server::{Server, aside};
use super::store;
use crate::queue::conformance::Bench;
use crate::queue::{Clock, Depth, Fate, PoolEnd, PoolSettings, QueueError, Settled, WorkerId, run_pool};
use crate::reason::Outcome;
use crate::run::{RunId, RunState};

/// For servers that are killed: by default Redis answers before it writes while its disk is slow.
const SYNCED: [&str; 2] = ["--appendfsync", "always"];

/// A queue by the server's clock.
pub(super) async fn bench(server: &Server, lease: Duration) -> Bench {
    let mut store = store(server);
    store.settings.lease = lease;
    store.settings.high_water = 1_000_000;
    let mut bench = Bench::new(store).await;
    bench.clock = Clock::system();
    bench.queue = bench.open_again().await;
    bench
}

/// Pools with a connection each, as processes have, whose handlers recover what they get.
pub(super) struct Pools {
    stop: CancellationToken,
    pub(super) handles: Vec<JoinHandle<Result<PoolEnd, QueueError>>>,
    settled: UnboundedReceiver<Settled>,
    started: Arc<AtomicU64>,
    /// A handler needs a permit to end.
    pub(super) gate: Arc<Semaphore>,
}

impl Pools {
    pub(super) async fn start(bench: &Bench, pools: usize, concurrency: usize, gate: usize) -> Self {
        let (report, settled) = unbounded_channel();
        let (stop, started) = (CancellationToken::new(), Arc::<AtomicU64>::default());
        let gate = Arc::new(Semaphore::new(gate));
        let mut handles = Vec::new();
        for _ in 0..pools {
            let (report, started, gate) = (report.clone(), Arc::clone(&started), Arc::clone(&gate));
            let queue = bench.open_again().await;
            let settings = PoolSettings { concurrency, drain: Duration::from_secs(60) };
            let work = move |job: crate::queue::HeldJob| {
                let (report, started, gate) = (report.clone(), Arc::clone(&started), Arc::clone(&gate));
                async move {
                    started.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                    let settled = job.settle(Fate::Finish { outcome: Outcome::Recovered }.moved(1, 10)).await;
                    report.send(settled).unwrap();
                }
            };
            handles.push(tokio::spawn(run_pool(queue, WorkerId::new(), settings, stop.clone(), work)));
        }
        Self { stop, handles, settled, started, gate }
    }

    /// Returns when the books say that so many are recovered; each report of a handler is a reason to look.
    pub(super) async fn recovered(&mut self, bench: &Bench, run: &RunId, jobs: u64) {
        while bench.counts(run).await.recovered < jobs {
            self.settled.recv().await.unwrap();
        }
    }

    pub(super) async fn end(self) -> u64 {
        self.stop.cancel();
        for pool in self.handles {
            pool.await.unwrap().unwrap();
        }
        self.started.load(Ordering::SeqCst)
    }
}

/// Every job was done, and booked once.
pub(super) async fn all_is_done(bench: &Bench, server: &Server, run: &RunId, jobs: u64) {
    bench.queue.enumerated(run, &[]).await.unwrap();
    let seen = bench.run(run).await;
    assert_eq!(seen.state, RunState::Completed);
    assert_eq!((seen.counts.recovered, seen.counts.files, seen.counts.bytes), (jobs, jobs, jobs * 10));
    assert!(seen.counts.balance());
    assert_eq!(bench.queue.depth().await, Ok(Depth::default()));
    audit(&server.url(), None).await;
    let left = ["about:", "queue", "run:", "runs"].map(|name| {
        let run = if name.ends_with(':') { run.as_str() } else { "" };
        format!("{{recapture}}:{name}{run}")
    });
    assert_eq!(keys(&server.url()).await, left.into(), "a finished job leaves nothing");
}

async fn is_away(bench: &Bench) {
    while !matches!(bench.queue.depth().await, Err(QueueError::Unreachable { .. })) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q11_pools_go_on_when_redis_was_killed_and_is_back() {
    let mut server = Server::start_with(&SYNCED).await;
    let bench = bench(&server, Duration::from_secs(2)).await;
    let meetings: Vec<u32> = (0..600).collect();
    let run = bench.run_with(&meetings).await;
    let mut pools = Pools::start(&bench, 2, 8, 1000).await;
    for part in 1..=2 {
        pools.recovered(&bench, &run, part * 200).await;
        server.kill().await;
        is_away(&bench).await;
        assert!(pools.handles.iter().all(|pool| !pool.is_finished()), "outage {part} ended a pool");
        server.revive().await;
    }
    pools.recovered(&bench, &run, 600).await;
    pools.end().await;
    all_is_done(&bench, &server, &run, 600).await;
}

/// With `appendfsync always`: however soon after its answer the server is killed.
#[tokio::test]
async fn q1_what_was_acknowledged_survives_a_server_that_is_killed_right_behind_it() {
    let mut server = Server::start_with(&SYNCED).await;
    let bench = bench(&server, Duration::from_secs(60)).await;
    let run = bench.run_with(&[]).await;
    for meeting in 0..12 {
        bench.enqueue(&run, &[meeting]).await;
        server.kill().await;
        server.revive().await;
        let there: u64 =
            cmd("HLEN").arg("{recapture}:jobs").query_async(&mut aside(&server.url()).await).await.unwrap();
        assert_eq!(there, u64::from(meeting) + 1, "an acknowledged meeting is lost");
    }
    audit(&server.url(), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q11_a_server_that_stands_still_costs_nothing_but_time() {
    let server = Server::start().await;
    let bench = bench(&server, Duration::from_secs(60)).await;
    let meetings: Vec<u32> = (0..8).collect();
    let run = bench.run_with(&meetings).await;
    let mut pools = Pools::start(&bench, 2, 4, 0).await;
    while pools.started.load(Ordering::SeqCst) < 8 {
        tokio::task::yield_now().await;
    }
    let pid = Pid::from_raw(server.pid().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    pools.gate.add_permits(8);
    is_away(&bench).await;
    kill_process(pid, Signal::CONT).unwrap();
    pools.recovered(&bench, &run, 8).await;
    assert_eq!(pools.end().await, 8, "no job was started twice");
    all_is_done(&bench, &server, &run, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q11_killed_connections_and_forgotten_scripts_are_made_good() {
    let server = Server::start().await;
    let bench = bench(&server, Duration::from_secs(1)).await;
    let meetings: Vec<u32> = (0..500).collect();
    let run = bench.run_with(&meetings).await;
    let mut pools = Pools::start(&bench, 2, 8, 1000).await;
    let mut operator = aside(&server.url()).await;
    for part in 1..=10 {
        pools.recovered(&bench, &run, part * 50).await;
        cmd("SCRIPT").arg("FLUSH").exec_async(&mut operator).await.unwrap();
        let mut kill = cmd("CLIENT");
        kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let _: u64 = kill.query_async(&mut operator).await.unwrap();
        kill = cmd("CLIENT");
        kill.arg(&["KILL", "TYPE", "pubsub", "SKIPME", "yes"]);
        let _: u64 = kill.query_async(&mut operator).await.unwrap();
    }
    pools.end().await;
    all_is_done(&bench, &server, &run, 500).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_pool_starts_what_is_enqueued_after_an_outage() {
    let mut server = Server::start_with(&SYNCED).await;
    let bench = bench(&server, Duration::from_secs(60)).await;
    let run = bench.run_with(&[]).await;
    let mut pools = Pools::start(&bench, 1, 4, 1000).await;
    server.kill().await;
    is_away(&bench).await;
    server.revive().await;
    // The producer's own calls wait until Redis is back.
    for meeting in 0..3 {
        bench.enqueue(&run, &[meeting]).await;
        pools.recovered(&bench, &run, u64::from(meeting) + 1).await;
    }
    pools.end().await;
    all_is_done(&bench, &server, &run, 3).await;
}

#[tokio::test]
async fn what_leases_end_is_claimed_elsewhere_by_the_servers_clock() {
    let server = Server::start().await;
    let bench = bench(&server, Duration::from_millis(300)).await;
    bench.run_with(&[1]).await;
    bench.claim_one().await;
    let waiting = bench.open_again().await;
    // Ends when the lease does: nothing is published.
    let job = loop {
        waiting.wait_for_work().await.unwrap();
        if let Some(job) = waiting.claim(&WorkerId::new(), 1).await.unwrap().pop() {
            break job;
        }
    };
    assert_eq!(job.starts, 2);
}

/// Whoever waits for a connection may not be polled for a while, as a branch of a `select!` is while another one works.
#[tokio::test]
async fn a_caller_that_is_not_polled_holds_up_nobody() {
    let mut server = Server::start().await;
    let bench = bench(&server, Duration::from_secs(60)).await;
    server.kill().await;
    is_away(&bench).await;
    server.revive().await;
    let mut left_lying = std::pin::pin!(bench.queue.depth());
    let first = std::future::poll_fn(|cx| std::task::Poll::Ready(left_lying.as_mut().poll(cx))).await;
    assert!(first.is_pending(), "it has to connect first");
    assert!(tokio::time::timeout(Duration::from_secs(20), bench.queue.depth()).await.is_ok());
}
