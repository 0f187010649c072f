//! What is asked and answered, as the document describes it. Field by field what the contract's objects hold, and a
//! little more that a client would otherwise work out.

mod asked;
mod operation;

use chrono::{DateTime, Utc};
use recapture_core::queue::WorkLeft;
use recapture_core::reason::Cause;
use recapture_core::run::{Counts, RecoveryRun, RunState};
use serde::Serialize;
use utoipa::ToSchema;

pub(in crate::serve) use asked::{
    Control, CsvQuery, Format, Limit, MeetingsQuery, NewRecovery, Outcome, PageQuery, ReportQuery, Retry,
};
pub(in crate::serve) use operation::{
    Coverage, Covered, CoveredDimension, Held, QueueDepth, Span, Worker, Workers,
};

use super::pulse::{Going, Paces};
use crate::report::MeetingReport;

/// One run of recovery, `recapture.run/1`, and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Recovery {
    #[schema(example = "recapture.run/1")]
    pub(in crate::serve) schema: String,
    #[schema(example = "01JBQ8Z6WQK7V3F2T9XN4M5P0R")]
    pub(in crate::serve) id: String,
    pub(in crate::serve) mode: Mode,
    pub(in crate::serve) dry_run: bool,
    pub(in crate::serve) state: State,
    pub(in crate::serve) reconciled: bool,
    pub(in crate::serve) requested_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) reason: Option<String>,
    #[schema(required = true)]
    pub(in crate::serve) from: Option<DateTime<Utc>>,
    #[schema(required = true)]
    pub(in crate::serve) to: Option<DateTime<Utc>>,
    pub(in crate::serve) started_at: DateTime<Utc>,
    #[schema(required = true)]
    pub(in crate::serve) finished_at: Option<DateTime<Utc>>,
    pub(in crate::serve) counts: Books,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(in crate::serve) unproven: Vec<Unproven>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) ended_because: Option<String>,
    /// The run whose listing was cut short, and which this one takes up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) continues: Option<String>,
    pub(in crate::serve) progress: Progress,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::serve) enum Mode {
    Manual,
    Automatic,
    Specific,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::serve) enum State {
    Enumerating,
    Running,
    Paused,
    Completed,
    Stopped,
    Cancelled,
    Failed,
}

/// The books of a run, in meetings except for `files` and `bytes`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Books {
    listed: u64,
    present: u64,
    incomplete: u64,
    missing: u64,
    excluded: u64,
    indeterminate: u64,
    detected: u64,
    recovered: u64,
    failed: u64,
    unavailable: u64,
    expired: u64,
    pending: u64,
    files: u64,
    bytes: u64,
}

/// A part of the period that could not be proven listed.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Unproven {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    dimension: String,
    detail: String,
}

/// How far a run is, and how fast it goes: over the last half minute, or over the whole time of a run that has ended.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(in crate::serve) struct Progress {
    /// Meetings that came to an end, of those detected.
    pub(in crate::serve) done: u64,
    pub(in crate::serve) meetings_per_second: f64,
    pub(in crate::serve) bytes_per_second: f64,
    /// At this rate, without what waits for Zoom or is held by a pause; absent where nothing moves, or nothing is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) seconds_left: Option<u64>,
}

impl Progress {
    #[allow(clippy::cast_precision_loss, reason = "rates")]
    pub(in crate::serve) fn of(run: &RecoveryRun, paces: &Paces, now: DateTime<Utc>) -> Self {
        let done = run.counts.done();
        if let Some(going) = paces.of(&run.id).filter(|_| !run.state.is_end()) {
            let Going { meetings_per_second, bytes_per_second, left } = going;
            let left = left.filter(|_| run.state != RunState::Paused);
            let seconds_left = left.and_then(|left| u64::try_from(left.num_seconds()).ok());
            return Self { done, meetings_per_second, bytes_per_second, seconds_left };
        }
        let seconds =
            (run.finished_at.unwrap_or(now) - run.started_at).num_milliseconds().max(1) as f64 / 1000.0;
        let (meetings_per_second, bytes_per_second) =
            (done as f64 / seconds, run.counts.bytes as f64 / seconds);
        Self { done, meetings_per_second, bytes_per_second, seconds_left: None }
    }
}

