//! Memory does not grow with the size of a file, and little with the length of a listing; work begins while it goes on.

use std::time::Instant;

use recapture_simulator::{Endpoint, FileSpec, Scenario};

use crate::harness::{Bench, Finished, Process, plain};

const MIB: u64 = 1 << 20;

/// The most memory that the process ever held, as the kernel counts it.
fn peak(process: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().unwrap() * 1024)
}

/// Waits for the end, and gives the peak: looked at with each event of the simulator, of which the last is the last
/// registration.
async fn end_and_peak(bench: &Bench, process: Process) -> (Finished, u64) {
    let id = process.id();
    let mut most = 0;
    let watching = bench.simulator.wait_for(|_| {
        most = most.max(peak(id).unwrap_or_default());
        false
    });
    let ended = tokio::select! {
        ended = process.end() => ended,
        () = watching => unreachable!("it watches for ever"),
    };
    assert!(most > 0, "the peak was seen");
    (ended, most)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_two_gigabytes_takes_less_than_100_mib() {
    let bench =
        Bench::start(Scenario { files: vec![FileSpec::exactly("MP4", 2_000_000_000)], ..plain(1) }).await;
    let began = Instant::now();

    let (run, peak) = end_and_peak(&bench, bench.spawn_recovery()).await;

    println!("2 GB in {:?}, {} MiB at most", began.elapsed(), peak / MIB);
    assert_eq!(run.exits(0).counts(), bench.expected_counts());
    assert!(peak < 100 * MIB, "{} MiB", peak / MIB);
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_listed_meetings_take_less_than_200_mib_and_work_begins_at_once() {
    let bench = Bench::start(Scenario { captured: 0.99, fingerprint_limit: 0, ..plain(100_000) }).await;
    let began = Instant::now();

    let mut process = bench.spawn_recovery();
    process.until(bench.simulator.wait_for(|counts| counts.requests(Endpoint::Metadata) > 0)).await;
    let (first_job, pages_then) = (began.elapsed(), bench.simulator.with_counts(|counts| counts.pages.len()));
    let (run, peak) = end_and_peak(&bench, process).await;

    let pages = bench.simulator.with_counts(|counts| counts.pages.len());
    println!(
        "100,000 meetings in {:?}, {} MiB at most; the first job ran after {first_job:?}, {pages_then} of {pages} pages",
        began.elapsed(),
        peak / MIB
    );
    assert_eq!(run.exits(0).counts(), bench.expected_counts());
    assert!(pages_then < pages / 2, "the first job ran after {pages_then} of {pages} pages");
    assert!(peak < 200 * MIB, "{} MiB", peak / MIB);
    bench.assert_all_recovered();
}
