//! Makes the ledger again from the evidence of earlier runs.
//!
//! What a run covered counts if every meeting that it detected has come to an end since, by whatever run: jobs that were
//! lost together with the ledger have not, and the slices of their run are listed again, also those that an earlier run
//! had covered. A run whose record cannot be read counts for nothing.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use recapture_core::buffer::{Buffer, BufferError, RunRecord};
use recapture_core::evidence::{self, Entry, EvidenceError};
use recapture_core::meeting::MeetingUuid;
use recapture_core::period::Period;
use recapture_core::run::{Mode, RunId};
use recapture_core::zoom::Dimension;
use tracing::warn;
use ulid::Ulid;

use super::{Ledger, Terms};

/// What the evidence showed.
pub(super) struct Found {
    pub(super) ledger: Ledger,
    /// Automatic runs that were read.
    pub(super) runs: usize,
    /// Of them, those with meetings that have not come to an end.
    pub(super) open: usize,
    pub(super) unreadable: usize,
}

/// One run, as far as it matters here.
#[derive(Default)]
struct Told {
    automatic: bool,
    covered: Vec<(Period, Dimension)>,
    uncovered: Vec<(Period, Dimension)>,
    detected: Vec<(MeetingUuid, DateTime<Utc>)>,
    ended: Vec<(MeetingUuid, DateTime<Utc>)>,
    newest: Option<DateTime<Utc>>,
}

pub(super) async fn rebuild(
    buffer: &Buffer,
    account: &str,
    terms: &Terms,
    now: DateTime<Utc>,
) -> Result<Found, BufferError> {
    let mut ledger = Ledger::new(account, terms.first_look(now));
    let mut told = Vec::new();
    let mut unreadable = 0;
    let oldest = now - terms.retention.max(terms.lookback);
    for run in buffer.runs().await? {
        if began(&run).is_some_and(|at| at < oldest) {
            continue;
        }
        let Some(folder) = buffer.run_record(&run).await? else { continue };
        match read(folder, &run, account).await {
            Ok(found) => told.push((run, found)),
            Err(error) => {
                warn!(%run, error, "the evidence of a run cannot be read; what it covered is listed again");
                unreadable += 1;
            }
        }
    }
    let mut ends: HashMap<&MeetingUuid, DateTime<Utc>> = HashMap::new();
    for (meeting, at) in told.iter().flat_map(|(_, told)| &told.ended) {
        let last = ends.entry(meeting).or_insert(*at);
        *last = (*last).max(*at);
    }
    let has_ended =
        |(meeting, at): &(MeetingUuid, DateTime<Utc>)| ends.get(meeting).is_some_and(|end| end >= at);
    let (mut runs, mut open) = (0, 0);
    for (run, told) in told.iter().filter(|(_, told)| told.automatic) {
        runs += 1;
        // The runs come in their order; a slice is looked at once in each.
        for (period, dimension) in &told.uncovered {
            ledger.uncover(*dimension, *period);
        }
        let all_ended = told.detected.iter().all(has_ended);
        open += usize::from(!all_ended);
        for (period, dimension) in &told.covered {
            ledger.since = ledger.since.min(period.from);
            if all_ended {
                ledger.cover(*dimension, *period, run);
            } else {
                // Whoever covered it before: what this run found in it is not recovered.
                ledger.uncover(*dimension, *period);
            }
        }
        if !told.covered.is_empty() {
            ledger.newest = ledger.newest.max(told.newest);
        }
    }
    if runs > 0 {
        ledger.rebuilt_at = Some(now);
    }
    Ok(Found { ledger, runs, open, unreadable })
}

fn began(run: &RunId) -> Option<DateTime<Utc>> {
    Ulid::from_string(run.as_str()).ok().map(|id| DateTime::from(id.datetime()))
}

async fn read(folder: RunRecord, run: &RunId, account: &str) -> Result<Told, String> {
    let (run, account) = (run.clone(), account.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let mut told = Told::default();
        evidence::read(&folder, &run, |line| take(&mut told, &account, line.at, line.entry))?;
        Ok::<_, EvidenceError>(told)
    });
    match read.await {
        Ok(Ok(told)) => Ok(told),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panicked) => Err(panicked.to_string()),
    }
}

fn take(told: &mut Told, account: &str, at: DateTime<Utc>, entry: Entry) {
    let known = |name: &str| Dimension::BOTH.into_iter().find(|known| known.as_str() == name);
    match entry {
        Entry::Requested { request, .. } => told.automatic |= request.mode == Mode::Automatic,
        Entry::Covered { account: of, period, dimension } if of == account => {
            told.covered.extend(known(&dimension).map(|dimension| (period, dimension)));
        }
        Entry::Uncovered { account: of, period, dimension } if of == account => {
            told.uncovered.extend(known(&dimension).map(|dimension| (period, dimension)));
        }
        Entry::Verdict(verdict) if matches!(verdict.verdict.as_str(), "missing" | "incomplete") => {
            told.newest = told.newest.max(verdict.started_at);
            told.detected.push((verdict.meeting, at));
        }
        Entry::Ended(end) => told.ended.push((end.meeting, at)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;
    use recapture_core::config;
    use recapture_core::evidence::{Evidence, MeetingVerdict};
    use recapture_core::run::Request;

    use super::*;

    const ACCOUNT: &str = "acme";

    async fn record(evidence: &Evidence, run: &RunId, covered: Period, detected: Option<&str>) {
        let request = Request {
            mode: Mode::Automatic,
            dry_run: false,
            requested_by: String::new(),
            reason: None,
            period: Some(covered),
            served: None,
        };
        let mut lines = vec![Entry::Requested {
            run: run.clone(),
            request,
            tool: String::new(),
            config_sha256: String::new(),
            continues: None,
        }];
        lines.extend(detected.map(|meeting| {
            Entry::Verdict(MeetingVerdict {
                meeting: MeetingUuid::parse(meeting).expect("a UUID"),
                started_at: Some(covered.from),
                verdict: "missing".to_owned(),
                detail: None,
                deadline: None,
                queued_by: None,
            })
        }));
        let dimension = Dimension::StartTime.as_str().to_owned();
        lines.push(Entry::Covered { account: ACCOUNT.to_owned(), period: covered, dimension });
        evidence.append_durably(run, lines).await.expect("written");
    }

    #[tokio::test]
    async fn what_a_later_run_found_and_lost_is_not_covered_by_an_earlier_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = config::Buffer::Folder(folder.path().join("buffer"));
        let buffer = Buffer::open(&place).await.expect("a buffer");
        let evidence = Evidence::new(buffer.clone(), "w", None);
        let now = Utc::now();
        let ago = |hours| now - Duration::hours(hours);
        let [first, second] = [ago(2), ago(1)].map(RunId::new);
        record(&evidence, &first, Period { from: ago(48), to: ago(3) }, None).await;
        // It came late, its job was queued, and the queue was lost.
        let late = Period { from: ago(24), to: ago(3) };
        record(&evidence, &second, late, Some("/aB3dE//gHiJkL4mNoPqRg==")).await;
        let terms = Terms {
            settle: Duration::zero(),
            overlap: Duration::hours(24),
            lookback: Duration::hours(36),
            retention: Duration::days(30),
        };
        let found = rebuild(&buffer, ACCOUNT, &terms, now).await.expect("read");
        assert_eq!((found.runs, found.open, found.unreadable), (2, 1, 0));
        assert_eq!(found.ledger.since, ago(48));
        let all = Period { from: ago(48), to: ago(3) };
        assert_eq!(found.ledger.of(Dimension::StartTime).gaps(all), [late]);
    }
}
