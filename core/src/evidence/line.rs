//! What a line of evidence can say. Kinds are added, never changed: records outlive versions.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::seal::Head;
use crate::meeting::MeetingUuid;
use crate::period::Period;
use crate::reason::{Cause, Outcome, Reason};
use crate::run::{Counts, Request, RunId, RunState, Unproven};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// Who asked for what, with which version and settings.
    Requested {
        run: RunId,
        request: Request,
        tool: String,
        config_sha256: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        continues: Option<RunId>,
    },
    /// A page as Zoom listed it.
    Listed(ListedPage),
    /// A slice was listed to its end, and what its control totals said.
    Slice {
        period: Period,
        dimension: String,
        listed: u64,
        total_records: Option<u64>,
        statistics: Option<u64>,
        proven: bool,
    },
    /// Automatic recovery counts a slice as covered: it was proven listed, every meeting of it was compared, and what
    /// was missing is on the queue. The ledger of covered intervals can be made again from these lines.
    Covered { account: String, period: Period, dimension: String },
    /// Looked at again, a slice that was covered is in doubt: it is not covered any more.
    Uncovered { account: String, period: Period, dimension: String },
    /// A file that names meetings to recover, as it was read.
    Input {
        name: String,
        sha256: String,
        rows: u64,
        rejected: u64,
        /// The name of the kept content, where the file itself is nobody's to keep: it came over HTTP.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw: Option<String>,
    },
    /// The instances that Zoom knows of a meeting number that was asked for. A number that it does not know stands
    /// for itself.
    Instances { number: u64, meetings: Vec<MeetingUuid> },
    /// What comparing said of a meeting that the platform does not have whole; of one that was asked for by its id,
    /// also that the platform has it.
    Verdict(MeetingVerdict),
    /// Somebody pauses, resumes, cancels or retries the run: once before it is done, and once with what it came to.
    Controlled(Controlled),
    /// A failed end is about to be taken up: its meeting goes back on the queue.
    Retried(Retried),
    /// A worker had a meeting's job, and gave it back without an end or for dead, or lost it.
    Attempt(Attempt),
    /// A meeting's recovery came to an end.
    Ended(MeetingEnd),
    /// A meeting's folder is about to be removed from the buffer, because the platform has it all.
    Purged(Purged),
    /// The run as its producer left it.
    Closed {
        state: RunState,
        counts: Counts,
        unproven: Vec<Unproven>,
        because: Option<String>,
        /// Of all files of the run before this line. Where there are any, a seal follows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        heads: Vec<Head>,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListedPage {
    pub period: Period,
    pub dimension: String,
    pub page: u64,
    pub meetings: usize,
    /// Of the answer as it came.
    pub sha256: String,
    /// The name of the kept answer; absent in records of versions that kept none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// The bounds that Zoom returned, where they differ from those asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shifted_to: Option<Period>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MeetingVerdict {
    pub meeting: MeetingUuid,
    pub started_at: Option<DateTime<Utc>>,
    /// `missing`, `incomplete`, `excluded`, `indeterminate`; `present` where the meeting was asked for by its id.
    pub verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DateTime<Utc>>,
    /// The run whose job it is, if it was on the queue already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_by: Option<RunId>,
}

/// What somebody did with a run, and who.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Controlled {
    /// `pause`, `resume`, `cancel`, `retry`.
    pub action: String,
    pub by: String,
    /// The address of a client of the service; empty if it came over the command line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// As the service's log names the request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// What it came to.
    pub detail: String,
    /// Of all lines about one order the same; absent in records of versions that wrote one line, when it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Of a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing of it is done yet.
    Asked,
    Done,
    /// The detail says why; a part of it may have been done.
    Failed,
}

/// Which of the failed meetings are retried; all, if it names nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meetings: Option<BTreeSet<MeetingUuid>>,
}

impl Selection {
    pub fn takes(&self, meeting: &MeetingUuid, failed_for: Reason) -> bool {
        self.reason.is_none_or(|reason| reason == failed_for)
            && self.meetings.as_ref().is_none_or(|meetings| meetings.contains(meeting))
    }
}

/// The failed end that a retry takes up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Retried {
    pub meeting: MeetingUuid,
    /// Of the `controlled` lines.
    pub order: String,
    /// Why it had failed.
    pub cause: Cause,
    pub starts: u32,
    pub died_at: DateTime<Utc>,
}

/// How a worker gave a job back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// It is tried again later, and counts.
    Retry,
    /// It cannot be done yet, which does not count.
    Snooze,
    /// It was given up.
    Dead,
    /// It was given back unharmed: the process stops, or a service is away that all meetings need.
    Release,
    /// Another worker has the meeting: what this one did is not counted.
    Lost,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    pub meeting: MeetingUuid,
    pub end: AttemptEnd,
    pub cause: Cause,
    /// When it is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_at: Option<DateTime<Utc>>,
    pub starts: u32,
    pub worker: String,
    /// Of the lease: grows with each start of the meeting's job.
    pub fence: u64,
    /// Absent in records of versions that did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// What this attempt stored, or found that Zoom does not have: the next one goes on from there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEnd>,
    /// Of those that were stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Purged {
    pub meeting: MeetingUuid,
    /// Relative to the buffer.
    pub folder: String,
    pub manifest_sha256: String,
    pub files: usize,
    pub bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MeetingEnd {
    pub meeting: MeetingUuid,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    pub starts: u32,
    pub worker: String,
    /// Of the lease: of two ends of one meeting the one with the larger fence is the later.
    #[serde(default)]
    pub fence: u64,
    /// `complete` or `partial`, where there is a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Of `manifest.json` as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_sha256: Option<String>,
    /// The meeting's folder, relative to the buffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileEnd>,
    /// How long the last start took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileEnd {
    pub file_id: String,
    /// Its name in the meeting's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Bytes that Zoom listed, where they differ from those received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloaded_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<Cause>,
}
