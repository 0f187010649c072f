//! What comes late, in part, or not at all, and what nobody wants.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use recapture_simulator::Scenario;
use serde_json::Value;

use crate::expectation::{counts, read_json};
use crate::harness::{Bench, Finished, plain};

/// Some of a run's counts.
#[track_caller]
fn assert_counts(run: &Finished, expected: &[(&str, u64)]) {
    let all = run.counts();
    for (name, count) in expected {
        assert_eq!(all[*name], *count, "{name} of {all:?}");
    }
}

async fn report(bench: &Bench, run: &Finished) -> Vec<Value> {
    let object = run.object();
    let report = bench.run(&["report", object["id"].as_str().unwrap(), "--format", "json"]).await.exits(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    report["meetings"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_being_made_waits_and_is_taken_as_soon_as_a_listing_shows_it_whole() {
    let bench = Bench::start(Scenario { processing: 0.5, processing_reads: 1000, ..plain(4) }).await;
    let first = bench.recover().await.exits(3);
    assert_counts(&first, &[("recovered", 2), ("pending", 2), ("failed", 0)]);
    let starts = |meeting: &Value| meeting["outcome"] == "pending" && meeting["starts"] == 0;
    let waiting = report(&bench, &first).await;
    assert_eq!(waiting.iter().filter(|meeting| starts(meeting)).count(), 2, "waiting costs no attempt");

    // It would be looked at again in an hour.
    bench.simulator.finish_processing();
    let second = bench.recover().await.exits(0);
    assert_counts(&second, &[("present", 2), ("missing", 2), ("recovered", 2), ("pending", 0)]);
    bench.assert_all_recovered();
    assert_eq!(bench.runs().await[1]["counts"]["recovered"], 4, "the books of the first run moved too");
}

/// It comes back by itself wherever a worker runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_looks_again_at_an_archive_that_was_being_made() {
    let mut bench = Bench::start(Scenario { processing: 1.0, processing_reads: 2, ..plain(2) }).await;
    bench.set("zoom.processing_poll", "'1s'");
    bench.run(&bench.recovery(&["--detach"])).await.exits(0);
    let mut worker = bench.spawn(&["worker"]);
    worker.until(bench.simulator.wait_for(|counts| counts.das_puts.len() >= 2)).await;
    worker.signal(rustix::process::Signal::TERM);
    worker.end().await.exits(0);
    let counts = &bench.runs().await[0]["counts"];
    assert_eq!((&counts["recovered"], &counts["pending"]), (&2.into(), &0.into()));
    bench.assert_all_recovered();
}

/// What the deadline of a meeting is: when its archive was complete, and what Zoom keeps it for.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_counts_from_the_completion_of_the_archive() {
    let mut bench = Bench::start(plain(3)).await;
    bench.set("zoom.retention", "'20d'");
    let run = bench.recover().await.exits(0);
    let told = report(&bench, &run).await;
    let instant = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    for meeting in bench.meetings() {
        let manifest = read_json(&bench.meeting_folder(&meeting).join("manifest.json"));
        let of = told.iter().find(|told| told["meeting_uuid"] == meeting.uuid.as_str()).unwrap();
        let completed = instant(&manifest["meeting"]["complete_time"]);
        assert_eq!(instant(&of["deadline"]), completed + chrono::Duration::days(20), "{of}");
    }
}

/// The deadline bounds the wait: what there is by then is stored, and the rest is told.
#[tokio::test(flavor = "multi_thread")]
async fn past_its_deadline_an_archive_is_taken_as_it_is() {
    let mut bench = Bench::start(Scenario { processing: 1.0, processing_reads: 1000, ..plain(3) }).await;
    bench.set("zoom.retention", "'60s'");
    let run = bench.recover().await.exits(0);
    assert_counts(&run, &[("recovered", 3), ("pending", 0), ("files", 3)]);
    for meeting in bench.meetings() {
        let manifest = read_json(&bench.meeting_folder(&meeting).join("manifest.json"));
        assert_eq!(manifest["state"], "partial");
    }
    bench.simulator.finish_processing();
    let run = bench.recover().await.exits(0);
    assert_counts(&run, &[("incomplete", 3), ("recovered", 3), ("files", 6)]);
    bench.assert_final_names_verify();
    for meeting in bench.meetings() {
        let manifest = read_json(&bench.meeting_folder(&meeting).join("manifest.json"));
        assert_eq!(manifest["state"], "complete");
    }
}

/// A file that Zoom failed to make, or deleted, is told with its reason, and taken when Zoom has it after all.
#[tokio::test(flavor = "multi_thread")]
async fn what_zoom_could_not_give_is_taken_by_a_later_pass_that_finds_it() {
    let bench = Bench::start(Scenario { failed_files: 0.5, gone_files: 0.5, ..plain(4) }).await;
    let first = bench.recover().await.exits(0);
    assert_counts(&first, &[("recovered", 4), ("files", 8)]);
    let partial = report(&bench, &first).await;
    assert!(partial.iter().all(|meeting| meeting["manifest"] == "partial"), "{partial:?}");
    let started = bench.simulator.counts().downloads_completed;

    // Zoom lists two of them as there. They are tried, and the run says that nothing came.
    let second = bench.recover().await.exits(0);
    assert_counts(
        &second,
        &[("present", 2), ("incomplete", 2), ("unavailable", 2), ("files", 0), ("bytes", 0)],
    );
    let reasons: Vec<Value> =
        report(&bench, &second).await.into_iter().map(|meeting| meeting["reason"].clone()).collect();
    assert_eq!(reasons, ["gone", "gone"]);
    assert_eq!(
        bench.simulator.counts().downloads_completed,
        started,
        "nothing that is there is fetched again"
    );

    bench.simulator.mend_files();
    let third = bench.recover().await.exits(0);
    assert_counts(&third, &[("incomplete", 4), ("recovered", 4), ("files", 4)]);
    assert_eq!(bench.simulator.counts().downloads_completed, started + 4);
    bench.assert_all_recovered();
    let fourth = bench.recover().await.exits(0);
    assert_eq!(fourth.counts(), counts(&[("listed", 4), ("present", 4)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_is_told_with_when_it_was_first_known() {
    let mut bench = Bench::start(Scenario { gone_meetings: 0.5, ..plain(4) }).await;
    let first = bench.recover().await.exits(0);
    assert_counts(&first, &[("recovered", 2), ("unavailable", 2), ("expired", 0)]);
    bench.set("zoom.retention", "'60s'");
    let second = bench.recover().await.exits(3);
    assert_counts(&second, &[("present", 2), ("expired", 2)]);
    let instant = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let ended = instant(&first.object()["finished_at"]);
    for meeting in report(&bench, &second).await {
        assert_eq!((&meeting["outcome"], &meeting["reason"]), (&"expired".into(), &"retention_over".into()));
        assert!(instant(&meeting["first_known_at"]) < ended, "the first run told of it: {meeting}");
        assert!(instant(&meeting["deadline"]) < ended);
        assert_eq!(meeting["evidence"]["status"], 404);
    }
    let object = second.object();
    let text = bench.run(&["report", object["id"].as_str().unwrap()]).await.exits(0).stdout;
    assert_eq!(text.matches("(known since ").count(), 2, "{text}");
}

/// Who is not captured is not missed, and the rule that says so is named.
#[tokio::test(flavor = "multi_thread")]
async fn an_exclusion_names_its_rule() {
    let scenario = || Scenario { webinars: 0.5, breakout_rooms: 0.25, ..plain(12) };
    let bench = Bench::start(scenario()).await;
    bench.recover().await.exits(0);
    let manifests: Vec<Value> = bench
        .meetings()
        .iter()
        .map(|meeting| read_json(&bench.meeting_folder(meeting).join("manifest.json"))["meeting"].clone())
        .collect();
    let lasting = |meeting: &&Value| meeting["duration_in_second"].as_u64().unwrap() < 1800;
    let of = |name: &str| manifests[0][name].as_str().unwrap().to_owned();
    let same =
        |name: &str| manifests.iter().filter(|meeting| meeting[name] == manifests[0][name]).count() as u64;
    for (key, value, excluded) in [
        ("exclude.minimum_length", "'30m'".to_owned(), manifests.iter().filter(lasting).count() as u64),
        ("exclude.hosts", format!("['{}', 'nobody']", of("host_id")), same("host_id")),
        ("exclude.groups", format!("['{}']", of("group_id")), same("group_id")),
        ("exclude.kinds", "['webinar']".to_owned(), 6),
        ("exclude.kinds", "['breakout_room', 'webinar']".to_owned(), 9),
    ] {
        let mut bench = Bench::start(scenario()).await;
        bench.set(key, &value);
        let run = bench.recover().await.exits(0);
        assert!((1..12).contains(&excluded), "{key}");
        assert_counts(&run, &[("excluded", excluded), ("recovered", 12 - excluded)]);
        let told = report(&bench, &run).await;
        let rules: Vec<&Value> = told
            .iter()
            .filter(|meeting| meeting["outcome"] == "excluded")
            .map(|meeting| &meeting["verdict_detail"])
            .collect();
        assert_eq!(rules, vec![key; usize::try_from(excluded).unwrap()]);
        let registered: BTreeSet<_> = bench.simulator.counts().das_puts.into_keys().collect();
        assert_eq!(registered.len() as u64, 12 - excluded);
    }
}
