//! The buffer in a real S3 server: the same outcome as in a folder, whoever is killed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use recapture_core::buffer::conformance::server::S3Server;
use recapture_simulator::Scenario;
use rustix::process::Signal;
use serde_json::json;

use crate::expectation::{assert_balanced, sha256_of};
use crate::harness::{Bench, plain, walk};

/// Meetings with a file that is uploaded in parts, and small ones.
fn with_large_files(meetings: u32) -> Scenario {
    let mut scenario = plain(meetings);
    (scenario.files[0].min_size, scenario.files[0].max_size) = (11 << 20, 12 << 20);
    scenario
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_works_on_a_folder_works_on_an_object_store() {
    let server = S3Server::start();
    let mut bench = Bench::start_on_s3(with_large_files(12), &server).await;
    let doctor = bench.run(&["doctor"]).await.exits(0).stdout;
    assert!(doctor.contains(&format!("eu/archive at {}/ can be written", server.endpoint())), "{doctor}");

    // Two workers that know nothing of each other, and a producer.
    bench.set("worker.concurrency", "3");
    let run = bench.run(&bench.recovery(&["--detach"])).await.exits(0).object();
    let run = run["id"].as_str().unwrap().to_owned();
    let (mut first, mut second) = (bench.spawn(&["worker"]), bench.spawn(&["worker"]));
    let all = bench.simulator.wait_for(|counts| counts.das_puts.len() == 12);
    first.until(second.until(all)).await;
    while !bench.run(&["status", &run]).await.exits(0).stdout.contains("is completed") {}
    for worker in [first, second] {
        worker.signal(Signal::TERM);
        worker.end().await.exits(0);
    }

    bench.assert_all_recovered();
    assert_eq!(bench.simulator.counts().files_fetched_twice(), 0);
    let object = bench.run(&["verify", &run, "--json"]).await.exits(0).object();
    let checked = &object["checked"];
    assert_eq!((&checked["writers"], &checked["seals"]), (&3.into(), &3.into()), "{object}");
    assert_eq!((&checked["meetings"], &checked["files"]), (&12.into(), &36.into()), "{object}");
    assert_eq!(object["notes"], json!([]), "every line is sealed");
    for (format, words) in [("csv", "meeting,"), ("html", "<h2>Coverage</h2>"), ("json", "\"recovered\": 12")]
    {
        let report = bench.run(&["report", &run, "--format", format]).await.exits(0).stdout;
        assert!(report.contains(words), "{report}");
    }
    let purged = bench.run(&["buffer", "purge", "--older-than", "0s"]).await.exits(0).stdout;
    assert!(purged.contains("removed 12 meetings"), "{purged}");
    assert!(bench.final_files().is_empty());
    bench.run(&["verify"]).await.exits(0);
    assert_eq!(server.unfinished_uploads(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_lose_nothing_and_fetch_nothing_twice() {
    let server = S3Server::start();
    let mut bench = Bench::start_on_s3(with_large_files(10), &server).await;
    bench.set("queue.lease", "'1s'").set("worker.concurrency", "3");
    let mut verified = BTreeMap::new();
    for downloads in [1, 3, 5, 2] {
        let before = bench.simulator.counts();
        let reached =
            bench.simulator.wait_for(|now| now.downloads_completed >= before.downloads_completed + downloads);
        let ended = bench.spawn_recovery().killed_at(reached).await;
        assert!(ended.is_none(), "{ended:?}");
        bench.assert_final_names_verify();
        for (id, path) in bench.final_files() {
            let facts = (bench.simulator.file_count(&id).started, sha256_of(&path));
            let earlier = verified.insert(id.clone(), facts.clone());
            assert!(earlier.is_none_or(|earlier| earlier == facts), "{id} was touched");
        }
    }

    let last = bench.recover().await.exits(0);

    assert_balanced(&last.counts());
    bench.assert_all_recovered();
    for (id, (started, _)) in &verified {
        assert_eq!(bench.simulator.file_count(id).started, *started, "{id} was fetched again");
    }
    // An upload whose id was not noted yet when its worker died nobody can find; it holds no bytes.
    let mut parts = server.unfinished_uploads();
    parts.retain(|path| path.to_string_lossy().contains(".part-"));
    assert_eq!(parts, Vec::<PathBuf>::new());
}

/// A server that is killed between two requests, or within one, and comes back at once: the run does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back() {
    let server = S3Server::start();
    let mut bench = Bench::start_on_s3(with_large_files(10), &server).await;
    bench.set("worker.concurrency", "3");
    let mut process = bench.spawn_recovery();
    for downloads in [2, 9, 16, 24] {
        process.until(bench.simulator.wait_for(|now| now.downloads_completed >= downloads)).await;
        server.kill();
        bench.assert_final_names_verify();
        server.start_again();
    }

    let ended = process.end().await.exits(0);

    assert_balanced(&ended.counts());
    assert_eq!(ended.counts()["recovered"], 10);
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_an_object_store_is_found() {
    let server = S3Server::start();
    let bench = Bench::start_on_s3(plain(4), &server).await;
    bench.recover().await.exits(0);
    bench.run(&["verify"]).await.exits(0);

    let mut segments = Vec::new();
    walk(&bench.buffer().join("runs"), &mut |path, kind| {
        if kind.is_file() && path.parent().unwrap().extension().is_some_and(|extension| extension == "jsonl")
        {
            segments.push(path.to_owned());
        }
    });
    segments.sort();
    let (_, file) = bench.final_files().pop_first().unwrap();
    let fault = async |path: &PathBuf, change: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>| {
        let whole = std::fs::read(path).unwrap();
        match change(whole.clone()) {
            Some(changed) => std::fs::write(path, changed).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        let found = bench.run(&["verify", "--json"]).await.exits(4).object();
        std::fs::write(path, whole).unwrap();
        let faults = found["findings"].as_array().unwrap().iter().map(|finding| finding["fault"].clone());
        faults.collect::<Vec<_>>()
    };
    let flipped = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Some(bytes)
    };
    assert!(fault(&file, &flipped).await.contains(&json!("file_changed")));
    assert!(fault(&file, &|_| None).await.contains(&json!("file_lacking")));
    assert!(segments.len() > 2, "{segments:?}");
    assert!(fault(&segments[0], &|_| None).await.contains(&json!("line_broken")));
    assert!(fault(&segments[1], &flipped).await.contains(&json!("line_broken")));
    assert!(fault(segments.last().unwrap(), &|_| None).await.contains(&json!("lines_lacking")));
    bench.run(&["verify"]).await.exits(0);
}
