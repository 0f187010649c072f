//! Periods of time and their slices. Pure.

use std::fmt;

use chrono::{DateTime, Duration, SecondsFormat, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

/// The longest distance that Zoom answers in one query.
pub const LONGEST_SLICE: Duration = Duration::days(7);

/// From an instant up to, not including, another; whole seconds, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

/// Why two instants make no period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPeriod {
    #[error("the period ends ({to}) before it begins ({from}); swap --from and --to")]
    Reversed { from: String, to: String },
    #[error("the period from {at} to {at} is empty; --to must be later than --from")]
    Empty { at: String },
    #[error("the period begins at {from}, which is still to come; Zoom has archived nothing after now")]
    Future { from: String },
}

impl Period {
    /// Cuts both ends down to whole seconds, the precision of Zoom's queries.
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Self, NoPeriod> {
        let (from, to) = (from.trunc_subsecs(0), to.trunc_subsecs(0));
        match from.cmp(&to) {
            std::cmp::Ordering::Less => Ok(Self { from, to }),
            std::cmp::Ordering::Equal => Err(NoPeriod::Empty { at: stamp(from) }),
            std::cmp::Ordering::Greater => Err(NoPeriod::Reversed { from: stamp(from), to: stamp(to) }),
        }
    }

    /// The part that lies before `now`: Zoom lowers a `to` in the future and then refuses the page tokens of a
    /// query that still names the original.
    pub fn until(self, now: DateTime<Utc>) -> Result<Self, NoPeriod> {
        if self.from >= now.trunc_subsecs(0) {
            return Err(NoPeriod::Future { from: stamp(self.from) });
        }
        Self::new(self.from, self.to.min(now))
    }

    /// Slices of at most seven days, oldest first (their meetings are the first that Zoom deletes). Neighbours
    /// share their boundary: whether Zoom's `to` is inclusive is not documented, and duplicates fold by UUID.
    pub fn slices(self) -> Vec<Self> {
        self.slices_of(LONGEST_SLICE)
    }

    /// The same with slices of at most this length.
    pub fn slices_of(self, longest: Duration) -> Vec<Self> {
        let mut slices = Vec::new();
        let mut from = self.from;
        while from < self.to {
            let to = self.to.min(from + longest);
            slices.push(Self { from, to });
            from = to;
        }
        slices
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", stamp(self.from), stamp(self.to))
    }
}

/// An instant as Zoom's queries and our messages write it: `2026-10-01T00:00:00Z`.
pub fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Why a text is no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no instant; write 2026-10-01T00:00:00Z, or 2026-10-01 for its midnight (UTC)")]
pub struct NoInstant(String);

/// Reads RFC 3339, or a bare date as its midnight in UTC.
pub fn parse_instant(text: &str) -> Result<DateTime<Utc>, NoInstant> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .and_then(|date| date.and_hms_opt(0, 0, 0))
        .map(|at| at.and_utc())
        .ok_or_else(|| NoInstant(text.to_owned()))
}

/// Why a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no length of time; write a whole number and a unit: 30s, 5m, 24h, 7d, 2w")]
pub struct NoLength(String);

/// Reads `30s`, `5m`, `24h`, `7d`, `2w`, `250ms`.
pub fn parse_length(text: &str) -> Result<std::time::Duration, NoLength> {
    let no = || NoLength(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(no)?;
    let count: u64 = text[..digits].parse().map_err(|_| no())?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err(no()),
    };
    // A century is the most that a date can be moved by without leaving chrono's range anywhere.
    let ms = count.checked_mul(unit_ms).filter(|ms| *ms <= 100 * 366 * 86_400_000).ok_or_else(no)?;
    Ok(std::time::Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        parse_instant(text).expect("an instant")
    }

    #[test]
    fn bare_dates_are_midnight_utc() {
        assert_eq!(at("2026-10-01"), at("2026-10-01T00:00:00Z"));
        assert_eq!(at("2026-10-01T02:00:00+02:00"), at("2026-10-01"));
        assert!(parse_instant("yesterday").is_err());
    }

    #[test]
    fn lengths_have_units() {
        assert_eq!(parse_length("7d"), Ok(std::time::Duration::from_secs(604_800)));
        for bad in ["", "7", "d", "-7d", "7 d", "1.5h", "99999999999999999999d", "9999999999d"] {
            assert!(parse_length(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reversed_and_empty_periods_are_refused() {
        assert!(matches!(Period::new(at("2026-10-02"), at("2026-10-01")), Err(NoPeriod::Reversed { .. })));
        assert!(matches!(Period::new(at("2026-10-01"), at("2026-10-01")), Err(NoPeriod::Empty { .. })));
        let period = Period::new(at("2026-10-01"), at("2026-10-09")).expect("a period");
        assert_eq!(period.until(at("2026-10-03")).expect("begun").to, at("2026-10-03"));
        assert!(matches!(period.until(at("2026-10-01")), Err(NoPeriod::Future { .. })));
    }

    proptest! {
        #[test]
        fn slices_cover_the_period_without_gap(from in 0i64..2_000_000_000, seconds in 1i64..9_000_000) {
            let from = DateTime::from_timestamp(from, 0).expect("in range");
            let period = Period::new(from, from + Duration::seconds(seconds)).expect("not empty");
            let slices = period.slices();
            prop_assert_eq!(slices.first().map(|s| s.from), Some(period.from));
            prop_assert_eq!(slices.last().map(|s| s.to), Some(period.to));
            prop_assert!(slices.windows(2).all(|pair| pair[0].to == pair[1].from));
            prop_assert!(slices.iter().all(|s| s.from < s.to && s.to - s.from <= LONGEST_SLICE));
        }
    }
}
