//! The scripts, each a file of its own; what several need stands in `scripts/parts`.
//!
//! A script is sent by its digest, and as a whole when the server does not know it, so that a restart or `SCRIPT FLUSH`
//! costs one more round trip.

use std::sync::LazyLock;

use redis::Script;

use super::keys;

/// The most jobs, runs or leases that a script works on, unless it says otherwise.
pub(super) const SLICE: usize = 100;

/// The most given up jobs that are taken up again in one step, which is twice as much work as any other.
pub(super) const RETRIED: usize = 50;

/// The most leases that are looked at in one step.
pub(super) const LEASES: u32 = 200;

/// The most jobs that are enqueued in one step: a page of Zoom's listing takes four.
pub(in crate::queue) const BATCH: usize = 75;

/// Each script is the clock, the parts that stand behind it in their order, and its own file.
macro_rules! scripts {
    ($($name:ident: $file:literal [$($part:literal)*],)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(&keys::with_names(&[
                include_str!("scripts/parts/clock.lua"),
                $(include_str!(concat!("scripts/parts/", $part, ".lua")),)*
                include_str!(concat!("scripts/", $file, ".lua")),
            ]))
        });)+
    };
}

scripts! {
    BEAT: "beat" [],
    CANCEL: "cancel" ["books" "writes" "records" "changes" "answers" "cutting"],
    CREATE_RUN: "create_run" ["answers"],
    DEAD: "dead" [],
    DEPTH: "depth" [],
    DUTY: "duty" [],
    END_RUN: "end_run" [],
    ENQUEUE: "enqueue" ["books" "writes" "records" "changes" "answers"],
    ENUMERATED: "enumerated" [],
    EXCHANGE: "exchange" ["books" "answers" "usual" "writes" "records" "changes" "cutting"],
    EXTEND: "extend" ["writes" "records"],
    HELD: "held" ["writes" "records"],
    JOBS: "jobs" ["writes" "records"],
    LEASED: "leased" ["writes" "records"],
    LOST_BY: "lost_by" ["writes" "records"],
    NEXT_DUE: "next_due" ["writes" "records"],
    OPEN: "open" [],
    OUTLOOK: "outlook" [],
    PAUSE: "pause" ["books" "writes" "records" "changes"],
    RETRY: "retry" ["books" "writes" "records" "changes" "answers"],
    RUNS: "runs" [],
    WORK_LEFT: "work_left" [],
}
