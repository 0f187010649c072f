//! Workers and producers behind a network that cuts, delays, swallows and closes one half: no meeting is lost, the books
//! are exact, and who lost a lease over it commits nothing.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::harness::{Bench, Process, text};
use crate::redis::{bench, tiny};
use crate::redis_proxy::{Proxy, Weather};
use crate::redis_server::RedisServer;

/// A bench whose processes reach the Redis through the proxy.
async fn behind_a_proxy(meetings: u32) -> (Bench, RedisServer, Proxy) {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(redis.port()).await;
    let mut bench = bench(tiny(meetings), &redis).await;
    bench.set("queue.url", &text(&proxy.url()));
    (bench, redis, proxy)
}

/// At least a lease, and as long as the variable `SOAK_CUT` says in seconds.
async fn as_long_as_asked(began: Instant) {
    let asked = std::env::var("SOAK_CUT").ok().map_or(0, |seconds| seconds.parse().unwrap());
    tokio::time::sleep(Duration::from_secs(asked).saturating_sub(began.elapsed())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_that_outlasts_the_leases_costs_no_meeting_and_commits_none() {
    let (bench, redis, proxy) = behind_a_proxy(400).await;
    let mut workers: Vec<Process> = (0..4).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();
    producer.until(bench.simulator.wait_for(|counts| counts.downloads_completed >= 200)).await;
    bench.simulator.hold_downloads();
    producer.until(bench.simulator.wait_for(|counts| counts.downloads_now >= 32)).await;

    let began = Instant::now();
    proxy.set(Weather::Cut);
    for worker in &mut workers {
        worker.said("a lease was lost").await;
    }
    // All leases ended at about the same time; of the few that were renewed last the handlers stop now too.
    bench.simulator.wait_for(|counts| counts.downloads_now == 0).await;
    let committed = bench.commits();
    bench.simulator.release_downloads();
    as_long_as_asked(began).await;
    assert_eq!(bench.commits(), committed, "something was committed without a lease");
    assert!(bench.parts().is_empty(), "{:?}", bench.parts());
    assert!(redis.unfinished().await > 0);
    proxy.set(Weather::Fair);

    let run = producer.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    assert_eq!(bench.simulator.counts().das_puts.len(), 400);
    for worker in workers {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delays_half_closed_and_stuck_connections_cost_nothing_but_time() {
    let (bench, _redis, proxy) = behind_a_proxy(400).await;
    let mut workers: Vec<Process> = (0..4).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();
    let mut reached = 0;
    for round in 0..2 {
        for weather in [
            Weather::Slow(Duration::from_millis(100)),
            Weather::HalfClosedToClient,
            Weather::HalfClosedToServer,
            Weather::Cut,
        ] {
            reached += 40;
            let reached = bench.simulator.wait_for(|counts| counts.downloads_completed >= reached);
            producer.until(reached).await;
            if let Weather::Slow(_) = weather {
                proxy.set(weather);
                continue;
            }
            // Everything that is open is closed, and made again.
            proxy.set(weather);
            tokio::task::yield_now().await;
            proxy.set(Weather::Fair);
        }
        if round == 0 {
            // Until a call has found no answer: a connection that stands and is of no use is given up.
            let so_far = workers[0].said_so_far();
            proxy.set(Weather::Stuck);
            workers[0].said_after(so_far, "cannot be ").await;
            proxy.set(Weather::Fair);
        }
    }

    let run = producer.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    for worker in workers {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}

/// On both queues: what a worker that stood still had in hand is another's when it wakes.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stands_still_loses_its_meetings_and_commits_none() {
    let redis = RedisServer::start().await;
    let embedded = {
        let mut bench = Bench::start(tiny(6)).await;
        bench.set("queue.lease", &text("2s")).set("worker.concurrency", "8");
        bench
    };
    let shared = bench(tiny(6), &redis).await;
    tokio::join!(stands_still(embedded), stands_still(shared));
}

/// How often each meeting of a run was begun.
async fn starts_of(bench: &Bench, run: &str) -> Vec<u64> {
    let report = bench.run(&["report", run, "--format", "json"]).await.exits(0).object();
    let meetings = report["meetings"].as_array().unwrap();
    meetings.iter().map(|meeting| meeting["starts"].as_u64().unwrap()).collect()
}

/// Stops a process between two writes to the embedded queue, if there is one: it would keep the lock that it wrote under.
async fn freeze(bench: &Bench, process: &mut Process) {
    let database = bench.path("queue.db");
    let mut lock = None;
    if database.exists() {
        let mut queue = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut queue).await.unwrap();
        lock = Some(queue);
    }
    process.signal(Signal::STOP);
    while !process.stands_still() {
        process.until(tokio::task::yield_now()).await;
    }
    if let Some(queue) = lock {
        queue.close().await.unwrap();
    }
}

async fn stands_still(bench: Bench) {
    let detached = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    let run = detached["id"].as_str().unwrap();
    bench.simulator.hold_downloads();
    let mut frozen = bench.spawn(&["worker"]);
    frozen.until(bench.simulator.wait_for(|counts| counts.downloads_now == 12)).await;
    freeze(&bench, &mut frozen).await;
    let mut other = bench.spawn(&["worker"]);
    other.until(bench.simulator.wait_for(|counts| counts.downloads_now == 24)).await;
    // The bytes wait for the frozen one too; it must not make files of them.
    bench.simulator.release_downloads();
    other.until(bench.simulator.wait_for(|counts| counts.das_puts.len() == 6)).await;
    while !bench.run(&["status", run]).await.exits(0).stdout.contains("is completed") {}
    let (committed, told) = (bench.commits(), bench.simulator.counts().das_puts);
    let starts = starts_of(&bench, run).await;
    assert!(starts.iter().all(|starts| *starts >= 2), "the frozen one's and another's: {starts:?}");

    frozen.signal(Signal::CONT);
    frozen.said("another worker has the meeting now").await;
    frozen.signal(Signal::TERM);
    frozen.end().await.exits(0);

    assert_eq!(bench.commits(), committed);
    bench.assert_all_recovered();
    assert_eq!(bench.runs().await[0]["counts"]["recovered"], 6);
    assert_eq!(bench.simulator.counts().das_puts, told, "it told the platform too");
    assert_eq!(starts_of(&bench, run).await, starts, "it was charged for its waking");
    other.signal(Signal::TERM);
    other.end().await.exits(0);
}

/// The last moment: the file is verified, the next thing that the worker does is give it its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stood_still_before_its_rename_is_refused() {
    let redis = RedisServer::start().await;
    let bench = bench(tiny(1), &redis).await;
    let detached = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    let run = detached["id"].as_str().unwrap();
    let mut worker = bench.command(&["worker"]);
    worker.env("RECAPTURE_STOP_AT", "before-rename");
    let mut late = Process::spawn(worker);
    while !late.stands_still() {
        late.until(tokio::task::yield_now()).await;
    }
    let mut other = bench.spawn(&["worker"]);
    other.until(bench.simulator.wait_for(|counts| counts.das_puts.len() == 1)).await;
    while !bench.run(&["status", run]).await.exits(0).stdout.contains("is completed") {}
    bench.assert_all_recovered();
    let (committed, told) = (bench.commits(), bench.simulator.counts().das_puts);

    late.signal(Signal::CONT);
    late.said("another worker has the meeting now").await;
    late.signal(Signal::TERM);
    late.end().await.exits(0);

    assert_eq!(bench.commits(), committed, "it gave a name to what was not its own any more");
    assert!(bench.parts().is_empty());
    assert_eq!(bench.simulator.counts().das_puts, told, "it told the platform too");
    assert_eq!(bench.runs().await[0]["counts"]["recovered"], 1);
    other.signal(Signal::TERM);
    other.end().await.exits(0);
}
