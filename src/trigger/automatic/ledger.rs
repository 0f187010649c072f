//! What automatic recovery has covered, as it is kept in the queue's store: one JSON text.

use chrono::{DateTime, Utc};
use recapture_core::coverage::Coverage;
use recapture_core::period::Period;
use recapture_core::run::RunId;
use recapture_core::zoom::Dimension;
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "recapture.ledger/1";

/// Covered intervals of both dimensions of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    schema: String,
    /// Of Zoom: what one account's archive held says nothing of another's.
    account: String,
    /// From here on everything is to be covered.
    pub since: DateTime<Utc>,
    meeting_start_time: Coverage,
    archive_complete_time: Coverage,
    /// What was not listed while Zoom kept all of it. It was listed once more, and is not taken again.
    #[serde(default, skip_serializing_if = "Coverage::is_empty")]
    abandoned_by_start: Coverage,
    #[serde(default, skip_serializing_if = "Coverage::is_empty")]
    abandoned_by_completion: Coverage,
    /// The latest start of a meeting that Zoom has listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<DateTime<Utc>>,
    /// Since when Zoom lists nothing where it has listed meetings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<DateTime<Utc>>,
    /// When it was made again from evidence, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt_at: Option<DateTime<Utc>>,
}

/// Why a text is no ledger.
#[derive(Debug, thiserror::Error)]
pub enum NoLedger {
    #[error("it cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its form is '{0}', which this version does not know")]
    Schema(String),
    #[error("it is that of the Zoom account {0}")]
    Account(String),
}

impl Ledger {
    pub fn new(account: &str, since: DateTime<Utc>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            account: account.to_owned(),
            since,
            meeting_start_time: Coverage::default(),
            archive_complete_time: Coverage::default(),
            abandoned_by_start: Coverage::default(),
            abandoned_by_completion: Coverage::default(),
            newest: None,
            silent_since: None,
            rebuilt_at: None,
        }
    }

    pub fn parse(text: &str) -> Result<Self, NoLedger> {
        #[derive(Deserialize)]
        struct Form {
            schema: String,
        }
        let Form { schema } = serde_json::from_str(text)?;
        if schema != SCHEMA {
            return Err(NoLedger::Schema(schema));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// Fails for that of another account.
    pub fn of_account(self, account: &str) -> Result<Self, NoLedger> {
        if self.account == account { Ok(self) } else { Err(NoLedger::Account(self.account)) }
    }

    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("instants and ids can be written")
    }

    pub fn of(&self, dimension: Dimension) -> &Coverage {
        match dimension {
            Dimension::StartTime => &self.meeting_start_time,
            Dimension::ArchiveTime => &self.archive_complete_time,
        }
    }

    pub fn cover(&mut self, dimension: Dimension, period: Period, run: &RunId) {
        match dimension {
            Dimension::StartTime => self.meeting_start_time.cover(period, run),
            Dimension::ArchiveTime => self.archive_complete_time.cover(period, run),
        }
    }

    pub fn abandoned(&self, dimension: Dimension) -> &Coverage {
        match dimension {
            Dimension::StartTime => &self.abandoned_by_start,
            Dimension::ArchiveTime => &self.abandoned_by_completion,
        }
    }

    pub fn abandon(&mut self, dimension: Dimension, period: Period, run: &RunId) {
        match dimension {
            Dimension::StartTime => self.abandoned_by_start.cover(period, run),
            Dimension::ArchiveTime => self.abandoned_by_completion.cover(period, run),
        }
    }

    /// The parts of a period that are still to be covered, the oldest first.
    pub fn gaps(&self, dimension: Dimension, within: Period) -> Vec<Period> {
        let gaps = self.of(dimension).gaps(within).into_iter();
        gaps.flat_map(|gap| self.abandoned(dimension).gaps(gap)).collect()
    }

    pub fn uncover(&mut self, dimension: Dimension, period: Period) {
        match dimension {
            Dimension::StartTime => self.meeting_start_time.uncover(period),
            Dimension::ArchiveTime => self.archive_complete_time.uncover(period),
        }
    }

    /// Forgets what nobody can have looked at yet; true if that was more than clocks differ by.
    pub fn forget_the_future(&mut self, now: DateTime<Utc>) -> bool {
        let far = now + chrono::Duration::minutes(5);
        let jumped = Dimension::BOTH.iter().any(|dimension| self.of(*dimension).end() > Some(far));
        self.meeting_start_time.forget_from(now);
        self.archive_complete_time.forget_from(now);
        jumped
    }
}

#[cfg(test)]
mod tests {
    use recapture_core::period::parse_instant;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        parse_instant(text).expect("an instant")
    }

    fn ledger() -> Ledger {
        let run = RunId::parse("01JBQ8Z6WQK7V3F2T9XN4M5P0R").expect("an id");
        let mut ledger = Ledger::new("acme", at("2026-10-01"));
        let period = Period { from: at("2026-10-01"), to: at("2026-10-02") };
        ledger.cover(Dimension::StartTime, period, &run);
        ledger
    }

    /// Ledgers outlive versions: this text was written by one.
    #[test]
    fn a_ledger_is_written_like_this() {
        let text = r#"{"schema":"recapture.ledger/1","account":"acme","since":"2026-10-01T00:00:00Z","meeting_start_time":[{"from":"2026-10-01T00:00:00Z","to":"2026-10-02T00:00:00Z","first":"01JBQ8Z6WQK7V3F2T9XN4M5P0R","last":"01JBQ8Z6WQK7V3F2T9XN4M5P0R"}],"archive_complete_time":[]}"#;
        assert_eq!(ledger().to_text(), text);
        let read = Ledger::parse(text).expect("a ledger");
        assert_eq!(read, ledger());
        assert!(read.clone().of_account("acme").is_ok() && read.of_account("other").is_err());
    }

    #[test]
    fn what_is_no_ledger_is_not_taken_for_one() {
        let text = ledger().to_text();
        let newer = text.replace("ledger/1", "ledger/2");
        let reversed = text.replace("\"to\":\"2026-10-02", "\"to\":\"2026-09-02");
        for (damaged, why) in [
            ("", "cannot be read"),
            (&text[..60], "cannot be read"),
            (newer.as_str(), "does not know"),
            (reversed.as_str(), "not in their order"),
        ] {
            let error = Ledger::parse(damaged).expect_err("it is damaged").to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_future_is_not_covered() {
        let mut far = ledger();
        assert!(far.forget_the_future(at("2026-10-01T12:00:00Z")), "the clock has jumped");
        assert_eq!(far.of(Dimension::StartTime).end(), Some(at("2026-10-01T12:00:00Z")));
        assert!(!ledger().forget_the_future(at("2026-10-01T23:58:00Z")), "clocks differ by minutes");
    }
}
