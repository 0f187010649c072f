//! Archives that Zoom is still making: how often each was looked at, and when it was complete.
//!
//! Documented: a processing archive has an empty `complete_time`. Followed from it: no list by completion
//! time holds it until it has one. Here it completes after a number of reads of its metadata, at the time of
//! that read.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use chrono::Utc;

use crate::catalogue::{Archive, Catalogue, Seconds};
use crate::counts::lock;

/// Holds only meetings that were processing at the start and have been read since.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Processing>);

#[derive(Debug, Default)]
struct Processing {
    reads: HashMap<u32, u32>,
    finished: HashMap<u32, Seconds>,
    by_time: BTreeSet<(Seconds, u32)>,
}

impl Processing {
    fn finish(&mut self, index: u32) {
        self.reads.remove(&index);
        if let Entry::Vacant(entry) = self.finished.entry(index) {
            let now = Utc::now().timestamp();
            entry.insert(now);
            self.by_time.insert((now, index));
        }
    }
}

impl Progress {
    /// When the archive was complete; `None` while it is processing.
    pub(crate) fn complete(&self, catalogue: &Catalogue, index: u32) -> Option<Seconds> {
        if catalogue.archive(index) == Archive::Processing {
            return lock(&self.0).finished.get(&index).copied();
        }
        Some(catalogue.complete(index))
    }

    /// Counts a read of the metadata; the one after the last that it needs finds the archive complete.
    pub(crate) fn read(&self, catalogue: &Catalogue, index: u32) {
        let mut processing = lock(&self.0);
        if catalogue.archive(index) != Archive::Processing || processing.finished.contains_key(&index) {
            return;
        }
        let reads = processing.reads.entry(index).or_default();
        if *reads >= catalogue.scenario.processing_reads {
            processing.finish(index);
        } else {
            *reads += 1;
        }
    }

    pub(crate) fn finish_all(&self, catalogue: &Catalogue) {
        let mut processing = lock(&self.0);
        catalogue.processing().for_each(|index| processing.finish(index));
    }

    /// Those that completed by being read, within `from..=to`.
    pub(crate) fn completed_within(&self, from: Seconds, to: Seconds) -> Vec<u32> {
        if from > to {
            return Vec::new();
        }
        let processing = lock(&self.0);
        processing.by_time.range((from, 0)..=(to, u32::MAX)).map(|(_, index)| *index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn an_archive_completes_after_as_many_reads_as_the_scenario_says() {
        let catalogue = Catalogue::new(Scenario { meetings: 10, processing: 0.3, ..Scenario::default() });
        let progress = Progress::default();
        let index = catalogue.processing().next().expect("three of ten are processing");
        for _ in 0..2 {
            progress.read(&catalogue, index);
            assert_eq!(progress.complete(&catalogue, index), None);
        }
        progress.read(&catalogue, index);
        let complete = progress.complete(&catalogue, index).expect("it is complete");
        assert_eq!(progress.completed_within(complete, complete), [index]);
        progress.finish_all(&catalogue);
        assert!((0..10).all(|index| progress.complete(&catalogue, index).is_some()));
    }
}
