//! Downloads as a whole process makes them.

use recapture_simulator::{FileSpec, Scenario};

use crate::harness::{Bench, plain};

/// However many meetings are at work, no more files than that are on their way, and all share one token.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_files_at_once_than_allowed_and_one_token_for_all() {
    let files = vec![FileSpec::exactly("MP4", 400_000), FileSpec::exactly("M4A", 90_000)];
    let mut bench = Bench::start(Scenario { files, ..plain(40) }).await;
    bench.set("worker.downloads", "2").set("worker.concurrency", "16");
    bench.simulator.hold_downloads();
    let mut process = bench.spawn_recovery();
    process.until(bench.simulator.wait_for(|counts| counts.downloads_now == 2)).await;
    bench.simulator.release_downloads();

    let run = process.end().await.exits(0);

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    let seen = bench.simulator.counts();
    assert_eq!(seen.downloads_at_once, 2);
    assert_eq!(seen.tokens_issued, 1, "whoever needs a token while one is fetched waits for that one");
}
