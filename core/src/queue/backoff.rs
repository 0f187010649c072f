//! Waiting out the queue's trouble: louder once when it begins, once when it is over.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::QueueError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often the same failure is met in a row before it counts as one that stays: more than a minute of pauses.
const STAYS: u32 = 20;

/// Failures of which nothing is known but their words, such as a script's that meets what it cannot work on.
#[derive(Debug, Default)]
pub(super) struct Unexplained(Option<(QueueError, u32)>);

impl Unexplained {
    /// Whether this one is there to stay.
    pub(super) fn stays(&mut self, error: &QueueError) -> bool {
        let QueueError::Failed { .. } = error else {
            self.0 = None;
            return false;
        };
        let times = match self.0.take() {
            Some((last, times)) if last == *error => times + 1,
            _ => 1,
        };
        self.0 = Some((error.clone(), times));
        times >= STAYS
    }
}

/// One spell of trouble, if there is any.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<ExponentialBackoff>);

impl Trouble {
    /// How long to wait before the next attempt.
    pub(super) fn pause(&mut self, error: &QueueError, what: &str) -> Duration {
        let pauses = self.0.get_or_insert_with(|| {
            tracing::warn!(%error, "{what}; trying again until it can be");
            ExponentialBuilder::default()
                .with_min_delay(FIRST_PAUSE)
                .with_max_delay(LONGEST_PAUSE)
                .with_jitter()
                .without_max_times()
                .build()
        });
        pauses.next().unwrap_or(LONGEST_PAUSE)
    }

    pub(super) fn over(&mut self, what: &str) {
        if self.0.take().is_some() {
            tracing::info!("{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_unexplained_failure_stays() {
        let failed = |why: &str| QueueError::Failed { place: "there".to_owned(), why: why.to_owned() };
        let away = QueueError::Unreachable { place: "there".to_owned(), why: "refused".to_owned() };
        let mut unexplained = Unexplained::default();
        for _ in 0..2 * STAYS {
            assert!(!unexplained.stays(&away));
        }
        for _ in 1..STAYS {
            assert!(!unexplained.stays(&failed("one thing")));
        }
        assert!(!unexplained.stays(&failed("another")), "it is not the same");
        for _ in 1..STAYS {
            assert!(!unexplained.stays(&failed("one thing")));
        }
        assert!(unexplained.stays(&failed("one thing")));
    }
}
