//! The steps of a meeting's recovery, in their order. Each can be done again without harm.

pub mod acceptance;
pub mod download;
pub mod ingest;
pub mod metadata;
mod naming;
pub mod register;

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chrono::Utc;

use crate::disposition::{Disposition, IN_PLACE, IN_PLACE_OUTAGE, LONGEST_IN_PLACE, decide};
use crate::error::StepError;

/// Tries a step again in place, as far as `disposition.rs` allows it. What needs longer goes back to the queue: a
/// slot is never parked.
pub(crate) async fn in_place<T, F>(mut step: impl FnMut() -> F) -> Result<T, StepError>
where
    F: Future<Output = Result<T, StepError>>,
{
    let mut patience = Patience::new();
    loop {
        match step().await {
            Ok(done) => return Ok(done),
            Err(error) => match patience.pause(&error) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            },
        }
    }
}

/// The pauses that are left before a step gives up in place.
struct Patience {
    retries: ExponentialBackoff,
    outage: ExponentialBackoff,
}

impl Patience {
    fn new() -> Self {
        let pauses = ExponentialBuilder::new().with_min_delay(Duration::from_millis(250)).with_jitter();
        Self {
            retries: pauses.with_max_times(IN_PLACE).build(),
            outage: pauses.with_max_times(IN_PLACE_OUTAGE).build(),
        }
    }

    /// How long to wait before the next try; `None`: no more in place.
    fn pause(&mut self, error: &StepError) -> Option<Duration> {
        let (until, pauses) = match decide(error) {
            Disposition::Retry { not_before } => (not_before, &mut self.retries),
            Disposition::Outage { not_before } => (not_before, &mut self.outage),
            Disposition::Snooze { until: Some(until) } => (Some(until), &mut self.retries),
            Disposition::Snooze { until: None }
            | Disposition::NoRoom
            | Disposition::Gone
            | Disposition::Dead
            | Disposition::Halt
            | Disposition::Release
            | Disposition::Nothing => return None,
        };
        let asked = until.map_or(Duration::ZERO, |until| (until - Utc::now()).to_std().unwrap_or_default());
        if asked > LONGEST_IN_PLACE {
            return None;
        }
        Some(pauses.next()?.max(asked))
    }
}
