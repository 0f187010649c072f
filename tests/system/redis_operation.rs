//! A shared queue in daily use: workers that are replaced, producers that are killed, come twice, or list faster than
//! anybody works, and an operator's commands while workers run elsewhere.

use std::time::{Duration, Instant};

use recapture_simulator::Scenario;
use rustix::process::Signal;

use crate::expectation::assert_balanced;
use crate::harness::{Bench, Process, plain, text};
use crate::redis::{bench, tiny};
use crate::redis_server::RedisServer;

async fn all_stop(workers: impl IntoIterator<Item = Process>) {
    for worker in workers {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_replaced_one_by_one_lose_and_repeat_nothing() {
    let redis = RedisServer::start().await;
    let bench = bench(plain(250), &redis).await;
    let mut workers: Vec<Process> = (0..3).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();
    for round in 1..=10 {
        let reached = bench.simulator.wait_for(|counts| counts.downloads_completed >= round * 60);
        producer.until(reached).await;
        workers.push(bench.spawn(&["worker"]));
        all_stop([workers.remove(0)]).await;
    }

    let run = producer.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    assert_eq!(bench.simulator.counts().files_fetched_twice(), 0);
    let report =
        bench.run(&["report", run.object()["id"].as_str().unwrap(), "--format", "json"]).await.object();
    let meetings = report["meetings"].as_array().unwrap();
    assert!(meetings.iter().all(|meeting| meeting["starts"] == 1), "an attempt was charged");
    all_stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_are_killed_at_once_and_new_ones_go_on() {
    let redis = RedisServer::start().await;
    let bench = bench(tiny(60), &redis).await;
    bench.simulator.hold_downloads();
    let workers: Vec<Process> = (0..2).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();
    producer.until(bench.simulator.wait_for(|counts| counts.downloads_now == 2 * 8 * 2)).await;
    for worker in workers {
        worker.killed_at(std::future::ready(())).await;
    }
    bench.simulator.release_downloads();
    let worker = bench.spawn(&["worker"]);

    let run = producer.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    all_stop([worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_is_killed_is_gone_on_with_and_two_do_no_harm() {
    let redis = RedisServer::start().await;
    let bench = bench(Scenario { captured: 0.5, ..tiny(1500) }, &redis).await;
    let workers: Vec<Process> = (0..2).map(|_| bench.spawn(&["worker"])).collect();
    for pages in [1, 3] {
        let reached = bench.simulator.wait_for(|counts| counts.pages.len() >= pages);
        let killed = bench.spawn_recovery().killed_at(reached).await;
        assert!(killed.is_none(), "it ended before {pages} pages: {killed:?}");
    }

    let (one, other) = (bench.spawn_recovery(), bench.spawn_recovery());
    let (one, other) = tokio::join!(one.end(), other.end());

    for run in [one.exits(0), other.exits(0)] {
        assert_balanced(&run.counts());
        assert_eq!((run.counts()["listed"], run.counts()["pending"]), (1500, 0));
        assert_eq!(run.counts()["detected"], run.counts()["recovered"]);
    }
    bench.assert_all_recovered();
    assert_eq!(bench.simulator.counts().files_fetched_twice(), 0);
    all_stop(workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_waits_at_the_high_water_mark() {
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(900), &redis).await;
    bench.set("queue.high_water", "250");
    let mut producer = bench.spawn_recovery();
    // A page goes on the queue in steps: one that was begun below the mark, and nothing after it.
    while redis.unfinished().await < 250 {
        producer.until(tokio::task::yield_now()).await;
    }
    let worker = bench.spawn(&["worker"]);
    let mut most = 0;
    for downloads in (0..1700).step_by(20) {
        producer.until(bench.simulator.wait_for(|counts| counts.downloads_completed >= downloads)).await;
        most = most.max(redis.unfinished().await);
    }
    let run = producer.end().await.exits(0);
    // Two listings may begin a step of 75 each below the mark.
    assert!((250..400).contains(&most), "{most} meetings were unfinished at once");
    assert_eq!(run.counts(), bench.expected_counts());
    all_stop([worker]).await;
}

/// Two meetings in the hands of a worker in another process, the downloads hanging.
async fn hanging(bench: &mut Bench) -> (Process, Process, String) {
    bench.set("worker.concurrency", "2").set("queue.lease", &text("60s"));
    bench.simulator.hold_downloads();
    let worker = bench.spawn(&["worker"]);
    let mut producer = bench.spawn_recovery();
    producer.until(bench.simulator.wait_for(|counts| counts.downloads_now == 4)).await;
    while bench.runs().await[0]["state"] != "running" {}
    let run = bench.newest_run().await;
    (worker, producer, run)
}

async fn until_status_says(bench: &Bench, run: &str, words: &str) {
    while !bench.run(&["status", run]).await.exits(0).stdout.contains(words) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_reaches_workers_elsewhere_and_a_resume_too() {
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(10), &redis).await;
    let (worker, mut producer, run) = hanging(&mut bench).await;

    bench.run(&["pause", &run]).await.exits(0);
    bench.simulator.release_downloads();
    producer.until(until_status_says(&bench, &run, "8 held by a pause")).await;
    assert_eq!(bench.simulator.counts().downloads_started, 4, "two meetings were in hand");
    bench.run(&["resume", &run]).await.exits(0);

    let ended = producer.end().await.exits(0);
    assert_eq!(ended.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    all_stop([worker]).await;
}

/// The next renewal is twenty seconds away: the worker hears of the cancelling before.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelling_stops_what_workers_elsewhere_have_in_hand() {
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(10), &redis).await;
    let (mut worker, producer, run) = hanging(&mut bench).await;

    let began = Instant::now();
    bench.run(&["cancel", &run]).await.exits(0);
    worker.said("a lease was lost").await;
    bench.simulator.wait_for(|counts| counts.downloads_now == 0).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    assert_eq!(producer.end().await.exits(3).object()["state"], "cancelled");
    bench.simulator.release_downloads();
    assert!(bench.final_files().is_empty());
    let again = bench.recover().await.exits(0);
    assert_eq!(again.counts()["recovered"], 10);
    bench.assert_all_recovered();
    all_stop([worker]).await;
}

/// Its jobs pass to the run that wants them too, those that are in a worker's hands included.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_while_workers_elsewhere_work_on_what_another_wants_too() {
    let redis = RedisServer::start().await;
    let bench = bench(tiny(300), &redis).await;
    let first = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    let second = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    let [first, second] = [&first, &second].map(|run| run["id"].as_str().unwrap());
    let mut worker = bench.spawn(&["worker"]);
    worker.until(bench.simulator.wait_for(|counts| counts.downloads_completed >= 60)).await;
    let cancelled = bench.run(&["cancel", first]).await.exits(0).stdout;
    assert!(cancelled.contains("0 meetings were taken off the queue"), "{cancelled}");

    worker.until(until_status_says(&bench, second, "is completed")).await;

    let counts = bench.run(&["status", second, "--json"]).await.exits(0).counts();
    assert_eq!(counts, bench.expected_counts());
    bench.assert_all_recovered();
    all_stop([worker]).await;
}
