//! How throughput grows with workers. `make scaling` measures it, holds it against what is promised, and prints the tables
//! of docs/containers.md. It wants a machine with nothing else to do, and takes some ten minutes.

use std::time::Instant;

use crate::composition::{Composition, Load};
use crate::engine::needs_an_engine;

/// Each worker has so few meetings at once that latency, not a processor, is what it waits for.
const CONCURRENCY: u32 = 4;
const LATENCY_MS: u64 = 150;
const MEETINGS_A_WORKER: u32 = 200;
/// What Zoom answers a business account in a second, for metadata: one request a meeting.
const PLAN: u32 = 80;
/// What is asked of that at most, by all workers together: with the default budget, and with all of it, where a request that
/// comes a moment late is refused.
const ALLOWED: [u32; 2] = [64, PLAN];
/// A machine that is busier than this has no processor left for one more worker.
const BUSY: f64 = 0.9;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for a machine with nothing else to do"]
async fn throughput_grows_with_workers_until_the_processor_binds() {
    needs_an_engine();
    eprintln!("\n{LATENCY_MS} ms a request, {CONCURRENCY} meetings at once a worker, no rate limit");
    eprintln!("| workers | meetings | meetings/s | of linear | processors busy |");
    eprintln!("| ---: | ---: | ---: | ---: | ---: |");
    let mut one = None;
    let mut short = Vec::new();
    for workers in [1_u32, 2, 4, 8] {
        let load = Load { meetings: MEETINGS_A_WORKER * workers, concurrency: CONCURRENCY, limit: 10_000 };
        let composition = Composition::up_with("linear", load, workers as usize).await;
        composition.set_latency(LATENCY_MS).await;
        let Measured { meetings, rate, busy, .. } = measure(&composition).await;
        let linear = rate / (f64::from(workers) * *one.get_or_insert(rate));
        eprintln!("| {workers} | {meetings} | {rate:.1} | {linear:.2} | {:.0} % |", busy * 100.0);
        if linear < 0.9 && busy < BUSY {
            short.push(workers);
        }
    }
    assert!(
        short.is_empty(),
        "more than 10 % below linear with processors to spare, with workers: {short:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for a machine with nothing else to do"]
async fn any_number_of_workers_uses_the_whole_limit_and_no_more() {
    needs_an_engine();
    eprintln!(
        "\nZoom answers {PLAN} requests for metadata a second, one a meeting, and refuses what is beyond"
    );
    eprintln!("| allowed | workers | meetings | of what is allowed | answers 429 | processors busy |");
    eprintln!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut short = Vec::new();
    for limit in ALLOWED {
        for workers in [1_u32, 2, 4, 8] {
            let load = Load { meetings: 30 * limit, concurrency: 32, limit };
            let composition = Composition::up_with("limited", load, workers as usize).await;
            composition.set_limit(PLAN).await;
            let Measured { meetings, rate, busy, refused } = measure(&composition).await;
            let share = rate / f64::from(limit);
            eprintln!(
                "| {limit} | {workers} | {meetings} | {share:.2} | {refused} | {:.0} % |",
                busy * 100.0
            );
            // Where all of Zoom's limit is asked for, a refusal takes half a second of everybody: that is told, and bounded by their number.
            if refused > 5 || limit < PLAN && share < 0.95 && busy < BUSY {
                short.push((limit, workers));
            }
        }
    }
    assert!(short.is_empty(), "below what is allowed, or above it, with so many workers: {short:?}");
}

struct Measured {
    meetings: u64,
    /// Meetings a second between the first tenth and the last.
    rate: f64,
    /// The share of this machine's processors that did something meanwhile.
    busy: f64,
    refused: u64,
}

async fn measure(composition: &Composition) -> Measured {
    let files = composition.files().await;
    let recovery = composition.recovery();
    composition.until_downloads(files / 10).await;
    let (began, from, idle) = (Instant::now(), composition.downloads().await, idle());
    composition.until_downloads(files * 9 / 10).await;
    let (took, to, idle) = (began.elapsed(), composition.downloads().await, self::idle() - idle);
    let run = recovery.end();
    let meetings = run["counts"]["recovered"].as_u64().unwrap();
    let share = count(to - from) / count(files);
    let processors = count(std::thread::available_parallelism().unwrap().get() as u64);
    let requests = composition.counts().await["requests"].clone();
    let refused =
        requests.as_object().unwrap().values().filter_map(|statuses| statuses["429"].as_u64()).sum();
    Measured {
        meetings,
        rate: count(meetings) * share / took.as_secs_f64(),
        busy: 1.0 - idle / (took.as_secs_f64() * processors),
        refused,
    }
}

/// Seconds that this machine's processors have had nothing to do, all together.
fn idle() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    uptime.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}
