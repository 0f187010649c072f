//! `kill -9` at each named point of the write path: what a reader sees then is old or new, never half; and the same
//! command recovers everything.

use futures_util::StreamExt;
use recapture_core::buffer::conformance::server::S3Server;

use crate::expectation::{read_json, sha256_of};
use crate::harness::{Bench, Process, plain, walk};

const BOTH: [&str; 4] = ["before-registration", "registered", "end-recorded", "settled"];

/// The first manifest of a meeting is written where none is, its second replaces that; `:2` is the second.
const FOLDER: [&str; 16] = [
    "part-created",
    "body",
    "before-fsync",
    "after-fsync",
    "before-rename",
    "after-rename",
    "after-rename:3",
    "manifest-part",
    "manifest-renamed",
    "manifest-part:2",
    "manifest-renamed:2",
    "manifest-part:3",
    "lines-written:3",
    "lines-durable:3",
    "answer-part",
    "answer-renamed",
];

const OBJECTS: [&str; 16] = [
    "upload-begun",
    "upload-noted",
    "upload-part",
    "before-completion",
    "after-completion",
    "before-put",
    "after-put",
    "manifest-before-put",
    "manifest-after-put",
    "manifest-before-put:2",
    "manifest-after-put:2",
    "answer-before-put",
    "answer-after-put",
    "segment-before-put:2",
    "segment-after-put:2",
    "after-put:2",
];

/// A run that is closed and not sealed cannot be told from one whose seal was removed, and verify says so.
const SEALS: [(&str, i32); 4] =
    [("seal-part", 4), ("seal-renamed", 0), ("seal-before-put", 4), ("seal-after-put", 0)];

/// So many at once: most of a case is waiting for the dead worker's lease to end.
const AT_ONCE: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn in_a_folder() {
    let points = FOLDER.into_iter().chain(BOTH);
    futures_util::stream::iter(points)
        .for_each_concurrent(AT_ONCE, async |point| {
            // Large enough that it is written in more than one piece.
            let mut scenario = plain(3);
            (scenario.files[0].min_size, scenario.files[0].max_size) = (600 << 10, 600 << 10);
            dies_and_mends(point, Bench::start(scenario).await).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_object_store() {
    let points = OBJECTS.into_iter().chain(BOTH);
    futures_util::stream::iter(points)
        .for_each_concurrent(AT_ONCE, async |point| {
            let server = S3Server::start();
            let mut scenario = plain(2);
            (scenario.files[0].min_size, scenario.files[0].max_size) = (11 << 20, 11 << 20);
            dies_and_mends(point, Bench::start_on_s3(scenario, &server).await).await;
            // One whose id was never noted nobody can find; it holds nothing. The large file's may be just there when a small
            // one is put.
            let unfinished = server.unfinished_uploads().len();
            let may_be_left = ["upload-begun", "before-put"].contains(&point);
            assert!(unfinished <= usize::from(may_be_left), "{point}: {unfinished} are left");
        })
        .await;
}

async fn dies_and_mends(point: &str, mut bench: Bench) {
    // A lease that only the dead worker lets end, also where a dozen others take the processor.
    bench.set("queue.lease", "'3s'").set("worker.concurrency", "1");
    let mut command = bench.command(&bench.recovery(&[]));
    command.env("RECAPTURE_DIE_AT", point);
    let ended = Process::spawn(command).end().await;
    assert_eq!(ended.code, None, "{point} was not reached: {}", ended.stderr);

    bench.assert_final_names_verify();
    bench.assert_manifests_name_what_is_there(point);
    bench.run(&["verify"]).await.exits(0);

    let files: Vec<_> = bench.final_files().into_keys().collect();
    let fetched: Vec<_> = files.iter().map(|id| bench.simulator.file_count(id).started).collect();
    bench.assert_mended().await;
    let now: Vec<_> = files.iter().map(|id| bench.simulator.file_count(id).started).collect();
    assert_eq!(now, fetched, "{point}: what stood under its final name was fetched again");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_evidence_is_sealed() {
    for (point, verifies) in SEALS {
        let server = S3Server::start();
        let bench = match point {
            "seal-part" | "seal-renamed" => Bench::start(plain(2)).await,
            _ => Bench::start_on_s3(plain(2), &server).await,
        };
        let mut command = bench.command(&bench.recovery(&[]));
        command.env("RECAPTURE_DIE_AT", point);
        assert_eq!(Process::spawn(command).end().await.code, None, "{point} was not reached");

        let verified = bench.run(&["verify"]).await.exits(verifies);
        assert_eq!(
            verified.stdout.contains("FAIL  seal_lacking"),
            verifies != 0,
            "{point}: {}",
            verified.stdout
        );
        assert_eq!(
            verified.stdout.matches("FAIL").count(),
            usize::from(verifies != 0),
            "{}",
            verified.stdout
        );
        let again = bench.recover().await.exits(0).counts();
        assert_eq!((again["present"], again["detected"]), (2, 0), "{point}");
        if !bench.is_on_s3() {
            assert_eq!(bench.parts(), Vec::<std::path::PathBuf>::new(), "{point}");
        }
    }
}

/// The next purge ends what one began that was killed, and nothing of it is left.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_meeting_is_purged() {
    for point in ["purge-file", "purge-file:2", "purge-manifest", "purge-manifest:2"] {
        for on_s3 in [false, true] {
            let server = S3Server::start();
            let bench = if on_s3 {
                Bench::start_on_s3(plain(2), &server).await
            } else {
                Bench::start(plain(2)).await
            };
            bench.recover().await.exits(0);
            let purge = ["buffer", "purge", "--older-than", "0s"];
            let mut command = bench.command(&purge);
            command.env("RECAPTURE_DIE_AT", point);
            assert_eq!(Process::spawn(command).end().await.code, None, "{point} was not reached");
            bench.assert_final_names_verify();
            assert!(!bench.final_files().is_empty() || point == "purge-manifest:2", "{point} came too late");

            bench.run(&purge).await.exits(0);
            assert_eq!(bench.final_files(), std::collections::BTreeMap::new(), "{point}");
            bench.run(&["verify"]).await.exits(0);
        }
    }
}

impl Bench {
    /// Every manifest parses, and the files that it names as available stand there, whole.
    fn assert_manifests_name_what_is_there(&self, point: &str) {
        walk(&self.buffer().join("meetings"), &mut |path, _| {
            if path.file_name().is_none_or(|name| name != "manifest.json") {
                return;
            }
            let manifest = read_json(path);
            assert_eq!(manifest["schema"], "recapture.manifest/1", "{point}");
            for file in manifest["files"].as_array().unwrap() {
                let stored = path.with_file_name(file["path"].as_str().unwrap());
                assert_eq!(sha256_of(&stored), file["sha256"].as_str().unwrap(), "{point}");
            }
        });
    }
}
