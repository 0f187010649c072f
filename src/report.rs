//! What became of a run, from the queue's books and the run's evidence.
//!
//! The counts come from the books, which move with the jobs in one step. What became of each meeting comes from the
//! evidence; of several lines about one meeting the last counts. A meeting that another run had queued already is
//! looked up in that run's evidence.

mod csv;
pub(crate) mod html;
mod json;
mod text;

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use recapture_core::buffer::{Buffer, BufferError};
use recapture_core::evidence::{self, Entry, MeetingEnd, MeetingVerdict};
use recapture_core::meeting::MeetingUuid;
use recapture_core::period::{Period, stamp};
use recapture_core::queue::{Queue, QueueError, UnfinishedJob};
use recapture_core::reason::{Cause, Outcome};
use recapture_core::run::{RecoveryRun, RunId};

use crate::trigger::automatic::SOON;

pub use text::{plan_line, plan_summary};

/// How many rows are read at once.
const ROWS: u32 = 1000;

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Buffer(#[from] BufferError),
}

/// A run and what is known of each of its detected meetings.
pub struct Report {
    pub run: RecoveryRun,
    pub meetings: BTreeMap<MeetingUuid, MeetingReport>,
    /// The instances of the numbers that were asked for.
    pub instances: BTreeMap<u64, Vec<MeetingUuid>>,
    /// SHA-256 of the files that named the meetings.
    pub inputs: BTreeSet<String>,
    /// The slices of the period in both time dimensions, as they were listed last.
    pub slices: BTreeMap<(DateTime<Utc>, String), Slice>,
    /// What of the evidence could not be read.
    pub damage: Vec<String>,
    /// Where the buffer is.
    pub buffer: String,
}

/// What listing a slice came to.
pub struct Slice {
    pub period: Period,
    pub listed: u64,
    /// Zoom's own count, where it gave one.
    pub total: Option<u64>,
    pub proven: bool,
}

/// One detected (or excluded, or indeterminate) meeting; of a specific recovery also one that was present.
#[derive(Default)]
pub struct MeetingReport {
    pub verdict: Option<MeetingVerdict>,
    pub end: Option<MeetingEnd>,
    /// Still on the queue.
    pub waits: Option<UnfinishedJob>,
    /// Of an expired meeting: when any run first told that the platform lacks it.
    pub first_known: Option<DateTime<Utc>>,
}

impl MeetingReport {
    /// Why it is not recovered.
    pub fn cause(&self) -> Option<&Cause> {
        match (&self.waits, &self.end) {
            (Some(job), _) => job.cause.as_ref(),
            (None, Some(end)) => end.cause.as_ref(),
            (None, None) => None,
        }
    }

    /// The same for people, or what the comparison said; of a loss also since when it was known.
    pub fn why(&self) -> String {
        let cause = self.cause().map(ToString::to_string);
        let why = cause.or_else(|| self.verdict.as_ref().and_then(|verdict| verdict.detail.clone()));
        let known = self.first_known.map(|at| format!(" (known since {})", stamp(at)));
        why.unwrap_or_default() + &known.unwrap_or_default()
    }

    /// `recovered`, `failed`, …, `pending`, or the verdict of a meeting that was never queued.
    pub fn outcome(&self) -> &str {
        match (&self.waits, &self.end, &self.verdict) {
            (Some(_), _, _) => "pending",
            (None, Some(end), _) => end.outcome.as_str(),
            (None, None, Some(verdict)) if matches!(verdict.verdict.as_str(), "missing" | "incomplete") => {
                "pending"
            }
            (None, None, Some(verdict)) => &verdict.verdict,
            (None, None, None) => "unknown",
        }
    }

    /// When Zoom deletes it.
    pub fn deadline(&self) -> Option<DateTime<Utc>> {
        let waits = self.waits.as_ref().map(|job| job.deadline);
        waits.or_else(|| self.verdict.as_ref().and_then(|verdict| verdict.deadline))
    }

    /// Whether a reader has to be told of it: it is over and not recovered, or something went wrong on the way.
    pub fn needs_attention(&self) -> bool {
        match self.outcome() {
            "pending" => self.cause().is_some(),
            outcome => outcome != Outcome::Recovered.as_str() && outcome != "present",
        }
    }
}

impl Report {
    pub async fn read(queue: &Queue, buffer: &Buffer, run: RecoveryRun) -> Result<Self, ReportError> {
        let mut report = Self {
            run,
            meetings: BTreeMap::new(),
            instances: BTreeMap::new(),
            inputs: BTreeSet::new(),
            slices: BTreeMap::new(),
            damage: Vec::new(),
            buffer: buffer.location(),
        };
        let id = report.run.id.clone();
        report.read_evidence(buffer, &id, None).await?;
        for (owner, meetings) in report.queued_by_others() {
            report.read_evidence(buffer, &owner, Some(&meetings)).await?;
        }
        report.read_dead(queue).await?;
        report.read_waiting(queue).await?;
        report.read_first_known(buffer).await?;
        Ok(report)
    }

