//! What earlier runs recorded of meetings that Zoom knows no longer: when they began, and when their time was over.
//!
//! Without it a meeting that is asked for by its id would seem to be due for ever, and whether it is a loss would depend on
//! how it was asked for. The records are read once, the newest first, and only if some meeting is unknown.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Duration, Utc};
use recapture_core::evidence::{self, Entry};
use recapture_core::meeting::MeetingUuid;
use tracing::info;

use super::{Asked, Producer, ProducerError};

#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) started_at: Option<DateTime<Utc>>,
    deadline: DateTime<Utc>,
}

impl Known {
    /// When the archive must have been complete for the deadline to be what it was.
    pub(super) fn archived_at(&self, retention: Duration) -> DateTime<Utc> {
        let archived_at = self.deadline - retention;
        self.started_at.map_or(archived_at, |started_at| archived_at.max(started_at))
    }
}

/// Read when it is first asked.
pub(super) struct Earlier {
    wanted: HashSet<MeetingUuid>,
    found: Option<HashMap<MeetingUuid, Known>>,
}

impl Earlier {
    pub(super) fn of(asked: &[Asked]) -> Self {
        let wanted = asked.iter().filter_map(|asked| match asked {
            Asked::Meeting(uuid) => Some(uuid.clone()),
            Asked::Number(_) => None,
        });
        Self { wanted: wanted.collect(), found: None }
    }

    pub(super) async fn of_meeting(
        &mut self,
        producer: &Producer<'_>,
        uuid: &MeetingUuid,
    ) -> Result<Option<Known>, ProducerError> {
        if !self.wanted.contains(uuid) {
            return Ok(None);
        }
        let found = match &mut self.found {
            Some(found) => found,
            none => none.insert(read(producer, std::mem::take(&mut self.wanted)).await?),
        };
        Ok(found.get(uuid).copied())
    }
}

async fn read(
    producer: &Producer<'_>,
    mut wanted: HashSet<MeetingUuid>,
) -> Result<HashMap<MeetingUuid, Known>, ProducerError> {
    let mut found = HashMap::new();
    for run in producer.buffer.runs().await?.into_iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let Some(folder) = producer.buffer.run_record(&run).await? else { continue };
        let reading = tokio::task::spawn_blocking(move || {
            let mut known = HashMap::new();
            let read = evidence::read(&folder, &run, |line| {
                if let Entry::Verdict(verdict) = line.entry
                    && let Some(deadline) = verdict.deadline
                    && wanted.contains(&verdict.meeting)
                {
                    known.insert(verdict.meeting, Known { started_at: verdict.started_at, deadline });
                }
            });
            // Damage of other runs is theirs to tell.
            if let Err(error) = read {
                info!(%run, %error, "the record of an earlier run cannot be read to its end");
            }
            wanted.retain(|meeting| !known.contains_key(meeting));
            (wanted, known)
        });
        let Ok((left, known)) = reading.await else { break };
        wanted = left;
        found.extend(known);
    }
    Ok(found)
}
