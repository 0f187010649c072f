//! The composition that users get, scaled, killed, cut off and restarted under load: `make containers` makes the images and
//! runs this. It is not among the tests that need nothing installed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells what it measured"
)]

mod composition;
mod containment;
mod demo;
mod engine;
mod logs;
mod scaling;

use composition::Composition;
use engine::{Followed, docker, inspect, kill, needs_an_engine};
use logs::Log;

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_and_are_killed_and_restarted_one_by_one() {
    needs_an_engine();
    let composition = Composition::up("scale", 2400, 1).await;
    tell_sizes(&composition);
    composition.set_latency(300).await;
    let recovery = composition.recovery();

    composition.until_downloads(50).await;
    scale(&composition, 4).await;
    composition.until_downloads(300).await;
    kill(&composition.containers("worker")[0]);
    composition.until_downloads(500).await;
    for worker in composition.containers("worker") {
        docker(&["restart", "--time", "40", &worker]);
        composition.until_healthy("worker", 4).await;
    }
    assert!(composition.is_running(), "all of them were restarted under load");
    composition.set_latency(100).await;
    let followed: Vec<_> =
        composition.containers("worker").into_iter().map(|id| (Followed::start(&id), id)).collect();
    scale(&composition, 2).await;
    assert!(composition.is_running(), "two of them went under load");
    assert_quiet_to_the_end(&composition, followed);
    let run = recovery.end();

    composition.assert_no_errors_but(&[]);
    composition.assert_whole(&run).await;
}

/// The logs of those that went, which go with them.
fn assert_quiet_to_the_end(composition: &Composition, followed: Vec<(Followed, String)>) {
    let left = composition.containers("worker");
    let mut gone = 0;
    for (log, id) in followed {
        if left.contains(&id) {
            log.forget();
        } else {
            Log { service: "worker", text: &log.to_its_end() }.assert_no_errors_but(&[]);
            gone += 1;
        }
    }
    assert_eq!(gone, 2);
}

const EVERYWHERE: [&str; 3] = ["queue", "contacts", "outside"];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_cut_off_or_frozen_writes_nothing_late() {
    needs_an_engine();
    let composition = Composition::up("cut", 1800, 4).await;
    composition.set_latency(100).await;
    let recovery = composition.recovery();

    composition.until_downloads(150).await;
    let workers = composition.containers("worker");
    // One from everything, until its leases have run out and the others have taken its work over.
    EVERYWHERE.iter().for_each(|network| composition.cut(network, &workers[0]));
    let mut taken_over = composition.until_anyone_said("worker", &ABANDONED, 1).await;
    EVERYWHERE.iter().for_each(|network| composition.mend(network, &workers[0]));
    let lost = composition.until_said(&workers[0], &LOST, 1).await;
    let downloads = composition.downloads().await;
    composition.until_downloads(downloads + 150).await;
    // Half of them from Redis alone; a worker whose lease runs out meanwhile stops by itself.
    workers[..2].iter().for_each(|worker| composition.cut("queue", worker));
    taken_over = composition.until_anyone_said("worker", &ABANDONED, taken_over + 1).await;
    workers[..2].iter().for_each(|worker| composition.mend("queue", worker));
    composition.until_said(&workers[0], &LOST, lost + 1).await;
    composition.until_said(&workers[1], &LOST, 1).await;
    let downloads = composition.downloads().await;
    composition.until_downloads(downloads + 150).await;
    // One that stands still knows nothing of its leases' end: it goes on where it was.
    docker(&["pause", &workers[3]]);
    composition.until_anyone_said("worker", &ABANDONED, taken_over + 1).await;
    docker(&["unpause", &workers[3]]);
    composition.until_said(&workers[3], &LOST, 1).await;
    assert!(composition.is_running(), "there was work for those that came back");
    let run = recovery.end();

    composition.assert_no_errors_but(&UNREACHABLE);
    composition.assert_whole(&run).await;
}

/// What a worker says that learns of it under work, and one that learns of it when it is done.
const LOST: [&str; 2] =
    ["a lease was lost; its handler is stopped", "another worker has the meeting now; nothing was changed"];
/// What whoever takes the work over says.
const ABANDONED: [&str; 1] = ["a job was abandoned: its worker stopped renewing the lease"];
/// The only errors of those that cannot reach a service.
const UNREACHABLE: [&str; 3] =
    ["a job was not settled", "the pool halts", "the contact database or its service cannot be reached"];

#[tokio::test(flavor = "multi_thread")]
async fn every_service_may_restart_under_load() {
    needs_an_engine();
    let composition = Composition::up("restart", 1500, 4).await;
    // So slow that the last restart still finds it at work.
    composition.set_latency(400).await;
    let run = composition.ask_for_a_recovery().await;

    for (service, after) in [("redis", 150), ("postgres", 500), ("das", 900), ("control", 1200)] {
        composition.until_downloads(after).await;
        composition.compose(&["restart", "--timeout", "20", service]);
        composition.until_healthy(service, 1).await;
    }
    assert!(composition.is_running(), "the last restart was under load");
    let run = composition.until_over(&run).await;

    composition.assert_no_errors_but(&UNREACHABLE);
    composition.assert_whole(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_finds_every_process_and_loads_the_rules() {
    needs_an_engine();
    let composition = Composition::up("watch", 1, 2).await;
    composition.compose(&["--profile", "monitoring", "up", "-d", "--no-build", "--no-deps", "prometheus"]);
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
    for service in ["worker", "control", "das", "redis", "postgres", "simulator"] {
        for container in composition.containers(service) {
            let used = docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", &container]);
            let started = inspect(&container, "{{.State.StartedAt}}");
            let well = "{{range .State.Health.Log}}{{if eq .ExitCode 0}}{{.End}} {{end}}{{end}}";
            let well = inspect(&container, well);
            eprintln!("{service}: idle {used}, started {started}, well at {well}");
        }
    }
}
