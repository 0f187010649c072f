//! How automatic recovery stands: what is covered, the oldest gap, and when Zoom begins to delete from it.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use recapture_core::metrics;
use recapture_core::period::{Period, stamp};
use recapture_core::queue::{Duty, OnDuty, Queue, QueueError};
use recapture_core::zoom::Dimension;
use serde::Serialize;

use super::{Ledger, Terms};
use crate::cli::length;

/// More intervals than this are counted, not shown.
const MOST_SHOWN: usize = 4;

/// For how long it is told that the ledger was made again.
const REBUILT_SHOWN: chrono::Duration = chrono::Duration::days(7);

/// What will be lost within this time is warned of.
pub const SOON: chrono::Duration = chrono::Duration::hours(24);

/// The standing of automatic recovery at an instant.
#[derive(Debug, Serialize)]
pub struct Standing {
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_duty: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    /// Why there is none although something is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// What should be covered by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Period>,
    /// For each dimension the oldest part of that which is not. The newest part always is, until the next pass.
    pub gaps: Vec<Gap>,
}

#[derive(Debug, Serialize)]
pub struct Process {
    pub process: String,
    pub until: DateTime<Utc>,
}

#[derive(Debug, Serialize)]
pub struct Gap {
    pub dimension: &'static str,
    #[serde(flatten)]
    pub period: Period,
    /// When Zoom begins to delete what lies in it.
    pub deadline: DateTime<Utc>,
}

impl Standing {
    pub async fn read(
        queue: &Queue,
        terms: &Terms,
        enabled: bool,
        now: DateTime<Utc>,
    ) -> Result<Self, QueueError> {
        let Duty { on_duty, ledger } = queue.duty().await?;
        let (ledger, unreadable) = match ledger.as_deref().map(Ledger::parse) {
            Some(Ok(ledger)) => (Some(ledger), None),
            Some(Err(why)) => (None, Some(why.to_string())),
            None => (None, None),
        };
        let due = ledger.as_ref().and_then(|ledger| terms.window(ledger, now));
        let gaps = ledger.as_ref().zip(due).map(|(ledger, due)| gaps(ledger, due, terms)).unwrap_or_default();
        let on_duty = on_duty.map(|OnDuty { process, until }| Process { process, until });
        Ok(Self { enabled, on_duty, ledger, unreadable, due, gaps })
    }

    /// The gap from which Zoom deletes first.
    pub fn oldest_gap(&self) -> Option<&Gap> {
        self.gaps.iter().min_by_key(|gap| gap.period.from)
    }

    /// Whether it has anything to say.
    pub fn is_of_use(&self) -> bool {
        self.enabled || self.ledger.is_some() || self.unreadable.is_some()
    }

    /// For people.
    pub fn to_text(&self, now: DateTime<Utc>) -> String {
        let mut text = String::from("\nAutomatic recovery: ");
        let _ = match (&self.on_duty, self.enabled) {
            (Some(process), _) => writeln!(text, "process {} is on duty", process.process),
            (None, true) => writeln!(text, "no process is on duty; is `recapture serve` running?"),
            (None, false) => writeln!(text, "no process is on duty"),
        };
        if let Some(why) = &self.unreadable {
            let _ =
                writeln!(text, "  WARNING: the ledger is unreadable ({why}); the next pass makes it again");
        }
        let Some(ledger) = &self.ledger else {
            let _ = writeln!(text, "  nothing is covered yet");
            return text;
        };
        for dimension in Dimension::BOTH {
            let name = dimension.as_str();
            let covered: Vec<String> =
                ledger.of(dimension).intervals().iter().map(|covered| covered.period.to_string()).collect();
            let covered = match &covered[..] {
                [] => "nothing".to_owned(),
                [.., last] if covered.len() > MOST_SHOWN => {
                    format!("{} intervals, the last {last}", covered.len())
                }
                few => few.join(", "),
            };
            let _ = writeln!(text, "  covered by {name:<21} {covered}");
        }
        match self.oldest_gap() {
            None => text.push_str("  all that is due is covered\n"),
            // Nothing lies behind it: the next pass takes it.
            Some(gap) if Some(gap.period.to) == self.due.map(|due| due.to) && gap.deadline - now > SOON => {
                let (at, ago) = (stamp(gap.period.from), length(now - gap.period.from));
                let _ = writeln!(text, "  all is covered up to {at} ({ago} ago)");
            }
            Some(Gap { dimension, period, deadline }) => {
                let _ = writeln!(text, "  oldest gap  {period} by {dimension}");
                let left = *deadline - now;
                let at = stamp(*deadline);
                let _ = if left < chrono::Duration::zero() {
                    writeln!(text, "  WARNING: Zoom has been deleting from it since {at}")
                } else {
                    let warning = if left < SOON { "WARNING: " } else { "" };
                    writeln!(text, "  {warning}Zoom deletes from it from {at} on (in {})", length(left))
                };
            }
        }
        for dimension in Dimension::BOTH {
            for abandoned in ledger.abandoned(dimension).intervals().iter().rev().take(MOST_SHOWN) {
                let (period, by, run) = (abandoned.period, dimension.as_str(), &abandoned.last);
                let _ = writeln!(
                    text,
                    "  WARNING: {period} by {by} was not listed while Zoom kept it; run {run} recovered what was left of it"
                );
            }
        }
        if let Some(since) = ledger.silent_since {
            let _ = writeln!(
                text,
                "  WARNING: since {} Zoom lists nothing where it has listed meetings",
                stamp(since)
            );
        }
        if let Some(at) = ledger.rebuilt_at.filter(|at| now - *at < REBUILT_SHOWN) {
            let _ = writeln!(
                text,
                "  the ledger was lost, and made again from the evidence of earlier runs at {}",
                stamp(at)
            );
        }
        text
    }

    /// Sets the gauges.
    pub fn measure(&self, now: DateTime<Utc>) {
        for dimension in Dimension::BOTH {
            let gap = self.gaps.iter().find(|gap| gap.dimension == dimension.as_str());
            let age = gap.map_or(0, |gap| (now - gap.period.from).num_seconds());
            let abandoned = self.ledger.iter().flat_map(|ledger| ledger.abandoned(dimension).intervals());
            let abandoned: i64 = abandoned.map(|of| (of.period.to - of.period.from).num_seconds()).sum();
            metrics::coverage_looked_at(dimension.as_str(), seconds(age), seconds(abandoned));
        }
        let silent_since = self.ledger.as_ref().and_then(|ledger| ledger.silent_since);
        metrics::source_silent(silent_since.map_or(0, |since| seconds((now - since).num_seconds())));
    }
}

fn seconds(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

fn gaps(ledger: &Ledger, due: Period, terms: &Terms) -> Vec<Gap> {
    let oldest = |dimension: Dimension| {
        let period = ledger.gaps(dimension, due).into_iter().next()?;
        Some(Gap { dimension: dimension.as_str(), period, deadline: period.from + terms.retention })
    };
    Dimension::BOTH.into_iter().filter_map(oldest).collect()
}
