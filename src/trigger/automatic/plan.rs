//! What the next pass has to list. Pure.

use chrono::{DateTime, Duration, SubsecRound, Utc};
use recapture_core::config::Config;
use recapture_core::period::Period;
use recapture_core::zoom::Dimension;

use super::Ledger;
use crate::recovery::retention;

/// Slices are short, so that one that is cut short costs little, although Zoom would answer for seven days at once.
pub(super) const LONGEST_SLICE: Duration = Duration::days(1);

/// When Zoom deletes is an estimate.
const NOT_TO_THE_MINUTE: Duration = Duration::hours(1);

/// The settings that decide what is listed.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub settle: Duration,
    pub overlap: Duration,
    pub lookback: Duration,
    /// How long Zoom keeps archives.
    pub retention: Duration,
}

impl Terms {
    pub fn of(config: &Config) -> Self {
        let length = |length| Duration::from_std(length).unwrap_or(Duration::days(30));
        Self {
            settle: length(config.automatic.settle),
            overlap: length(config.automatic.overlap),
            lookback: length(config.automatic.lookback),
            retention: retention(config),
        }
    }

    /// Where a ledger that is new begins.
    pub fn first_look(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        (now - self.lookback).trunc_subsecs(0)
    }

    /// What has to be covered at `now`, or had to be once; `None` if that is nothing yet.
    pub fn window(&self, ledger: &Ledger, now: DateTime<Utc>) -> Option<Period> {
        let from = ledger.since.min(now - self.lookback);
        Period::new(from, now - self.settle).ok()
    }

    /// Of what lies before, Zoom may have deleted some.
    pub fn kept_from(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now - self.retention.max(self.lookback) - NOT_TO_THE_MINUTE
    }
}

/// The slices of one pass, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// From the beginning of the first slice to the end of the last.
    pub period: Period,
    pub slices: Vec<Due>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub slice: Period,
    pub dimension: Dimension,
    /// All of it is covered already: it is looked at for what came late.
    pub again: bool,
    /// It was not listed while Zoom kept all of it: whatever comes of it now, it is not taken again.
    pub aged: bool,
}

