//! Every way in which a recovery starts × everything that a meeting can be: what becomes of it, in one table.
//!
//! The table is what the real processes did, line for line; a difference shows both. `+` stands between the two books:
//! what was listed, and what became of what was detected. The last column counts the reasons that the report gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use futures_util::StreamExt as _;
use recapture_simulator::Scenario;
use serde_json::Value;

use crate::csv_files::{list, outcomes};
use crate::expectation::assert_balanced;
use crate::harness::{Bench, Finished, counts_of, plain};
use crate::serving::Service;

/// A way in which a recovery starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Period,
    Meeting,
    Number,
    Csv,
    Watch,
    Automatic,
    Serve,
}

impl Trigger {
    const ALL: [Self; 7] =
        [Self::Period, Self::Meeting, Self::Number, Self::Csv, Self::Watch, Self::Automatic, Self::Serve];

    fn name(self) -> &'static str {
        match self {
            Self::Period => "period",
            Self::Meeting => "--meeting",
            Self::Number => "--meeting NUMBER",
            Self::Csv => "--csv",
            Self::Watch => "serve, csv",
            Self::Automatic => "--automatic",
            Self::Serve => "serve, automatic",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platform {
    Rest,
    Verint,
}

struct Situation {
    name: &'static str,
    scenario: Scenario,
    settings: &'static [(&'static str, &'static str)],
}

/// What a meeting can be, as shares of four.
fn situations() -> Vec<Situation> {
    fn of(name: &'static str, change: impl Fn(&mut Scenario)) -> Situation {
        let mut scenario = plain(4);
        change(&mut scenario);
        Situation { name, scenario, settings: &[] }
    }
    let with = |settings, situation| Situation { settings, ..situation };
    // Every meeting is older than a minute.
    let past = &[("zoom.retention", "'60s'")];
    vec![
        of("nothing missing", |of| of.captured = 1.0),
        of("some missing", |of| of.captured = 0.5),
        of("all missing", |_| {}),
        of("still processing", |of| (of.processing, of.processing_reads) = (0.5, 1000)),
        of("failed file", |of| of.failed_files = 0.5),
        of("gone file", |of| of.gone_files = 0.5),
        of("no files", |of| of.no_files = 1.0),
        of("gone", |of| of.gone_meetings = 0.5),
        of("gone, captured", |of| (of.captured, of.gone_meetings) = (1.0, 1.0)),
        with(past, of("past its deadline", |_| {})),
        with(past, of("past, and gone", |of| of.gone_meetings = 0.5)),
        with(past, of("past, and processing", |of| (of.processing, of.processing_reads) = (0.5, 1000))),
        of("incomplete contact", |of| of.incomplete = 1.0),
        of("external", |of| of.external = 1.0),
        of("breakout room", |of| of.breakout_rooms = 0.5),
        of("webinar", |of| of.webinars = 1.0),
        of("recurring", |of| of.recurring = 1.0),
        with(&[("exclude.kinds", "['webinar']")], of("webinar, excluded", |of| of.webinars = 0.5)),
        with(&[("exclude.minimum_length", "'24h'")], of("short, excluded", |of| of.captured = 0.5)),
    ]
}

const TABLE: &str = include_str!("triggers.txt");

#[tokio::test(flavor = "multi_thread")]
async fn every_trigger_and_everything_that_a_meeting_can_be() {
    let mut cells = Vec::new();
    for place in 0..situations().len() {
        for trigger in Trigger::ALL {
            cells.push((place, trigger, Platform::Rest));
            cells.push((place, trigger, Platform::Verint));
        }
    }
    let lines: Vec<String> = futures_util::stream::iter(cells)
        .map(|(place, trigger, platform)| async move {
            let situation = situations().swap_remove(place);
            line(&situation, trigger, platform).await
        })
        .buffered(6)
        .collect()
        .await;
    let table = lines.concat();
    if std::env::var_os("UPDATE_TABLE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/system/triggers.txt");
        std::fs::write(path, format!("{}{table}", head())).unwrap();
    }
    let differing: Vec<_> = TABLE.strip_prefix(&head()).unwrap_or(TABLE).lines().zip(table.lines()).collect();
    for (expected, got) in differing.iter().filter(|(expected, got)| expected != got) {
        println!("expected: {expected}\n     got: {got}");
    }
    assert!(TABLE == format!("{}{table}", head()), "the table is not what happens; it stands above");
}

fn head() -> String {
    format!("{:<22}{:<25}{:>4}  {}\n", "situation", "trigger", "exit", "listed + detected ; reasons")
}

async fn line(situation: &Situation, trigger: Trigger, platform: Platform) -> String {
    let mut bench = Bench::start(situation.scenario.clone()).await;
    if platform == Platform::Verint {
        bench.speak_verint();
    }
    bench.set("automatic.lookback", "'9d'").set("automatic.settle", "'0s'");
    for (key, value) in situation.settings {
        bench.set(key, value);
    }
    if situation.scenario.external > 0.0 && trigger == Trigger::Number {
        return format!("{:<22}{:<25}      has no number\n", situation.name, named(trigger, platform));
    }
    let (code, run) = start(&mut bench, trigger).await;
    let counts = counts_of(&run);
    assert_balanced(&counts);
    // What was fetched is whole, and nothing that was there was fetched.
    bench.assert_final_names_verify();
    let whole = counts["pending"] + counts["excluded"] == 0;
    if counts["pending"] == 0 {
        assert_eq!(bench.final_files().len() as u64, counts["files"], "{} by {trigger:?}", situation.name);
    }
    // Zoom lists no breakout rooms among the instances of a number.
    let whole = whole && counts["listed"] == bench.meetings().len() as u64;
    // Whose archive is not whole at its deadline is recovered in part: `late.rs` looks at that.
    if whole && situation.name != "past, and processing" {
        bench.assert_all_recovered();
    }
    if matches!(trigger, Trigger::Csv | Trigger::Watch) {
        assert_rows(&bench, &counts);
    }
    let reasons = reasons(&bench, run["id"].as_str().unwrap()).await;
    let by = named(trigger, platform);
    let code = code.map_or_else(|| "-".to_owned(), |code| code.to_string());
    let mut line = format!("{:<22}{by:<25}{code:>4}  {}", situation.name, books(&counts));
    if !reasons.is_empty() {
        write!(line, " ; {reasons}").unwrap();
    }
    line + "\n"
}

fn named(trigger: Trigger, platform: Platform) -> String {
    let by = if platform == Platform::Verint { ", Verint" } else { "" };
    format!("{}{by}", trigger.name())
}

/// The exit code, where the command has one of its own, and the run as it ended.
async fn start(bench: &mut Bench, trigger: Trigger) -> (Option<i32>, Value) {
    let meetings = bench.meetings();
    let of = |finished: Finished| (finished.code, finished.object());
    match trigger {
        Trigger::Period => of(bench.recover().await),
        Trigger::Meeting => {
            of(recover_meetings(bench, meetings.iter().map(|meeting| meeting.uuid.clone())).await)
        }
        Trigger::Number => {
            let numbers = meetings.iter().map(|meeting| meeting.number.unwrap().to_string());
            of(recover_meetings(bench, numbers.collect::<BTreeSet<_>>()).await)
        }
        Trigger::Automatic => of(bench.run(&["recover", "--automatic", "--json"]).await),
        Trigger::Csv => of(bench.recover_csv(&bench.drop_csv("ids.csv", &list(&meetings))).await),
        Trigger::Serve => {
            bench.set("automatic.enabled", "true").set("automatic.interval", "'1h'");
            (None, served(bench, trigger).await)
        }
        Trigger::Watch => {
            bench.drop_csv("ids.csv", &list(&meetings));
            (None, served(bench, trigger).await)
        }
    }
}

async fn recover_meetings(bench: &Bench, ids: impl IntoIterator<Item = String>) -> Finished {
    let ids: Vec<String> = ids.into_iter().flat_map(|id| ["--meeting".to_owned(), id]).collect();
    let ids = ids.iter().map(String::as_str);
    bench.run(&["recover", "--json"].into_iter().chain(ids).collect::<Vec<_>>()).await
}

/// The one run that the service makes by itself, when nothing is left to do in it now.
async fn served(bench: &mut Bench, trigger: Trigger) -> Value {
    let Service { mut process, url } = Service::start(bench).await;
    let times_said = process.ear();
    let http = recapture_core::http::client().unwrap();
    let settled = process.until(async {
        loop {
            let answer = http.get(format!("{url}/v1/recoveries")).send().await.unwrap();
            let run = answer.json::<Value>().await.unwrap()["recoveries"][0].clone();
            let waiting = run["counts"]["pending"].as_u64().unwrap_or_default();
            // What waits for Zoom's archive keeps a run of a service open.
            let waits = waiting > 0 && waiting == times_said("waiting cause=archive_processing") as u64;
            if (waits && run["state"] == "running")
                || ["completed", "stopped", "failed"].iter().any(|end| run["state"] == *end)
            {
                return run;
            }
        }
    });
    let run = settled.await;
    if trigger == Trigger::Watch && finishes_rows(&counts_of(&run)) {
        process.moved("ids.csv").await;
    }
    Service { process, url }.stopped().await;
    run
}

fn books(counts: &BTreeMap<String, u64>) -> String {
    let some = |names: &[&str]| {
        let some = names.iter().filter(|name| counts[**name] > 0);
        some.map(|name| format!("{} {name}", counts[*name])).collect::<Vec<_>>().join(", ")
    };
    let listed = some(&["present", "incomplete", "missing", "excluded", "indeterminate"]);
    let detected = some(&["recovered", "failed", "unavailable", "expired", "pending"]);
    if detected.is_empty() { listed } else { format!("{listed} + {detected}") }
}

fn finishes_rows(counts: &BTreeMap<String, u64>) -> bool {
    counts["pending"] + counts["indeterminate"] == 0
}

/// Each row has its line, in order, and the file moved; or some rows wait and it stays.
fn assert_rows(bench: &Bench, counts: &BTreeMap<String, u64>) {
    let meetings = bench.meetings();
    if !finishes_rows(counts) {
        return bench.assert_open("ids.csv");
    }
    bench.assert_moved("ids.csv", &list(&meetings));
    let lines = bench.results("ids.results.csv");
    let named: Vec<_> = lines.iter().map(|line| &line.meeting).collect();
    assert_eq!(named, meetings.iter().map(|meeting| &meeting.uuid).collect::<Vec<_>>());
    assert_eq!(lines.iter().map(|line| line.files).sum::<u64>(), counts["files"]);
    assert_eq!(lines.iter().map(|line| line.bytes).sum::<u64>(), counts["bytes"]);
    for outcome in ["present", "recovered", "unavailable", "expired"] {
        let outcomes = outcomes(&lines);
        let rows: usize =
            outcomes.iter().filter(|((name, _), _)| *name == outcome).map(|(_, rows)| rows).sum();
        assert_eq!(rows as u64, counts[outcome], "{outcome}");
    }
}

/// Why meetings were not recovered, and why files of recovered ones were not.
async fn reasons(bench: &Bench, run: &str) -> String {
    let report = bench.run(&["report", run, "--format", "json"]).await.exits(0);
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for meeting in report["meetings"].as_array().unwrap() {
        let of_meeting = meeting["reason"].as_str().or(match meeting["outcome"].as_str() {
            Some("excluded") => meeting["verdict_detail"].as_str(),
            _ => None,
        });
        let of_files = meeting["files"].as_array().into_iter().flatten();
        let of_files = of_files.filter_map(|file| file["unavailable"]["reason"].as_str());
        let of_files = of_files.filter(|_| of_meeting.is_none()).map(|reason| format!("{reason} of a file"));
        for reason in of_meeting.map(str::to_owned).into_iter().chain(of_files) {
            *counts.entry(reason).or_default() += 1;
        }
    }
    counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>().join(", ")
}
