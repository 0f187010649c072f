//! Named points of the write path at which a test kills the process: `kill -9` of itself, before anything else can happen.
//!
//! Only builds with the feature `failpoints` have them, and there `RECAPTURE_DIE_AT` names the point. Without the feature
//! [`reach`] is nothing.

/// The process comes by a point.
#[cfg(feature = "failpoints")]
pub fn reach(point: &str) {
    use rustix::process::{Signal, getpid, kill_process};

    static DIE_AT: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    if DIE_AT.get_or_init(|| std::env::var("RECAPTURE_DIE_AT").ok()).as_deref() == Some(point) {
        // Nothing after this line happens: the signal is there before the call returns.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// The process comes by a point.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn reach(_point: &str) {}
