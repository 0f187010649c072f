//! Meetings that are asked for by id, with `--meeting` and in CSV files: what is particular to that. Every kind of
//! meeting stands in the table of `triggers.rs`.

use std::collections::BTreeSet;

use recapture_simulator::{Faults, Scenario};
use serde_json::Value;

use crate::csv_files::{list, outcomes};
use crate::expectation::counts;
use crate::harness::{Bench, plain};

const UNKNOWN: &str = "4444AAAiAAAAAiAiAiiAii==";

#[tokio::test(flavor = "multi_thread")]
async fn a_number_stands_for_all_its_instances() {
    let bench = Bench::start(Scenario { recurring: 1.0, ..plain(10) }).await;
    let meetings = bench.meetings();
    let number = meetings[0].number.unwrap();
    let of_number: BTreeSet<_> = meetings
        .iter()
        .filter(|meeting| meeting.number == Some(number))
        .map(|meeting| meeting.uuid.clone())
        .collect();
    assert_eq!(of_number.len(), 5);
    let digits = number.to_string();
    let text = format!("{} {} {}\n{}\n", &digits[..3], &digits[3..7], &digits[7..], meetings[0].uuid);
    let run = bench.recover_csv(&bench.drop_csv("ids.csv", &text)).await.exits(0);
    let folded = [("listed", 5), ("missing", 5), ("detected", 5), ("recovered", 5)];
    for (name, count) in folded {
        assert_eq!(run.counts()[name], count, "{name}");
    }
    let lines = bench.results("ids.results.csv");
    let instances: BTreeSet<_> =
        lines.iter().filter(|line| line.row == 1).map(|line| line.meeting.clone()).collect();
    assert_eq!(instances, of_number);
    assert_eq!(
        lines.iter().filter(|line| line.row == 2).count(),
        1,
        "and the row beside it has its own line"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_deadline_is_expired_and_what_nobody_knows_is_gone() {
    let mut bench = Bench::start(Scenario { gone_meetings: 1.0, ..plain(3) }).await;
    bench.set("zoom.retention", "'60s'");
    let numbers: Vec<String> =
        bench.meetings().iter().map(|meeting| meeting.number.unwrap().to_string()).collect();
    let text = format!("{}\n{UNKNOWN}\n123456789\n", numbers.join("\n"));
    let run = bench.recover_csv(&bench.drop_csv("ids.csv", &text)).await.exits(3);
    let expected = [("listed", 5), ("missing", 5), ("detected", 5), ("expired", 3), ("unavailable", 2)];
    assert_eq!(run.counts(), counts(&expected));
    assert_eq!(run.object()["reconciled"], true);
    let lines = bench.results("ids.results.csv");
    assert_eq!(outcomes(&lines), [(("expired", "retention_over"), 3), (("unavailable", "gone"), 2)].into());
    assert_eq!(lines[4].meeting, "123456789", "a number without instances stands for itself");
    let report = bench.run(&["report", &lines[0].run, "--format", "json"]).await.exits(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    for meeting in report["meetings"].as_array().unwrap() {
        assert_eq!(meeting["evidence"]["status"], 404, "{meeting}");
        assert_eq!(meeting["evidence"]["code"], 3001, "{meeting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_without_the_scope_for_it_stops_the_run_and_costs_no_row() {
    let scopes =
        Scenario::default().scopes.into_iter().filter(|scope| !scope.contains("instances")).collect();
    let bench = Bench::start(Scenario { scopes, ..plain(2) }).await;
    let meetings = bench.meetings();
    let text = format!("{}\n{}\n", meetings[0].uuid, meetings[1].number.unwrap());
    let path = bench.drop_csv("ids.csv", &text);
    bench.recover_csv(&path).await.exits(1).tells(&[
        "lacks a scope",
        "list_past_instances",
        "stays where it is",
    ]);
    bench.assert_open("ids.csv");
    let by_uuid = list(&meetings);
    bench.recover_csv(&bench.drop_csv("ids.csv", &by_uuid)).await.exits(0);
    bench.assert_moved("ids.csv", &by_uuid);
    bench.assert_all_recovered();
}

/// What Zoom refuses, or fails at again and again, is said of that row alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_zoom_will_not_answer_stops_no_other() {
    let mut bench = Bench::start(plain(8)).await;
    bench.set("queue.max_attempts", "1");
    let meetings = bench.meetings();
    let number = meetings[0].number.unwrap().to_string();
    let ids = [number.clone(), meetings[1].uuid.clone(), meetings[2].uuid.clone()];
    for (id, answer) in ids.iter().zip([(400, 12702), (500, 500), (400, 300)]) {
        bench.simulator.set_answer(id, Some(answer));
    }
    let text = format!("meeting_uuid\n{number}\n{}", list(&meetings[1..]).split_once('\n').unwrap().1);
    let path = bench.drop_csv("ids.csv", &text);
    let run = bench.recover_csv(&path).await.exits(4);
    let expected = [("listed", 8), ("indeterminate", 1), ("missing", 7), ("recovered", 5), ("failed", 2)];
    for (name, count) in expected {
        assert_eq!(run.counts()[name], count, "{name}");
    }
    run.tells(&["ids.csv stays where it is", "of 1 more nobody could tell"]);
    bench.assert_open("ids.csv");

    for id in &ids {
        bench.simulator.set_answer(id, None);
    }
    let run = bench.recover_csv(&path).await.exits(0);
    assert_eq!((run.counts()["present"], run.counts()["recovered"]), (5, 3));
    bench.assert_moved("ids.csv", &text);
    bench.assert_all_recovered();
}

/// Whether a meeting is a loss does not depend on how it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_an_earlier_run_recorded_is_remembered() {
    let mut bench = Bench::start(Scenario { gone_meetings: 1.0, ..plain(2) }).await;
    bench.set("zoom.retention", "'60s'");
    bench.recover().await.exits(3);
    let meetings = bench.meetings();
    let run = bench.run(&["recover", "--json", "--meeting", &meetings[0].uuid, UNKNOWN]).await.exits(3);
    let expected = [("listed", 2), ("missing", 2), ("detected", 2), ("expired", 1), ("unavailable", 1)];
    assert_eq!(run.counts(), counts(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_on_the_way_change_no_row() {
    let bench = Bench::start(plain(60)).await;
    bench.simulator.set_faults(Faults::all(0.05));
    let text = list(&bench.meetings());
    bench.recover_csv(&bench.drop_csv("ids.csv", &text)).await.exits(0);
    bench.assert_moved("ids.csv", &text);
    bench.assert_all_recovered();
    assert_eq!(outcomes(&bench.results("ids.results.csv")), [(("recovered", ""), 60)].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_are_refused() {
    let bench = Bench::start(plain(1)).await;
    for arguments in [
        &["--csv", "ids.csv", "--last", "7d"][..],
        &["--csv", "ids.csv", "--meeting", UNKNOWN],
        &["--meeting", UNKNOWN, "--last", "7d"],
        &["--meeting", "not-an-id"],
        &["--csv", "nowhere.csv"],
        &[],
    ] {
        let all: Vec<_> = ["recover"].iter().chain(arguments).copied().collect();
        bench.run(&all).await.exits(2);
    }
}
