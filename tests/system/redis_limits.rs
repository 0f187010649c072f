//! Zoom's limits, shared by workers in many processes: used to the full, and kept.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use recapture_simulator::{Counts, Endpoint, Limits, RetryAfter};
use rustix::process::Signal;

use crate::harness::Process;
use crate::redis::{bench, tiny};
use crate::redis_server::RedisServer;

fn throttled(counts: &Counts) -> u64 {
    let api = [Endpoint::List, Endpoint::Statistics, Endpoint::Metadata];
    api.iter().map(|endpoint| counts.answers(*endpoint, 429)).sum()
}

async fn stop(workers: Vec<Process>) {
    for worker in workers {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_allowed_rate_is_used_while_there_is_work() {
    const RATE: u32 = 25;
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(350), &redis).await;
    bench.simulator.set_limits(Limits { light: Some(31), ..Limits::default() });
    bench.set("zoom.limits.light", &RATE.to_string());
    let workers: Vec<Process> = (0..4).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();

    let asked = |wanted: u64| move |counts: &Counts| counts.requests(Endpoint::Metadata) >= wanted;
    producer.until(bench.simulator.wait_for(asked(50))).await;
    let questions = redis.counting(&["EVALSHA", ":lane:light"]).await;
    let began = Instant::now();
    producer.until(bench.simulator.wait_for(asked(300))).await;
    let rate = 250.0 / began.elapsed().as_secs_f64();
    let questions = questions.load(Ordering::SeqCst);
    let run = producer.end().await.exits(0);

    println!(
        "{rate:.1} requests a second of {RATE} that are allowed, {questions} questions of Redis for 250"
    );
    assert!(questions <= 125, "Redis was asked {questions} times for 250 requests");
    assert!(rate >= 0.95 * f64::from(RATE), "{rate:.1} of {RATE} were used");
    assert!(rate <= 1.02 * f64::from(RATE), "{rate:.1} of {RATE} were taken");
    assert_eq!(run.counts(), bench.expected_counts());
    let refused = throttled(&bench.simulator.counts());
    assert!(refused <= 5, "{refused} answers 429");
    stop(workers).await;
}

/// The day ends in some seconds, told in each of the three forms; nobody asks before.
#[tokio::test(flavor = "multi_thread")]
async fn a_daily_limit_parks_everybody_until_its_end() {
    let forms = [RetryAfter::Instant, RetryAfter::HttpDate, RetryAfter::Seconds];
    futures_util::future::join_all(forms.map(daily_limit)).await;
}

async fn daily_limit(form: RetryAfter) {
    let redis = RedisServer::start().await;
    let bench = bench(tiny(60), &redis).await;
    let limits = Limits { daily: Some(40), daily_reset_s: Some(4), retry_after: form, ..Limits::default() };
    bench.simulator.set_limits(limits);
    let workers: Vec<Process> = (0..2).map(|_| bench.spawn(&["worker"])).collect();
    let mut producer = bench.spawn_recovery();
    producer.until(bench.simulator.wait_for(|counts| throttled(counts) > 0)).await;
    let began = Instant::now();

    let run = producer.end().await.exits(0);

    assert!(began.elapsed() >= Duration::from_secs(3), "{form:?}: {:?}", began.elapsed());
    assert_eq!(run.counts(), bench.expected_counts());
    // Those who were on their way when the first was refused, of two processes with eight meetings each.
    let refused = throttled(&bench.simulator.counts());
    assert!(refused <= 2 * 8 + 2, "{form:?}: {refused} answers 429");
    let report =
        bench.run(&["report", run.object()["id"].as_str().unwrap(), "--format", "json"]).await.object();
    let meetings = report["meetings"].as_array().unwrap();
    assert!(meetings.iter().all(|meeting| meeting["starts"] == 1), "waiting was charged");
    bench.assert_all_recovered();
    stop(workers).await;
}

/// Zoom refuses one process once, and would serve all others: they hold back too.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_one_process_holds_the_others_back() {
    let redis = RedisServer::start().await;
    let mut bench = bench(tiny(300), &redis).await;
    // Slow enough that few are on their way at a time.
    bench.set("zoom.limits.light", "20");
    bench.run(&bench.recovery(&["--detach"])).await.exits(0);
    let asked = bench
        .simulator
        .with_counts(|counts| counts.requests(Endpoint::List) + counts.requests(Endpoint::Statistics));
    let daily = Some(u32::try_from(asked).unwrap() + 40);
    bench.simulator.set_limits(Limits { daily, daily_reset_s: Some(4), ..Limits::default() });
    let mut workers: Vec<Process> = (0..2).map(|_| bench.spawn(&["worker"])).collect();
    workers[0].until(bench.simulator.wait_for(|counts| throttled(counts) > 0)).await;
    let began = Instant::now();
    bench.simulator.set_limits(Limits::default());
    let before = bench.simulator.with_counts(|counts| counts.requests(Endpoint::Metadata));

    let on_their_way = bench.simulator.wait_for(|counts| counts.requests(Endpoint::Metadata) > before + 5);
    workers[1].until(on_their_way).await;

    assert!(began.elapsed() >= Duration::from_secs(2), "Zoom was asked after {:?}", began.elapsed());
    assert!(throttled(&bench.simulator.counts()) <= 5);
    stop(workers).await;
}

/// A day that ends at midnight: the pools begin nothing, and do not take every job up to put it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_used_up_leaves_the_rest_on_the_queue_untouched() {
    let redis = RedisServer::start().await;
    let bench = bench(tiny(200), &redis).await;
    let detached = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    let asked = bench
        .simulator
        .with_counts(|counts| counts.requests(Endpoint::List) + counts.requests(Endpoint::Statistics));
    let daily = Some(u32::try_from(asked).unwrap() + 50);
    bench.simulator.set_limits(Limits { daily, ..Limits::default() });
    let mut workers: Vec<Process> = (0..2).map(|_| bench.spawn(&["worker"])).collect();
    for worker in &mut workers {
        worker.said("no meeting is begun until then").await;
    }
    let run = detached["id"].as_str().unwrap();
    while !bench.run(&["status", run]).await.exits(0).stdout.contains("0 under way") {}

    let status = bench.run(&["status", run, "--json"]).await.exits(0).object();
    assert_eq!((&status["counts"]["recovered"], &status["counts"]["pending"]), (&50.into(), &150.into()));
    let delayed: u64 = redis.tell(&["ZCARD", "{recapture}:delayed"]).await[1..].parse().unwrap();
    assert!(delayed <= 2 * 8 * 2, "{delayed} jobs were taken up and put back");
    assert!(throttled(&bench.simulator.counts()) <= 2 * 8);
    stop(workers).await;
    assert!(bench.parts().is_empty());
}
