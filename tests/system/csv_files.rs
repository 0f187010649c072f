//! CSV files that name meetings: each row gets its line, and the file moves once all are finished, whatever happens.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use recapture_simulator::{Scenario, TruthMeeting};
use rustix::process::Signal;
use serde_json::Value;

use crate::expectation::{counts, sha256_of};
use crate::harness::{Bench, Finished, plain};

/// A line of a results file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) row: u64,
    pub(crate) meeting: String,
    pub(crate) outcome: String,
    pub(crate) reason: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) run: String,
}

impl Bench {
    /// A file in the folder of new ones.
    pub(crate) fn drop_csv(&self, name: &str, text: &str) -> PathBuf {
        let path = self.new_files().join(name);
        std::fs::create_dir_all(self.new_files()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn new_files(&self) -> PathBuf {
        self.path("data/csv")
    }

    pub(crate) fn processed(&self, name: &str) -> PathBuf {
        self.path("data/csv/processed").join(name)
    }

    pub(crate) fn rejected(&self, name: &str) -> PathBuf {
        self.path("data/csv/rejected").join(name)
    }

    pub(crate) async fn recover_csv(&self, path: &Path) -> Finished {
        self.run(&["recover", "--csv", path.to_str().unwrap(), "--json"]).await
    }

    pub(crate) fn results(&self, name: &str) -> Vec<Line> {
        let mut csv = csv::Reader::from_path(self.processed(name)).unwrap();
        let header = "line,meeting_uuid,outcome,reason,files,bytes,run_id";
        assert_eq!(csv.headers().unwrap().iter().collect::<Vec<_>>().join(","), header);
        let line = |row: csv::Result<csv::StringRecord>| {
            let row = row.unwrap();
            let number = |column: usize| row[column].parse().unwrap();
            let text = |column: usize| row[column].to_owned();
            Line {
                row: number(0),
                meeting: text(1),
                outcome: text(2),
                reason: text(3),
                files: number(4),
                bytes: number(5),
                run: text(6),
            }
        };
        csv.records().map(line).collect()
    }

    /// The file is where it was dropped, and nowhere else.
    #[track_caller]
    pub(crate) fn assert_open(&self, name: &str) {
        assert!(self.new_files().join(name).is_file(), "{name} left its folder");
        assert!(!self.processed(name).exists(), "{name} moved");
    }

    #[track_caller]
    pub(crate) fn assert_moved(&self, name: &str, text: &str) {
        assert_eq!(std::fs::read_to_string(self.processed(name)).unwrap(), text);
        assert!(!self.new_files().join(name).exists(), "{name} stands in both folders");
        let marker = self.new_files().join(format!(".{name}.taken"));
        assert!(!marker.exists(), "{} was left", marker.display());
    }

    pub(crate) fn meetings(&self) -> Vec<TruthMeeting> {
        self.simulator.truth().collect()
    }
}

pub(crate) fn list(meetings: &[TruthMeeting]) -> String {
    let rows = meetings.iter().map(|meeting| format!("{}\n", meeting.uuid));
    format!("meeting_uuid\n{}", rows.collect::<String>())
}

pub(crate) fn outcomes(lines: &[Line]) -> BTreeMap<(&str, &str), usize> {
    let mut outcomes = BTreeMap::new();
    for line in lines {
        *outcomes.entry((line.outcome.as_str(), line.reason.as_str())).or_default() += 1;
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_has_its_line_whatever_stands_in_it() {
    let bench = Bench::start(Scenario { captured: 0.5, ..plain(10) }).await;
    let meetings = bench.meetings();
    let text = format!(
        "\u{feff}topic;meeting_uuid\r\n\"a \"\"b\"\"\r\nc\";{0}\r\n\r\nx;{1}\r\ny;=1+1\r\n;;\r\nz;{0}\r\n\"u;v\";\r\n",
        meetings[4].uuid, meetings[1].uuid
    );
    let run = bench.recover_csv(&bench.drop_csv("ids.csv", &text)).await.exits(3);
    let evidence =
        bench.files().into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "jsonl"));
    let evidence: String = evidence.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let sha256 = sha256_of(&bench.processed("ids.csv"));
    assert!(evidence.contains(&format!("\"sha256\":\"{sha256}\"")), "the evidence names the input");
    run.tells(&["ids.csv, line 6: '=1+1' is rejected", "ids.csv, line 9: '' is rejected"]);
    bench.assert_moved("ids.csv", &text);
    let lines: Vec<_> = bench
        .results("ids.results.csv")
        .into_iter()
        .map(|line| (line.row, line.meeting, line.outcome == "rejected"))
        .collect();
    let (slash_or_plus, other) = (&meetings[4].uuid, &meetings[1].uuid);
    assert!(slash_or_plus.starts_with('+') || slash_or_plus.contains('+'), "{slash_or_plus}");
    assert_eq!(
        lines,
        [
            (2, slash_or_plus.clone(), false),
            (5, other.clone(), false),
            (6, "'=1+1".to_owned(), true),
            (8, slash_or_plus.clone(), false),
            (9, String::new(), true),
        ]
    );
    let rejected = std::fs::read_to_string(bench.rejected("ids.rejected.csv")).unwrap();
    assert!(rejected.starts_with("line,value,cause\n6,'=1+1,") && rejected.contains("\n9,,there is no id\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_rows_stream_through() {
    let bench = Bench::start(Scenario { captured: 0.9, ..plain(200) }).await;
    let meetings = bench.meetings();
    let mut text = "topic,uuid\n".to_owned();
    for row in 0..100_000 {
        let uuid = if row % 1000 == 999 { "nothing" } else { &meetings[row % 200].uuid };
        writeln!(text, "\"row {row}\",{uuid}").unwrap();
    }
    let run = bench.recover_csv(&bench.drop_csv("many.csv", &text)).await.exits(3);
    assert_eq!(run.counts()["listed"], 200, "each is asked for once");
    let lines = bench.results("many.results.csv");
    assert_eq!(lines.len(), 100_000);
    assert!(lines.iter().zip(2..).all(|(line, number)| line.row == number));
    assert_eq!(lines.iter().filter(|line| line.outcome == "rejected").count(), 100);
    run.tells(&["many.csv: 95 more rows are rejected", "100000 rows"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_wait_for_zoom_keep_their_file_open_until_they_are_finished() {
    let bench = Bench::start(Scenario { processing: 0.5, processing_reads: 1000, ..plain(4) }).await;
    let text = list(&bench.meetings());
    let path = bench.drop_csv("ids.csv", &text);
    let first = bench.recover_csv(&path).await.exits(3).tells(&["ids.csv stays where it is: 2 rows"]);
    assert_eq!((first.counts()["recovered"], first.counts()["pending"]), (2, 2));
    bench.assert_open("ids.csv");
    bench.simulator.finish_processing();
    let second = bench.recover_csv(&bench.new_files()).await.exits(0);
    assert_eq!((second.counts()["present"], second.counts()["recovered"]), (2, 2));
    bench.assert_moved("ids.csv", &text);
    bench.assert_all_recovered();
    assert_eq!(
        outcomes(&bench.results("ids.results.csv")),
        [(("present", ""), 2), (("recovered", ""), 2)].into()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_rows_were_finished_elsewhere_is_moved_by_the_next_start() {
    let mut bench = Bench::start(plain(4)).await;
    bench.set("csv.settle", "'10ms'");
    let text = list(&bench.meetings());
    let path = bench.drop_csv("ids.csv", &text);
    let csv = path.to_str().unwrap();
    let detached = bench.run(&["recover", "--csv", csv, "--detach", "--json"]).await.exits(0);
    bench.assert_open("ids.csv");
    let worker = bench.spawn(&["worker"]);
    bench.simulator.wait_for(|seen| seen.requests(recapture_simulator::Endpoint::DasPut) >= 4).await;
    worker.signal(Signal::TERM);
    worker.end().await.exits(0);
    let asked = bench.simulator.counts().requests(recapture_simulator::Endpoint::Metadata);

    let next = bench.recover_csv(&bench.new_files()).await.exits(0);

    let next = next.tells(&["ids.csv was finished by run", "4 recovered"]);
    assert_eq!(next.counts(), counts(&[]), "there was nothing left to do");
    assert_eq!(bench.simulator.counts().requests(recapture_simulator::Endpoint::Metadata), asked);
    bench.assert_moved("ids.csv", &text);
    let lines = bench.results("ids.results.csv");
    assert_eq!(outcomes(&lines), [(("recovered", ""), 4)].into());
    assert!(lines.iter().all(|line| detached.object()["id"] == line.run.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_no_row() {
    let mut bench = Bench::start(plain(20)).await;
    bench.set("queue.lease", "'1s'").set("worker.concurrency", "2").set("csv.settle", "'10ms'");
    let text = list(&bench.meetings());
    let path = bench.drop_csv("ids.csv", &text);
    let csv = path.to_str().unwrap();
    for downloads in [5, 20] {
        let reached = bench.simulator.wait_for(|seen| seen.downloads_completed >= downloads);
        let ended = bench.spawn(&["recover", "--csv", csv, "--json"]).killed_at(reached).await;
        assert!(ended.is_none(), "{ended:?}");
        bench.assert_open("ids.csv");
    }
    bench.recover_csv(&bench.new_files()).await.exits(0);
    bench.assert_moved("ids.csv", &text);
    bench.assert_all_recovered();
    let lines = bench.results("ids.results.csv");
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| matches!(line.outcome.as_str(), "present" | "recovered")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_has_a_file_and_a_signal_leaves_it_where_it_is() {
    let mut bench = Bench::start(plain(3)).await;
    bench.set("worker.drain", "'10ms'").set("csv.settle", "'10ms'");
    let text = list(&bench.meetings());
    let path = bench.drop_csv("ids.csv", &text);
    let csv = path.to_str().unwrap();
    bench.simulator.hold_downloads();
    let first = bench.spawn(&["recover", "--csv", csv, "--json"]);
    bench.simulator.wait_for(|seen| seen.downloads_started > 0).await;
    bench.recover_csv(&path).await.exits(1).tells(&["another process has it"]);
    let beside = bench.recover_csv(&bench.new_files()).await.exits(0).tells(&["another process has it"]);
    assert_eq!(beside.counts(), counts(&[]));
    first.signal(Signal::TERM);
    first.end().await.exits(3).tells(&["ids.csv stays where it is"]);
    bench.assert_open("ids.csv");
    bench.simulator.release_downloads();
    bench.recover_csv(&path).await.exits(0);
    bench.assert_moved("ids.csv", &text);
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grows_is_left_alone() {
    let mut bench = Bench::start(plain(2)).await;
    bench.set("csv.settle", "'300ms'");
    let meetings = bench.meetings();
    let whole = format!("{}\n", meetings[0].uuid);
    bench.drop_csv("whole.csv", &whole);
    bench.drop_csv("notes.txt", "not a list");
    bench.drop_csv(".hidden.csv", "not yet");
    let growing = bench.drop_csv("growing.csv", &format!("{}\n", meetings[1].uuid));
    let writer = tokio::spawn(async move {
        use std::io::Write as _;
        let mut file = std::fs::OpenOptions::new().append(true).open(growing).unwrap();
        loop {
            writeln!(file).unwrap();
            tokio::task::yield_now().await;
        }
    });
    let by_name = bench.recover_csv(&bench.new_files().join("growing.csv")).await.exits(1);
    by_name.tells(&["growing.csv is still being written; nothing was changed"]);
    let run = bench.recover_csv(&bench.new_files()).await.exits(0);
    writer.abort();
    run.tells(&["growing.csv is still being written"]);
    bench.assert_open("growing.csv");
    bench.assert_moved("whole.csv", &whole);
    assert_eq!(bench.results("whole.results.csv").len(), 1);
    assert!(bench.new_files().join("notes.txt").exists() && bench.new_files().join(".hidden.csv").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_files_share_a_run_and_names_never_collide() {
    let mut bench = Bench::start(plain(4)).await;
    bench.set("csv.settle", "'10ms'");
    let meetings = bench.meetings();
    for (name, of) in [("a.csv", &meetings[..3]), ("b.csv", &meetings[2..])] {
        bench.drop_csv(name, &list(of));
    }
    let run = bench.recover_csv(&bench.new_files()).await.exits(0);
    assert_eq!(run.counts()["listed"], 4, "a meeting in two files is one");
    assert_eq!((bench.results("a.results.csv").len(), bench.results("b.results.csv").len()), (3, 2));

    bench.drop_csv("a.csv", &list(&meetings[..1]));
    bench.recover_csv(&bench.new_files()).await.exits(0);
    assert_eq!(bench.results("a.results.csv").len(), 3, "as it was");
    assert_eq!(bench.results("a-2.results.csv").len(), 1);
    assert!(bench.processed("a-2.csv").exists());

    let empty = bench.recover_csv(&bench.new_files()).await.exits(0);
    assert_eq!(empty.counts(), counts(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_costs_nothing() {
    let bench = Bench::start(plain(2)).await;
    let text = list(&bench.meetings());
    let path = bench.drop_csv("ids.csv", &text);
    std::fs::write(bench.path("data/csv/processed"), "in the way").unwrap();
    bench.recover_csv(&path).await.exits(1).tells(&["data/csv/processed cannot be written"]);
    bench.assert_open("ids.csv");
    assert_eq!(bench.runs().await, Vec::<Value>::new(), "nothing was begun");
    std::fs::remove_file(bench.path("data/csv/processed")).unwrap();
    bench.recover_csv(&path).await.exits(0);
    bench.assert_moved("ids.csv", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_reads_files_and_leaves_them() {
    let bench = Bench::start(Scenario { captured: 0.5, ..plain(4) }).await;
    let text = list(&bench.meetings());
    let path = bench.drop_csv("ids.csv", &text);
    let dry = bench.run(&["recover", "--csv", path.to_str().unwrap(), "--dry-run", "--json"]).await.exits(0);
    assert_eq!((dry.counts()["present"], dry.counts()["missing"]), (2, 2));
    bench.assert_open("ids.csv");
    assert_eq!(std::fs::read_dir(bench.new_files()).unwrap().count(), 1, "not even a marker");
    assert_eq!(bench.runs().await, Vec::<Value>::new());
}
