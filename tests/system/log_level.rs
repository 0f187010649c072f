//! SIGHUP: the level of the log is read anew, and nothing else happens.

use rustix::process::Signal;

use crate::harness::{Bench, Process, plain, text};
use crate::serving::Service;

/// Turned up, not touched by a fault, and turned down; with what such a process says at `debug` alone.
async fn is_turned_up_and_down(bench: &mut Bench, process: &mut Process) {
    for (level, answer) in [
        ("debug", "log.level was read anew"),
        ("loud", "log.level stays what it is"),
        ("recapture_core::telemetry=info,off", "log.level was read anew"),
    ] {
        bench.set("log.level", &text(level));
        let so_far = process.said_so_far();
        process.signal(Signal::HUP);
        process.said_after(so_far, answer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_reads_its_level_anew() {
    let mut bench = Bench::start(plain(2)).await;
    let mut service = Service::start(&mut bench).await;
    is_turned_up_and_down(&mut bench, &mut service.process).await;
    service.process.signal(Signal::TERM);
    let ended = service.process.end().await.exits(0);
    assert!(!ended.stderr.contains("nothing is left in hand"), "it was turned down: {}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_reads_its_level_anew_and_works_on() {
    let mut bench = Bench::start(plain(3)).await;
    let mut process = bench.spawn(&["worker"]);
    process.said("working").await;
    is_turned_up_and_down(&mut bench, &mut process).await;
    bench.run(&bench.recovery(&["--detach"])).await.exits(0);
    process.until(bench.simulator.wait_for(|counts| counts.das_puts.len() >= 3)).await;
    process.signal(Signal::TERM);
    let ended = process.end().await.exits(0);
    assert!(!ended.stderr.contains("recovered"), "it was turned down: {}", ended.stderr);
    bench.assert_all_recovered();
}
