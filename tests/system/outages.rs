//! What goes away in the middle: the run stops with words that name the remedy, nothing is lost, and as soon as the
//! service is back, or the disk has room, the same command recovers all.

use recapture_simulator::{Endpoint, Faults, FileSpec, Scenario};
use rustix::process::{Pid, Resource, getrlimit, prlimit};
use tokio::process::Command;

use crate::expectation::assert_balanced;
use crate::harness::{Bench, Process, plain, prepare, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_data_access_service_that_is_away() {
    let mut bench = Bench::start(plain(40)).await;
    bench.set("worker.concurrency", "4");
    let words =
        ["the contact database or its service cannot be reached", "Is contacts.url right, and is it up?"];

    let address = text(&bench.simulator.das_url());
    // Nobody listens on port 1.
    bench.set("contacts.url", "'http://127.0.0.1:1'");
    bench.recover().await.exits(1).tells(&words);
    bench.set("contacts.url", &address);
    bench.simulator.set_das_up(false);
    bench.recover().await.exits(1).tells(&words);
    bench.assert_untouched();
    assert!(bench.runs().await.is_empty());

    bench.simulator.set_das_up(true);
    let mut process = bench.spawn_recovery();
    process.until(bench.simulator.wait_for(|counts| counts.das_puts.len() >= 3)).await;
    bench.simulator.set_das_up(false);
    let stopped = process.end().await.exits(1).tells(&words).tells(&["nothing is lost"]);

    assert_eq!(stopped.object()["state"], "stopped");
    assert_balanced(&stopped.counts());
    assert!((1..40).contains(&stopped.counts()["recovered"]), "{:?}", stopped.counts());
    assert_eq!(stopped.counts()["failed"], 0);
    bench.simulator.set_das_up(true);
    bench.assert_mended().await;
    assert_eq!(bench.simulator.counts().files_fetched_twice(), 0);
}

/// A service that is away for a moment is not away, not even when it is first asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_access_service_that_stumbles() {
    let bench = Bench::start(Scenario { seed: 3, ..plain(10) }).await;
    bench.simulator.set_faults(Faults { das_error: 0.3, das_reset: 0.3, ..Faults::default() });

    let run = bench.recover().await.exits(0);

    // Which requests fail follows from the scenario's seed as long as they come one by one.
    let first_asked = bench.simulator.counts().requests(Endpoint::DasList);
    assert!(first_asked > 1, "its first question failed");

    assert_eq!(run.counts(), bench.expected_counts());
    bench.assert_all_recovered();
}

/// A limit on the size of files is how a full disk is had without the right to mount one: a write in the middle of a file
/// fails. What fits goes on, what does not waits, and comes by itself once there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_in_the_middle_of_a_file() {
    let mut scenario = plain(12);
    // A third of the meetings has a film for which there is no room.
    scenario.files.push(FileSpec::exactly("MP4", 8 << 20).share(0.34));
    let bench = Bench::start(scenario).await;
    let large = bench
        .simulator
        .truth()
        .filter(|meeting| meeting.files.iter().any(|file| file.size > 4 << 20))
        .count() as u64;
    assert!((1..12).contains(&large), "{large} of 12 are large");
    let mut limited = Command::new("sh");
    // In units of 512 bytes: room for the databases and the evidence, none for such a film.
    limited.args([
        "-c",
        "trap '' XFSZ; ulimit -S -f 8192; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_recapture"),
        "--config",
    ]);
    limited.arg(bench.path("recapture.toml")).args(bench.recovery(&[]));
    prepare(&mut limited, &bench.path(""));
    let mut process = Process::spawn(limited);

    process.said("meetings that do not fit wait for room; the others go on").await;
    process.until(async { while bench.runs().await[0]["counts"]["recovered"] != 12 - large {} }).await;
    let waiting = &bench.runs().await[0]["counts"];
    assert_eq!((&waiting["pending"], &waiting["failed"]), (&large.into(), &0.into()));
    bench.assert_final_names_verify();
    prlimit(Pid::from_raw(process.id()), Resource::Fsize, getrlimit(Resource::Fsize)).unwrap();

    let ended = process.end().await.exits(0);
    assert_eq!(ended.counts(), bench.expected_counts());
    let words = ["the capture buffer has no room", "Free space there, or point buffer.url elsewhere"];
    ended.tells(&words);
    assert!(bench.parts().is_empty());
    bench.assert_all_recovered();
    let record = bench.record_of(&bench.newest_run().await);
    assert!(record.contains("buffer_full"), "{record}");
}

/// A listing tries again for a minute or two before it gives up: both ways at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_cannot_go_on() {
    tokio::join!(
        pages_that_are_never(Faults { malformed_page: 1.0, ..Faults::default() }),
        pages_that_are_never(Faults { wrong_shape: 1.0, ..Faults::default() }),
        zoom_goes_down_in_the_middle_of_a_listing()
    );
}

/// Cut in two, or whole and something else: neither is a listing that holds nothing.
async fn pages_that_are_never(readable: Faults) {
    let bench = Bench::start(plain(20)).await;
    bench.simulator.set_faults(Faults { relentless: true, ..readable });

    let stopped = bench.recover().await.exits(1);

    let words = [
        "the listing stopped: GET /archive_files",
        "the answer cannot be read",
        "nothing is lost; the same command goes on",
    ];
    assert_eq!(stopped.tells(&words).object()["state"], "failed", "nothing was listed: it could not start");
    bench.assert_untouched();
    bench.simulator.set_faults(Faults::default());
    bench.assert_mended().await;
}

async fn zoom_goes_down_in_the_middle_of_a_listing() {
    let bench = Bench::start(Scenario { captured: 0.99, ..plain(1500) }).await;
    let mut process = bench.spawn_recovery();
    process.until(bench.simulator.wait_for(|counts| counts.requests(Endpoint::DasLookup) > 0)).await;
    bench.simulator.set_zoom_up(false);

    let stopped = process.end().await.exits(1);

    // Whoever runs out of patience first, the listing or the workers: both miss Zoom's API.
    let stopped = stopped.tells(&["the run stopped: ", "nothing is lost; the same command goes on"]);
    assert_eq!(stopped.object()["state"], "stopped");
    assert_balanced(&stopped.counts());
    bench.simulator.set_zoom_up(true);
    bench.assert_mended().await;
    bench.assert_all_recovered();
}

#[tokio::test(flavor = "multi_thread")]
async fn zoom_goes_down_in_the_middle_of_the_downloads() {
    let mut bench = Bench::start(plain(16)).await;
    bench.set("worker.concurrency", "4").set("queue.max_attempts", "1");
    bench.simulator.hold_downloads();
    let mut process = bench.spawn_recovery();
    process.until(bench.simulator.wait_for(|counts| counts.downloads_now == 12)).await;
    while bench.runs().await[0]["state"] != "running" {}
    bench.simulator.set_zoom_up(false);
    bench.simulator.release_downloads();

    let ended = process.end().await.exits(1);

    // What was under way has used up its only start; no other meeting pays for the outage.
    assert_balanced(&ended.counts());
    let counts = ended.counts();
    assert_eq!((counts["failed"], counts["pending"]), (4, counts["detected"] - 4), "{counts:?}");
    let ended = ended.tells(&["the run stopped: network: ", "nothing is lost; the same command goes on"]);
    assert!(bench.parts().is_empty());
    let report = bench.run(&["report", ended.object()["id"].as_str().unwrap()]).await.exits(0).stdout;
    assert!(report.contains("failed  network: "), "{report}");
    bench.simulator.set_zoom_up(true);
    bench.assert_mended().await;
}