/// `None` if there is nothing to list.
pub fn plan(ledger: &Ledger, terms: &Terms, now: DateTime<Utc>) -> Option<Plan> {
    let window = terms.window(ledger, now)?;
    let kept_from = terms.kept_from(now);
    let (mut slices, mut aged) = (Vec::new(), Vec::new());
    for dimension in Dimension::BOTH {
        let covered = ledger.of(dimension);
        let mut due = |period: Period, again| {
            let cut = period.slices_of(LONGEST_SLICE).into_iter();
            slices.extend(cut.map(|slice| Due { slice, dimension, again, aged: false }));
        };
        for gap in ledger.gaps(dimension, window) {
            if let Ok(kept) = Period::new(gap.from.max(kept_from), gap.to) {
                due(kept, false);
            }
            if let Ok(old) = Period::new(gap.from, gap.to.min(kept_from)) {
                aged.extend(old.slices().into_iter().map(|slice| Due {
                    slice,
                    dimension,
                    again: false,
                    aged: true,
                }));
            }
        }
        let from = covered.end().map_or(window.to, |end| (end - terms.overlap).max(window.from));
        for known in covered.intervals() {
            let late = Period::new(known.period.from.max(from), known.period.to.min(window.to));
            if let Ok(late) = late {
                due(late, true);
            }
        }
    }
    slices.append(&mut aged);
    slices.sort_by_key(|due| due.slice.from);
    let from = slices.first()?.slice.from;
    let to = slices.iter().map(|due| due.slice.to).max()?;
    Some(Plan { period: Period { from, to }, slices })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use recapture_core::run::RunId;

    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn at(seconds_ago: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(NOW - seconds_ago, 0).expect("in range")
    }

    fn terms(overlap_h: i64) -> Terms {
        Terms {
            settle: Duration::minutes(30),
            overlap: Duration::hours(overlap_h),
            lookback: Duration::days(7),
            retention: Duration::days(30),
        }
    }

    fn run() -> RunId {
        RunId::parse("01JBQ8Z6WQK7V3F2T9XN4M5P0R").expect("an id")
    }

    fn covers(plan: Option<&Plan>, dimension: Dimension, instant: DateTime<Utc>) -> usize {
        let slices = plan.map_or(&[][..], |plan| &plan.slices);
        let holds =
            |due: &&Due| due.dimension == dimension && due.slice.from <= instant && instant < due.slice.to;
        slices.iter().filter(holds).count()
    }

    #[test]
    fn the_first_look_goes_back_as_far_as_it_is_told() {
        let plan = plan(&Ledger::new("acme", terms(24).first_look(at(0))), &terms(24), at(0)).expect("work");
        assert_eq!(plan.period, Period { from: at(7 * 86_400), to: at(1800) });
        assert_eq!(plan.slices.len(), 14, "seven days in both dimensions");
        assert!(
            plan.slices.windows(2).all(|pair| pair[0].slice.from <= pair[1].slice.from),
            "the oldest first"
        );
    }

    #[test]
    fn an_outage_that_is_longer_than_the_first_look_leaves_no_gap() {
        let mut ledger = Ledger::new("acme", at(40 * 86_400));
        for dimension in Dimension::BOTH {
            ledger.cover(dimension, Period { from: at(40 * 86_400), to: at(10 * 86_400) }, &run());
        }
        let plan = plan(&ledger, &terms(24), at(0)).expect("work");
        assert_eq!(plan.period.from, at(11 * 86_400), "the overlap before it");
        assert_eq!(plan.period.to, at(1800));
    }

    #[test]
    fn what_zoom_may_have_deleted_is_asked_for_once_more() {
        let (old, kept) = (at(90 * 86_400), at(30 * 86_400 + 3600));
        let mut ledger = Ledger::new("acme", old);
        let first = plan(&ledger, &terms(24), at(0)).expect("work");
        assert_eq!(first.period.from, old, "nothing is passed over in silence");
        for dimension in Dimension::BOTH {
            let aged: Vec<_> = first
                .slices
                .iter()
                .filter(|due| due.aged && due.dimension == dimension)
                .map(|due| due.slice)
                .collect();
            assert_eq!((aged[0].from, aged[aged.len() - 1].to), (old, kept));
            assert!(aged.windows(2).all(|pair| pair[0].to == pair[1].from));
            for slice in aged {
                ledger.abandon(dimension, slice, &run());
            }
        }
        let second = plan(&ledger, &terms(24), at(0)).expect("work");
        assert_eq!(second.period.from, kept);
        assert!(second.slices.iter().all(|due| !due.aged), "but only once");
    }

    #[test]
    fn there_may_be_nothing_to_do_yet() {
        let mut ledger = Ledger::new("acme", at(3600));
        let short = Terms { lookback: Duration::minutes(20), ..terms(0) };
        assert_eq!(
            plan(&Ledger::new("acme", at(1200)), &short, at(0)),
            None,
            "all of it has still to settle"
        );
        let terms = Terms { lookback: Duration::hours(1), ..terms(0) };
        for dimension in Dimension::BOTH {
            ledger.cover(dimension, Period { from: at(3600), to: at(1800) }, &run());
        }
        assert_eq!(plan(&ledger, &terms, at(0)), None, "all of it is covered");
    }

    proptest! {
        /// Every instant of the window is covered already or listed, and listed once; nothing outside it is listed.
        #[test]
        fn a_pass_leaves_no_gap(
            since in 1i64..50,
            covered in proptest::collection::vec((2000i64..3_000_000, 1i64..400_000, any::<bool>()), 0..8),
            overlap in 0i64..72,
            instants in proptest::collection::vec(0i64..4_000_000, 50),
        ) {
            let mut ledger = Ledger::new("acme", at(since * 86_400));
            for (ago, length, first) in covered {
                let dimension = Dimension::BOTH[usize::from(first)];
                ledger.cover(dimension, Period { from: at(ago), to: at((ago - length).max(1800)).max(at(ago - 1)) }, &run());
            }
            let terms = terms(overlap);
            let plan = plan(&ledger, &terms, at(0));
            let window = terms.window(&ledger, at(0)).expect("a window");
            for ago in instants {
                let instant = at(ago);
                let inside = window.from <= instant && instant < window.to;
                for dimension in Dimension::BOTH {
                    let here = Period { from: instant, to: instant + Duration::seconds(1) };
                    let open = !ledger.of(dimension).gaps(here).is_empty();
                    let listed = covers(plan.as_ref(), dimension, instant);
                    prop_assert!(listed <= usize::from(inside));
                    prop_assert!(!inside || !open || listed == 1, "{} ago is neither covered nor listed", ago);
                }
            }
            for due in plan.iter().flat_map(|plan| &plan.slices) {
                prop_assert!(due.aged || due.slice.to - due.slice.from <= LONGEST_SLICE);
                prop_assert_eq!(due.aged, due.slice.to <= terms.kept_from(at(0)) && !due.again);
                let gaps = ledger.of(due.dimension).gaps(due.slice);
                prop_assert_eq!(gaps.is_empty(), due.again, "{:?}", due);
            }
        }
    }
}