impl Recovery {
    pub(in crate::serve) fn of(run: &RecoveryRun, paces: &Paces, now: DateTime<Utc>) -> Self {
        use recapture_core::run::Mode as RunMode;
        let object = run.to_object();
        Self {
            schema: object.schema.to_owned(),
            id: run.id.to_string(),
            mode: match run.request.mode {
                RunMode::Manual => Mode::Manual,
                RunMode::Automatic => Mode::Automatic,
                RunMode::Specific => Mode::Specific,
            },
            dry_run: run.request.dry_run,
            state: match run.state {
                RunState::Enumerating => State::Enumerating,
                RunState::Running => State::Running,
                RunState::Paused => State::Paused,
                RunState::Completed => State::Completed,
                RunState::Stopped => State::Stopped,
                RunState::Cancelled => State::Cancelled,
                RunState::Failed => State::Failed,
            },
            reconciled: object.reconciled,
            requested_by: run.request.requested_by.clone(),
            reason: run.request.reason.clone(),
            from: object.from,
            to: object.to,
            started_at: run.started_at,
            finished_at: run.finished_at,
            counts: run.counts.into(),
            unproven: run.unproven.iter().cloned().map(Unproven::from).collect(),
            ended_because: run.ended_because.clone(),
            continues: run
                .request
                .served
                .as_ref()
                .and_then(|served| Some(served.continues.as_ref()?.to_string())),
            progress: Progress::of(run, paces, now),
        }
    }
}

impl From<Counts> for Books {
    fn from(counts: Counts) -> Self {
        let Counts {
            listed,
            present,
            incomplete,
            missing,
            excluded,
            indeterminate,
            detected,
            recovered,
            failed,
            unavailable,
            expired,
            pending,
            files,
            bytes,
        } = counts;
        Self {
            listed,
            present,
            incomplete,
            missing,
            excluded,
            indeterminate,
            detected,
            recovered,
            failed,
            unavailable,
            expired,
            pending,
            files,
            bytes,
        }
    }
}

impl Books {
    pub(in crate::serve) fn to_counts(&self) -> Counts {
        let Self {
            listed,
            present,
            incomplete,
            missing,
            excluded,
            indeterminate,
            detected,
            recovered,
            failed,
            unavailable,
            expired,
            pending,
            files,
            bytes,
        } = *self;
        Counts {
            listed,
            present,
            incomplete,
            missing,
            excluded,
            indeterminate,
            detected,
            recovered,
            failed,
            unavailable,
            expired,
            pending,
            files,
            bytes,
        }
    }
}

impl From<recapture_core::run::Unproven> for Unproven {
    fn from(part: recapture_core::run::Unproven) -> Self {
        let recapture_core::run::Unproven { from, to, dimension, detail } = part;
        Self { from, to, dimension, detail }
    }
}

/// A page of runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Recoveries {
    pub(in crate::serve) recoveries: Vec<Recovery>,
    #[schema(required = true)]
    pub(in crate::serve) next_cursor: Option<String>,
}

/// A run, and where its unfinished meetings stand.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct RecoveryDetail {
    #[serde(flatten)]
    pub(in crate::serve) recovery: Recovery,
    pub(in crate::serve) left: Left,
}

/// The unfinished meetings of a run; each is in exactly one of the classes.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Left {
    ready: u64,
    /// In a worker's hands.
    leased: u64,
    /// To be tried again later.
    retrying: u64,
    /// Zoom is still making the archive.
    waiting_for_zoom: u64,
    /// Held by a pause.
    held: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    nearest_deadline: Option<DateTime<Utc>>,
}

impl From<WorkLeft> for Left {
    fn from(left: WorkLeft) -> Self {
        let WorkLeft { ready, leased, retrying, waiting_for_zoom, held, nearest_deadline, .. } = left;
        Self { ready, leased, retrying, waiting_for_zoom, held, nearest_deadline }
    }
}

/// A run; of a dry run also what it found.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Plan {
    #[serde(flatten)]
    pub(in crate::serve) recovery: Recovery,
    /// The first of the meetings that would be recovered, or could not be compared.
    #[schema(required = false)]
    pub(in crate::serve) meetings: Vec<Planned>,
    /// How many more there are.
    #[schema(required = false)]
    pub(in crate::serve) more: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Planned {
    pub(in crate::serve) meeting_uuid: String,
    /// `missing`, `incomplete` or `indeterminate`.
    pub(in crate::serve) verdict: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(in crate::serve) started_at: Option<DateTime<Utc>>,
}

