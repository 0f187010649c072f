//! A Redis that is full, and a meeting that kills whoever takes it up.

use recapture_simulator::{Faults, FileSpec};
use rustix::process::Signal;
use tokio::process::Command;

use crate::harness::{Bench, Process, counts_of, plain, prepare};
use crate::redis::{bench, tiny};
use crate::redis_server::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_is_waited_for_while_workers_go_on() {
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(900), &redis).await;
    // The producer is at work until late: it lists no faster than meetings are recovered.
    bench.set("queue.high_water", "200");
    let workers: Vec<Process> = (0..2).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();
    producer.until(bench.simulator.wait_for(|counts| counts.downloads_completed >= 60)).await;

    redis.tell(&["CONFIG", "SET", "maxmemory", "1"]).await;
    producer.said("is full; make room on its disk, or raise maxmemory of Redis").await;
    producer.said("waiting for the queue; the recovery goes on by itself").await;
    // What is on the queue is worked off.
    while redis.unfinished().await > 0 {
        producer.until(tokio::task::yield_now()).await;
    }
    let recovered = bench.simulator.counts().das_puts.len();
    assert!((50..900).contains(&recovered), "{recovered}");
    redis.tell(&["CONFIG", "SET", "maxmemory", "0"]).await;

    let run = producer.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    for worker in workers {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}

/// A producer outlives a Redis that takes no writes, and one that is killed while the producer waits for room.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_waits_out_refusals_and_outages() {
    let mut redis = RedisServer::start().await;
    let mut bench = bench(tiny(900), &redis).await;
    // Of three pages with 300 meetings each the last one waits.
    bench.set("queue.high_water", "500");
    bench.simulator.set_faults(Faults { latency_ms: 500, ..Faults::default() });
    let mut producer = bench.spawn_recovery();
    while redis.unfinished().await == 0 {
        producer.until(tokio::task::yield_now()).await;
    }
    redis.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    producer.said("cannot be written").await;
    redis.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    producer.said("the queue is back").await;

    while redis.unfinished().await < 500 {
        producer.until(tokio::task::yield_now()).await;
    }
    let before = producer.said_so_far();
    redis.killed().await;
    producer.said_after(before, "waiting for the queue").await;
    redis.restarted().await;
    bench.simulator.set_faults(Faults::default());
    let worker = bench.spawn(&["worker"]);

    let run = producer.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    worker.signal(Signal::TERM);
    worker.end().await.exits(0);
}

/// A worker that may write no file beyond half a megabyte is killed by the system when it does: by SIGXFSZ, in the middle
/// of the meeting that has one.
fn fragile_worker(bench: &Bench) -> Process {
    let mut worker = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_recapture");
    worker.args(["-c", "ulimit -c 0; ulimit -f 1024; exec \"$0\" \"$@\"", program, "--config"]);
    worker.arg(bench.path("recapture.toml")).arg("worker");
    prepare(&mut worker, &bench.path(""));
    Process::spawn(worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_that_kills_its_worker_is_dead_and_the_others_are_recovered() {
    let redis = RedisServer::start().await;
    let mut scenario = plain(40);
    scenario.files = vec![FileSpec::exactly("M4A", 400), FileSpec::exactly("MP4", 3 << 20).share(0.05)];
    let mut bench = bench(scenario, &redis).await;
    bench.set("worker.concurrency", "1").set("queue.max_attempts", "3").set("queue.lease", "'1s'");
    let poison = |bench: &Bench| {
        let deadly = |meeting: &recapture_simulator::TruthMeeting| {
            meeting.files.iter().any(|file| file.size > 1 << 20)
        };
        bench.simulator.truth().filter(deadly).count()
    };
    let poisonous = poison(&bench);
    assert!((1..=5).contains(&poisonous), "{poisonous} of the meetings are deadly");

    // A supervisor starts the worker again whenever it dies.
    let mut producer = bench.spawn_recovery();
    let supervised = async {
        let mut deaths = 0;
        loop {
            let died = fragile_worker(&bench).end().await;
            assert_eq!(died.code, None, "it ended by itself: {}", died.stderr);
            deaths += 1;
            if deaths == 3 * poisonous {
                // Nothing is left that kills.
                return (deaths, bench.spawn(&["worker"]));
            }
        }
    };
    let (deaths, mut last) = producer.until(supervised).await;
    let ended = last.until(producer.end()).await.exits(3);

    assert_eq!(deaths, 3 * poisonous);
    let counts = ended.counts();
    assert_eq!((counts["recovered"], counts["failed"]), (40 - poisonous as u64, poisonous as u64));
    let id = ended.object()["id"].as_str().unwrap().to_owned();
    let report = bench.run(&["report", &id, "--format", "json"]).await.exits(0).object();
    for meeting in report["meetings"].as_array().unwrap() {
        let failed = meeting["outcome"] == "failed";
        assert_eq!(meeting["starts"], if failed { 3 } else { 1 }, "{meeting}");
        assert!(!failed || meeting["reason"] == "worker_died", "{meeting}");
    }

    // On a machine that can hold it, it is recovered: `retry` while the worker runs.
    bench.run(&["retry", &id]).await.exits(0);
    while !bench.run(&["status", &id]).await.exits(0).stdout.contains("is completed") {}
    assert_eq!(counts_of(&bench.runs().await[0])["recovered"], 40);
    bench.assert_all_recovered();
    last.signal(Signal::TERM);
    last.end().await.exits(0);
}
