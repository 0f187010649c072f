//! `recapture serve` watches the folder of CSV files: each is recovered and moved, once, whoever is killed.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::harness::{Bench, Process, plain, text};
use crate::serving::Service;

async fn bench(meetings: u32) -> Bench {
    let mut bench = Bench::start(plain(meetings)).await;
    bench
        .set("server.listen", &text("127.0.0.1:0"))
        .set("csv.settle", &text("200ms"))
        .set("queue.lease", &text("1s"));
    bench
}

/// A file that names the meetings from one to another.
fn list(bench: &Bench, range: std::ops::Range<usize>) -> String {
    let meetings: Vec<_> = bench.simulator.truth().collect();
    meetings[range].iter().fold("meeting_uuid\n".to_owned(), |mut text, meeting| {
        writeln!(text, "{}", meeting.uuid).unwrap();
        text
    })
}

impl Process {
    /// Returns once it has moved a file, with its results: then it tells where these are.
    pub(crate) async fn moved(&mut self, name: &str) {
        self.said(&format!("{}.results.csv", name.strip_suffix(".csv").unwrap())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_dropped_are_recovered_and_moved() {
    let bench = bench(9).await;
    // The folder need not be there yet.
    let mut service = Service::with(&bench, &[]).await;
    let (one, two) = (list(&bench, 0..4), list(&bench, 4..9) + "no id\n");
    bench.drop_csv("one.csv", &one);
    service.process.moved("one.csv").await;
    // A file that is still being written waits until it is whole.
    let path = bench.drop_csv("two.csv", &two[..40]);
    service.process.until(async { bench.drop_csv("three.csv", &one) }).await;
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&two.as_bytes()[40..]).unwrap();
    service.process.moved("two.csv").await;
    service.process.moved("three.csv").await;
    service.stopped().await;

    assert_eq!(bench.results("one.results.csv").len(), 4);
    assert_eq!(bench.results("two.results.csv").iter().filter(|line| line.outcome == "recovered").count(), 5);
    let again = bench.results("three.results.csv");
    assert!(again.iter().all(|line| line.outcome == "present"), "{again:?}");
    assert!(bench.rejected("two.rejected.csv").exists());
    bench.assert_moved("one.csv", &one);
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_process_is_killed_is_taken_up_by_another() {
    let bench = bench(6).await;
    let text = list(&bench, 0..6);
    bench.simulator.hold_downloads();
    let mut first = Service::with(&bench, &[]).await;
    bench.drop_csv("ids.csv", &text);
    first.process.until(bench.simulator.wait_for(|counts| counts.downloads_started >= 2)).await;
    bench.assert_open("ids.csv");
    let mut second = Service::with(&bench, &[]).await;
    second.process.said("watching for CSV files").await;
    first.process.killed_at(std::future::ready(())).await;
    bench.simulator.release_downloads();
    second.process.moved("ids.csv").await;
    second.stopped().await;

    let results = bench.results("ids.results.csv");
    assert_eq!(results.len(), 6);
    assert!(results.iter().all(|line| line.outcome == "recovered"), "{results:?}");
    bench.assert_moved("ids.csv", &text);
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_file_is_left_alone_until_it_changes() {
    let bench = bench(4).await;
    bench.simulator.hold_downloads();
    let mut service = Service::with(&bench, &[]).await;
    let path = bench.drop_csv("ids.csv", &list(&bench, 0..2));
    service.process.until(bench.simulator.wait_for(|counts| counts.downloads_started >= 1)).await;
    let run = bench.newest_run().await;
    bench.run(&["cancel", &run]).await.exits(0);
    service.process.said("ids.csv stays where it is").await;
    bench.simulator.release_downloads();
    std::fs::write(&path, list(&bench, 1..4)).unwrap();
    service.process.moved("ids.csv").await;
    service.stopped().await;
    assert_eq!(bench.results("ids.results.csv").len(), 3);
    assert_eq!(bench.runs().await.len(), 2, "it was not begun anew by itself");
}

/// A file that could not be taken for a passing reason is taken once that has passed, though nobody touches it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_could_not_be_taken_is_taken_later() {
    let bench = bench(2).await;
    let text = list(&bench, 0..2);
    let marker = bench.new_files().join(".ids.csv.taken");
    std::fs::create_dir_all(&marker).unwrap();
    bench.drop_csv("ids.csv", &text);
    let mut service = Service::with(&bench, &[]).await;
    service.process.said("left alone for a while").await;
    std::fs::remove_dir(&marker).unwrap();
    service.process.moved("ids.csv").await;
    service.stopped().await;
    assert_eq!(bench.runs().await.len(), 1);
    bench.assert_moved("ids.csv", &text);
    bench.assert_all_recovered();
}
