//! Which intervals of time are covered, and by which runs. Pure.
//!
//! A [`Coverage`] is a set of instants, kept as the fewest intervals that make it up: sorted, disjoint, none touching the
//! next. So every instant is covered once or not at all, and what has been covered for months is one line. Each interval
//! names the first and the last of the runs that made it; ids of runs sort by time, and which of the runs between proved
//! which slice stands in their evidence.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::period::Period;
use crate::run::RunId;

/// An interval that is covered without a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    #[serde(flatten)]
    pub period: Period,
    /// The earliest run that covered a part of it.
    pub first: RunId,
    /// The latest.
    pub last: RunId,
}

/// Covered intervals: sorted, disjoint, not touching.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Covered>", into = "Vec<Covered>")]
pub struct Coverage(Vec<Covered>);

/// Intervals that are no coverage: somebody else wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the covered intervals overlap, touch, are empty, or are not in their order")]
pub struct NoCoverage;

impl Coverage {
    pub fn intervals(&self) -> &[Covered] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what a run has covered. What was covered before stays, and is not covered twice.
    pub fn cover(&mut self, period: Period, run: &RunId) {
        let mut whole = Covered { period, first: run.clone(), last: run.clone() };
        let before = self.0.partition_point(|covered| covered.period.to < period.from);
        let after = self.0.partition_point(|covered| covered.period.from <= period.to);
        for met in &self.0[before..after] {
            whole.period.from = whole.period.from.min(met.period.from);
            whole.period.to = whole.period.to.max(met.period.to);
            whole.first = whole.first.min(met.first.clone());
            whole.last = whole.last.max(met.last.clone());
        }
        self.0.splice(before..after, [whole]);
    }

    /// The parts of a period that are not covered, the oldest first.
    pub fn gaps(&self, period: Period) -> Vec<Period> {
        let mut gaps = Vec::new();
        let mut from = period.from;
        let begin = self.0.partition_point(|covered| covered.period.to <= period.from);
        for covered in self.0[begin..].iter().take_while(|covered| covered.period.from < period.to) {
            if from < covered.period.from {
                gaps.push(Period { from, to: covered.period.from });
            }
            from = covered.period.to;
        }
        if from < period.to {
            gaps.push(Period { from, to: period.to });
        }
        gaps
    }

    /// Takes away what turned out not to be covered.
    pub fn uncover(&mut self, period: Period) {
        let mut rest = Vec::with_capacity(self.0.len() + 1);
        for covered in self.0.drain(..) {
            let Period { from, to } = covered.period;
            let sides = [(from, to.min(period.from)), (from.max(period.to), to)];
            let left = sides.into_iter().filter(|(from, to)| from < to);
            rest.extend(left.map(|(from, to)| Covered { period: Period { from, to }, ..covered.clone() }));
        }
        self.0 = rest;
    }

    /// Uncovers what lies at or after an instant.
    pub fn forget_from(&mut self, at: DateTime<Utc>) {
        self.uncover(Period { from: at, to: DateTime::<Utc>::MAX_UTC });
    }

    /// Where the last interval ends.
    pub fn end(&self) -> Option<DateTime<Utc>> {
        self.0.last().map(|covered| covered.period.to)
    }
}

impl TryFrom<Vec<Covered>> for Coverage {
    type Error = NoCoverage;
    fn try_from(intervals: Vec<Covered>) -> Result<Self, NoCoverage> {
        let sound = intervals.iter().all(|covered| covered.period.from < covered.period.to)
            && intervals.windows(2).all(|pair| pair[0].period.to < pair[1].period.from);
        sound.then_some(Self(intervals)).ok_or(NoCoverage)
    }
}

impl From<Coverage> for Vec<Covered> {
    fn from(coverage: Coverage) -> Self {
        coverage.0
    }
}

