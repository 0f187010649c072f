//! How long nobody asks after a 429 that does not say for how long. Zoom counts by the second, and what is a moment too much
//! is met at a second's end: half of one is enough. Whoever is refused when that is over, because others use the same limit,
//! waits for a whole. Refusals of this process count, of whatever category.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When Zoom refused last.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Option<Instant>>);

impl Refusals {
    const SHORT: Duration = Duration::from_millis(500);
    const LONG: Duration = Duration::from_secs(1);

    pub(super) fn pause(&self, now: Instant) -> Duration {
        let former = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        // What was under way at the former one is refused with it.
        let again = former
            .map(|former| now.saturating_duration_since(former))
            .is_some_and(|since| (Self::SHORT..2 * Self::LONG).contains(&since));
        if again { Self::LONG } else { Self::SHORT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_again_waits_longer() {
        let (refusals, first) = (Refusals::default(), Instant::now());
        let after = |millis| refusals.pause(first + Duration::from_millis(millis));
        assert_eq!(after(0), Refusals::SHORT);
        assert_eq!(after(30), Refusals::SHORT, "it was under way at the first");
        assert_eq!(after(600), Refusals::LONG);
        assert_eq!(after(1700), Refusals::LONG);
        assert_eq!(after(9000), Refusals::SHORT);
    }
}
