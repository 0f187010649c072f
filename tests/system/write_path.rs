//! `kill -9` at each named point of the write path: what a reader sees then is old or new, never half; and the same
//! command recovers everything.

use futures_util::StreamExt;
use recapture_core::buffer::conformance::server::S3Server;

use crate::expectation::{read_json, sha256_of};
use crate::harness::{Bench, Process, plain, walk};

const BOTH: [&str; 4] = ["before-registration", "registered", "end-recorded", "settled"];

const FOLDER: [&str; 8] = [
    "part-created",
    "body",
    "before-fsync",
    "after-fsync",
    "before-rename",
    "after-rename",
    "manifest-part",
    "manifest-renamed",
];

const OBJECTS: [&str; 9] = [
    "upload-begun",
    "upload-noted",
    "upload-part",
    "before-completion",
    "after-completion",
    "before-put",
    "after-put",
    "manifest-before-put",
    "manifest-after-put",
];

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
            // One whose id was never noted nobody can find; it holds nothing.
            let unfinished = server.unfinished_uploads().len();
            assert!(unfinished == 0 || point == "upload-begun", "{point}: {unfinished} are left");
        })
        .await;
}

async fn dies_and_mends(point: &str, mut bench: Bench) {
    bench.set("queue.lease", "'1s'").set("worker.concurrency", "1");
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
