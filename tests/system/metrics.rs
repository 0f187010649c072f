//! What a real service and a real worker tell Prometheus: every name that is promised, with its labels.

use rustix::process::Signal;

use crate::harness::{Bench, plain, text};
use crate::redis::{address_of, bench as on_redis};
use crate::redis_server::RedisServer;
use crate::serving::Service;

/// A beginning of a line of each metric, as docs/monitoring.md names it: with all labels where they are known beforehand.
const BEFORE_ANYTHING: [&str; 32] = [
    "recapture_meetings_total{outcome=\"recovered\"} 0",
    "recapture_meetings_total{outcome=\"failed\"} 0",
    "recapture_meetings_total{outcome=\"unavailable\"} 0",
    "recapture_meetings_total{outcome=\"expired\"} 0",
    "recapture_attempts_total{disposition=\"recovered\"} 0",
    "recapture_attempts_total{disposition=\"failed\"} 0",
    "recapture_attempts_total{disposition=\"unavailable\"} 0",
    "recapture_attempts_total{disposition=\"expired\"} 0",
    "recapture_attempts_total{disposition=\"retry\"} 0",
    "recapture_attempts_total{disposition=\"snooze\"} 0",
    "recapture_attempts_total{disposition=\"release\"} 0",
    "recapture_attempts_total{disposition=\"dead\"} 0",
    "recapture_attempts_total{disposition=\"lost\"} 0",
    "recapture_files_total{kind=\"audio\",outcome=\"stored\"} 0",
    "recapture_files_total{kind=\"video\",outcome=\"unavailable\"} 0",
    "recapture_files_total{kind=\"text\",outcome=\"stored\"} 0",
    "recapture_download_bytes_total 0",
    "recapture_zoom_throttled_total{category=\"light\",type=\"rate\"} 0",
    "recapture_zoom_throttled_total{category=\"medium\",type=\"daily\"} 0",
    "recapture_zoom_throttled_total{category=\"heavy\",type=\"rate\"} 0",
    "recapture_leases_lost_total 0",
    "recapture_passes_total{outcome=\"covered\"} 0",
    "recapture_queue_up 1",
    "recapture_queue_jobs{state=\"ready\"} 0",
    "recapture_queue_jobs{state=\"leased\"} 0",
    "recapture_queue_jobs{state=\"delayed\"} 0",
    "recapture_queue_jobs{state=\"held\"} 0",
    "recapture_queue_jobs{state=\"dead\"} 0",
    "recapture_nearest_deadline_seconds inf",
    "recapture_oldest_missing_seconds 0",
    "recapture_lost_within_24h 0",
    "recapture_waiting_for_room 0",
];

/// What is there once meetings were recovered.
const AFTER_MEETINGS: [&str; 11] = [
    "recapture_meetings_total{outcome=\"recovered\"} 3",
    "recapture_meetings_total{outcome=\"expired\"} 0",
    "recapture_attempts_total{disposition=\"recovered\"} 3",
    "recapture_job_seconds_bucket{le=\"0.05\"}",
    "recapture_job_seconds_count 3",
    "recapture_files_total{kind=\"audio\",outcome=\"stored\"} 3",
    "recapture_files_total{kind=\"video\",outcome=\"stored\"} 3",
    "recapture_zoom_requests_total{endpoint=\"meeting\",status=\"200\"}",
    "recapture_limit_wait_seconds_bucket{le=\"0.001\"}",
    "recapture_limit_wait_seconds_count",
    "recapture_pool_halted 0",
];

#[track_caller]
fn holds(metrics: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(metrics.lines().any(|line| line.starts_with(wanted)), "no '{wanted}' in:\n{metrics}");
    }
}

async fn metrics_of(url: &str) -> String {
    let answer = recapture_core::http::client().unwrap().get(format!("{url}/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.text().await.unwrap()
}

/// Asks until it is told; a meeting is counted a moment after the queue has let go of it.
async fn once_it_holds(url: &str, wanted: &str) -> String {
    loop {
        let metrics = metrics_of(url).await;
        if metrics.lines().any(|line| line == wanted) {
            return metrics;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_tells_every_metric_from_its_start_on() {
    let mut bench = Bench::start(plain(3)).await;
    let mut service = Service::start(&mut bench).await;
    let url = service.url.clone();
    holds(&metrics_of(&url).await, &BEFORE_ANYTHING);
    bench.run(&bench.recovery(&["--detach"])).await.exits(0);
    let done = once_it_holds(&url, AFTER_MEETINGS[0]);
    let metrics = service.process.until(done).await;
    holds(&metrics, &AFTER_MEETINGS);
    service.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_what_it_did_and_of_a_queue_that_is_away() {
    let mut redis = RedisServer::start().await;
    let mut bench = on_redis(plain(3), &redis).await;
    bench.set("worker.listen", &text("127.0.0.1:0")).set("log.format", &text("json"));
    let mut worker = bench.spawn(&["worker"]);
    let url = format!("http://{}", address_of(&mut worker).await);
    holds(&metrics_of(&url).await, &BEFORE_ANYTHING);
    bench.recover().await.exits(0);
    let metrics = worker.until(once_it_holds(&url, AFTER_MEETINGS[0])).await;
    holds(&metrics, &AFTER_MEETINGS);

    redis.killed().await;
    let away = [
        "recapture_queue_up 0",
        "recapture_queue_jobs{state=\"ready\"} NaN",
        "recapture_nearest_deadline_seconds NaN",
        "recapture_oldest_missing_seconds NaN",
        "recapture_lost_within_24h NaN",
        // What the process knows by itself it tells all the same.
        AFTER_MEETINGS[0],
    ];
    holds(&metrics_of(&url).await, &away);
    redis.restarted().await;
    let back = worker.until(once_it_holds(&url, "recapture_queue_up 1")).await;
    holds(&back, &["recapture_nearest_deadline_seconds inf", "recapture_queue_jobs{state=\"ready\"} 0"]);
    worker.signal(Signal::TERM);
    worker.end().await.exits(0);
}
