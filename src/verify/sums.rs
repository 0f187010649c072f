//! The books of a closed run, counted anew from its lines and from Zoom's answers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use recapture_core::digest;
use recapture_core::evidence::{Entry, ListedPage, RawFault, read_raw};
use recapture_core::meeting::MeetingUuid;
use recapture_core::reason::Outcome;
use recapture_core::run::{Counts, RunId, RunState};
use recapture_core::zoom::Page;

use super::findings::{Fault, Finding};
use super::record::Record;
use super::{Verifier, VerifyError};

/// What a run says of itself.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) closing: Option<(DateTime<Utc>, RunState, Counts)>,
    /// Meeting → its last verdict.
    verdicts: BTreeMap<MeetingUuid, String>,
    queued_by: BTreeSet<RunId>,
}

impl Books {
    pub(super) fn closed(&mut self, at: DateTime<Utc>, state: RunState, counts: Counts) {
        if self.closing.is_none_or(|(before, ..)| before <= at) {
            self.closing = Some((at, state, counts));
        }
    }

    /// The counts, where the listing came to its end: one that was stopped may have counted a batch that it did not
    /// write down, or the other way round.
    fn whole(&self) -> Option<Counts> {
        let (_, state, counts) = self.closing?;
        matches!(state, RunState::Completed | RunState::Running).then_some(counts)
    }

    fn with_verdict(&self, word: &str) -> u64 {
        self.verdicts.values().filter(|verdict| *verdict == word).count() as u64
    }
}

/// What Zoom's kept answers list, slice by slice and over all. A meeting costs 16 bytes.
pub(super) struct Listings {
    folder: PathBuf,
    slices: BTreeMap<(String, String), HashSet<u128>>,
    all: HashSet<u128>,
    /// An answer is not there, or not kept: nothing can be counted anew.
    incomplete: bool,
    any: bool,
}

impl Listings {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            slices: BTreeMap::new(),
            all: HashSet::new(),
            incomplete: false,
            any: false,
        }
    }

    /// A file of lines begins; a slice is listed by one writer.
    pub(super) fn begin(&mut self) {
        self.slices.clear();
    }

    pub(super) fn page(&mut self, run: &RunId, page: &ListedPage, record: &mut Record) {
        self.any = true;
        let slice = self.slices.entry((page.period.to_string(), page.dimension.clone())).or_default();
        if page.page == 1 {
            // A slice that is listed anew begins with its first page.
            slice.clear();
        }
        let Some(name) = &page.raw else {
            self.incomplete = true;
            return;
        };
        let place = format!("runs/{run}/raw/{name}.json.gz");
        let read = read_raw(&self.folder, name);
        let listed = match read {
            Ok(text) => Page::read(&text).map_err(|error| (Fault::RawChanged, error)),
            Err(fault @ RawFault::Lacking) => Err((Fault::RawLacking, fault.to_string())),
            Err(fault @ RawFault::Changed(_)) => Err((Fault::RawChanged, fault.to_string())),
        };
        match listed {
            Ok(listed) => {
                record.counted.raw_answers += 1;
                if listed.meetings.len() != page.meetings {
                    let detail = format!(
                        "it lists {} meetings, its line says {}",
                        listed.meetings.len(),
                        page.meetings
                    );
                    record.findings.push(Finding::new(Fault::SumsDiffer, place, detail));
                }
                for meeting in listed.meetings {
                    let key = digest::sha256_prefix(meeting.uuid.as_str().as_bytes());
                    slice.insert(key);
                    self.all.insert(key);
                }
            }
            Err((fault, detail)) => {
                self.incomplete = true;
                record.findings.push(Finding::new(fault, place, detail));
            }
        }
    }

    pub(super) fn book(&mut self, run: &RunId, entry: Entry, record: &mut Record) {
        match entry {
            Entry::Verdict(verdict) => {
                record.books.queued_by.extend(verdict.queued_by);
                record.books.verdicts.insert(verdict.meeting, verdict.verdict);
            }
            Entry::Slice { period, dimension, listed, statistics, proven: true, .. } => {
                let counted = self.slices.get(&(period.to_string(), dimension.clone()));
                let counted = counted.map_or(0, |slice| slice.len() as u64);
                let lists = (!self.incomplete && counted != listed).then_some(counted);
                let counts = statistics.filter(|total| *total != listed);
                if let Some(other) = lists.or(counts) {
                    let detail = format!(
                        "the slice {period} by {dimension} is said to be proven with {listed} meetings; Zoom's answers say {other}"
                    );
                    record.findings.push(Finding::new(Fault::SumsDiffer, format!("runs/{run}"), detail));
                }
            }
            _ => {}
        }
    }

    /// Everything is read: holds the counts of the closing line against what was listed and compared.
    pub(super) fn end(self, run: &RunId, record: &mut Record) {
        let Some(counts) = record.books.whole() else { return };
        let books = &record.books;
        let mut sums = vec![
            ("missing", counts.missing, books.with_verdict("missing")),
            ("incomplete", counts.incomplete, books.with_verdict("incomplete")),
            ("excluded", counts.excluded, books.with_verdict("excluded")),
            ("indeterminate", counts.indeterminate, books.with_verdict("indeterminate")),
        ];
        if self.any && !self.incomplete {
            sums.push(("listed", counts.listed, self.all.len() as u64));
        }
        for (what, closed, counted) in sums {
            if closed != counted {
                let detail =
                    format!("the closing line counts {closed} meetings as {what}, the lines {counted}");
                record.findings.push(Finding::new(Fault::SumsDiffer, format!("runs/{run}"), detail));
            }
        }
        if !counts.balance() {
            let detail = "the books of the closing line do not balance";
            record.findings.push(Finding::new(Fault::SumsDiffer, format!("runs/{run}"), detail));
        }
    }
}

/// Every meeting that the closing line counts as ended has a line that says so: in this run, or in one that had the
/// meeting on the queue already. (Failed ones may have none: whoever held the job last may have died of it.)
pub(super) async fn check_ends(
    verifier: &mut Verifier<'_>,
    run: &RunId,
    books: &Books,
) -> Result<(), VerifyError> {
    let Some(counts) = books.whole() else { return Ok(()) };
    let mut near = vec![run.clone()];
    near.extend(books.queued_by.iter().cloned());
    for outcome in [Outcome::Recovered, Outcome::Unavailable, Outcome::Expired] {
        let mut ended = with_end(verifier, &near, books, outcome).await?;
        if ended < counts.of(outcome) {
            // The run that had it may have been cancelled, and passed it on.
            let all = verifier.buffer.runs().await?;
            ended = with_end(verifier, &all, books, outcome).await?;
        }
        if ended < counts.of(outcome) {
            let said = counts.of(outcome);
            verifier.done.found(
                Fault::SumsDiffer,
                format!("runs/{run}"),
                format!("the closing line counts {said} meetings as {outcome}, there are lines of {ended}"),
            );
        }
    }
    Ok(())
}

async fn with_end(
    verifier: &mut Verifier<'_>,
    runs: &[RunId],
    books: &Books,
    outcome: Outcome,
) -> Result<u64, VerifyError> {
    let mut meetings = HashSet::new();
    for run in runs {
        if let Some(ends) = verifier.ends_of(run).await? {
            meetings
                .extend(ends.with(outcome).filter(|meeting| books.verdicts.contains_key(*meeting)).cloned());
        }
    }
    Ok(meetings.len() as u64)
}
