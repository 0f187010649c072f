//! How throughput grows with workers: figures for docs/performance.md, not a check. `make scaling` prints them.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::composition::{Composition, Load, can_run};

/// Each worker has so few meetings at once that latency, not a processor, is what it waits for.
const CONCURRENCY: u32 = 4;
const LATENCY_MS: u64 = 150;
const MEETINGS_A_WORKER: u32 = 200;
/// What a business account may ask for metadata in a second, times the default budget.
const LIMIT: u32 = 64;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for a machine with nothing else to do"]
async fn throughput_with_1_2_4_and_8_workers() {
    assert!(can_run(), "no container engine answers, or the image is not made: run `make containers`");
    eprintln!("\n{LATENCY_MS} ms a request, {CONCURRENCY} meetings at once a worker, no rate limit");
    eprintln!("| workers | meetings | seconds | meetings/s | of linear |");
    eprintln!("| --- | --- | --- | --- | --- |");
    let mut one = None;
    for workers in [1_u32, 2, 4, 8] {
        let load = Load { meetings: MEETINGS_A_WORKER * workers, concurrency: CONCURRENCY, limit: 10_000 };
        let composition = Composition::up_with("linear", load, workers as usize).await;
        composition.set_latency(LATENCY_MS).await;
        let (meetings, seconds) = measured(&composition.recovery().end());
        let rate = meetings / seconds;
        let linear = f64::from(workers) * *one.get_or_insert(rate);
        eprintln!("| {workers} | {meetings} | {seconds:.1} | {rate:.1} | {:.2} |", rate / linear);
    }

    eprintln!("\n{LIMIT} requests for metadata a second allowed, one a meeting");
    eprintln!("| workers | meetings | seconds | of the limit | answers 429 |");
    eprintln!("| --- | --- | --- | --- | --- |");
    for workers in [1_u32, 4, 8] {
        let load = Load { meetings: 30 * LIMIT, concurrency: 32, limit: LIMIT };
        let composition = Composition::up_with("limited", load, workers as usize).await;
        composition.set_limit(LIMIT).await;
        let (meetings, seconds) = measured(&composition.recovery().end());
        let refused = refused(&composition.counts().await);
        let share = meetings / seconds / f64::from(LIMIT);
        eprintln!("| {workers} | {meetings} | {seconds:.1} | {share:.2} | {refused} |");
    }
}

/// What was recovered, and how long it took with the listing.
fn measured(run: &Value) -> (f64, f64) {
    let at = |key: &str| run[key].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let took = at("finished_at") - at("started_at");
    (run["counts"]["recovered"].as_f64().unwrap(), took.as_seconds_f64())
}

fn refused(counts: &Value) -> u64 {
    let endpoints = counts["requests"].as_object().unwrap().values();
    endpoints.filter_map(|statuses| statuses["429"].as_u64()).sum()
}