/// The union of periods as the fewest that make it up, the oldest first.
pub fn coalesce(mut periods: Vec<Period>) -> Vec<Period> {
    periods.sort_by_key(|period| period.from);
    let mut whole: Vec<Period> = Vec::with_capacity(periods.len());
    for period in periods {
        match whole.last_mut() {
            Some(last) if period.from <= last.to => last.to = last.to.max(period.to),
            _ => whole.push(period),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Seconds of a short line of time, so that intervals meet in every way.
    const LINE: i64 = 40;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + second, 0).expect("in range")
    }

    fn period((from, length): (i64, i64)) -> Period {
        Period { from: at(from), to: at(from + length) }
    }

    fn run(number: u8) -> RunId {
        RunId::parse(&format!("01JBQ8Z6WQK7V3F2T9XN4M50{number:02}")).expect("an id")
    }

    #[derive(Debug, Clone)]
    enum Step {
        Cover((i64, i64), u8),
        Uncover((i64, i64)),
        Forget(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => ((0..LINE - 10, 1i64..10), 0u8..20).prop_map(|(period, run)| Step::Cover(period, run)),
            2 => (0..LINE - 10, 1i64..10).prop_map(Step::Uncover),
            1 => (0..LINE).prop_map(Step::Forget),
        ];
        proptest::collection::vec(step, 0..25)
    }

    /// The same in a form that cannot be wrong: which runs covered each second.
    fn both(steps: &[Step]) -> (Coverage, Vec<Vec<u8>>) {
        let (mut coverage, mut seconds) = (Coverage::default(), vec![Vec::new(); 40]);
        for step in steps {
            match step {
                Step::Cover((from, length), number) => {
                    coverage.cover(period((*from, *length)), &run(*number));
                    for second in *from..from + length {
                        seconds[usize::try_from(second).expect("small")].push(*number);
                    }
                }
                Step::Uncover((from, length)) => {
                    coverage.uncover(period((*from, *length)));
                    for second in *from..from + length {
                        seconds[usize::try_from(second).expect("small")].clear();
                    }
                }
                Step::Forget(from) => {
                    coverage.forget_from(at(*from));
                    seconds[usize::try_from(*from).expect("small")..].fill(Vec::new());
                }
            }
        }
        (coverage, seconds)
    }

    fn holds(periods: &[Period], second: i64) -> usize {
        periods.iter().filter(|period| period.from <= at(second) && at(second) < period.to).count()
    }

    proptest! {
        #[test]
        fn every_second_is_covered_once_or_not_at_all(steps in steps()) {
            let (coverage, seconds) = both(&steps);
            let intervals: Vec<Period> = coverage.intervals().iter().map(|covered| covered.period).collect();
            for (second, runs) in (0..).zip(&seconds) {
                prop_assert_eq!(holds(&intervals, second), usize::from(!runs.is_empty()), "second {}", second);
            }
            prop_assert_eq!(coalesce(intervals.clone()), intervals, "they are the fewest");
        }

        #[test]
        fn gaps_are_what_is_not_covered(steps in steps(), asked in (0..LINE - 10, 1i64..10)) {
            let (coverage, seconds) = both(&steps);
            let gaps = coverage.gaps(period(asked));
            for (second, runs) in (0..).zip(&seconds) {
                let lacks = runs.is_empty() && (asked.0..asked.0 + asked.1).contains(&second);
                prop_assert_eq!(holds(&gaps, second), usize::from(lacks), "second {}", second);
            }
            let mut filled = coverage;
            for gap in gaps {
                filled.cover(gap, &run(99));
            }
            prop_assert_eq!(filled.gaps(period(asked)), Vec::new());
        }

        #[test]
        fn intervals_name_runs_that_made_them(steps in steps()) {
            let covers = |step: &Step| matches!(step, Step::Cover(..));
            let steps: Vec<Step> = steps.into_iter().filter(covers).collect();
            let (coverage, seconds) = both(&steps);
            for covered in coverage.intervals() {
                let inside = (0..).zip(&seconds).filter(|(second, _)| holds(&[covered.period], *second) > 0);
                let runs: Vec<u8> = inside.flat_map(|(_, runs)| runs.clone()).collect();
                prop_assert_eq!(&covered.first, &run(*runs.iter().min().expect("it is covered")));
                prop_assert_eq!(&covered.last, &run(*runs.iter().max().expect("it is covered")));
            }
        }

        #[test]
        fn it_is_stored_as_it_is(steps in steps()) {
            let (coverage, _) = both(&steps);
            let text = serde_json::to_string(&coverage).expect("written");
            prop_assert_eq!(serde_json::from_str::<Coverage>(&text).expect("read"), coverage);
        }

        #[test]
        fn a_union_has_no_more_periods_than_it_needs(periods in proptest::collection::vec((0..LINE - 10, 1i64..10), 0..10)) {
            let periods: Vec<Period> = periods.into_iter().map(period).collect();
            let whole = coalesce(periods.clone());
            for second in 0..LINE {
                prop_assert_eq!(holds(&whole, second), usize::from(holds(&periods, second) > 0));
            }
            prop_assert!(whole.windows(2).all(|pair| pair[0].to < pair[1].from));
        }
    }

    #[test]
    fn what_is_no_coverage_is_not_read() {
        let line = |from, to| {
            format!(
                r#"{{"from":"2026-10-01T00:00:{from:02}Z","to":"2026-10-01T00:00:{to:02}Z","first":"{0}","last":"{0}"}}"#,
                run(1)
            )
        };
        for (lines, sound) in [
            (vec![line(1, 2), line(3, 4)], true),
            (vec![line(1, 3), line(3, 4)], false),
            (vec![line(1, 4), line(3, 5)], false),
            (vec![line(3, 4), line(1, 2)], false),
            (vec![line(3, 3)], false),
        ] {
            let text = format!("[{}]", lines.join(","));
            assert_eq!(serde_json::from_str::<Coverage>(&text).is_ok(), sound, "{text}");
        }
    }
}
