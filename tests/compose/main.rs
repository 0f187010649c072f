//! The composition that users get, scaled, killed, cut off and restarted under load: `make containers` makes the images and
//! runs this. It is not among the tests that need nothing installed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells what it measured"
)]

mod composition;
mod scaling;

use composition::{Composition, can_run, docker, inspect, kill};

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_and_are_killed_in_the_middle() {
    assert!(can_run(), "no container engine answers, or the image is not made: run `make containers`");
    let composition = Composition::up("scale", 900, 1).await;
    tell_sizes(&composition);
    composition.set_latency(100).await;
    let recovery = composition.recovery();

    composition.until_downloads(100).await;
    scale(&composition, 4).await;
    composition.until_downloads(600).await;
    let victim = &composition.containers("worker")[0];
    kill(victim);
    composition.until_downloads(900).await;
    scale(&composition, 2).await;
    composition.until_downloads(1200).await;
    for worker in composition.containers("worker") {
        docker(&["restart", "--time", "40", &worker]);
    }
    let run = recovery.end();

    composition.assert_no_errors_but(&[]);
    composition.assert_whole(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_cut_off_writes_nothing_late() {
    assert!(can_run(), "no container engine answers, or the image is not made: run `make containers`");
    let composition = Composition::up("cut", 1500, 4).await;
    composition.set_latency(100).await;
    let recovery = composition.recovery();

    composition.until_downloads(150).await;
    let workers = composition.containers("worker");
    // One from everything, until its leases have run out and the others have taken its work over.
    for network in ["queue", "contacts", "outside"] {
        composition.cut(network, &workers[0]);
    }
    let taken_over = composition.until_logged("worker", &[ABANDONED], 1).await;
    for network in ["queue", "contacts", "outside"] {
        composition.mend(network, &workers[0]);
    }
    let downloads = composition.counts().await["downloads_completed"].as_u64().unwrap();
    composition.until_downloads(downloads + 150).await;
    // Half of them from Redis alone; a worker whose lease runs out meanwhile stops by itself.
    for worker in &workers[..2] {
        composition.cut("queue", worker);
    }
    composition.until_logged("worker", &[ABANDONED], taken_over + 1).await;
    for worker in &workers[..2] {
        composition.mend("queue", worker);
    }
    let run = recovery.end();

    composition.until_logged("worker", &LOST, 1).await;
    composition.assert_no_errors_but(&["a job was not settled", "the pool halts"]);
    composition.assert_whole(&run).await;
}

/// What a worker says that learns of it under work, and one that learns of it when it is done.
const LOST: [&str; 2] =
    ["a lease was lost; its handler is stopped", "another worker has the meeting now; nothing was changed"];
const ABANDONED: &str = "a job was abandoned: its worker stopped renewing the lease";

#[tokio::test(flavor = "multi_thread")]
async fn every_service_may_restart_under_load() {
    assert!(can_run(), "no container engine answers, or the image is not made: run `make containers`");
    let composition = Composition::up("restart", 900, 4).await;
    composition.set_latency(100).await;
    let recovery = composition.recovery();

    for (service, after) in [("redis", 150), ("postgres", 500), ("das", 900), ("control", 1200)] {
        composition.until_downloads(after).await;
        composition.compose(&["restart", "--timeout", "20", service]);
        composition.until_healthy(service, 1).await;
    }
    let run = recovery.end();

    composition.assert_no_errors_but(&["a job was not settled", "the pool halts"]);
    composition.assert_whole(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_every_process_and_loads_the_rules() {
    assert!(can_run(), "no container engine answers, or the image is not made: run `make containers`");
    let composition = Composition::up("watch", 1, 2).await;
    composition.compose(&["up", "-d", "--no-build", "--no-deps", "prometheus"]);
    let jobs = composition.until_watched(3).await;
    assert_eq!(jobs, ["recapture-control", "recapture-worker", "recapture-worker"]);
}

async fn scale(composition: &Composition, workers: usize) {
    let workers_of = format!("worker={workers}");
    composition.compose(&[
        "up",
        "-d",
        "--no-build",
        "--no-deps",
        "--no-recreate",
        "--scale",
        &workers_of,
        "worker",
    ]);
    composition.until_healthy("worker", workers).await;
}

/// For the guide's table: what an image weighs, and what an idle container takes.
fn tell_sizes(composition: &Composition) {
    eprintln!("image {}", docker(&["image", "ls", "--format", "{{.Size}}", "recapture"]));
    for service in ["worker", "das", "redis", "postgres", "simulator"] {
        for container in composition.containers(service) {
            let started = inspect(&container, "{{.State.StartedAt}}");
            let used = docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", &container]);
            eprintln!("{service}: idle {used}, started {started}");
        }
    }
}
