//! Waiting out the queue's trouble: louder once when it begins, once when it is over.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::QueueError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

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
