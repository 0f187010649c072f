//! A platform that does not tell the whole: what it has is never fetched again, what it lacks is never taken as there.

use recapture_simulator::{Capture, DasLimits, Endpoint, Fault, Faults, Scenario};

use crate::expectation::counts;
use crate::harness::{Bench, plain};

fn half_there(das: DasLimits) -> Scenario {
    Scenario { captured: 0.5, das, ..plain(60) }
}

/// The books are right, what was missing is there, and what was there was let alone.
async fn assert_right(bench: &Bench) {
    let run = bench.recover().await.exits(0);
    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    assert_captured_let_alone(bench);
    let fetched = bench.simulator.counts().downloads_started;
    let again = bench.recover().await.exits(0);
    assert_eq!(again.counts(), counts(&[("listed", 60), ("present", 60)]));
    assert_eq!(bench.simulator.counts().downloads_started, fetched);
}

fn assert_captured_let_alone(bench: &Bench) {
    for meeting in bench.simulator.truth().filter(|meeting| meeting.class == Capture::Captured) {
        for file in meeting.files {
            assert_eq!(bench.simulator.file_count(&file.id).started, 0, "{}", meeting.uuid);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_cuts_its_look_ups() {
    let bench = Bench::start(half_there(DasLimits { rows: Some(7), ..DasLimits::default() })).await;
    assert_right(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_answers_small_look_ups_in_time_and_large_ones_never() {
    let mut bench = Bench::start(half_there(DasLimits { most_ids: Some(20), ..DasLimits::default() })).await;
    bench.set("contacts.timeout", "'300ms'");
    assert_right(&bench).await;
    assert!(bench.simulator.counts().das_unanswered > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_now_and_then_gives_no_answer() {
    let mut bench = Bench::start(half_there(DasLimits::default())).await;
    bench.set("contacts.timeout", "'300ms'");
    bench.simulator.set_faults(Faults { das_late: 0.5, ..Faults::default() });
    assert_right(&bench).await;
    assert!(bench.simulator.counts().fault(Fault::DasLate) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verint_service_that_cuts_clamps_and_stalls() {
    for das in [
        DasLimits { rows: Some(40), ..DasLimits::default() },
        DasLimits { clamp_s: Some(6 * 3600), ..DasLimits::default() },
        DasLimits { longest_period_s: Some(12 * 3600), ..DasLimits::default() },
    ] {
        let mut bench = Bench::start(half_there(das)).await;
        bench.speak_verint().set("contacts.verint.row_limit", "40").set("contacts.timeout", "'500ms'");
        assert_right(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verint_service_that_stumbles_and_ends_its_sessions() {
    let das = DasLimits { session_lifetime_s: 1, ..DasLimits::default() };
    let mut bench = Bench::start(half_there(das)).await;
    bench.speak_verint();
    bench.simulator.set_faults(Faults { das_error: 0.06, das_reset: 0.06, ..Faults::default() });
    assert_right(&bench).await;
    let seen = bench.simulator.counts();
    assert!(seen.answers(Endpoint::DasQuery, 401) > 0 && seen.fault(Fault::DasReset) > 0);
}

/// Sixty meetings began in one minute, more sessions than the service ever gives: nobody can tell which are missing.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_verint_service_cannot_tell_is_indeterminate() {
    let mut scenario = half_there(DasLimits { rows: Some(50), ..DasLimits::default() });
    scenario.from = scenario.to - chrono::Duration::minutes(1);
    let mut bench = Bench::start(scenario).await;
    bench.speak_verint().set("contacts.verint.row_limit", "50").set("contacts.verint.file_column", "''");

    let run = bench.recover().await.exits(4);

    let counts = run.counts();
    assert!(counts["indeterminate"] > 0 && counts["present"] > 0, "{counts:?}");
    assert_eq!(counts["missing"], 0, "{counts:?}");
    assert_eq!(bench.simulator.counts().downloads_started, 0);
    let object = run.object();
    let report = bench.run(&["report", object["id"].as_str().unwrap()]).await.exits(0).stdout;
    assert!(report.contains("cut its answer for"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_in_any_order_and_in_pages_of_any_length() {
    let bench = Bench::start(Scenario { captured: 0.99, ..plain(1500) }).await;
    bench.simulator.set_faults(Faults { reordered: 0.4, short_page: 0.4, ..Faults::default() });
    let run = bench.recover().await.exits(0);
    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
    let seen = bench.simulator.counts();
    assert!(seen.fault(Fault::Reordered) > 0 && seen.fault(Fault::ShortPage) > 0, "{:?}", seen.faults);
}

/// A page that lacks an entry is found by the total: listed again, or said not to be proven.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_loses_entries_is_never_taken_as_whole() {
    let bench = Bench::start(Scenario { captured: 0.99, ..plain(900) }).await;
    bench.simulator.set_faults(Faults { lost_entry: 1.0, relentless: true, ..Faults::default() });
    let run = bench.recover().await.exits(4);
    let object = run.object();
    let unproven = object["unproven"].as_array().unwrap();
    assert_eq!(unproven.len(), 2, "both dimensions: {unproven:?}");
    assert!(unproven[0]["detail"].as_str().unwrap().contains("meetings were listed"), "{unproven:?}");

    bench.simulator.set_faults(Faults { lost_entry: 0.3, ..Faults::default() });
    let mut proven = false;
    while !proven {
        let run = bench.recover().await;
        proven = run.object()["reconciled"] == true;
        assert!(!proven || run.counts()["listed"] == 900, "{:?}", run.counts());
        run.exits(if proven { 0 } else { 4 });
    }
    bench.assert_all_recovered();
}
