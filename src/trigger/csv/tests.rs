#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod grammar;
mod moving;

/// The names of the steps of a move at which the victim of `moving` kills itself.
const DIE_AT: &str = "RECAPTURE_TEST_DIE_AT";

/// The name of the step at which somebody writes to the victim's file.
const WRITE_AT: &str = "RECAPTURE_TEST_WRITE_AT";

pub(super) fn step(name: &str) {
    if std::env::var(WRITE_AT).is_ok_and(|at| at == name) {
        moving::write_late();
    }
    if std::env::var(DIE_AT).is_ok_and(|at| at == name) {
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
    }
}
