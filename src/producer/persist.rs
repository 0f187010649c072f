//! Asking Zoom with patience.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::Utc;
use recapture_core::zoom::ZoomError;
use recapture_worker::disposition::{self, Disposition};
use recapture_worker::error::StepError;
use tracing::warn;

use super::{Producer, ProducerError};

/// How often in a row a request may fail before the run stops.
const MOST_TRIES: usize = 6;

/// A rate limit that lasts longer stops the run, which says when to go on.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Asks Zoom until it answers, as long as the table of dispositions and patience allow.
pub(super) async fn persist<T, F>(
    producer: &Producer<'_>,
    mut ask: impl FnMut() -> F,
) -> Result<T, ProducerError>
where
    F: Future<Output = Result<T, ZoomError>>,
{
    let mut pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_times(MOST_TRIES)
        .with_jitter()
        .build();
    loop {
        let error = tokio::select! {
            answer = ask() => match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            },
            () = producer.stop.cancelled() => return Err(ProducerError::Interrupted),
        };
        let until = match disposition::decide(&StepError::Zoom(error.clone())) {
            _ if matches!(error, ZoomError::PageTokenExpired(_)) => return Err(error.into()),
            Disposition::Retry { not_before } | Disposition::Outage { not_before } => not_before,
            Disposition::Snooze { until } => until,
            Disposition::NoRoom
            | Disposition::Gone
            | Disposition::Dead
            | Disposition::Halt
            | Disposition::Release
            | Disposition::Nothing => {
                return Err(error.into());
            }
        };
        let wish = until.map_or(Duration::ZERO, |until| (until - Utc::now()).to_std().unwrap_or_default());
        let Some(pause) = pauses.next().filter(|_| wish <= LONGEST_WAIT) else {
            return Err(error.into());
        };
        warn!(%error, "asking Zoom again");
        tokio::select! {
            () = tokio::time::sleep(pause.max(wish)) => {}
            () = producer.stop.cancelled() => return Err(ProducerError::Interrupted),
        }
    }
}
