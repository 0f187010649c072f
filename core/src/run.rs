//! A recovery run: who asked for what, its state, and the books that must balance.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::digest;
use crate::period::Period;
use crate::reason::Outcome;

/// A ULID: sorts by time of creation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

/// A text that names no run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no run id; `recapture status` lists them")]
pub struct NoRunId(String);

impl RunId {
    pub fn new(now: DateTime<Utc>) -> Self {
        let ms = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        Self(
            Ulid::from_parts(ms, u128::from(fastrand::u64(..)) << 16 | u128::from(fastrand::u16(..)))
                .to_string(),
        )
    }

    /// The run that takes up another one's listing, which was cut short at that instant. Whoever works it out comes to
    /// the same id, and an id is created once: so one process goes on with a run, and one only.
    pub fn after(cut_short: &Self, at: DateTime<Utc>) -> Self {
        let ms = u64::try_from(at.timestamp_millis()).unwrap_or_default();
        Self(Ulid::from_parts(ms, digest::sha256_prefix(cut_short.0.as_bytes())).to_string())
    }

    pub fn parse(text: &str) -> Result<Self, NoRunId> {
        match Ulid::from_string(text) {
            Ok(id) => Ok(Self(id.to_string())),
            Err(_) => Err(NoRunId(text.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RunId {
    type Error = NoRunId;
    fn try_from(text: String) -> Result<Self, NoRunId> {
        Self::parse(&text)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl std::str::FromStr for RunId {
    type Err = NoRunId;
    fn from_str(text: &str) -> Result<Self, NoRunId> {
        Self::parse(text)
    }
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A person gave a period.
    Manual,
    /// The system chose the period.
    Automatic,
    /// A list of meeting ids.
    Specific,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Automatic => "automatic",
            Self::Specific => "specific",
        }
    }

    /// The order in which the queue serves runs: lower first. Somebody waits for the first class.
    pub fn class(self) -> u8 {
        match self {
            Self::Manual | Self::Specific => 0,
            Self::Automatic => 1,
        }
    }
}

/// ```text
///               ┌────────────► failed          could not start
///  enumerating ─┼────────────► stopped         a service went away, or it was interrupted, while listing
///       │       └──► cancelled                 by an operator, from any state that is not an end
///       ▼                 ▲
///    running ─────────────┤                    everything is listed and on the queue
///     │  ▲ pause, resume  │
///     ▼  │                │
///    paused ──────────────┘
///     running ──► completed                    nothing is left to do now; what waits for Zoom is still `pending`
/// ```
///
/// An end stays an end, but counts still move: a pending meeting of a completed run is recovered when it is due.
/// `retry` takes a completed run back to running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    Enumerating,
    Running,
    Paused,
    Completed,
    Stopped,
    Cancelled,
    Failed,
}

impl RunState {
    pub const ALL: [Self; 7] = [
        Self::Enumerating,
        Self::Running,
        Self::Paused,
        Self::Completed,
        Self::Stopped,
        Self::Cancelled,
        Self::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enumerating => "enumerating",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped | Self::Cancelled | Self::Failed)
    }
}

/// What was asked for, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub mode: Mode,
    pub dry_run: bool,
    pub requested_by: String,
    pub reason: Option<String>,
    /// Absent for specific recovery.
    pub period: Option<Period>,
    /// Of a run that the service (`recapture serve`) was asked for over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Served>,
}

/// How the service came to a run. It goes on with such a run after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The address of the client.
    pub client: String,
    /// As the log names the request.
    pub request_id: String,
    /// SHA-256 of what was asked for: a request that is sent once more is told from another one.
    pub asked_sha256: String,
    /// SHA-256 of the key under which a client sends a request once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sha256: Option<String>,
    /// The run whose listing was cut short; this one lists it all again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<RunId>,
}

/// One run with its books, as the queue keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryRun {
    pub id: RunId,
    pub request: Request,
    pub state: RunState,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub counts: Counts,
    /// Parts of the period that could not be proven listed.
    pub unproven: Vec<Unproven>,
    /// Why it stopped or failed.
    pub ended_because: Option<String>,
}

/// A slice of the period whose listing could not be proven whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproven {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// `meeting_start_time` or `archive_complete_time`.
    pub dimension: String,
    pub detail: String,
}

/// The books of a run, in meetings except for `files` and `bytes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub listed: u64,
    pub present: u64,
    pub incomplete: u64,
    pub missing: u64,
    pub excluded: u64,
    pub indeterminate: u64,
    pub detected: u64,
    pub recovered: u64,
    pub failed: u64,
    pub unavailable: u64,
    pub expired: u64,
    pub pending: u64,
    pub files: u64,
    pub bytes: u64,
}

impl Counts {
    /// `listed = present + incomplete + missing + excluded + indeterminate`, and
    /// `detected = missing + incomplete = recovered + failed + unavailable + expired + pending`.
    pub fn balance(&self) -> bool {
        self.listed == self.present + self.incomplete + self.missing + self.excluded + self.indeterminate
            && self.detected == self.missing + self.incomplete
            && self.detected == self.recovered + self.failed + self.unavailable + self.expired + self.pending
    }

    /// Meetings that came to an end.
    pub fn done(&self) -> u64 {
        self.recovered + self.failed + self.unavailable + self.expired
    }

    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Recovered => self.recovered,
            Outcome::Failed => self.failed,
            Outcome::Unavailable => self.unavailable,
            Outcome::Expired => self.expired,
        }
    }
}

/// What comparing a batch of listed meetings adds to the books. Detected meetings are not in it: a batch's jobs are
/// themselves its missing and incomplete meetings, so that the two can never differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub present: u64,
    pub excluded: u64,
    pub indeterminate: u64,
}

impl RecoveryRun {
    /// The books balance and every part of the period was proven listed and compared.
    pub fn reconciled(&self) -> bool {
        self.counts.balance()
            && self.counts.indeterminate == 0
            && self.unproven.is_empty()
            && self.state == RunState::Completed
    }

    /// The run object of the contract, schema `recapture.run/1`.
    pub fn to_object(&self) -> RunObject<'_> {
        RunObject {
            schema: "recapture.run/1",
            id: &self.id,
            mode: self.request.mode,
            dry_run: self.request.dry_run,
            state: self.state,
            reconciled: self.reconciled(),
            requested_by: &self.request.requested_by,
            reason: self.request.reason.as_deref(),
            from: self.request.period.map(|period| period.from),
            to: self.request.period.map(|period| period.to),
            started_at: self.started_at,
            finished_at: self.finished_at,
            counts: self.counts,
            unproven: &self.unproven,
            ended_because: self.ended_because.as_deref(),
        }
    }
}

/// How a run is shown to scripts.
#[derive(Debug, Clone, Serialize)]
pub struct RunObject<'a> {
    pub schema: &'static str,
    pub id: &'a RunId,
    pub mode: Mode,
    pub dry_run: bool,
    pub state: RunState,
    pub reconciled: bool,
    pub requested_by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub counts: Counts,
    #[serde(skip_serializing_if = "<[Unproven]>::is_empty")]
    pub unproven: &'a [Unproven],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_because: Option<&'a str>,
}
