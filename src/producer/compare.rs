//! Asking the platform which meetings of a batch it has.
//!
//! By id, whatever the platform offers: a contact's start may differ from Zoom's, and an answer by period may be cut
//! without saying so. What a platform that can only be asked by period could not tell is indeterminate, never missing.

use std::collections::HashMap;

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Duration, Utc};
use recapture_core::contacts::{Found, Search, Sought};
use recapture_core::meeting::Meeting;
use recapture_core::reconcile::{self, Captured, Verdict};
use recapture_worker::disposition::{Disposition, decide};
use recapture_worker::error::StepError;
use tracing::warn;

use super::{Producer, ProducerError};

/// A meeting of which only the start is known ended within this time, which is the longest that Zoom lets one last.
const LONGEST: Duration = Duration::hours(30);

/// How often in a row a question may fail, and how long to wait after the first time; twice as long after each.
const MOST_TRIES: usize = 6;
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

pub(super) async fn compare(
    producer: &Producer<'_>,
    batch: &[Meeting],
) -> Result<Vec<Verdict>, ProducerError> {
    let sought: Vec<Sought<'_>> = batch
        .iter()
        .map(|meeting| Sought { source_id: meeting.uuid.as_str(), held: held(meeting) })
        .collect();
    let found = persist(producer, producer.contacts.search(&sought)).await?;
    let mut captured: HashMap<String, Captured> = found
        .contacts
        .into_iter()
        .map(|contact| (contact.source_id.clone(), Captured::Contact(Box::new(contact))))
        .collect();
    captured.extend(found.unknown.into_iter().map(|of| (of.source_id, Captured::Unknown { why: of.why })));
    let of = |meeting: &Meeting| captured.get(meeting.uuid.as_str()).unwrap_or(&Captured::Nothing);
    Ok(batch.iter().map(|meeting| reconcile::compare(meeting, of(meeting), &producer.rules)).collect())
}

/// Asks the platform until all is answered, as long as the table of dispositions and patience allow.
async fn persist(producer: &Producer<'_>, mut search: Search<'_>) -> Result<Found, ProducerError> {
    let pauses = || {
        ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_times(MOST_TRIES).with_jitter().build()
    };
    let (mut left, mut answered) = (pauses(), 0);
    loop {
        let error = tokio::select! {
            found = search.run() => match found {
                Ok(found) => return Ok(found),
                Err(error) => error,
            },
            () = producer.stop.cancelled() => return Err(ProducerError::Interrupted),
        };
        if search.answered() > answered {
            (left, answered) = (pauses(), search.answered());
        }
        let is_outage = matches!(decide(&StepError::Contacts(error.clone())), Disposition::Outage { .. });
        let Some(pause) = left.next().filter(|_| is_outage) else {
            return Err(error.into());
        };
        warn!(%error, again_in = ?pause, "the contact database does not answer");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = producer.stop.cancelled() => return Err(ProducerError::Interrupted),
        }
    }
}

/// From when to when the meeting was held, at most.
fn held(meeting: &Meeting) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let from = meeting.started_at?;
    Some((from, meeting.ended_at().or(meeting.archived_at).unwrap_or(from + LONGEST)))
}
