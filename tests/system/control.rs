//! The commands beside `recover`, given while it runs in another process.

use recapture_simulator::{Faults, Scenario};
use rustix::process::Signal;
use serde_json::Value;

use crate::expectation::{assert_balanced, counts};
use crate::harness::{Bench, Finished, Process, counts_of, plain};

/// A recovery of ten meetings, two of them in hand, whose downloads hang until they are released.
async fn hanging(bench: &mut Bench) -> (Process, String) {
    bench.set("worker.concurrency", "2");
    bench.simulator.hold_downloads();
    let mut process = bench.spawn_recovery();
    process.until(bench.simulator.wait_for(|counts| counts.downloads_now == 6)).await;
    while bench.runs().await[0]["state"] != "running" {}
    let run = bench.newest_run().await;
    (process, run)
}

async fn says(bench: &Bench, arguments: &[&str], words: &str) -> Finished {
    let finished = bench.run(arguments).await.exits(0);
    assert!(finished.stdout.contains(words), "{}", finished.stdout);
    finished
}

async fn until_status_says(bench: &Bench, run: &str, words: &str) {
    while !bench.run(&["status", run]).await.exits(0).stdout.contains(words) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_hands_out_nothing_more_until_it_is_taken_back() {
    for whole_queue in [false, true] {
        let mut bench = Bench::start(plain(10)).await;
        let (mut process, run) = hanging(&mut bench).await;
        let what = if whole_queue { vec![] } else { vec![run.as_str()] };

        says(&bench, &[&["pause"], what.as_slice()].concat(), "is paused").await;
        bench.simulator.release_downloads();
        process.until(until_status_says(&bench, &run, "0 under way")).await;

        process.until(until_status_says(&bench, &run, "8 held by a pause")).await;
        assert_eq!(bench.simulator.counts().downloads_started, 6, "two meetings were in hand");
        let status = bench.run(&["status", &run, "--json"]).await.exits(0).object();
        assert_eq!((&status["counts"]["recovered"], &status["counts"]["pending"]), (&2.into(), &8.into()));
        process.said("8 held by a pause").await;
        says(&bench, &[&["resume"], what.as_slice()].concat(), "goes on").await;
        let ended = process.end().await.exits(0);
        assert_eq!(ended.counts(), bench.expected_counts());
        bench.assert_all_recovered();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_stops_and_a_later_one_recovers_all() {
    let mut bench = Bench::start(plain(10)).await;
    bench.set("queue.lease", "'1s'");
    let (process, run) = hanging(&mut bench).await;

    let cancelled =
        format!("run {run} is cancelled; 10 meetings were taken off the queue, 0 stay for other runs");
    says(&bench, &["cancel", &run], &cancelled).await;
    let ended = process.end().await.exits(3);

    assert_eq!(ended.object()["state"], "cancelled");
    assert_eq!(ended.counts()["pending"], 10);
    assert!(bench.parts().is_empty() && bench.final_files().is_empty());
    bench.simulator.release_downloads();
    bench.recover().await.exits(0);
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_while_it_lists_stops_listing() {
    let mut bench = Bench::start(Scenario { captured: 0.99, ..plain(6000) }).await;
    bench.set("queue.lease", "'1s'");
    bench.simulator.set_faults(Faults { latency_ms: 200, ..Faults::default() });
    bench.simulator.hold_downloads();
    let mut process = bench.spawn_recovery();
    process.until(bench.simulator.wait_for(|counts| counts.downloads_now > 0)).await;

    let run = bench.newest_run().await;
    says(&bench, &["cancel", &run], &format!("run {run} is cancelled")).await;

    let ended = process.end().await.exits(4).tells(&["is cancelled and takes no more meetings"]);
    assert_eq!(
        (&ended.object()["state"], &ended.object()["reconciled"]),
        (&"cancelled".into(), &false.into())
    );
    assert!(ended.counts()["listed"] < 6000);
    assert_balanced(&ended.counts());
    assert!(bench.parts().is_empty() && bench.final_files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_report_tell_what_the_run_told() {
    let bench = Bench::start(Scenario { captured: 0.5, no_files: 0.1, ..plain(40) }).await;
    says(&bench, &["status"], "No run yet").await;
    let run = bench.recover().await.exits(0).object();
    let id = run["id"].as_str().unwrap();

    assert_eq!(bench.runs().await, std::slice::from_ref(&run));
    assert_eq!(bench.run(&["status", id, "--json"]).await.exits(0).object(), run);
    says(&bench, &["status", id], "is completed\nlisted 40: 20 present, 0 incomplete, ").await;
    let report = bench.run(&["report", id, "--format", "json"]).await.exits(0).object();
    assert_eq!(report["schema"], "recapture.report/1");
    assert_eq!(report["run"], run);
    let counts = counts_of(&run);
    let meetings = report["meetings"].as_array().unwrap();
    let outcome = |word: &str| meetings.iter().filter(|meeting| meeting["outcome"] == word).count() as u64;
    assert_eq!((outcome("recovered"), outcome("unavailable")), (counts["recovered"], counts["unavailable"]));
    let text = says(&bench, &["report", id], "reconciled").await.stdout;
    assert_eq!(text.matches("archive_empty").count() as u64, counts["unavailable"], "{text}");
    let file = bench.path("report.txt");
    let to_file = bench.run(&["report", id, "-o", file.to_str().unwrap()]).await.exits(0);
    assert_eq!((to_file.stdout.as_str(), std::fs::read_to_string(file).unwrap()), ("", text));
    for command in ["status", "report", "cancel", "pause", "resume", "retry"] {
        let stranger = bench.run(&[command, "01KBXGZ0000000000000000000"]).await;
        stranger
            .exits(1)
            .tells(&["there is no run 01KBXGZ0000000000000000000", "`recapture status` lists them"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing() {
    let bench = Bench::start(Scenario { captured: 0.5, incomplete: 0.2, ..plain(50) }).await;

    let dry = bench.run(&bench.recovery(&["--dry-run"])).await.exits(0);
    let [from, to] = [&bench.recovery(&[])[2], &bench.recovery(&[])[4]].map(|at| (*at).to_owned());
    let told = bench.run(&["recover", "--from", &from, "--to", &to, "--dry-run"]).await.exits(0);

    let mut expected = bench.expected_counts();
    expected.extend(
        counts(&[]).into_iter().filter(|(name, _)| ["recovered", "files", "bytes"].contains(&name.as_str())),
    );
    expected.insert("pending".to_owned(), expected["detected"]);
    assert_eq!(dry.counts(), expected);
    assert_eq!(dry.object()["dry_run"], true);
    for wanted in bench.wanted() {
        assert!(told.stdout.contains(&format!("{}  ", wanted.meeting.uuid)), "{}", told.stdout);
    }
    assert_eq!(bench.runs().await, Vec::<Value>::new());
    assert!(bench.files().is_empty());
    let seen = bench.simulator.counts();
    assert_eq!((seen.downloads_started, seen.das_puts.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_run_is_finished_by_a_worker() {
    let bench = Bench::start(plain(30)).await;

    let detached = bench.run(&bench.recovery(&["--detach"])).await.exits(0);
    assert_eq!(detached.object()["state"], "running");
    assert_eq!(detached.counts()["pending"], 30);
    assert_eq!(bench.simulator.counts().downloads_started, 0);

    let mut worker = bench.spawn(&["worker"]);
    let id = detached.object()["id"].as_str().unwrap().to_owned();
    worker.until(until_status_says(&bench, &id, "is completed")).await;
    worker.signal(Signal::TERM);
    worker.end().await.exits(0).tells(&["nothing is left in hand"]);
    bench.assert_all_recovered();
    assert_eq!(counts_of(&bench.runs().await[0]), bench.expected_counts());
}

/// What Zoom is still making is pending; a listing that shows it complete makes it due at once, whatever the poll.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_in_the_making_is_pending_until_zoom_has_made_it() {
    let scenario = Scenario { processing: 0.2, processing_reads: 1000, ..plain(50) };
    let bench = Bench::start(scenario).await;

    let first = bench.recover().await.exits(3);
    assert_eq!((first.counts()["recovered"], first.counts()["pending"]), (40, 10));
    let id = first.object()["id"].as_str().unwrap().to_owned();
    says(&bench, &["status", &id], "10 waiting for Zoom").await;
    assert!(bench.parts().is_empty());
    let again = bench.recover().await.exits(3);
    assert_eq!((again.counts()["present"], again.counts()["pending"]), (40, 10));

    bench.simulator.finish_processing();
    let last = bench.recover().await.exits(0);

    assert_eq!((last.counts()["present"], last.counts()["recovered"]), (40, 10));
    bench.assert_all_recovered();
    assert_eq!(bench.simulator.counts().files_fetched_twice(), 0);
    for run in bench.runs().await {
        assert_eq!(run["counts"]["pending"], 0, "{run}");
    }
}
