//! What a recovery leaves behind for those who ask later: evidence that verifies, reports, and a buffer to look after.

use recapture_simulator::Scenario;
use rustix::process::Signal;

use crate::harness::{Bench, plain};

/// The recovery of a period by two workers that know nothing of each other, and its run.
async fn by_two_workers(bench: &mut Bench, meetings: usize) -> String {
    bench.set("worker.concurrency", "3");
    let run = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    let run = run["id"].as_str().unwrap().to_owned();
    let (mut first, mut second) = (bench.spawn(&["worker"]), bench.spawn(&["worker"]));
    let all = bench.simulator.wait_for(|counts| counts.das_puts.len() == meetings);
    first.until(second.until(all)).await;
    while !bench.run(&["status", &run]).await.exits(0).stdout.contains("is completed") {}
    for worker in [first, second] {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn what_several_processes_wrote_without_coordination_verifies() {
    let mut bench = Bench::start(plain(40)).await;
    let run = by_two_workers(&mut bench, 40).await;

    for arguments in [&["verify", "--json"][..], &["verify", &run, "--json"]] {
        let object = bench.run(arguments).await.exits(0).object();
        assert_eq!(object["verified"], true, "{object}");
        let checked = &object["checked"];
        assert_eq!((&checked["writers"], &checked["seals"]), (&3.into(), &3.into()));
        assert_eq!((&checked["meetings"], &checked["files"]), (&40.into(), &120.into()));
        assert_eq!(checked["raw_answers"], 2);
        assert_eq!(object["notes"], serde_json::json!([]), "every line is sealed");
    }
}

/// Whatever a recovery meets on its way, and however it ends, its evidence holds together.
#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_with_every_outcome_verifies_and_is_reported() {
    let scenario = Scenario {
        captured: 0.2,
        incomplete: 0.2,
        no_files: 0.1,
        processing: 0.1,
        processing_reads: 1000,
        failed_files: 0.1,
        gone_files: 0.1,
        gone_meetings: 0.1,
        ..plain(60)
    };
    let bench = Bench::start(scenario).await;
    let object = bench.recover().await.exits(3).object();
    let run = object["id"].as_str().unwrap();

    bench.run(&["verify"]).await.exits(0);

    let csv = bench.run(&["report", run, "--format", "csv"]).await.exits(0).stdout;
    let rows = |kind: &str| csv.lines().filter(|line| line.starts_with(kind)).count() as u64;
    assert_eq!(rows("meeting,"), object["counts"]["detected"].as_u64().unwrap());
    assert!(rows("file,") >= object["counts"]["files"].as_u64().unwrap());
    let page = bench.run(&["report", run, "--format", "html"]).await.exits(0).stdout;
    for words in [
        "<h2>Days</h2>",
        "✓ proven listed",
        "<h2>Coverage</h2>",
        "<h2>Throughput</h2>",
        "<h2>Reasons</h2>",
        "archive_processing",
        "gone",
        "</html>",
    ] {
        assert!(page.contains(words), "no {words}");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_platform_confirms_is_purged_and_the_rest_still_verifies() {
    let mut bench = Bench::start(plain(12)).await;
    bench.recover().await.exits(0);
    let before = bench.files().len();

    // A platform that has nothing confirms nothing.
    let das = bench.set("contacts.url", "'sqlite://elsewhere.db'").run(&purge(&["--older-than", "0s"])).await;
    assert!(das.exits(0).stdout.contains("removed 0 meetings, 0 B; 12 stay"));
    bench.set("contacts.url", &crate::harness::text(&bench.simulator.das_url()));
    for (arguments, says) in [
        (&["--older-than", "1d"][..], "removed 0 meetings, 0 B; 0 stay that are old enough, 12 are younger"),
        (&["--older-than", "0s", "--dry-run"], "would remove 12 meetings"),
    ] {
        let said = bench.run(&purge(arguments)).await.exits(0).stdout;
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(bench.files().len(), before);

    // Something that no manifest names stays, and keeps its folder.
    let kept = bench.files().into_iter().find(|path| path.ends_with("manifest.json")).unwrap();
    let kept = kept.with_file_name("a note of somebody");
    std::fs::write(&kept, "keep").unwrap();
    let said = bench.run(&purge(&["--older-than", "0s"])).await.exits(0).stdout;
    assert!(said.contains("removed 12 meetings") && said.contains("something else is in it"), "{said}");
    let left: Vec<_> =
        bench.files().into_iter().filter(|path| path.to_string_lossy().contains("/meetings/")).collect();
    assert_eq!(left, [kept]);
    bench.run(&["verify"]).await.exits(0);
    let again = bench.recover().await.exits(0).counts();
    assert_eq!((again["present"], again["detected"]), (12, 0));
}

fn purge<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["buffer", "purge"], arguments].concat()
}
