//! Several processes over one queue and one buffer: each meeting is one process's at a time, and the work of one that
//! dies goes on elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;

use crate::expectation::{assert_balanced, read_json};
use crate::harness::{Bench, plain};

#[tokio::test(flavor = "multi_thread")]
async fn two_recoveries_of_one_period_share_the_work() {
    let mut bench = Bench::start(plain(120)).await;
    bench.set("worker.concurrency", "8");

    let (one, other) = (bench.spawn_recovery(), bench.spawn_recovery());
    let (one, other) = tokio::join!(one.end(), other.end());

    for run in [one.exits(0), other.exits(0)] {
        let counts = run.counts();
        assert_balanced(&counts);
        assert_eq!((counts["listed"], counts["detected"]), (120, counts["recovered"]), "{counts:?}");
    }
    bench.assert_all_recovered();
    assert_eq!(bench.simulator.counts().files_fetched_twice(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_killed_worker_goes_on_elsewhere() {
    let mut bench = Bench::start(plain(40)).await;
    bench.set("worker.concurrency", "5").set("queue.lease", "'3s'");
    let run = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    let run = run["id"].as_str().unwrap();
    bench.simulator.hold_downloads();
    let (mut first, mut second) = (bench.spawn(&["worker"]), bench.spawn(&["worker"]));
    let both = bench.simulator.wait_for(|counts| counts.downloads_now == 2 * 5 * 3);
    first.until(second.until(both)).await;

    first.signal(Signal::KILL);
    assert_eq!(first.end().await.code, None);
    bench.simulator.release_downloads();

    second.until(bench.simulator.wait_for(|counts| counts.das_puts.len() == 40)).await;
    while !bench.run(&["status", run]).await.exits(0).stdout.contains("is completed") {}
    second.signal(Signal::TERM);
    second.end().await.exits(0);
    bench.assert_all_recovered();
    let report = bench.run(&["report", run, "--format", "json"]).await.exits(0).object();
    let meetings = report["meetings"].as_array().unwrap();
    let started_twice = meetings.iter().filter(|meeting| meeting["starts"] == 2).count();
    assert_eq!(started_twice, 5, "what the killed one had in hand, and nothing else");
    assert!(meetings.iter().all(|meeting| meeting["outcome"] == "recovered"));
}

/// Whoever looks, whenever, sees whole manifests and whole files.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_the_buffer_never_sees_half_a_thing() {
    let bench = Bench::start(plain(60)).await;
    let files = bench.simulator.truth().flat_map(|meeting| meeting.files);
    let sizes: BTreeMap<_, _> = files.map(|file| (file.id, file.size)).collect();
    let mut process = bench.spawn_recovery();
    let (mut states, mut most) = (BTreeSet::new(), 0);
    let looking = bench.simulator.wait_for(|counts| {
        for manifest in bench.files().iter().filter(|path| path.ends_with("manifest.json")) {
            states.insert(read_json(manifest)["state"].as_str().unwrap().to_owned());
        }
        let whole = bench.final_files();
        most = most.max(whole.len());
        for (id, path) in whole {
            assert_eq!(path.metadata().unwrap().len(), sizes[&id], "{}", path.display());
        }
        counts.das_puts.len() == 60
    });
    process.until(looking).await;

    process.end().await.exits(0);

    assert_eq!(states, ["complete", "ingested"].map(str::to_owned).into());
    assert_eq!(most, 180);
    bench.assert_all_recovered();
}
