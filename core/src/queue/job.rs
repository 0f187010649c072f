//! What a job says: which meeting, and what of it. Versioned JSON, small; never tokens or addresses.
//!
//! A payload outlives the program that wrote it: a version that was ever released stays readable (`tests` below keeps
//! one of each), and one that is not known is an error that makes the job dead, not a guess.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::meeting::MeetingUuid;
use crate::run::Mode;

/// The version that is written.
const VERSION: u64 = 1;

/// One meeting to be recovered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPayload {
    pub uuid: MeetingUuid,
    /// When the meeting began: it decides the meeting's folder in the capture buffer.
    pub started_at: DateTime<Utc>,
    /// When Zoom deletes the archive; the soonest is served first.
    pub deadline: DateTime<Utc>,
    pub wanted: Wanted,
    /// Of the run that enqueued it.
    pub mode: Mode,
}

/// What of the meeting is to be recovered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// The platform misses the meeting.
    All,
    /// The platform has the meeting and lacks these files, by id.
    Files(Vec<String>),
}

/// Why a stored payload is no job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    #[error(
        "the job's payload is of version {0} and this program reads up to {VERSION}; upgrade the workers, then retry the run"
    )]
    UnknownVersion(u64),
    #[error("the job's payload cannot be read: {0}")]
    Unreadable(String),
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u64,
    #[serde(flatten)]
    payload: T,
}

impl JobPayload {
    pub fn encode(&self) -> String {
        serde_json::to_string(&Versioned { v: VERSION, payload: self })
            .expect("a payload has string keys and no failing parts")
    }

    pub fn decode(text: &str) -> Result<Self, PayloadError> {
        #[derive(Deserialize)]
        struct Version {
            v: u64,
        }
        let unreadable = |error: serde_json::Error| PayloadError::Unreadable(error.to_string());
        // The version first: the rest of an unknown one may look like anything.
        let Version { v } = serde_json::from_str(text).map_err(unreadable)?;
        if v != VERSION {
            return Err(PayloadError::UnknownVersion(v));
        }
        serde_json::from_str::<Versioned<Self>>(text).map(|read| read.payload).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::parse_instant;

    /// Every payload that a release has written, as it stands on disks.
    const RELEASED: &[(&str, Wanted)] = &[(
        r#"{"v":1,"uuid":"/aB3dE//gHiJkL4mNoPqRg==","started_at":"2026-10-01T08:00:04Z","deadline":"2026-10-31T08:00:04Z","wanted":"all","mode":"manual"}"#,
        Wanted::All,
    )];

    fn payload(wanted: Wanted) -> JobPayload {
        JobPayload {
            uuid: MeetingUuid::parse("/aB3dE//gHiJkL4mNoPqRg==").expect("a UUID"),
            started_at: parse_instant("2026-10-01T08:00:04Z").expect("an instant"),
            deadline: parse_instant("2026-10-31T08:00:04Z").expect("an instant"),
            wanted,
            mode: Mode::Manual,
        }
    }

    #[test]
    fn released_payloads_stay_readable() {
        for (text, wanted) in RELEASED {
            assert_eq!(JobPayload::decode(text), Ok(payload(wanted.clone())));
        }
        let files = Wanted::Files(vec!["0b7c".into()]);
        let text = RELEASED[0].0.replace(r#""all""#, r#"{"files":["0b7c"]}"#);
        assert_eq!(JobPayload::decode(&text), Ok(payload(files)));
    }

    #[test]
    fn what_is_written_is_the_newest_released_form() {
        assert_eq!(payload(Wanted::All).encode(), RELEASED[0].0);
    }

    #[test]
    fn unknown_versions_and_damage_are_errors() {
        let newer = RELEASED[0].0.replace(r#""v":1"#, r#""v":2"#);
        assert_eq!(JobPayload::decode(&newer), Err(PayloadError::UnknownVersion(2)));
        for damaged in ["", "{}", "null", r#"{"v":1}"#, r#"{"v":"1"}"#, &RELEASED[0].0[..40]] {
            assert!(matches!(JobPayload::decode(damaged), Err(PayloadError::Unreadable(_))), "{damaged}");
        }
    }
}
