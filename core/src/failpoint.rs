//! Named points of the write path at which a test kills the process: `kill -9` of itself, before anything else can happen.
//!
//! Only builds with the feature `failpoints` have them, and there `RECAPTURE_DIE_AT` names the point: `manifest-part` when
//! the process first comes by it, `manifest-part:2` when it comes by again. Without the feature [`reach`] is nothing.

/// The process comes by a point.
#[cfg(feature = "failpoints")]
pub fn reach(point: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    static DIE_AT: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let named = || {
        let named = std::env::var("RECAPTURE_DIE_AT").ok()?;
        match named.split_once(':') {
            Some((point, time)) => Some((point.to_owned(), time.parse().ok()?)),
            None => Some((named, 1)),
        }
    };
    if let Some((named, time)) = DIE_AT.get_or_init(named)
        && named == point
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *time
    {
        // Nothing after this line happens: the signal is there before the call returns.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// The process comes by a point.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn reach(_point: &str) {}
