//! Everything that can happen to the processes of a shared queue, by chance, one after the other, for as long as the
//! variable `SOAK` says in seconds; without it, for one short round. `make soak` does it for hours.
//!
//! Each round is an account of its own with a run of its own. At its end every meeting is recovered, the books say so
//! exactly, and the queue holds nothing.

use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::Signal;

use crate::expectation::assert_balanced;
use crate::harness::{Bench, Process, text};
use crate::redis::{bench, tiny};
use crate::redis_proxy::{Proxy, Weather};
use crate::redis_server::RedisServer;

const MEETINGS: u32 = 300;
const WORKERS: usize = 3;
/// How many downloads lie between two faults.
const PACE: u64 = 40;

/// What `queue.lease` is on these benches, and a little more.
const MORE_THAN_A_LEASE: Duration = Duration::from_millis(2500);

/// How long Redis stands still, and how long the network is cut: in a long soak for as long as operators fear.
fn lasting(seconds: u64) -> Duration {
    if std::env::var_os("SOAK").is_some() { Duration::from_secs(seconds) } else { MORE_THAN_A_LEASE }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    WorkerKilled,
    WorkerReplaced,
    WorkerFrozen,
    AllWorkersKilled,
    ProducerKilled,
    RedisKilled,
    RedisFrozen,
    ConnectionsCut,
    CutForLong,
    HalfClosed,
    Slow,
    Fair,
}

const FAULTS: [Fault; 12] = [
    Fault::WorkerKilled,
    Fault::WorkerReplaced,
    Fault::WorkerFrozen,
    Fault::AllWorkersKilled,
    Fault::ProducerKilled,
    Fault::RedisKilled,
    Fault::RedisFrozen,
    Fault::ConnectionsCut,
    Fault::CutForLong,
    Fault::HalfClosed,
    Fault::Slow,
    Fault::Fair,
];

struct Round {
    bench: Bench,
    redis: RedisServer,
    proxy: Proxy,
    workers: Vec<Process>,
    producer: Process,
}

impl Round {
    async fn begin(seed: u64) -> Self {
        let redis = RedisServer::start().await;
        let proxy = Proxy::before(redis.port()).await;
        let mut scenario = tiny(MEETINGS);
        scenario.seed = seed;
        let mut bench = bench(scenario, &redis).await;
        bench.set("queue.url", &text(&proxy.url()));
        let workers = (0..WORKERS).map(|_| bench.spawn(&["worker"])).collect();
        let producer = bench.spawn_recovery();
        Self { bench, redis, proxy, workers, producer }
    }

    /// As a supervisor does: who found no queue when it started is started again.
    async fn supervise(&mut self) {
        for worker in &mut self.workers {
            if worker.has_ended() {
                let next = self.bench.spawn(&["worker"]);
                std::mem::replace(worker, next).end().await.exits(1).tells(&["cannot be reached"]);
            }
        }
        if self.producer.has_ended() {
            let next = self.bench.spawn_recovery();
            let ended = std::mem::replace(&mut self.producer, next).end().await;
            // One that has begun outlives every outage; one that found no queue has no run to show.
            let found_none = ended.stdout.is_empty() && ended.stderr.contains("cannot be reached");
            assert!(ended.code == Some(0) || found_none, "{:?}: {}", ended.code, ended.stderr);
        }
    }

    /// Waits for so many downloads, and sees to the processes meanwhile.
    async fn downloads(&mut self, wanted: u64) {
        loop {
            let reached = self.bench.simulator.wait_for(|counts| counts.downloads_completed >= wanted);
            if tokio::time::timeout(Duration::from_secs(1), reached).await.is_ok() {
                return;
            }
            self.supervise().await;
        }
    }

    async fn kill_worker(&mut self, which: usize) {
        let victim = self.workers.remove(which);
        victim.killed_at(std::future::ready(())).await;
        self.workers.push(self.bench.spawn(&["worker"]));
    }

