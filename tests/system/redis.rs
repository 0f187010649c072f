//! Workers in many processes share one Redis: kills, restarts and freezes cost no meeting, and all of them together
//! are one client to Zoom.

use std::collections::BTreeMap;

use recapture_simulator::{Endpoint, Limits, Scenario};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Bench, Process, plain, text};
use crate::redis_server::RedisServer;

/// A bench whose queue is in the Redis, with short leases.
pub(crate) async fn bench(scenario: Scenario, redis: &RedisServer) -> Bench {
    let mut bench = Bench::start(scenario).await;
    bench
        .set("queue.url", &text(&redis.url()))
        .set("queue.lease", &text("2s"))
        .set("worker.concurrency", "8");
    bench
}

pub(crate) fn tiny(meetings: u32) -> Scenario {
    let mut scenario = plain(meetings);
    scenario.files.truncate(2);
    for file in &mut scenario.files {
        (file.min_size, file.max_size) = (300, 900);
    }
    scenario
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_all_the_time_recover_everything() {
    let redis = RedisServer::start().await;
    let bench = bench(tiny(2000), &redis).await;
    let mut workers: Vec<Process> = (0..4).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();
    for round in 1..=8 {
        let reached = bench.simulator.wait_for(|counts| counts.downloads_completed >= round * 400);
        producer.until(reached).await;
        let victim = workers.remove(0);
        victim.killed_at(std::future::ready(())).await;
        workers.push(bench.spawn(&["worker"]));
    }

    let run = producer.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    let puts = bench.simulator.counts().das_puts.len();
    assert_eq!(puts, 2000, "each contact was registered");
    assert!(bench.parts().is_empty());
    for worker in workers {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_and_frozen_costs_nothing() {
    let mut redis = RedisServer::start().await;
    let bench = bench(tiny(600), &redis).await;
    let workers: Vec<Process> = (0..2).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();
    for round in 1..=2 {
        let reached = bench.simulator.wait_for(|counts| counts.downloads_completed >= round * 250);
        producer.until(reached).await;
        redis.killed_and_restarted().await;
    }
    producer.until(bench.simulator.wait_for(|counts| counts.downloads_completed >= 750)).await;
    // Frozen until a call has found no answer, which takes longer than a lease: the workers lose what they hold, and
    // get it back when Redis is there again.
    let (mut first, second) = two(workers);
    let so_far = first.said_so_far();
    redis.signal(Signal::STOP);
    first.said_after(so_far, "cannot be ").await;
    redis.signal(Signal::CONT);

    let run = producer.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    assert!(bench.parts().is_empty());
    for worker in [first, second] {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}

fn two(mut workers: Vec<Process>) -> (Process, Process) {
    let second = workers.pop().unwrap();
    (workers.pop().unwrap(), second)
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_all_told_to_stop_leave_nothing_behind() {
    let redis = RedisServer::start().await;
    let bench = bench(plain(600), &redis).await;
    let workers: Vec<Process> = (0..4).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();
    producer.until(bench.simulator.wait_for(|counts| counts.downloads_completed >= 300)).await;
    for worker in &workers {
        worker.signal(Signal::TERM);
    }
    for worker in workers {
        worker.end().await.exits(0);
    }
    assert!(bench.parts().is_empty());
    let _workers = [bench.spawn(&["worker"]), bench.spawn(&["worker"])];

    let run = producer.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    let report = bench.run(&["report", run.object()["id"].as_str().unwrap(), "--format", "json"]).await;
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let starts =
        report["meetings"].as_array().unwrap().iter().map(|meeting| meeting["starts"].as_u64().unwrap());
    assert!(starts.into_iter().all(|starts| starts == 1), "an attempt was charged");
    let (sent, wanted) = (bench.simulator.counts().bytes_sent, run.counts()["bytes"]);
    assert!(sent * 100 <= wanted * 102, "{sent} bytes were sent for {wanted}");
}

/// The same when nothing can end within the drain: all of it goes back.
#[tokio::test(flavor = "multi_thread")]
async fn downloads_that_hang_go_back_uncharged_when_all_workers_are_told_to_stop() {
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(48), &redis).await;
    bench.set("worker.drain", "'1s'").set("queue.lease", "'60s'");
    let detached = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    bench.simulator.hold_downloads();
    let workers: Vec<Process> = (0..4).map(|_| bench.spawn(&["worker"])).collect();
    bench.simulator.wait_for(|counts| counts.downloads_now == 4 * 8 * 2).await;
    for worker in &workers {
        worker.signal(Signal::TERM);
    }
    for worker in workers {
        worker.end().await.exits(0);
    }
    assert!(bench.parts().is_empty() && bench.final_files().is_empty());
    assert_eq!(redis.tell(&["ZCARD", "{recapture}:leased"]).await, ":0", "a lease was left to run out");
    bench.simulator.release_downloads();
    let mut worker = bench.spawn(&["worker"]);

    worker.until(bench.simulator.wait_for(|counts| counts.das_puts.len() == 48)).await;
    let run = detached["id"].as_str().unwrap();
    while !bench.run(&["status", run]).await.exits(0).stdout.contains("is completed") {}

    bench.assert_all_recovered();
    let report = bench.run(&["report", run, "--format", "json"]).await.exits(0).object();
    let meetings = report["meetings"].as_array().unwrap();
    assert!(meetings.iter().all(|meeting| meeting["starts"] == 1), "an attempt was charged: {meetings:?}");
    worker.signal(Signal::TERM);
    worker.end().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_are_one_client_to_zoom() {
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(400), &redis).await;
    // What Zoom grants, and four fifths of it as the budget of all processes together.
    bench.simulator.set_limits(Limits { light: Some(80), medium: Some(60), ..Limits::default() });
    bench.set("zoom.limits.light", "64").set("zoom.limits.medium", "48");
    let workers: Vec<Process> = (0..4).map(|_| bench.spawn(&["worker"])).collect();

    let run = bench.recover().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    let counts = bench.simulator.counts();
    let throttled: u64 = [Endpoint::List, Endpoint::Statistics, Endpoint::Metadata]
        .iter()
        .map(|endpoint| counts.answers(*endpoint, 429))
        .sum();
    assert!(throttled <= 5, "{throttled} answers 429");
    assert_eq!(counts.tokens_issued, 1, "one token for all");
    for worker in workers {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_redis_is_rebuilt_by_the_same_recovery() {
    let mut redis = RedisServer::start().await;
    let mut bench = bench(tiny(60), &redis).await;
    let detached = bench.run(&bench.recovery(&["--detach"])).await.exits(0).counts();
    assert_eq!(detached["pending"], 60);

    // All of it: another server, with nothing in it.
    redis = RedisServer::start().await;
    bench.set("queue.url", &text(&redis.url()));
    let run = bench.run(&bench.recovery(&["--work"])).await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_its_health_and_metrics() {
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(12), &redis).await;
    bench.set("worker.listen", &text("127.0.0.1:0")).set("log.format", &text("json"));
    let mut worker = bench.spawn(&["worker"]);
    let address = address_of(&mut worker).await;

    assert_eq!(get(&address, "/healthz").await.0, 200);
    assert_eq!(get(&address, "/readyz").await.0, 200);
    let healthcheck = ["healthcheck", "worker", "--set", &format!("worker.listen={address}")];
    let mut behind_a_proxy = bench.command(&healthcheck);
    behind_a_proxy.envs([("HTTP_PROXY", "http://127.0.0.1:9"), ("http_proxy", "http://127.0.0.1:9")]);
    Process::spawn(behind_a_proxy).end().await.exits(0);
    bench.recover().await.exits(0);
    let (status, metrics) = get(&address, "/metrics").await;

    assert_eq!(status, 200);
    let values = parse(&metrics);
    assert_eq!(values["recapture_meetings_total{outcome=\"recovered\"}"], "12");
    assert_eq!(values["recapture_attempts_total{disposition=\"recovered\"}"], "12");
    assert_eq!(values["recapture_job_seconds_count"], "12");
    assert_eq!(values["recapture_files_total{kind=\"video\",outcome=\"stored\"}"], "12");
    assert_eq!(values["recapture_zoom_requests_total{endpoint=\"meeting\",status=\"200\"}"], "12");
    assert_eq!(values["recapture_queue_jobs{state=\"ready\"}"], "0");
    assert_ne!(values["recapture_download_bytes_total"], "0");
    assert_eq!(values["recapture_nearest_deadline_seconds"], "inf");
    worker.signal(Signal::TERM);
    worker.end().await.exits(0);
    bench.run(&healthcheck).await.exits(1);
}

/// Where a worker serves its health, by its own word.
pub(crate) async fn address_of(worker: &mut Process) -> String {
    let line = worker.line_with("serving /healthz").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    line["address"].as_str().unwrap().to_owned()
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}

/// Each sample's value, as it is written.
fn parse(metrics: &str) -> BTreeMap<&str, &str> {
    metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' ')).collect()
}