/// A page of a run's meetings, in the order of UUIDs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Meetings {
    pub(in crate::serve) meetings: Vec<Meeting>,
    #[schema(required = true)]
    pub(in crate::serve) next_cursor: Option<String>,
    /// What of the evidence could not be read.
    pub(in crate::serve) evidence_damage: Vec<String>,
}

/// What became of a meeting.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Meeting {
    pub(in crate::serve) meeting_uuid: String,
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    verdict: Option<String>,
    /// Why it is not recovered, as docs/reasons.md names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    evidence: Option<EvidenceOf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    started_at: Option<DateTime<Utc>>,
    /// When Zoom deletes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    deadline: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    starts: Option<u32>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    due: Option<DateTime<Utc>>,
    files: u64,
    bytes: u64,
    /// How long its last start took.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    took_ms: Option<u64>,
}

/// What a reason rests on.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct EvidenceOf {
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<i64>,
    /// What Zoom's support asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tracking_id: Option<String>,
}

impl From<&Cause> for EvidenceOf {
    fn from(cause: &Cause) -> Self {
        let Cause { detail, status, code, tracking_id, .. } = cause.clone();
        Self { detail, status, code, tracking_id }
    }
}

impl Meeting {
    pub(in crate::serve) fn of(uuid: &str, meeting: &MeetingReport) -> Self {
        let (verdict, end, waits) = (meeting.verdict.as_ref(), meeting.end.as_ref(), meeting.waits.as_ref());
        let cause = meeting.cause();
        let files = end.map_or(&[][..], |end| &end.files);
        Self {
            meeting_uuid: uuid.to_owned(),
            outcome: meeting.outcome().to_owned(),
            verdict: verdict.map(|verdict| verdict.verdict.clone()),
            reason: cause.map(|cause| cause.reason.to_string()),
            evidence: cause.map(EvidenceOf::from),
            started_at: verdict.and_then(|verdict| verdict.started_at),
            deadline: meeting.deadline(),
            starts: waits.map(|job| job.starts).or(end.map(|end| end.starts)),
            due: waits.and_then(|job| job.due),
            files: files.iter().filter(|file| file.unavailable.is_none()).count() as u64,
            bytes: files.iter().filter_map(|file| file.size).sum(),
            took_ms: end.and_then(|end| end.took_ms),
        }
    }
}

/// What `retry` did.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Retried {
    pub(in crate::serve) requeued: u64,
    /// Another run has the meeting unfinished: it counts for this run again.
    pub(in crate::serve) already_queued: u64,
    pub(in crate::serve) recovery: Recovery,
}

/// What `cancel` did.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Cancelled {
    /// Jobs that nobody else wanted.
    pub(in crate::serve) removed: u64,
    /// Jobs that other runs want still.
    pub(in crate::serve) passed_on: u64,
    pub(in crate::serve) recovery: Recovery,
}

/// Why a request is refused (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::serve) struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
}

#[cfg(test)]
mod tests {
    use recapture_core::period::Period;
    use recapture_core::run::{Mode, Request, RunId};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_recovery_is_the_contracts_run_object_and_more() {
        let now = Utc::now();
        let run = RecoveryRun {
            id: RunId::new(now),
            request: Request {
                mode: Mode::Manual,
                dry_run: false,
                requested_by: "ops".to_owned(),
                reason: Some("INC-4711".to_owned()),
                period: Period::new(now - chrono::Duration::days(1), now).ok(),
                served: None,
            },
            state: RunState::Stopped,
            started_at: now,
            finished_at: Some(now),
            counts: Counts {
                listed: 3,
                missing: 2,
                present: 1,
                detected: 2,
                pending: 2,
                ..Counts::default()
            },
            unproven: vec![recapture_core::run::Unproven {
                from: now,
                to: now,
                dimension: "meeting_start_time".to_owned(),
                detail: "cut".to_owned(),
            }],
            ended_because: Some("interrupted".to_owned()),
        };
        let value = |value: Result<Value, _>| value.expect("it can be written");
        let object = value(serde_json::to_value(run.to_object()));
        let told = value(serde_json::to_value(Recovery::of(&run, &Paces::default(), now)));
        for (key, expected) in object.as_object().expect("an object") {
            assert_eq!(&told[key], expected, "{key}");
        }
    }
}