    /// The faults that last do so for longer than a lease.
    async fn meet(&mut self, fault: Fault, random: &mut Rng) {
        let some = random.usize(..WORKERS);
        match fault {
            Fault::WorkerKilled => self.kill_worker(some).await,
            Fault::AllWorkersKilled => {
                for _ in 0..WORKERS {
                    self.kill_worker(0).await;
                }
            }
            Fault::WorkerReplaced => {
                let old = self.workers.remove(some);
                old.signal(Signal::TERM);
                self.workers.push(self.bench.spawn(&["worker"]));
                let old = old.end().await;
                assert!(old.code == Some(0) || old.stderr.contains("cannot be reached"), "{}", old.stderr);
            }
            Fault::WorkerFrozen => {
                self.workers[some].signal(Signal::STOP);
                tokio::time::sleep(MORE_THAN_A_LEASE).await;
                self.workers[some].signal(Signal::CONT);
            }
            Fault::ProducerKilled => {
                self.producer.signal(Signal::KILL);
                let next = self.bench.spawn_recovery();
                std::mem::replace(&mut self.producer, next).end().await;
            }
            Fault::RedisKilled => self.redis.killed_and_restarted().await,
            Fault::RedisFrozen => {
                self.redis.signal(Signal::STOP);
                tokio::time::sleep(lasting(10)).await;
                self.redis.signal(Signal::CONT);
            }
            Fault::ConnectionsCut => self.proxy.set(Weather::Cut),
            Fault::CutForLong => {
                self.proxy.set(Weather::Cut);
                tokio::time::sleep(lasting(20)).await;
            }
            Fault::HalfClosed => {
                let half = [Weather::HalfClosedToClient, Weather::HalfClosedToServer];
                self.proxy.set(half[random.usize(..2)]);
                tokio::task::yield_now().await;
            }
            Fault::Slow => self.proxy.set(Weather::Slow(Duration::from_millis(random.u64(1..80)))),
            Fault::Fair => {}
        }
        if !matches!(fault, Fault::Slow) {
            self.proxy.set(Weather::Fair);
        }
    }

    async fn end(mut self) {
        self.supervise().await;
        let Self { bench, redis, workers, producer, proxy } = self;
        proxy.set(Weather::Fair);
        let last = producer.end().await;
        // One that found no queue when it started is gone on with.
        let last = if last.code == Some(1) { bench.recover().await } else { last };
        let counts = last.exits(0).counts();
        assert_balanced(&counts);
        assert_eq!((counts["listed"], counts["pending"]), (u64::from(MEETINGS), 0));
        assert_eq!(counts["recovered"], counts["detected"]);
        // The run of a producer that was killed may want meetings that the last run found with the platform already.
        while redis.unfinished().await > 0 {
            tokio::task::yield_now().await;
        }
        for place in ["leased", "delayed"] {
            assert_eq!(redis.tell(&["ZCARD", &format!("{{recapture}}:{place}")]).await, ":0");
        }
        // One that was frozen has to find out that it lost its meetings before it takes their parts away.
        for worker in workers {
            worker.signal(Signal::TERM);
            worker.end().await.exits(0);
        }
        bench.assert_all_recovered();
        assert!(bench.parts().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_every_meeting_is_recovered_and_the_books_are_exact() {
    let whole =
        std::env::var("SOAK").map_or(Duration::ZERO, |seconds| Duration::from_secs(seconds.parse().unwrap()));
    let seed = std::env::var("SOAK_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("the same again: SOAK_SEED={seed}");
    let (mut random, began) = (Rng::with_seed(seed), Instant::now());
    for number in 1.. {
        let mut round = Round::begin(random.u64(1..1_000_000)).await;
        let mut met = Vec::new();
        // Until half of the files are there: whatever was done to a part of them, the rest follows.
        while round.bench.simulator.with_counts(|counts| counts.downloads_completed) < u64::from(MEETINGS) {
            let before = round.bench.simulator.with_counts(|counts| counts.downloads_completed);
            round.downloads(before + PACE).await;
            let fault = FAULTS[random.usize(..FAULTS.len())];
            met.push(fault);
            round.meet(fault, &mut random).await;
        }
        println!("round {number} after {:?}: {met:?}", began.elapsed());
        round.end().await;
        if began.elapsed() >= whole {
            break;
        }
    }
}

/// Four workers, two thousand meetings, and each second one of the workers is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "by time, for a minute: make soak; killed by what they did, `workers_that_are_killed_all_the_time…` has them"]
async fn a_worker_is_killed_each_second_and_every_meeting_recovered() {
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(2000), &redis).await;
    bench.set("zoom.limits.light", "60");
    let mut workers: Vec<Process> = (0..4).map(|_| bench.spawn(&["worker"])).collect();
    let producer = bench.spawn_recovery();
    let mut ended = std::pin::pin!(producer.end());
    let mut kills = 0;
    let run = loop {
        tokio::select! {
            run = &mut ended => break run.exits(0),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        workers.remove(0).killed_at(std::future::ready(())).await;
        workers.push(bench.spawn(&["worker"]));
        kills += 1;
    };
    println!("{kills} workers were killed");
    assert!(kills >= 20, "{kills}");
    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    assert_eq!(bench.simulator.counts().das_puts.len(), 2000);
    assert!(bench.parts().is_empty());
    for worker in workers {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}
