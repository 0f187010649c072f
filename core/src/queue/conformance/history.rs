//! Random histories: what a step may be, and how often.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::model::{Ending, MEETINGS, RUNS, Step};
use crate::reason::{Outcome, Reason};

pub(crate) fn histories() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..80)
}

fn ending() -> impl Strategy<Value = Ending> {
    let outcome = prop_oneof![Just(Outcome::Recovered), Just(Outcome::Unavailable), Just(Outcome::Expired)];
    let reason = prop_oneof![Just(Reason::ArchiveProcessing), Just(Reason::Throttled)];
    prop_oneof![
        2 => outcome.prop_map(Ending::Finish),
        2 => (0u32..6).prop_map(Ending::Retry),
        2 => (0u32..6, reason).prop_map(|(thirds, reason)| Ending::Snooze(thirds, reason)),
        1 => Just(Ending::Release),
        1 => Just(Ending::Dead),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let run = || 0..RUNS.len();
    prop_oneof![
        6 => (run(), vec(0..MEETINGS, 0..4), any::<bool>())
            .prop_map(|(run, meetings, ready)| Step::Enqueue { run, meetings, ready }),
        1 => run().prop_map(|run| Step::Enumerated { run }),
        8 => (0..2usize, 0..4usize).prop_map(|(worker, most)| Step::Claim { worker, most }),
        4 => (0..8usize).prop_map(|lease| Step::Extend { lease }),
        8 => (0..8usize, ending()).prop_map(|(lease, fate)| Step::Settle { lease, fate }),
        5 => (0u32..5).prop_map(|thirds| Step::Advance { thirds }),
        1 => Just(Step::Crash),
        1 => option::of(run()).prop_map(|run| Step::Pause { run }),
        2 => option::of(run()).prop_map(|run| Step::Resume { run }),
        1 => run().prop_map(|run| Step::Cancel { run }),
        2 => run().prop_map(|run| Step::Retry { run }),
    ]
}