    /// What expired is a loss, and whoever answers for it is asked since when it was known. The runs are read from the
    /// oldest on, until all expired meetings have been met.
    async fn read_first_known(&mut self, buffer: &Buffer) -> Result<(), BufferError> {
        let is_expired = |meeting: &MeetingReport| meeting.outcome() == Outcome::Expired.as_str();
        let expired = self.meetings.iter().filter(|(_, meeting)| is_expired(meeting));
        let mut open: BTreeSet<MeetingUuid> = expired.map(|(uuid, _)| uuid.clone()).collect();
        if open.is_empty() {
            return Ok(());
        }
        for run in buffer.runs().await? {
            let Some(folder) = buffer.run_record(&run).await? else { continue };
            let mut first: BTreeMap<MeetingUuid, DateTime<Utc>> = BTreeMap::new();
            // Damage of other runs is theirs to tell.
            let _ = evidence::read(&folder, &run, |line| {
                if let Entry::Verdict(verdict) = line.entry
                    && matches!(verdict.verdict.as_str(), "missing" | "incomplete")
                    && open.contains(&verdict.meeting)
                {
                    let known = first.entry(verdict.meeting).or_insert(line.at);
                    *known = line.at.min(*known);
                }
            });
            for (meeting, at) in first {
                open.remove(&meeting);
                self.meetings.entry(meeting).or_default().first_known = Some(at);
            }
            if open.is_empty() || run == self.run.id {
                break;
            }
        }
        Ok(())
    }

    /// Takes over the lines of a run's evidence: all, or the ends of some meetings.
    async fn read_evidence(
        &mut self,
        buffer: &Buffer,
        run: &RunId,
        only: Option<&BTreeSet<MeetingUuid>>,
    ) -> Result<(), BufferError> {
        let Some(folder) = buffer.run_record(run).await? else {
            self.damage.push(format!("there is no evidence of run {run} in {}", self.buffer));
            return Ok(());
        };
        let mut ends: BTreeMap<MeetingUuid, ((u64, DateTime<Utc>), MeetingEnd)> = BTreeMap::new();
        let read = evidence::read(&folder, run, |line| match line.entry {
            Entry::Verdict(verdict) if only.is_none() => {
                let meeting = self.meetings.entry(verdict.meeting.clone()).or_default();
                meeting.verdict = Some(verdict);
            }
            Entry::Instances { number, meetings } if only.is_none() => {
                self.instances.insert(number, meetings);
            }
            Entry::Input { sha256, .. } if only.is_none() => {
                self.inputs.insert(sha256);
            }
            Entry::Slice { period, dimension, listed, total_records, statistics, proven }
                if only.is_none() =>
            {
                let slice = Slice { period, listed, total: statistics.or(total_records), proven };
                self.slices.insert((period.from, dimension), slice);
            }
            Entry::Ended(end) if only.is_none_or(|only| only.contains(&end.meeting)) => {
                // Clocks of several machines may differ; leases follow each other.
                let at = (end.fence, line.at);
                match ends.entry(end.meeting.clone()) {
                    MapEntry::Vacant(place) => _ = place.insert((at, end)),
                    MapEntry::Occupied(mut last) if last.get().0 <= at => _ = last.insert((at, end)),
                    MapEntry::Occupied(_) => {}
                }
            }
            _ => {}
        });
        if let Err(error) = read {
            self.damage.push(error.to_string());
        }
        for (meeting, (_, end)) in ends {
            self.meetings.entry(meeting).or_default().end = Some(end);
        }
        Ok(())
    }

    /// How many pending meetings Zoom deletes within a day, and when the first.
    pub fn lost_soon(&self, now: DateTime<Utc>) -> Option<(u64, DateTime<Utc>)> {
        let pending = self.meetings.values().filter(|meeting| meeting.outcome() == "pending");
        let soon = pending.filter_map(MeetingReport::deadline).filter(|deadline| *deadline < now + SOON);
        let (count, first) = soon.fold((0, None), |(count, first): (u64, Option<DateTime<Utc>>), at| {
            (count + 1, Some(first.map_or(at, |first| first.min(at))))
        });
        first.map(|first| (count, first))
    }

    fn queued_by_others(&self) -> BTreeMap<RunId, BTreeSet<MeetingUuid>> {
        let mut others: BTreeMap<RunId, BTreeSet<MeetingUuid>> = BTreeMap::new();
        for (meeting, report) in &self.meetings {
            if let Some(owner) = report.verdict.as_ref().and_then(|verdict| verdict.queued_by.clone()) {
                others.entry(owner).or_default().insert(meeting.clone());
            }
        }
        others
    }

    async fn read_dead(&mut self, queue: &Queue) -> Result<(), QueueError> {
        let mut after = None;
        loop {
            let rows = queue.dead(&self.run.id, after.as_ref(), ROWS).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.uuid.clone());
            for dead in rows {
                let meeting = self.meetings.entry(dead.uuid.clone()).or_default();
                let told = meeting.end.take().filter(|end| end.outcome == Outcome::Failed);
                meeting.end = Some(MeetingEnd {
                    meeting: dead.uuid,
                    outcome: Outcome::Failed,
                    cause: Some(dead.cause),
                    starts: dead.starts,
                    worker: told.as_ref().map(|end| end.worker.clone()).unwrap_or_default(),
                    fence: told.as_ref().map_or(0, |end| end.fence),
                    manifest: None,
                    manifest_sha256: None,
                    folder: None,
                    took_ms: told.as_ref().and_then(|end| end.took_ms),
                    // The books know no files.
                    files: told.map(|end| end.files).unwrap_or_default(),
                });
            }
        }
    }

    async fn read_waiting(&mut self, queue: &Queue) -> Result<(), QueueError> {
        let meetings = &mut self.meetings;
        let mut tell = |job: UnfinishedJob| {
            let meeting = meetings.entry(job.uuid.clone()).or_default();
            meeting.waits = Some(job);
        };
        queue.every_job(&self.run.id, &mut tell).await
    }
}
