//! A platform of the Verint form from end to end: compared by period, and handed what was recovered.

use std::collections::BTreeMap;

use recapture_simulator::{Capture, Endpoint, Scenario};
use serde_json::Value;

use crate::expectation::{counts, read_json};
use crate::harness::{Bench, plain, walk};

/// The contacts that are handed over, by meeting.
fn handed_over(bench: &Bench) -> BTreeMap<String, Value> {
    let mut contacts = BTreeMap::new();
    walk(&bench.buffer().join("handover"), &mut |path, kind| {
        if kind.is_file() {
            let contact = read_json(path);
            contacts.insert(contact["source_id"].as_str().unwrap().to_owned(), contact);
        }
    });
    contacts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_can_only_be_read_is_handed_its_contacts_in_both_ways() {
    let mut bench = Bench::start(Scenario { captured: 0.3, incomplete: 0.2, ..plain(40) }).await;
    bench.speak_verint();
    let run = bench.recover().await.exits(0);
    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    let handed = handed_over(&bench);
    assert_eq!(handed.len(), 28);
    for wanted in bench.wanted() {
        let manifest = read_json(&bench.meeting_folder(&wanted.meeting).join("manifest.json"));
        assert_eq!(handed[&wanted.meeting.uuid], manifest["contact"], "{}", wanted.meeting.uuid);
    }
    let seen = bench.simulator.counts();
    assert_eq!((seen.requests(Endpoint::DasLookup), seen.requests(Endpoint::DasPut)), (0, 0));
    assert_eq!(seen.requests(Endpoint::DasIngest), 28);

    let again = bench.recover().await.exits(0);
    assert_eq!(again.counts(), counts(&[("listed", 40), ("present", 40)]));
    assert_eq!(bench.simulator.counts().downloads_started, seen.downloads_started);
}

/// Until the platform has taken a contact in, the meeting is missing there; what is in the buffer is not fetched again.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_has_not_taken_in_yet_is_handed_over_again_and_not_fetched_again() {
    let mut bench = Bench::start(plain(6)).await;
    bench.speak_verint().set("contacts.ingest_url", "''");
    bench.recover().await.exits(0);
    let (first, fetched) = (handed_over(&bench), bench.simulator.counts().downloads_started);
    assert_eq!((first.len(), bench.simulator.das_contacts().len()), (6, 0));
    std::fs::remove_dir_all(bench.buffer().join("handover")).unwrap();

    let again = bench.recover().await.exits(0);

    assert_eq!((again.counts()["missing"], again.counts()["recovered"]), (6, 6));
    assert_eq!(handed_over(&bench).keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
    assert_eq!(bench.simulator.counts().downloads_started, fetched);
}

/// Without a column that tells files, a contact says nothing of them and counts as whole.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_column_for_files_a_contact_counts_as_whole() {
    let mut bench = Bench::start(Scenario { incomplete: 1.0, ..plain(6) }).await;
    bench.speak_verint().set("contacts.verint.file_column", "''");
    assert!(bench.meetings().iter().all(|meeting| meeting.class == Capture::Incomplete));
    let run = bench.recover().await.exits(0);
    assert_eq!(run.counts(), counts(&[("listed", 6), ("present", 6)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tries_the_log_in_and_the_column() {
    let mut bench = Bench::start(plain(3)).await;
    bench.speak_verint();
    let well = bench.run(&["doctor"]).await.exits(0).stdout;
    assert!(well.contains("sessions in the last hour") && well.contains("switch_call_id"), "{well}");

    bench.set("contacts.verint.password", "'not-the-password'");
    let ill = bench.run(&["doctor"]).await.exits(1).stdout;
    assert!(ill.contains("refuses the log-in") && ill.contains("contacts.verint.password"), "{ill}");
    let refused = bench.recover().await.exits(1).tells(&["refuses the log-in", "contacts.verint.user"]);
    for told in [&ill, &refused.stdout, &refused.stderr] {
        assert!(!told.contains("not-the-password") && !told.contains(bench.simulator.verint_password()));
    }

    bench.speak_verint().set("contacts.verint.key_column", "'cd99'");
    let ill = bench.run(&["doctor"]).await.exits(1).stdout;
    assert!(ill.contains("no row has a column cd99 (contacts.verint.key_column)"), "{ill}");
}

/// Nothing that the process says or keeps holds the password or the token of a session.
#[tokio::test(flavor = "multi_thread")]
async fn the_password_comes_from_a_file_and_goes_nowhere_else() {
    let mut bench = Bench::start(plain(3)).await;
    let secret = bench.simulator.verint_password();
    let file = bench.path("password");
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    bench.speak_verint().unset("contacts.verint.password");
    bench.set("contacts.verint.password_file", &crate::harness::text(file.to_str().unwrap()));
    bench.set("log.level", "'trace'");
    let run = bench.recover().await.exits(0);
    let config = bench.run(&["config"]).await.exits(0);
    std::fs::remove_file(&file).unwrap();
    let mut kept: Vec<u8> = [run.stdout, run.stderr, config.stdout].concat().into_bytes();
    for path in bench.files() {
        kept.extend(std::fs::read(path).unwrap());
    }
    for hidden in [secret, bench.simulator.token_prefix()] {
        let found = kept.windows(hidden.len()).any(|window| window == hidden.as_bytes());
        assert!(!found, "{hidden} was told");
    }
}
