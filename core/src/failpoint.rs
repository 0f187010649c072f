//! Named points of the write path at which a test kills the process: `kill -9` of itself, before anything else can happen.
//!
//! Or stands it still, as a machine that sleeps does.
//!
//! Only builds with the feature `failpoints` have them, and there `RECAPTURE_DIE_AT` names the point, or
//! `RECAPTURE_STOP_AT`: `manifest-part` when the process first comes by it, `manifest-part:2` when it comes by again.
//! Without the feature [`reach`] is nothing.

#[cfg(feature = "failpoints")]
use std::sync::OnceLock;
#[cfg(feature = "failpoints")]
use std::sync::atomic::{AtomicU64, Ordering};

/// The process comes by a point.
#[cfg(feature = "failpoints")]
pub fn reach(point: &str) {
    use rustix::process::{Signal, getpid, kill_process};

    static DIE_AT: Passage = Passage::named_by("RECAPTURE_DIE_AT");
    static STOP_AT: Passage = Passage::named_by("RECAPTURE_STOP_AT");
    if STOP_AT.is_now(point) {
        let _ = kill_process(getpid(), Signal::STOP);
    }
    if DIE_AT.is_now(point) {
        // Nothing after this line happens: the signal is there before the call returns.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// One time that the process comes by one point.
#[cfg(feature = "failpoints")]
struct Passage {
    variable: &'static str,
    named: OnceLock<Option<(String, u64)>>,
    passed: AtomicU64,
}

#[cfg(feature = "failpoints")]
impl Passage {
    const fn named_by(variable: &'static str) -> Self {
        Self { variable, named: OnceLock::new(), passed: AtomicU64::new(0) }
    }

    fn is_now(&self, point: &str) -> bool {
        let Some((named, time)) = self.named.get_or_init(|| self.read()) else { return false };
        named == point && self.passed.fetch_add(1, Ordering::SeqCst) + 1 == *time
    }

    fn read(&self) -> Option<(String, u64)> {
        let named = std::env::var(self.variable).ok()?;
        match named.split_once(':') {
            Some((point, time)) => Some((point.to_owned(), time.parse().ok()?)),
            None => Some((named, 1)),
        }
    }
}

#[cfg(not(feature = "failpoints"))]
pub fn reach(_: &str) {}
