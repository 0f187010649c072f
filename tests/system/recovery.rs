//! What recovery is for: the missing meetings are whole, registered and counted, and the second run finds nothing.

use recapture_simulator::{Capture, FileSpec, Scenario};

use crate::expectation::counts;
use crate::harness::{Bench, plain};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_meetings_are_whole_and_the_second_run_fetches_nothing() {
    let scenario = Scenario {
        captured: 0.3,
        incomplete: 0.05,
        external: 0.05,
        breakout_rooms: 0.05,
        webinars: 0.05,
        recurring: 0.2,
        attachments: 0.02,
        ..plain(1000)
    };
    let bench = Bench::start(scenario).await;

    let first = bench.recover().await.exits(0);
    let object = first.object();
    assert_eq!(object["schema"], "recapture.run/1");
    assert_eq!(object["mode"], "manual");
    assert_eq!(object["state"], "completed");
    assert_eq!(object["reconciled"], true);
    assert_eq!(object["requested_by"], "the tests");
    assert_eq!(first.counts(), bench.expected_counts());
    assert_eq!((first.counts()["listed"], first.counts()["present"]), (1000, 300));
    bench.assert_all_recovered();
    assert_eq!(bench.simulator.counts().files_fetched_twice(), 0);

    let before = bench.simulator.counts();
    let second = bench.recover().await.exits(0);
    let after = bench.simulator.counts();
    assert_eq!(second.counts(), counts(&[("listed", 1000), ("present", 1000)]));
    assert_eq!(after.downloads_started, before.downloads_started);
    assert_eq!(after.bytes_sent, before.bytes_sent);
    assert_eq!(after.das_puts, before.das_puts);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_meeting_and_every_awkward_uuid_is_recovered() {
    let scenario = Scenario {
        seed: 7,
        external: 0.25,
        breakout_rooms: 0.25,
        webinars: 0.25,
        recurring: 0.25,
        attachments: 0.5,
        files: ["MP4", "M4A", "CHAT", "CHAT_MESSAGE", "CC", "TRANSCRIPT", "SUB_GROUP_MEMBER_LOG", "CSV"]
            .map(|file_type| FileSpec::new(file_type, 300, 4 << 10))
            .to_vec(),
        ..plain(80)
    };
    let bench = Bench::start(scenario).await;
    let truth: Vec<_> = bench.simulator.truth().collect();
    let some = |is: fn(&str) -> bool| truth.iter().any(|meeting| is(&meeting.uuid));
    assert!(some(|uuid| uuid.starts_with('/')));
    assert!(some(|uuid| uuid.contains("//") && !uuid.starts_with('/')));
    assert!(some(|uuid| uuid.contains('/') && !uuid.contains("//") && !uuid.starts_with('/')));
    assert!(some(|uuid| uuid.contains('+')));
    assert!(truth.iter().any(|meeting| meeting.external && meeting.number.is_none()));
    assert!(truth.iter().any(|meeting| meeting.breakout_room));
    let numbers: Vec<_> = truth.iter().filter_map(|meeting| meeting.number).collect();
    let different: std::collections::HashSet<_> = numbers.iter().collect();
    assert!(different.len() < numbers.len(), "some instances share a number");

    let run = bench.recover().await.exits(0);
    assert_eq!(run.counts(), bench.expected_counts());
    assert_eq!(run.counts()["recovered"], 80);
    bench.assert_all_recovered();
}

/// What Zoom cannot give is told with its reason, and nothing else of the meeting suffers.
#[tokio::test(flavor = "multi_thread")]
async fn what_zoom_cannot_give_is_named_and_the_rest_is_recovered() {
    let scenario =
        Scenario { no_files: 0.1, failed_files: 0.1, gone_files: 0.1, gone_meetings: 0.1, ..plain(60) };
    let bench = Bench::start(scenario).await;

    let run = bench.recover().await.exits(0);
    assert_eq!(run.counts(), bench.expected_counts());
    assert_eq!(run.counts()["unavailable"], 12, "six without files, six gone");
    bench.assert_all_recovered();
    let report =
        bench.run(&["report", run.object()["id"].as_str().unwrap(), "--format", "json"]).await.exits(0);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let reasons =
        report["meetings"].as_array().unwrap().iter().filter_map(|meeting| meeting["reason"].as_str());
    let mut reasons: Vec<_> = reasons.collect();
    reasons.sort_unstable();
    assert_eq!(reasons, [["archive_empty"; 6], ["gone"; 6]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_incomplete_meeting_only_what_lacks_is_fetched() {
    let scenario = Scenario { captured: 0.0, incomplete: 1.0, ..plain(40) };
    let bench = Bench::start(scenario).await;
    assert!(bench.simulator.truth().all(|meeting| meeting.class == Capture::Incomplete));

    bench.recover().await.exits(0);

    bench.assert_all_recovered();
    for file in bench.simulator.truth().flat_map(|meeting| meeting.files) {
        let fetched = bench.simulator.file_count(&file.id).started;
        assert_eq!(fetched, u32::from(!file.captured), "{}", file.id);
    }
    for meeting in bench.simulator.truth() {
        let contact = bench.simulator.das_contact(&meeting.uuid).unwrap();
        assert_eq!(contact["media"].as_array().unwrap().len(), meeting.files.len(), "{contact}");
    }
}
