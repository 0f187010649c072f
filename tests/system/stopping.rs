//! SIGTERM and Ctrl-C: what is in hand ends or goes back unharmed, and the same command goes on.

use recapture_simulator::{Faults, Scenario};
use rustix::process::Signal;

use crate::expectation::assert_balanced;
use crate::harness::{Bench, Process, counts_of, plain};

/// A recovery of so many meetings, all listed, whose downloads hang until they are released.
async fn hanging(bench: &Bench, meetings: u64, at_once: u64) -> Process {
    bench.simulator.hold_downloads();
    let mut process = bench.spawn_recovery();
    process.until(bench.simulator.wait_for(|counts| counts.downloads_now == at_once * 3)).await;
    while bench.runs().await[0]["state"] != "running" {}
    assert_eq!(bench.runs().await[0]["counts"]["pending"], meetings);
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_goes_back_after_the_drain_and_no_attempt_is_counted() {
    let mut bench = Bench::start(plain(12)).await;
    bench.set("worker.drain", "'1s'");
    let process = hanging(&bench, 12, 12).await;

    process.signal(Signal::TERM);
    let stopped = process.end().await.exits(3).tells(&["the same command goes on where this one stopped"]);

    assert_eq!(stopped.object()["state"], "stopped");
    assert_eq!(stopped.counts()["pending"], 12);
    assert!(bench.parts().is_empty() && bench.final_files().is_empty());
    bench.simulator.release_downloads();
    bench.recover().await.exits(0);
    bench.assert_all_recovered();
    let run = stopped.object()["id"].as_str().unwrap().to_owned();
    let report = bench.run(&["report", &run, "--format", "json"]).await.exits(0).object();
    assert_eq!(
        counts_of(&report["run"]),
        bench.expected_counts(),
        "its books moved when its meetings were recovered"
    );
    let meetings = report["meetings"].as_array().unwrap();
    assert!(meetings.iter().all(|meeting| meeting["starts"] == 1), "{meetings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_end_within_the_drain_ends_and_nothing_is_begun() {
    let mut bench = Bench::start(plain(20)).await;
    bench.set("worker.concurrency", "4").set("worker.drain", "'10m'");
    let mut process = hanging(&bench, 20, 4).await;

    process.signal(Signal::INT);
    process.said("stopping").await;
    bench.simulator.release_downloads();
    let stopped = process.end().await.exits(3);

    assert_eq!(bench.simulator.counts().downloads_started, 12);
    assert_eq!((stopped.counts()["recovered"], stopped.counts()["pending"]), (4, 16));
    assert!(bench.parts().is_empty());
    bench.recover().await.exits(0);
    bench.assert_all_recovered();
    assert_eq!(bench.simulator.counts().files_fetched_twice(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_listing_proves_nothing_and_says_so() {
    let mut bench = Bench::start(Scenario { captured: 0.99, ..plain(6000) }).await;
    bench.set("worker.drain", "'0s'");
    // Twenty pages: the listing is far from its end when the first download begins.
    bench.simulator.set_faults(Faults { latency_ms: 200, ..Faults::default() });
    bench.simulator.hold_downloads();
    let mut process = bench.spawn_recovery();
    process.until(bench.simulator.wait_for(|counts| counts.downloads_now > 0)).await;

    process.signal(Signal::TERM);
    let stopped = process.end().await.exits(4);

    assert_eq!(stopped.object()["reconciled"], false);
    assert_eq!(stopped.object()["state"], "stopped");
    assert_balanced(&stopped.counts());
    assert!(stopped.counts()["listed"] < 6000);
    assert!(bench.parts().is_empty());
    bench.simulator.set_faults(Faults::default());
    bench.simulator.release_downloads();
    // What the first run left on the queue may be recovered before this one lists it, and is present then.
    let counts = bench.recover().await.exits(0).counts();
    assert_balanced(&counts);
    assert_eq!((counts["listed"], counts["recovered"]), (6000, counts["detected"]));
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let mut bench = Bench::start(plain(12)).await;
    bench.set("worker.drain", "'10m'").set("queue.lease", "'1s'");
    let mut process = hanging(&bench, 12, 12).await;

    process.signal(Signal::TERM);
    process.said("stopping").await;
    process.signal(Signal::TERM);
    process.end().await.exits(130);

    bench.simulator.release_downloads();
    bench.recover().await.exits(0);
    bench.assert_all_recovered();
}
