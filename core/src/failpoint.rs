//! Named points of the write path at which a test kills the process: `kill -9` of itself, before anything else can happen.
//!
//! Or stands it still, the first time that it comes by, as a machine that sleeps does.
//!
//! Only builds with the feature `failpoints` have them, and there `RECAPTURE_DIE_AT` names the point, or
//! `RECAPTURE_STOP_AT`. Without the feature
//! [`reach`] is nothing.

/// The process comes by a point.
#[cfg(feature = "failpoints")]
pub fn reach(point: &str) {
    use rustix::process::{Signal, getpid, kill_process};

    static DIE_AT: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    static STOP_AT: std::sync::Mutex<Option<Option<String>>> = std::sync::Mutex::new(None);

    let mut stop_at = STOP_AT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let named = stop_at.get_or_insert_with(|| std::env::var("RECAPTURE_STOP_AT").ok());
    if named.take_if(|named| named == point).is_some() {
        let _ = kill_process(getpid(), Signal::STOP);
    }
    drop(stop_at);
    if DIE_AT.get_or_init(|| std::env::var("RECAPTURE_DIE_AT").ok()).as_deref() == Some(point) {
        // Nothing after this line happens: the signal is there before the call returns.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// The process comes by a point.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn reach(_point: &str) {}
