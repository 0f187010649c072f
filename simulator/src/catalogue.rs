//! Every meeting of the account, computed from its index when somebody asks.
//!
//! Nothing is stored by meeting: start times rise with the index, shares are places in a [`Shuffle`], and
//! UUIDs, file ids and meeting numbers can be turned back into the index they were made from. Only the order
//! of completion is a table, of four bytes a meeting, made when a list by completion time is first asked for.

mod files;
mod identity;
mod meeting;

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;

use crate::chance::{self, Shuffle, Subject};
use crate::scenario::Scenario;

pub(crate) use files::{Attachment, Fate, File, Form};
pub use identity::FileKey;
pub(crate) use identity::{hex, needs_double_encoding, number_of};
pub use meeting::Capture;
pub(crate) use meeting::{Archive, Kind, Meeting};

/// Seconds since the epoch: what times are inside the simulator.
pub(crate) type Seconds = i64;

#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) scenario: Scenario,
    /// Nothing completes after this, whatever the scenario's period: the archive would not be listed yet.
    now: Seconds,
    kinds: Shuffle,
    archives: Shuffle,
    captures: Shuffle,
    attachments: Shuffle,
    /// For identities: a reordering of all 32-bit numbers, so that neighbours do not look alike.
    names: Shuffle,
    by_completion: OnceLock<Vec<u32>>,
    mended: AtomicBool,
}

impl Catalogue {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let n = u64::from(scenario.meetings).max(1);
        let shuffle = |which: u64| Shuffle::new(chance::draw(scenario.seed, Subject::Place, which), n);
        Self {
            now: Utc::now().timestamp(),
            kinds: shuffle(1),
            archives: shuffle(2),
            captures: shuffle(3),
            attachments: shuffle(4),
            names: Shuffle::new(chance::draw(scenario.seed, Subject::Place, 5), 1 << 32),
            by_completion: OnceLock::new(),
            mended: AtomicBool::new(false),
            scenario,
        }
    }

    /// From now on no file has failed, and none is gone.
    pub(crate) fn mend(&self) {
        self.mended.store(true, Ordering::Relaxed);
    }

    fn is_mended(&self) -> bool {
        self.mended.load(Ordering::Relaxed)
    }

    pub(crate) fn len(&self) -> u32 {
        self.scenario.meetings
    }

    fn draw(&self, subject: Subject, index: u64) -> u64 {
        chance::draw(self.scenario.seed, subject, index)
    }

    /// How many meetings a share is.
    fn count(&self, share: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a 32-bit number, not below zero"
        )]
        let count = (share.clamp(0.0, 1.0) * f64::from(self.len())).round() as u64;
        count
    }

    /// Start times rise with the index: each meeting has its own slot of the period and starts somewhere
    /// inside it.
    pub(crate) fn start(&self, index: u32) -> Seconds {
        let from = self.scenario.from.timestamp();
        let span = (self.scenario.to.timestamp() - from).max(1).unsigned_abs();
        let within = self.draw(Subject::Start, index.into()) % span;
        let offset = (span * u64::from(index) + within) / u64::from(self.len());
        from.saturating_add_unsigned(offset)
    }

    /// The meetings that start in `from..=to`.
    pub(crate) fn started_within(&self, from: Seconds, to: Seconds) -> Range<u32> {
        let first = self.first(|index| self.start(index) >= from);
        let end = self.first(|index| self.start(index) > to);
        first..end.max(first)
    }

    /// The first index for which a condition holds that holds for all after it.
    fn first(&self, holds: impl Fn(u32) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if holds(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// The meetings whose archive was complete from the start, within `from..=to`, in order of completion.
    pub(crate) fn completed_within(&self, from: Seconds, to: Seconds) -> &[u32] {
        let all = self.by_completion.get_or_init(|| {
            let mut all: Vec<_> =
                (0..self.len()).filter(|index| self.archive(*index) != Archive::Processing).collect();
            all.sort_by_cached_key(|index| self.complete(*index));
            all
        });
        let first = all.partition_point(|index| self.complete(*index) < from);
        let end = all.partition_point(|index| self.complete(*index) <= to);
        all.get(first..end).unwrap_or_default()
    }

    /// The meetings that are processing at the start, in no order.
    pub(crate) fn processing(&self) -> impl Iterator<Item = u32> {
        let begin = self.count(self.scenario.no_files);
        let end = (begin + self.count(self.scenario.processing)).min(self.len().into());
        (begin.min(end)..end).map(|place| narrow(self.archives.index(place)))
    }
}

/// A number that came out of an index, back into one.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).expect("an index of a meeting has 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn catalogue(meetings: u32) -> Catalogue {
        Catalogue::new(Scenario { meetings, ..Scenario::default() })
    }

    #[test]
    fn start_times_rise_and_stay_within_the_period() {
        let catalogue = catalogue(1000);
        let starts: Vec<_> = (0..1000).map(|index| catalogue.start(index)).collect();
        assert!(starts.is_sorted());
        let (from, to) = (catalogue.scenario.from.timestamp(), catalogue.scenario.to.timestamp());
        assert!(starts.iter().all(|start| (from..to).contains(start)));
    }

    #[test]
    fn windows_hold_what_a_scan_would_find() {
        let catalogue = Catalogue::new(Scenario { processing: 0.1, ..catalogue(500).scenario });
        let (from, to) = (catalogue.start(120), catalogue.start(300));
        let scan = |index: &u32| (from..=to).contains(&catalogue.start(*index));
        assert!(catalogue.started_within(from, to).eq((0..500).filter(scan)));

        let complete = |index: &u32| {
            (from..=to).contains(&catalogue.complete(*index))
                && catalogue.archive(*index) != Archive::Processing
        };
        let mut listed = catalogue.completed_within(from, to).to_vec();
        assert!(listed.is_sorted_by_key(|index| catalogue.complete(*index)));
        listed.sort_unstable();
        assert_eq!(listed, (0..500).filter(complete).collect::<Vec<_>>());
    }

    #[test]
    fn shares_are_exact() {
        let scenario =
            Scenario { captured: 0.3, processing: 0.1, no_files: 0.05, ..catalogue(1000).scenario };
        let catalogue = Catalogue::new(scenario);
        let count = |archive| (0..1000).filter(|index| catalogue.archive(*index) == archive).count();
        assert_eq!((count(Archive::NoFiles), count(Archive::Processing)), (50, 100));
        let captured = (0..1000).filter(|index| catalogue.capture(*index) == Capture::Captured).count();
        assert_eq!(captured, 300);
        assert_eq!(catalogue.processing().count(), 100);
        assert!(catalogue.processing().all(|index| catalogue.archive(index) == Archive::Processing));
    }

    #[test]
    fn an_empty_account_lists_nothing() {
        let catalogue = catalogue(0);
        assert!(catalogue.started_within(0, Seconds::MAX).is_empty());
        assert!(catalogue.completed_within(0, Seconds::MAX).is_empty());
        assert_eq!(catalogue.processing().count(), 0);
    }
}
