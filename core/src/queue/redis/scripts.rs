//! The scripts, each a file of its own; they share `prelude.lua`.
//!
//! A script is sent by its digest, and as a whole when the server does not know it, so that a restart or `SCRIPT FLUSH`
//! costs one more round trip.

use std::sync::LazyLock;

use redis::Script;

use super::keys;

/// The most jobs, runs or leases that a script works on, unless it says otherwise.
pub(super) const SLICE: usize = 100;

/// The most leases that are looked at in one step.
pub(super) const LEASES: u32 = 200;

/// The most jobs of one enqueued batch that become one step: a page of Zoom's listing takes two.
pub(super) const BATCH: usize = 150;

macro_rules! scripts {
    ($($name:ident: $file:literal,)+) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(&[
                keys::lua().as_str(),
                include_str!("scripts/prelude.lua"),
                include_str!(concat!("scripts/", $file, ".lua")),
            ].concat())
        });)+
    };
}

scripts! {
    BEAT: "beat",
    CANCEL: "cancel",
    CREATE_RUN: "create_run",
    DEAD: "dead",
    DEPTH: "depth",
    DUTY: "duty",
    END_RUN: "end_run",
    ENQUEUE: "enqueue",
    ENUMERATED: "enumerated",
    EXCHANGE: "exchange",
    EXTEND: "extend",
    HELD: "held",
    JOBS: "jobs",
    LEASED: "leased",
    LOST_BY: "lost_by",
    NEXT_DUE: "next_due",
    OPEN: "open",
    OUTLOOK: "outlook",
    PAUSE: "pause",
    RETRY: "retry",
    RUNS: "runs",
    WORK_LEFT: "work_left",
}
